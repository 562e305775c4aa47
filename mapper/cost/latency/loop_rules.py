"""What holds for all loops of a batch of mappings, for the recurrence over them."""

from __future__ import annotations

from typing import NamedTuple

from mapper.cost.latency.loop_times import LoopTimes
from mapper.cost.latency.memory_system import dram_latency, fetch_cycles
from simulator.units.store import LOADS_ON_THE_WAY
from simulator.units.systolic_array import completion_delay

EARLY_RELEASE_CYCLES = 250.0
"""Most bank conflicts of a loop whose last pairs are still to be fed when the loads of the loop after next, which fill
the same half, begin: the first group of A takes the bank. Fitted to our own event simulation of the mappings of
`mapper.validation.estimate_accuracy`, another seed."""


class Rules(NamedTuple):
    """What holds for all loops of a batch [cycles]."""

    double_buffered: bool
    whole_rows: bool
    """A unit normalises complete rows."""
    has_addend: bool
    shares_halves: bool
    """Loads of the next loop stop the reads of this one."""
    one_bank: bool
    """Both halves of the accumulator lie in one bank."""
    stops_last_pairs: bool
    """Loads of the loop after next may stop the last reads of this one."""
    contexts: int
    """Loops in flight, at most three."""
    first_command: float
    loop_config: float
    loop_cycles: float
    load_to_use: float
    arrival: float
    """Until the rows of a load may be used, from the last cycle that its memory times know."""
    preload: float
    completion: float
    load_entries: float
    store_entries: float
    loads_on_the_way: float
    early_release: float
    cached: bool
    """There is an L2."""
    commands_in_flight: float
    """Loads."""
    fetch_latency: float
    """Until a line that is written in part has come from DRAM."""
    fetch_cycles: float
    """Of the DRAM bus for such a line."""
    slots: float
    """Writes on their way."""
    acknowledge: float
    """Until a write to a line that the L2 holds is acknowledged."""


def rules_of(times: LoopTimes, replayed: bool) -> Rules:
    """Return what holds for all loops, whose memory times are tables of complete commands, or a replay of beats."""
    spec, problem, double_buffered = times.spec, times.problem, times.batch.double_buffered
    front_end = spec.front_end
    return Rules(
        double_buffered=double_buffered,
        whole_rows=bool(problem.whole_rows),
        has_addend=bool(problem.has_addend),
        shares_halves=bool(times.halves_share_bank),
        one_bank=spec.accumulator.banks == 1,
        stops_last_pairs=bool(double_buffered and times.single_ported),
        contexts=min(front_end.loops_in_flight, 3),
        first_command=float(front_end.first_command_cycles),
        loop_config=float(front_end.loop_config_cycles),
        loop_cycles=float(spec.host.loop_cycles),
        load_to_use=float(front_end.load_to_use_cycles),
        arrival=float(spec.dma.completion_cycles) if replayed else 0.0,
        preload=float(times.preload),
        completion=float(completion_delay(spec.array)),
        load_entries=float(front_end.load_entries),
        store_entries=float(front_end.store_entries),
        loads_on_the_way=float(LOADS_ON_THE_WAY),
        early_release=EARLY_RELEASE_CYCLES,
        cached=spec.l2 is not None,
        commands_in_flight=float(spec.dma.max_commands_in_flight),
        fetch_latency=0.0 if spec.l2 is None else float(dram_latency(spec)),
        fetch_cycles=float(fetch_cycles(spec, spec.line_bytes)),
        slots=float(spec.dma.max_in_flight),
        acknowledge=float(spec.dma.write_ack_cycles + (0 if spec.l2 is None else spec.l2.hit_cycles)),
    )
