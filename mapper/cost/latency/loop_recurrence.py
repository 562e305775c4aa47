"""The recurrence over the hardware loops of mappings, mapping by mapping.

Functions over arrays and nothing else, which are compiled when that pays (`simulator.memory.compiled`). Mechanisms and
sources: `mapper.cost.latency.loop_pipeline`, which makes the tables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.arrays import Bools, Floats, Ints

COLUMNS = range(30)
(
    ISSUED,
    FILL,
    LOAD,
    MEMORY,
    ENTRIES,
    BEATS,
    COMPUTE,
    AFTER_FIRST_WEIGHTS,
    LAST_WEIGHTS,
    COMMAND,
    ADDEND,
    HEAD,
    SPARED,
    BANK_CONFLICTS,
    BETWEEN_HALVES,
    TAIL,
    BURST,
    HITS,
    DEPTH,
    BEFORE_STORE,
    LEAD,
    STORE,
    SERIAL,
    AFTER_LAST,
    STORE_MEMORY,
    STORE_ENTRIES,
    STORE_BEATS,
    WRITES,
    AHEAD,
    MVOUTS,
) = COLUMNS
"""What one loop needs, as `mapper.cost.latency.loop_times` says; from ``STORE`` on, of its stores."""

LAST_COLUMN = MVOUTS

STATES = range(15)
(
    START,
    RELEASED,
    RELEASED_BEFORE,
    RELEASED_THIRD,
    LOADED,
    FED,
    FED_BEFORE,
    STORED,
    READ_OUT,
    TILE_STORED,
    TILE_STORED_BEFORE,
    DRAINED,
    MEMORY_OF_STORES,
    ENTRIES_OF_STORES,
    BEATS_OF_STORES,
) = STATES
"""What the next loop has to know of those before it, in cycles from the first loop on: when the last one was
configured; when all commands of the last three had entered the queues; when the last loads were there, and the pairs of
the last two fed; when the store unit was through, and since when (0: nothing was stored); when the last two result
tiles were complete, of which the older one had the next loop's accumulator half; when the memory was through with the
writes; and the cycles of the DRAM bus, the miss entries and the response bus of the last stores."""

NEVER = RELEASED_THIRD + 1
"""States up to here are minus infinity before the first loop; the others are zero."""

SUMS = range(4)
TOTAL, ARRAY, LOADS, STORES = SUMS
"""Sums over the loops: the cycles by which each makes the whole longer, and the busy time of the units."""


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
    preload: float
    completion: float
    load_entries: float
    store_entries: float
    loads_on_the_way: float
    early_release: float


def run(
    places: Ints,
    axes: tuple[Ints, Ints, Ints],
    spilled: Bools,
    rows: Ints,
    table: Floats,
    rules: Rules,
    state: Floats,
    sums: Floats,
) -> None:
    """Step through the loops of all mappings.

    Parameters
    ----------
    places, axes
        Place of each step along m, k and n (steps x 3); steps and loops along them, and at most how many are stepped
        through (3 x mappings each).
    spilled
        Whether partial sums leave the chip (mappings).
    rows
        Row of ``table`` by column: behind the last k tile or before, and whether m, k and n are past their first tile
        (2 x 8 x columns).
    table
        Entries by whether the tile is the last one along m, k and n, and by mapping (rows x 8 mappings).
    rules, state, sums
        What holds for all of them, and what is advanced (`STATES` x mappings, `SUMS` x mappings).
    """
    steps, trips, most = axes
    number, now = steps.shape[1], np.zeros(LAST_COLUMN + 1)
    for at in range(places.shape[0]):
        m, k, n = places[at, 0], places[at, 1], places[at, 2]
        kind = ((m > 0) * 2 + (k > 0)) * 2 + (n > 0)
        for mapping in range(number):
            if m >= steps[0, mapping] or k >= steps[1, mapping] or n >= steps[2, mapping]:
                continue
            last_k = steps[1, mapping] == k + 1
            # Sums that are spilled leave behind every k tile.
            stores = last_k or spilled[mapping]
            loop = ((steps[0, mapping] == m + 1) * 2 + last_k) * 2 + (steps[2, mapping] == n + 1)
            look_up(now, rows, table, 0 if last_k else 1, kind, loop * number + mapping, stores)
            weight = stands_for(m, trips[0, mapping], most[0, mapping])
            weight *= stands_for(k, trips[1, mapping], most[1, mapping])
            weight *= stands_for(n, trips[2, mapping], most[2, mapping])
            # Bias and residual come with the first k tile, and what was spilled with the others.
            addend = spilled[mapping] if k > 0 else rules.has_addend
            before = complete(state, mapping, rules)
            advance(now, state, mapping, rules, addend, spilled[mapping] or k == 0, stores)
            sums[TOTAL, mapping] += weight * (complete(state, mapping, rules) - before)
            for unit, cycles in ((ARRAY, COMPUTE), (LOADS, LOAD), (STORES, STORE)):
                sums[unit, mapping] += weight * now[cycles]


def look_up(now: Floats, rows: Ints, table: Floats, part: int, kind: int, place: int, stores: bool) -> None:
    """Fill in what a loop needs; nothing for stores if it has none."""
    # Rows differ from column to column: copied once, so that the formulas below name columns and nothing else.
    for column in range(STORE):
        now[column] = table[rows[part, kind, column], place]
    for column in range(STORE, LAST_COLUMN + 1):
        now[column] = table[rows[part, kind, column], place] if stores else 0.0


def stands_for(place: int, trips: int, most: int) -> float:
    """Return how many loops a step stands for: the last but one for all those that are left out."""
    return float(trips - most + 1) if place > 0 and place == most - 2 and trips > most else 1.0


def advance(now: Floats, state: Floats, mapping: int, rules: Rules, addend: bool, new_tile: bool, stores: bool) -> None:
    """Advance the state of one mapping by a loop that may load an addend, begin a new tile, and store."""
    start = configured(now, state, mapping, rules)
    begin = start + rules.first_command
    # D enters the accumulator half that the tile before the last has to leave first.
    ready = max(begin, state[TILE_STORED_BEFORE, mapping]) if addend else begin
    arriving = max(state[LOADED, mapping], ready + now[FILL])
    load = contended(now, state, mapping, rules)
    if rules.double_buffered:
        arriving, load = behind_reads(now, state, mapping, rules, arriving, load)
        behind_mvins(now, state, mapping, rules, start, arriving + load)
    else:
        # Lines come behind those that the last writes still fetch or fill.
        busy = state[DRAINED, mapping] + now[MEMORY]
        load = max(load, busy - arriving)
    begun, fed = fed_at(now, state, mapping, rules, arriving, load, new_tile)
    through, drained = stored_at(now, state, mapping, rules, begun, fed, addend)
    emitted = released_at(
        now, rules, begin, arriving + load, fed, through if stores else state[STORED, mapping], stores
    )
    state[START, mapping] = start
    state[RELEASED_THIRD, mapping] = state[RELEASED_BEFORE, mapping]
    state[RELEASED_BEFORE, mapping] = state[RELEASED, mapping]
    state[RELEASED, mapping] = emitted
    state[LOADED, mapping] = arriving + load
    state[FED_BEFORE, mapping] = state[FED, mapping]
    state[FED, mapping] = fed
    state[READ_OUT, mapping] = max(through - now[STORE], state[STORED, mapping]) if stores else 0.0
    if stores:
        state[STORED, mapping], state[DRAINED, mapping] = through, drained
        state[TILE_STORED_BEFORE, mapping] = state[TILE_STORED, mapping]
        # The unit goes on to the next store while the last one is on its way.
        state[TILE_STORED, mapping] = through + now[AFTER_LAST]
    state[MEMORY_OF_STORES, mapping] = now[STORE_MEMORY]
    state[ENTRIES_OF_STORES, mapping] = now[STORE_ENTRIES]
    state[BEATS_OF_STORES, mapping] = now[STORE_BEATS]


def configured(now: Floats, state: Floats, mapping: int, rules: Rules) -> float:
    """When the loop is configured: a context is free; or, in the whole memories, everything is complete."""
    paced = state[START, mapping] + rules.loop_cycles + now[ISSUED]
    if rules.double_buffered:
        # With more than three loops in flight the memories' halves hold a loop up, never its slot.
        free = max(state[RELEASED + rules.contexts - 1, mapping] + rules.loop_config, 0.0)
    else:
        free = max(state[LOADED, mapping], complete(state, mapping, rules))
    start: float = max(paced, free)
    return start


def contended(now: Floats, state: Floats, mapping: int, rules: Rules) -> float:
    """Load cycles, with the stores of the loop before on the same buses."""
    load: float = now[LOAD]
    if rules.double_buffered:
        # Loads and stores take turns: while both last, each waits for the other once per turn, so that stores delay
        # loads by no more than the loads' own time. Three resources in parallel: the slowest one counts.
        load = max(load, now[MEMORY] + min(now[MEMORY], state[MEMORY_OF_STORES, mapping]))
        load = max(load, now[ENTRIES] + min(now[ENTRIES], state[ENTRIES_OF_STORES, mapping]))
        load = max(load, now[BEATS] + min(now[BEATS], state[BEATS_OF_STORES, mapping]))
    return load


def behind_reads(
    now: Floats, state: Floats, mapping: int, rules: Rules, arriving: float, load: float
) -> tuple[float, float]:
    """Delay loads that would overwrite weights still in use.

    The scratchpad half is that of the loop before last. Its first weights must be read before the first load of B, its
    last ones before the last.
    """
    first = last = 0.0
    if state[FED_BEFORE, mapping] > 0.0:
        read = state[FED_BEFORE, mapping] + rules.completion
        first, last = read - now[AFTER_FIRST_WEIGHTS], read + now[LAST_WEIGHTS]
    arriving = max(arriving, first + now[FILL])
    return arriving, max(load, last - arriving)


def behind_mvins(now: Floats, state: Floats, mapping: int, rules: Rules, start: float, loaded: float) -> None:
    """Delay the read-out of the loop before until the last of this one's loads that were ahead of it are there."""
    if not rules.whole_rows:
        return
    began = state[READ_OUT, mapping]
    left = (loaded - began) / max(now[COMMAND], 1.0)
    if began > start and left <= rules.load_entries + rules.loads_on_the_way:
        delay = max(0.0, loaded - began)
        state[STORED, mapping] += delay
        state[RELEASED, mapping] += delay
        state[TILE_STORED, mapping] += delay


def fed_at(
    now: Floats, state: Floats, mapping: int, rules: Rules, arriving: float, load: float, new_tile: bool
) -> tuple[float, float]:
    """When the first pair begins, and when the last is fed: behind the loop before, and every operand's arrival."""
    free = state[FED, mapping] + early_release(now, state, mapping, rules, load)
    usable = arriving + now[ADDEND] + now[HEAD]
    usable = usable + rules.load_to_use + rules.preload
    usable = max(usable, state[TILE_STORED_BEFORE, mapping] + rules.preload if new_tile else 0.0)
    if rules.double_buffered and rules.one_bank:
        # The loop before is stored from the bank that this one accumulates into: they take turns.
        free = max(free, state[FED, mapping] + now[STORE])
    begun = max(free, usable)
    # An array that waits for its first weights has nothing to overlap their preload with, but its last step of the
    # loop before was shorter for it.
    compute = now[COMPUTE] - (now[SPARED] if usable > free + rules.preload else 0.0)
    if rules.shares_halves:
        # The array loses a cycle for each row that arrives, and as it takes longer more of them do.
        rate = now[BETWEEN_HALVES] / max(load, 1.0)
        compute = compute + min(now[BETWEEN_HALVES], compute * rate / max(1.0 - rate, 1e-9))
    loaded = arriving + load
    window = max(0.0, loaded - begun)
    taken = now[BANK_CONFLICTS] / max(now[LOAD], 1.0)
    # Rows that arrive while the array waits for operands cost it nothing; those that stop it draw out its steps.
    stepping = max(0.0, compute - now[TAIL]) / max(1.0 - taken, 1e-9)
    lost = taken * min(window, stepping)
    remaining = max(compute - window + lost, now[TAIL])
    return begun, max(begun + compute, loaded + remaining if window > 0.0 else 0.0)


def early_release(now: Floats, state: Floats, mapping: int, rules: Rules, load: float) -> float:
    """Delay of the loop before when this one's loads began under the last pairs of the one before that.

    A loop of few stores is released while its last pairs wait to be fed. Loads into its half that hit the L2 write a
    row per cycle and stop the reads of these pairs (calibration notes, 1.1).
    """
    before = state[FED_BEFORE, mapping]
    if not rules.stops_last_pairs or state[LOADED, mapping] >= before:
        return 0.0
    if state[RELEASED_BEFORE, mapping] >= before - 1.0:
        return 0.0
    conflicts = min(rules.early_release, now[BURST]) * now[HITS]
    delay: float = min(conflicts, min(load, now[COMPUTE]))
    return delay


def stored_at(
    now: Floats, state: Floats, mapping: int, rules: Rules, begun: float, fed: float, addend: bool
) -> tuple[float, float]:
    """When the unit is through with the stores, and the memory with their writes.

    Rows cannot be read from a bank that the array accumulates into. Writes wait in their slots for the memory, and hold
    up the unit when all are taken.
    """
    written = fed + rules.completion
    first = written
    if not (now[DEPTH] > 1.0 or addend or rules.whole_rows):
        # A tile one block deep does not accumulate: rows are stored while others are computed.
        first = min(written, begun + now[BEFORE_STORE] + rules.completion)
    start = max(state[STORED, mapping], first)
    read = max(start + now[SERIAL], written + now[SERIAL] / max(1.0, now[MVOUTS]))
    drained = max(state[DRAINED, mapping], start) + now[WRITES]
    return max(read, drained - now[AHEAD]), drained


def released_at(
    now: Floats, rules: Rules, begin: float, loaded: float, fed: float, stored: float, stores: bool
) -> float:
    """When the last command of each queue has entered it: release takes no completion (calibration notes, 1.1)."""
    last_loads = rules.load_entries * now[COMMAND]
    released: float = max(max(begin, loaded - last_loads), fed - now[LEAD])
    if rules.whole_rows:
        # A loop that is normalised keeps its context until the end, and one without output until it is its turn.
        return max(released, stored)
    mvouts = max(now[MVOUTS], 1.0)
    # Stores that all fit their queue enter it with the last pairs.
    if stores and mvouts > rules.store_entries:
        released = max(released, stored - now[STORE] * (rules.store_entries / mvouts))
    return max(released, 0.0)


def complete(state: Floats, mapping: int, rules: Rules) -> float:
    """When all that was begun is complete; at the beginning nothing was."""
    done: float = max(
        state[FED, mapping] + rules.completion if state[FED, mapping] > 0.0 else 0.0, state[TILE_STORED, mapping]
    )
    return done
