"""The recurrence over the hardware loops of mappings, mapping by mapping.

Functions over arrays and nothing else, which are compiled when that pays (`simulator.memory.compiled`). Mechanisms and
sources: `mapper.cost.latency.loop_pipeline`, which makes the tables.
"""

from __future__ import annotations

from mapper.cost.latency.loop_rules import Rules
from simulator.arrays import Bools, Floats, Ints

COLUMNS = range(39)
ISSUED, FILL, LOAD, COMMANDS_ALONE, REPEATED, MEMORY, ENTRIES, BEATS, COMMANDS, MISSING, WAITING = COLUMNS[0:11]
COMPUTE, AFTER_FIRST_WEIGHTS, LAST_WEIGHTS, COMMAND, ADDEND, HEAD, SPARED, BANK_CONFLICTS = COLUMNS[11:19]
BETWEEN_HALVES, TAIL, BURST, HITS, DEPTH, EARLY_STORES, LEAD, STORE, SERIAL = COLUMNS[19:28]
AFTER_LAST, STORE_MEMORY, STORE_ENTRIES, STORE_BEATS, WRITES, AHEAD, MVOUTS, REQUESTS = COLUMNS[28:36]
UNACKNOWLEDGED, BEFORE_STORE, HEAD_BEHIND_STORE = COLUMNS[36:39]
"""What one loop needs, as `mapper.cost.latency.loop_times` says; from ``STORE`` on, of its stores."""

LAST_COLUMN = HEAD_BEHIND_STORE

STATES = range(18)
START, RELEASED, RELEASED_BEFORE, RELEASED_THIRD, LOADED, FED, FED_BEFORE, STORED, READ_OUT = STATES[0:9]
TILE_STORED, TILE_STORED_BEFORE, DRAINED, MEMORY_OF_STORES, ENTRIES_OF_STORES, BEATS_OF_STORES = STATES[9:15]
MVOUTS_OF_STORES, BUS_FREE, ACKNOWLEDGED = STATES[15:18]
"""What the next loop has to know of those before it, in cycles from the first loop on: when the last one was
configured; when all commands of the last three had entered the queues; when the last loads were there, and the pairs of
the last two fed; when the store unit was through, and since when (0: nothing was stored); when the last two result
tiles were complete, of which the older one had the next loop's accumulator half; when the memory was through with the
writes; the cycles of the DRAM bus, the miss entries and the response bus of the last stores, and their number; when the
response bus is through with them, and when the last write is acknowledged."""

NEVER = RELEASED_THIRD + 1
"""States up to here are minus infinity before the first loop; the others are zero."""

SUMS = range(4)
TOTAL, ARRAY, LOADS, STORES = SUMS
"""Sums over the loops: the cycles by which each makes the whole longer, and the busy time of the units."""

REPLAYED = range(3)
ALONE, IN_STREAM, WRITTEN = REPLAYED
"""Memory cycles of a loop's loads, begun on idle ports and behind those of the loop before, and of its stores."""


def run(
    places: Ints,
    axes: tuple[Ints, Ints, Ints],
    spilled: Bools,
    rows: Ints,
    table: Floats,
    replayed: Floats,
    rules: Rules,
    advanced: tuple[Floats, Floats, Floats, Floats],
) -> None:
    """Step through the loops of all mappings.

    Parameters
    ----------
    places, axes
        Place of each step along m, k and n (steps x 3); steps and loops along them, and steps at most (3 x mappings).
    spilled, rows
        Whether partial sums leave the chip (mappings). Row of ``table`` by column: behind the last k tile or before,
        and whether m, k and n are past their first tile (2 x 8 x columns).
    table
        Entries by whether the tile is the last one along m, k and n, and by mapping (rows x 8 mappings).
    replayed, rules
        Of a single mapping, memory cycles of each step (`REPLAYED` x steps), else `REPLAYED` x 0; what holds for all.
    advanced
        `STATES` and `SUMS`, x mappings; sums behind each step of a single one, else `SUMS` x 0; room for a loop.
    """
    (steps, trips, most), (state, sums, elapsed, now) = axes, advanced
    number = steps.shape[1]
    for at in range(places.shape[0]):
        m, k, n = places[at, 0], places[at, 1], places[at, 2]
        kind = ((m > 0) * 2 + (k > 0)) * 2 + (n > 0)
        for mapping in range(number):
            if m >= steps[0, mapping] or k >= steps[1, mapping] or n >= steps[2, mapping]:
                continue
            last_k = steps[1, mapping] == k + 1
            stores = last_k or spilled[mapping]  # sums that are spilled leave behind every k tile
            loop = ((steps[0, mapping] == m + 1) * 2 + last_k) * 2 + (steps[2, mapping] == n + 1)
            look_up(now, rows, table, 0 if last_k else 1, kind, loop * number + mapping, stores)
            if replayed.shape[1]:
                replace_memory(now, replayed[:, at], rules, stores)
            weight = stands_for(places[at], trips[:, mapping], most[:, mapping])
            # Bias and residual come with the first k tile, and what was spilled with the others.
            addend = spilled[mapping] if k > 0 else rules.has_addend
            before = complete(state, mapping, rules)
            advance(now, state, mapping, rules, addend, spilled[mapping] or k == 0, stores)
            sums[TOTAL, mapping] += weight * (complete(state, mapping, rules) - before)
            for unit, column in ((ARRAY, COMPUTE), (LOADS, LOAD), (STORES, STORE)):
                sums[unit, mapping] += weight * now[column]
        for row in range(len(sums) if elapsed.shape[1] else 0):
            elapsed[row, at] = sums[row, 0]


def look_up(now: Floats, rows: Ints, table: Floats, part: int, kind: int, place: int, stores: bool) -> None:
    """Fill in what a loop needs; nothing for stores if it has none."""
    # Rows differ from column to column: copied once, so that the formulas below name columns and nothing else.
    for column in range(STORE):
        now[column] = table[rows[part, kind, column], place]
    for column in range(STORE, LAST_COLUMN + 1):
        now[column] = table[rows[part, kind, column], place] if stores else 0.0


def replace_memory(now: Floats, replayed: Floats, rules: Rules, stores: bool) -> None:
    """Replace what the tables say of the memory by what a replay found."""
    # The replay knows each row that is read; a row of the bias is written on chip many times.
    loads = replayed[IN_STREAM] + now[REPEATED]
    slower = loads / max(1.0, now[COMMANDS_ALONE])
    for column in (ADDEND, HEAD, HEAD_BEHIND_STORE):
        now[column] *= slower
    now[LOAD], now[FILL] = loads, max(0.0, replayed[ALONE] - replayed[IN_STREAM])
    if stores:
        replace_writes(now, replayed[WRITTEN], rules)


def replace_writes(now: Floats, written: float, rules: Rules) -> None:
    """Replace what the tables say of the memory cycles of stores by what a replay found."""
    # In a stream of writes only the last one waits until it is acknowledged, and until its line has come.
    fetching = min(1.0, now[STORE_MEMORY] / rules.fetch_cycles / max(1.0, now[REQUESTS]))
    if now[REQUESTS] <= rules.slots:
        fetching = min(1.0, now[STORE_MEMORY])
    now[UNACKNOWLEDGED] = min(written, rules.acknowledge + fetching * rules.fetch_latency)
    now[WRITES] = written - now[UNACKNOWLEDGED]
    # Writes that all have a slot do not hold up the unit.
    now[AHEAD] = now[WRITES] if now[REQUESTS] <= rules.slots else min(now[AHEAD], now[WRITES])
    slowest = max(now[STORE_MEMORY], now[STORE_ENTRIES])
    if slowest > 0.0 and (now[WRITES] > now[SERIAL] or now[WRITES] < slowest):
        now[STORE_MEMORY] *= now[WRITES] / slowest
        now[STORE_ENTRIES] *= now[WRITES] / slowest


def stands_for(place: Ints, trips: Ints, most: Ints) -> float:
    """Return how many loops a step stands for: along each axis the last but one stands for all those left out."""
    loops = 1.0
    for axis in range(3):
        if place[axis] > 0 and place[axis] == most[axis] - 2 and trips[axis] > most[axis]:
            loops *= trips[axis] - most[axis] + 1
    return loops


def advance(now: Floats, state: Floats, mapping: int, rules: Rules, addend: bool, new_tile: bool, stores: bool) -> None:
    """Advance the state of one mapping by a loop that may load an addend, begin a new tile, and store."""
    start = configured(now, state, mapping, rules)
    begin = start + rules.first_command
    # D enters the accumulator half that the tile before the last has to leave first.
    ready = max(begin, state[TILE_STORED_BEFORE, mapping]) if addend else begin
    arriving = max(state[LOADED, mapping], ready + now[FILL])
    early = 0.0
    if stores:
        early = early_stores(now, state, mapping, rules, arriving, new_tile)
    load = contended(now, state, mapping, rules, early)
    if rules.double_buffered:
        arriving, load = behind_reads(now, state, mapping, rules, arriving, load)
        behind_mvins(now, state, mapping, rules, start, arriving + load)
    else:
        load = behind_writes(now, state, mapping, arriving, load)
    begun, fed, _ = fed_at(now, state, mapping, rules, arriving, load, new_tile)
    if rules.double_buffered and rules.one_bank:
        behind_sums(now, state, mapping, rules, begun, fed, addend)
    through, drained = stored_at(now, state, mapping, rules, begun, fed, addend, ahead_of_operands(now, early, load))
    emitted = released_at(now, state, mapping, rules, begin, (arriving + load, fed, through), stores)
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
    # Behind one loop after another nobody meets the stores but late in their own loop.
    late = 1.0 - early if rules.double_buffered else 0.0
    state[MEMORY_OF_STORES, mapping] = late * now[STORE_MEMORY]
    state[ENTRIES_OF_STORES, mapping] = late * now[STORE_ENTRIES]
    state[BEATS_OF_STORES, mapping] = late * now[STORE_BEATS]
    state[MVOUTS_OF_STORES, mapping] = late * now[MVOUTS]
    if stores:
        state[ACKNOWLEDGED, mapping] = drained + now[UNACKNOWLEDGED]
        state[BUS_FREE, mapping] = through + (1.0 - early) * (now[STORE_BEATS] - now[STORE])


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


def contended(now: Floats, state: Floats, mapping: int, rules: Rules, early: float) -> float:
    """Load cycles, with the stores of the loop before, and early ones of this loop, on the same buses.

    A command takes what it needs of a shared resource as a whole, ahead of every later command: loads wait for the
    stores that were taken before them, whatever else they wait for.
    """
    memory = state[MEMORY_OF_STORES, mapping] + early * now[STORE_MEMORY]
    entries = state[ENTRIES_OF_STORES, mapping] + early * now[STORE_ENTRIES]
    beats = state[BEATS_OF_STORES, mapping] + early * now[STORE_BEATS]
    stores = state[MVOUTS_OF_STORES, mapping] + early * now[MVOUTS]
    if not rules.cached:
        # Without an L2 stores take the bus while loads wait for their data, behind which others are under way.
        hidden = 1.0 - 1.0 / rules.commands_in_flight
        memory = max(0.0, memory - (now[LOAD] - now[MEMORY]) * hidden)
        beats = max(0.0, beats - (now[LOAD] - now[BEATS]) * hidden)
    # Stores and loads that need miss entries take turns; further stores delay nobody.
    turns = min(1.0, now[MISSING] * now[COMMANDS] / max(1.0, stores))
    delay = max(now[WAITING] * beats, now[MISSING] * max(memory, turns * entries))
    cycles: float = now[LOAD] + delay
    return cycles


def behind_writes(now: Floats, state: Floats, mapping: int, arriving: float, load: float) -> float:
    """Load cycles behind the writes of the loop before, if loops run one after another."""
    # Lines come behind those that the last writes still fetch or fill.
    fetched = min(1.0, now[MISSING] * now[COMMANDS])
    late = fetched * max(0.0, state[DRAINED, mapping] + now[MEMORY] - arriving - load)
    # Rows that the L2 holds wait for the beats of the writes.
    beats = now[WAITING] * max(0.0, state[BUS_FREE, mapping] - arriving)
    cycles: float = load + max(late, beats)
    return cycles


def early_stores(now: Floats, state: Floats, mapping: int, rules: Rules, arriving: float, new_tile: bool) -> float:
    """Share of the stores that are taken before the last loads, in a loop whose array waits for those."""
    if not now[EARLY_STORES]:
        return 0.0
    _, _, left = fed_at(now, state, mapping, rules, arriving, now[LOAD], new_tile)
    if left > now[TAIL]:
        return 0.0
    # The pairs that need the last loads have to be written before their stores, while further loads arrive.
    written = (now[TAIL] + rules.completion + rules.load_to_use) / max(1.0, now[COMMAND])
    share: float = max(0.0, now[EARLY_STORES] - (1.0 - now[EARLY_STORES]) * written)
    # They are taken one after another, while the operands of the last k block arrive.
    window = now[LOAD] / now[DEPTH] - rules.completion - rules.load_to_use
    if now[DEPTH] <= 1.0:
        window -= now[ADDEND] + now[HEAD] + rules.preload
    taken: float = min(share, max(0.0, window) / max(1.0, now[SERIAL]))
    return taken


def ahead_of_operands(now: Floats, early: float, load: float) -> float:
    """Cycles of the stores that are over when the last operands are there: while those of the last k block arrive."""
    arriving = now[LOAD] / now[DEPTH] + load - now[LOAD]
    cycles: float = early * min(max(now[SERIAL], now[WRITES]), arriving)
    return cycles


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


def behind_sums(now: Floats, state: Floats, mapping: int, rules: Rules, begun: float, fed: float, addend: bool) -> None:
    """Delay the stores of the loop before while this one accumulates into the bank that they read."""
    begins = max(begun, state[READ_OUT, mapping] - rules.completion)
    if state[STORED, mapping] > begins + rules.completion:
        accumulating = 1.0 if addend else 1.0 - 1.0 / now[DEPTH]
        delay = max(0.0, fed - begins) * accumulating
        state[STORED, mapping] += delay
        state[TILE_STORED, mapping] += delay


def fed_at(
    now: Floats, state: Floats, mapping: int, rules: Rules, arriving: float, load: float, new_tile: bool
) -> tuple[float, float, float]:
    """When the first pair begins, and when the last is fed: behind the loop before, and every operand's arrival.

    The last value are the cycles that the pairs still need when all is loaded.
    """
    free = state[FED, mapping] + early_release(now, state, mapping, rules, arriving, load)
    ready = arriving + now[ADDEND] + now[HEAD] + rules.arrival + rules.load_to_use
    ready = max(ready, state[TILE_STORED_BEFORE, mapping] if new_tile else 0.0)
    # First weights that are not there when the last step of the loop before begins have nothing to overlap their
    # preload with, but that step is shorter for it.
    late = ready > free - (rules.preload - now[SPARED])
    begun = max(free, ready) + rules.preload if late else free
    compute = now[COMPUTE] - (now[SPARED] if late else 0.0)
    if rules.shares_halves:
        # The array loses a cycle for each row that arrives, and as it takes longer more of them do.
        rate = now[BETWEEN_HALVES] / max(load, 1.0)
        compute = compute + min(now[BETWEEN_HALVES], compute * rate / max(1.0 - rate, 1e-9))
    loaded = arriving + load + rules.arrival
    window = max(0.0, loaded - begun)
    taken = now[BANK_CONFLICTS] / max(now[LOAD], 1.0)
    # Rows that arrive while the array waits for operands cost it nothing; those that stop it draw out its steps.
    stepping = max(0.0, compute - now[TAIL]) / max(1.0 - taken, 1e-9)
    lost = taken * min(window, stepping)
    left = compute - window + lost
    return begun, max(begun + compute, loaded + max(left, now[TAIL]) if window > 0.0 else 0.0), left


def early_release(now: Floats, state: Floats, mapping: int, rules: Rules, arriving: float, load: float) -> float:
    """Delay of the loop before when this one's loads began under the last pairs of the one before that.

    A loop of few stores is released while its last pairs wait to be fed. Loads into its half that hit the L2 write
    rows that stop the reads of these pairs (calibration notes, 1.1), as long as both last.
    """
    before = state[FED_BEFORE, mapping]
    if not rules.stops_last_pairs or state[LOADED, mapping] >= before:
        return 0.0
    if state[RELEASED_BEFORE, mapping] >= before - 1.0:
        return 0.0
    conflicts = min(rules.early_release, now[BURST]) * now[HITS]
    rate = now[BETWEEN_HALVES] / max(load, 1.0)
    # The first weights come before them.
    together = max(0.0, before - arriving - now[COMMAND]) / max(1.0 - rate, 1e-9)
    delay: float = min(min(conflicts, rate * together), min(load, now[COMPUTE]))
    return delay


def stored_at(
    now: Floats, state: Floats, mapping: int, rules: Rules, begun: float, fed: float, addend: bool, ahead: float
) -> tuple[float, float]:
    """When the unit is through with the stores, and the memory with their writes.

    Rows cannot be read from a bank that the array accumulates into. Writes wait in their slots for the memory, and hold
    up the unit when all are taken.
    """
    written = fed + rules.completion
    first = written - ahead
    if not (now[DEPTH] > 1.0 or addend or rules.whole_rows):
        # A tile one block deep does not accumulate: rows are stored while others are computed.
        begun = max(begun - now[HEAD_BEHIND_STORE], min(begun, state[FED, mapping]))
        first = min(written, begun + now[BEFORE_STORE] + rules.completion)
    start = max(state[STORED, mapping], first)
    read = max(start + now[SERIAL], written + now[SERIAL] / max(1.0, now[MVOUTS]))
    drained = max(state[DRAINED, mapping], start) + now[WRITES]
    return max(read, drained - now[AHEAD]), drained


def released_at(
    now: Floats, state: Floats, mapping: int, rules: Rules, begin: float, ends: tuple[float, float, float], stores: bool
) -> float:
    """When the last command of each queue has entered it: release takes no completion (calibration notes, 1.1).

    ``ends``: of the loads, of the pairs' feeding, of the stores. A queue that holds all commands of a loop has them as
    soon as its unit is through with the loop before, that of the pairs at once.
    """
    loaded, fed, stored = ends
    if now[COMMANDS] > rules.load_entries:
        loads = loaded + rules.arrival - rules.load_entries * now[COMMAND]
    else:
        loads = state[LOADED, mapping] - rules.commands_in_flight * now[COMMAND]
    # Pairs that do not fill the queue wait for those of the loop before.
    pairs = fed - now[LEAD] if now[LEAD] < now[COMPUTE] else state[FED, mapping] - (now[LEAD] - now[COMPUTE])
    released: float = max(max(begin, loads), max(pairs, state[STORED, mapping]))
    if rules.whole_rows:
        # A loop that is normalised keeps its context until the end, and one without output until it is its turn.
        return max(released, stored if stores else 0.0)
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
