"""Recurrences of the memory path over the requests of one command.

Times are cycles. What is free again when, is kept in arrays that successive commands share. Mechanisms and values:
``simulator.memory.path``. Functions are compiled when that pays: see ``simulator.memory.compiled``. What is called for
every request takes the arrays that it uses: compiled code counts references to each array that it hands over.
"""

from __future__ import annotations

import math

from simulator.arrays import Floats, Ints
from simulator.memory.ports import Constants, Limits, Ports, Shared

LINE, BEATS, SIZE, CODE, ROWS, PORT, PLACE = range(7)
"""Rows of a request table: line number, bus beats, bytes, outcome bits, on-chip rows that a read writes, cycles from
its first beat until the last of them is written; if the DRAM has pages, ``ROW_STATES`` x bank + state of the row."""

ROW_HIT, UNOPENED, CONFLICT, ROW_STATES = range(4)
"""What an access of the DRAM finds in its bank: its row, no row, another row; and the number of these states."""

MISS, LLC_HIT, FETCH = 1, 2, 4
"""Bits of a request: misses the L2, the line is in the last-level cache, it fetches."""
VALID_WAY, MOST_WAYS = 8, 256
"""Unit in which the bits above them count the valid ways of the set that it misses in, and the end of that count."""
DIRTY, SHARES = VALID_WAY * MOST_WAYS, 1024
"""Unit of the bits above those: dirty lines of the L2 when it misses, in 1/1024 of all its lines."""

CYCLES = range(6)
NEXT_REQUEST, BUS_FREE, SCALER_FREE, HELD_BY_BUS, HELD_BY_SLOTS, FETCHES = CYCLES
"""Entries of ``Ports.cycles``; the last one is the number of sets in ``Ports.fetching``."""

ACTIVATED, ACCESSED = range(2)
"""Rows of ``Ports.banks``: when its row was activated, and when its last burst ended."""

DRAM_FREE, DRAM_BUSY, WRITTEN_BACK, EVICTIONS = range(4)
"""Entries of ``Ports.dram``; the last one is the expected number of evictions not yet charged."""


def replace_first(times: Ints, value: int) -> None:
    """Replace the smallest of some sorted times; a heap takes longer, as new times are mostly among the largest."""
    place = len(times) - 1
    while place and times[place] > value:
        place -= 1
    for at in range(place):
        times[at] = times[at + 1]
    times[place] = value


def occupied_by(limits: Limits, beats: int, port: int) -> int:
    """Cycles of one read on the response bus: its beats, or the rows they are merged into if that takes longer.

    Beats that follow the last wanted one have to be thrown away first.
    """
    return port if port >= beats else beats + limits.idle


def read_hits(
    limits: Limits, ports: Ports, table: Ints, low: int, high: int, request: int, per_row: int, log: Ints
) -> tuple[int, int]:
    """All requests hit: the response bus, or one slot per request, is the only limit."""
    slots, cycles = ports.slots, ports.cycles
    bus, total, first, port = cycles[BUS_FREE], 0, 0, 0
    for at in range(low, high):
        # The smallest entry: the slot that is free first.
        cycles[HELD_BY_SLOTS] += max(0, slots[0] - request)
        request = max(request, slots[0])
        size, rows = table[SIZE, at], table[ROWS, at]
        port = max(table[PORT, at], rows * per_row)
        occupied = occupied_by(limits, table[BEATS, at], port)
        if limits.burst and size > limits.bus_bytes:
            occupied += limits.burst
        first = max(request + limits.hit, bus)
        bus = first + occupied
        total += occupied
        replace_first(slots, bus + limits.slot_turn)
        request += 1
        log[0, at - low], log[1, at - low] = bus, rows
    cycles[BUS_FREE], cycles[NEXT_REQUEST] = bus, request
    # Beats behind the last wanted one keep the bus, but the command is complete without them.
    return (bus if limits.burst else first + port) - 1, total


def read_mixed(
    limits: Limits, ports: Ports, table: Ints, low: int, high: int, request: int, per_row: int, log: Ints
) -> tuple[int, int]:
    """Requests of which some miss."""
    forget(ports, request)
    slots, mshrs, cycles, dram = ports.slots, ports.mshrs, ports.cycles, ports.dram
    bus, latest, total = cycles[BUS_FREE], 0, 0
    for at in range(low, high):
        cycles[HELD_BY_SLOTS] += max(0, slots[0] - request)
        request = max(request, slots[0])
        size, code, rows = table[SIZE, at], table[CODE, at], table[ROWS, at]
        port = max(table[PORT, at], rows * per_row)
        occupied = occupied_by(limits, table[BEATS, at], port)
        key = set_of(limits, table[LINE, at])
        if code & MISS:
            # One fetch per set at a time: a second miss waits until the line under way has arrived.
            request = max(request, ports.fetched[key])
            cycles[HELD_BY_SLOTS] += max(0, mshrs[0] - request)
            request = max(request, mshrs[0])
            held = cycles[HELD_BY_BUS]
            ready = float(request + (limits.llc_latency if code & LLC_HIT else limits.latency))
            if limits.pages.banks and not code & LLC_HIT:
                ready = first_data(limits, ports.banks, ports.columns, ready, table[PLACE, at], size)
            end = fetch(limits, dram, cycles, ready, code, size)
            # Beats are passed on while the line arrives, but no sooner than a hit would have served them.
            last = max(end - 1 - early(limits, size), request + limits.hit + occupied - 1)
            unwanted = spare(limits, table[BEATS, at], port) if per_row == 1 else 0
            replace_first(mshrs, end + limits.release)
            late = acknowledge_delay(limits, dram, code, cycles[HELD_BY_BUS] > held)
            expect(limits, ports.fetched, ports.fetching, cycles, key, end + late)
            # Scaling takes more cycles per row than its beats: rows of missed lines queue for the one scaler.
            if per_row > 1:
                last = cycles[SCALER_FREE] = max(last, cycles[SCALER_FREE] + occupied)
            # Straight from DRAM, without an L2, beats take the bus as they come.
            begin = request if limits.sets else last + 1 - occupied
            bus = max(bus, begin) + max(occupied, wormhole(limits, size) if limits.sets else 0)
            last = last if limits.sets else bus - 1
        else:
            if limits.burst and size > limits.bus_bytes:
                occupied += limits.burst
            # A hit on a line that is still under way waits for it.
            bus = max(request + limits.hit, ports.fetched[key], bus) + occupied
            last, unwanted = bus - 1, 0 if limits.burst else occupied - port
        replace_first(slots, last + 1 + limits.slot_turn)
        latest = max(latest, last - unwanted)
        total += occupied
        log[0, at - low], log[1, at - low] = last + 1 - (unwanted if code & MISS else 0), rows
        request += 1
    cycles[BUS_FREE], cycles[NEXT_REQUEST] = bus, request
    return latest, total


def set_of(limits: Limits, line: int) -> int:
    """Set of the L2 that a line belongs to; 0 without one."""
    if limits.sets & (limits.sets - 1) == 0:
        return line & (limits.sets - 1) if limits.sets else 0
    return line % limits.sets


def spare(limits: Limits, beats: int, port: int) -> int:
    """Cycles between the last wanted beat of a request that misses and its last one, at the pace of the DRAM."""
    return int((beats - port) * limits.bus_bytes * limits.cycles_per_byte) if port < beats else 0


def acknowledge_delay(limits: Limits, dram: Floats, code: int, queued: bool) -> int:
    """Cycles by which requests that wait for a line are served after it arrived: its eviction is acknowledged late.

    Only behind other lines (``queued``), whose data the acknowledgement cannot overtake. Which way is replaced is not
    known: every time that another eviction is to be expected, one is charged. Tried and left out, as measured rows get
    worse: the miss entry held as long (cold products 3.4 to 3.6 %), and narrow writes that wait for a line, too (cold
    single commands and chains 2.5 to 2.7 %).
    """
    if not queued or not limits.release_ack:
        return 0
    dram[EVICTIONS] += (code // VALID_WAY % MOST_WAYS) / limits.ways
    if dram[EVICTIONS] < 1.0:
        return 0
    dram[EVICTIONS] -= 1.0
    return limits.release_ack


def wormhole(limits: Limits, size: int) -> int:
    """Bus cycles of a fetched line that is passed on while it arrives: its beats come at DRAM pace."""
    return int(size * limits.cycles_per_byte) if size == limits.line_bytes else 0


def early(limits: Limits, size: int) -> int:
    """Cycles by which a short request is served before its whole line has arrived."""
    return int((limits.line_bytes - size) * limits.cycles_per_byte) if limits.sets else 0


def read(
    fixed: Constants, shared: Shared, table: Ints, low: int, high: int, start: int, per_row: int, hits: bool, log: Ints
) -> tuple[int, int, int, int]:
    """All requests ``[low, high)`` of one mvin, the first one not before ``start``.

    ``log`` (2 x at least requests) receives when each request's rows are written, and how many.

    Returns
    -------
    When the last beat arrives, the cycles of the data bus and of the DRAM bus that were used, and by how many cycles
    slots and miss entries held requests up. [cycles]
    """
    limits, ports = fixed[0], Ports(*shared)
    cycles = ports.cycles
    request, by_slots, fetched = max(cycles[NEXT_REQUEST], start), cycles[HELD_BY_SLOTS], ports.dram[DRAM_BUSY]
    # With neither a miss nor a line under way nothing but bus and slots can hold a request up.
    if hits and limits.hit and arrived(ports, request):
        last, total = read_hits(limits, ports, table, low, high, request, per_row, log)
    else:
        last, total = read_mixed(limits, ports, table, low, high, request, per_row, log)
        sort_by_time(log, high - low)
    return last, total, math.ceil(ports.dram[DRAM_BUSY] - fetched), cycles[HELD_BY_SLOTS] - by_slots


def sort_by_time(log: Ints, count: int) -> None:
    """Sort the columns of a log that is nearly sorted."""
    for at in range(1, count):
        time, rows, to = log[0, at], log[1, at], at
        while to and log[0, to - 1] > time:
            log[0, to], log[1, to] = log[0, to - 1], log[1, to - 1]
            to -= 1
        log[0, to], log[1, to] = time, rows


def arrived(ports: Ports, now: int) -> bool:
    """Return whether every line that is being fetched has arrived; if so, all fetches are retired."""
    for at in range(ports.cycles[FETCHES]):
        if ports.fetched[ports.fetching[at]] > now:
            return False
    for at in range(ports.cycles[FETCHES]):
        ports.fetched[ports.fetching[at]] = 0
    ports.cycles[FETCHES] = 0
    return True


def forget(ports: Ports, now: int) -> None:
    """Drop fetches that have long been complete."""
    count = ports.cycles[FETCHES]
    # Going through the list costs more than it saves while the list is short.
    if count <= 4 * len(ports.mshrs):
        return
    kept = 0
    for at in range(count):
        key = ports.fetching[at]
        if ports.fetched[key] > now:
            ports.fetching[kept] = key
            kept += 1
        else:
            ports.fetched[key] = 0
    ports.cycles[FETCHES] = kept


def expect(limits: Limits, fetched: Ints, fetching: Ints, cycles: Ints, key: int, end: int) -> None:
    """The line that is fetched into set ``key`` serves what waits for it at ``end``."""
    if not limits.sets:
        return
    if not fetched[key]:
        fetching[cycles[FETCHES]] = key
        cycles[FETCHES] += 1
    fetched[key] = end


def fetch(limits: Limits, dram: Floats, cycles: Ints, ready: float, code: int, size: int) -> int:
    """Bring one line (or, without an L2, one request) from DRAM; when its last beat reaches the requester."""
    transfer = (limits.line_bytes if limits.sets else size) * limits.cycles_per_byte
    # Latencies overlap, transfers do not: the bus alone serialises fetches. An eviction takes it behind its fetch.
    first = max(ready, dram[DRAM_FREE])
    cycles[HELD_BY_BUS] += int(first - ready)
    dram[DRAM_FREE] = first + transfer + limits.evict * (code // VALID_WAY % MOST_WAYS)
    dram[DRAM_BUSY] += transfer
    end: int = math.ceil(first + transfer) + limits.hit + (1 if limits.sets else 0)
    return end


def first_data(limits: Limits, banks: Floats, columns: Floats, arrival: float, place: int, size: int) -> float:
    """Serve an access by its bank; return when its first data leave the device. [cycles]

    Column accesses of a channel keep their order. While one waits, those behind it in the window open their rows.
    """
    pages, bank, found = limits.pages, place // ROW_STATES, place % ROW_STATES
    channel, window = bank // pages.banks, pages.window
    turn = int(columns[channel, window]) % window
    seen = max(arrival, columns[channel, turn])
    if found != ROW_HIT:
        if found == CONFLICT:
            seen = max(seen, banks[ACTIVATED, bank] + pages.ras, banks[ACCESSED, bank]) + pages.rp
        seen = max(seen, banks[ACTIVATED, bank] + pages.rc)
        banks[ACTIVATED, bank] = seen
        seen += pages.rcd
    column: float = max(seen, columns[channel, window + 1])
    columns[channel, turn] = column
    columns[channel, window] += 1.0
    bursts = max(1, (limits.line_bytes if limits.sets else size) // pages.burst_bytes)
    columns[channel, window + 1] = banks[ACCESSED, bank] = column + pages.burst * bursts
    return column + pages.cl


def write(
    fixed: Constants, shared: Shared, table: Ints, low: int, high: int, start: int, duration: int
) -> tuple[int, int]:
    """All writes ``[low, high)`` of one mvout whose data leave between ``start`` and ``start + duration``.

    Returns
    -------
    When the last data left the DMA and when the last write is acknowledged. [cycles]
    """
    limits, ports = fixed[0], Ports(*shared)
    slots, pace, late = ports.write_slots, duration / (high - low), 0
    now, acknowledged = start, start
    # Beats of writes take the same bus as those of reads, all at once: reads behind them wait.
    ports.cycles[BUS_FREE] = max(ports.cycles[BUS_FREE], start) + table[BEATS, low:high].sum()
    for at in range(low, high):
        # Requests leave evenly over the time in which the rows are read, and in order.
        now = max(math.ceil(start + (at - low + 1) * pace), now, slots[0])
        place = table[PLACE, at] if limits.pages.banks else 0
        taken = accept(limits, ports, now, table[LINE, at], table[SIZE, at], table[CODE, at], place)
        acknowledged = max(acknowledged, taken)
        replace_first(slots, acknowledged)
    if limits.sets and limits.write_back:
        late = behind_write_back(limits, table, low, high)
    return now, acknowledged + late


def dirty_share(code: int) -> float:
    """How likely a miss replaces a dirty line: which way it takes, is random."""
    return float(code // DIRTY / SHARES)


def behind_write_back(limits: Limits, table: Ints, low: int, high: int) -> int:
    """Expected time by which the last acknowledge of a mvout is late because one of its lines replaces a dirty one.

    That line waits for the write-back, and one that is fetched behind a write-back for the DRAM once more.
    """
    missed, fetched, expected = 0, 0, 0.0
    for at in range(low, high):
        code = table[CODE, at]
        if code & MISS:
            missed += 1
            expected += dirty_share(code)
            if code & FETCH:
                fetched += 1
    if not missed:
        return 0
    late = limits.write_back + (limits.latency + limits.pages.cl) * fetched / missed
    return int(min(1.0, expected) * late + 0.5)


def accept(limits: Limits, ports: Ports, now: int, line: int, size: int, code: int, place: int) -> int:
    """Take a write that leaves the DMA now; return when it is acknowledged. [cycles]"""
    acknowledge = now + limits.hit + limits.write_ack
    if not limits.sets:
        if not code & MISS:
            return acknowledge
        ready = first_data(limits, ports.banks, ports.columns, now, place, size) if limits.pages.banks else float(now)
        ports.dram[DRAM_FREE] = max(ready, ports.dram[DRAM_FREE]) + size * limits.cycles_per_byte
        ports.dram[DRAM_BUSY] += size * limits.cycles_per_byte
        written: int = math.ceil(ports.dram[DRAM_FREE]) + limits.write_ack
        return written
    key = set_of(limits, line)
    if not code & MISS:
        return max(acknowledge, int(ports.fetched[key]) + limits.write_ack)
    entry = max(now, int(ports.mshrs[0]))
    # A narrow write is merged into its line, which comes from DRAM first.
    if code & FETCH:
        ready = float(entry + (limits.llc_latency if code & LLC_HIT else limits.latency))
        if limits.pages.banks and not code & LLC_HIT:
            ready = first_data(limits, ports.banks, ports.columns, ready, place, size)
        end = fetch(limits, ports.dram, ports.cycles, ready, code, size)
        replace_first(ports.mshrs, end + limits.release)
        expect(limits, ports.fetched, ports.fetching, ports.cycles, key, end)
        return end - int(limits.line_bytes * limits.cycles_per_byte) - 1 + limits.write_ack
    # A whole line: nothing is fetched, but a victim that is dirty has to leave before the line takes its place.
    dirty = dirty_share(code)
    replace_first(ports.mshrs, entry + limits.write_miss + int(limits.write_back_hold * dirty + 0.5))
    ports.dram[WRITTEN_BACK] = max(float(entry), ports.dram[WRITTEN_BACK]) + limits.write_back * dirty
    if dirty:
        entry = math.ceil(ports.dram[WRITTEN_BACK])
    return max(entry + limits.hit, acknowledge) + 2 * limits.write_ack - 3


def loads_alone(
    fixed: Constants, shared: Shared, table: Ints, low: Ints, rules: Ints, done: Ints, start: int, log: Ints
) -> int:
    """When the mvins of a loop, begun at ``start``, are complete if they wait for the memory and each other alone.

    ``low`` (mvins + 1): their requests. ``rules`` (columns x mvins): whether all hit, cycles per on-chip row, until the
    first request, until the next mvin, and from the last beat until it frees its place in ``done`` (all 0).
    """
    limits, ports = fixed[0], Ports(*shared)
    free, latest = start, start
    for at in range(len(low) - 1):
        begin = max(free, done[at % len(done)])
        free, last = begin + rules[3, at], begin + rules[2, at]
        if low[at] < low[at + 1]:
            last, per_row, hits = max(last, ports.cycles[NEXT_REQUEST]), rules[1, at], rules[0, at]
            if hits and limits.hit and arrived(ports, last):
                last = read_hits(limits, ports, table, low[at], low[at + 1], last, per_row, log)[0]
            else:
                last = read_mixed(limits, ports, table, low[at], low[at + 1], last, per_row, log)[0]
        done[at % len(done)] = last + rules[4, at]
        latest = max(latest, last)
    return latest


def stores_alone(fixed: Constants, shared: Shared, table: Ints, low: Ints, durations: Ints, start: int) -> int:
    """The same for mvouts, whose rows are read in ``durations`` cycles; the last one is acknowledged then."""
    latest = start
    for at in range(len(low) - 1):
        if low[at] < low[at + 1]:
            start, acknowledged = write(fixed, shared, table, low[at], low[at + 1], start, durations[at])
            latest = max(latest, acknowledged)
        else:
            start += durations[at]
    return max(latest, start)
