"""Dependencies and queue windows of the reservation station."""

from __future__ import annotations

from hwconfigs import HardwareSpec
from simulator.frontend.reservation_station import WINDOW, Footprint, emission_of_last, last_conflict, pair_emission
from simulator.frontend.single_commands import expand_commands
from simulator.machine import simulate
from simulator.program import Command, Compute, Fence, Matrix, Mvin, Preload, Program


def rows(start: int, end: int, memory: str = "scratchpad") -> Footprint:
    return Footprint(memory, start, end)


def test_neighbours_do_not_overlap() -> None:
    assert not rows(0, 16).overlaps(rows(16, 32))
    assert rows(0, 17).overlaps(rows(16, 32))
    assert not rows(0, 16).overlaps(rows(0, 16, "accumulator"))


def test_the_last_conflict_counts_from_one() -> None:
    earlier = [rows(0, 4), rows(4, 8), rows(0, 4), rows(8, 12)]
    assert last_conflict(earlier, rows(2, 3)) == 3
    assert last_conflict(earlier, rows(100, 101)) == 0
    assert last_conflict([], rows(0, 1)) == 0


def test_commands_beyond_the_window_have_completed() -> None:
    earlier = [rows(0, 4)] + [rows(8, 12)] * WINDOW
    assert last_conflict(earlier, rows(0, 4)) == 0
    assert last_conflict(earlier[:-1], rows(0, 4)) == 1


def test_a_queue_that_holds_all_is_filled_one_command_a_cycle() -> None:
    assert emission_of_last([], 8, 100, 8) == 107
    assert emission_of_last([], 8, 100, 0) == 100


def test_a_full_queue_waits_for_completions() -> None:
    """Ten commands, eight entries: the tenth enters when the second has completed."""
    assert emission_of_last([150, 190], 8, 100, 10) == 190
    assert emission_of_last([101, 102], 8, 100, 10) == 109


def test_pairs_take_two_entries_until_fed_and_one_until_written() -> None:
    """16 entries. Pair 7 enters at once; pair 8 needs one fed pair out of the way, and that one's result written."""
    assert pair_emission(7, [], [], 16) == 0
    assert pair_emission(8, [], [], 16) is None
    assert pair_emission(8, [50], [88], 16) == 88
    assert pair_emission(8, [50, 66], [88, 104], 16) == 0


def test_a_fed_pair_still_holds_its_preload() -> None:
    """Pair 10 with 4 fed: 6 unfed hold 12 entries, the new one needs 2, so 2 of the 4 fed must be written."""
    assert pair_emission(10, [10, 20, 30, 40], [48, 58, 68, 78], 16) == 58


def chain(first_reads: int, second_reads: int, second_weights: int, *loads: Mvin) -> Program:
    """Two pairs; the first writes rows 192 to 195 of the scratchpad, the loads come after both."""
    pairs: list[Command] = []
    for inputs, weights, result in ((first_reads, 64, 192), (second_reads, second_weights, 224)):
        pairs.append(Preload(weights_row=weights, k=4, n=4, result="scratchpad", result_row=result))
        pairs.append(Compute(inputs_row=inputs, m=4, k=4, n=4))
    return Program("pairs", (*pairs, *loads, Fence()), preloaded=("scratchpad",))


def test_a_pair_waits_for_the_result_that_it_reads(tiny: HardwareSpec) -> None:
    """As inputs or as weights; results are there ten cycles after their inputs were fed."""
    free = simulate(chain(0, 4, 68), tiny).cycles
    for reads, weights in ((192, 68), (4, 193)):
        dependent = simulate(chain(0, reads, weights), tiny)
        assert free < dependent.cycles <= free + 2 * tiny.array.rows + tiny.array.output_delay_cycles + 4
        assert dependent.units["execute"].stall_cycles["result"] > 0


def test_a_load_waits_for_the_weights_that_it_overwrites(tiny: HardwareSpec) -> None:
    """The work of single commands: weights in rows 64 to 67 of the first pair, 68 to 71 of the second."""
    commands = [item for item in chain(0, 4, 68).items if isinstance(item, (Preload, Compute))]
    for row, pair in ((66, 1), (70, 2), (128, 0)):
        work = expand_commands([*commands, Mvin(Matrix(0, 4), 1, 4, "scratchpad", row)], tiny, "pairs", {})
        assert work.loads.after_pair == [pair]
