"""Recurrences over the memory stream of a whole program: its requests, and what the cache tags say to each.

Functions are compiled when that pays: see ``simulator.memory.compiled``.
"""

from __future__ import annotations

from simulator.arrays import Bools, Ints


def requests_of_commands(base: Ints, rows: Ints, stride: Ints, kind: Ints, pieces: Ints, starts: Ints) -> None:
    """Where each command's requests start in the stream: ``starts`` (commands + 1).

    A command reads or writes ``rows`` segments, ``stride`` bytes apart, the first at byte ``base``. How many requests
    a segment takes, depends on its kind and on where in a line it begins: ``pieces`` (kinds x bytes of a line).
    """
    total = 0
    for command in range(len(base)):
        starts[command] = total
        address, by_phase = base[command], pieces[kind[command]]
        # Rows that are whole lines apart all begin at the same place of a line.
        if stride[command] % len(by_phase) == 0:
            total += rows[command] * by_phase[address % len(by_phase)]
            continue
        for _ in range(rows[command]):
            total += by_phase[address % len(by_phase)]
            address += stride[command]
    starts[len(base)] = total


def list_requests(
    base: Ints, rows: Ints, stride: Ints, kind: Ints, pieces: Ints, first: Ints, patterns: Ints, table: Ints
) -> None:
    """Copy the requests of every segment into ``table`` (columns x requests).

    ``patterns`` (columns x entries) holds the requests of a segment of each kind and phase, from entry ``first[kind,
    phase]`` on; its first column is the distance of the request from the line in which the segment begins.
    """
    columns, at = len(patterns), 0
    for command in range(len(base)):
        address, by_phase, entries = base[command], pieces[kind[command]], first[kind[command]]
        for _ in range(rows[command]):
            phase = address % len(by_phase)
            line = address - phase
            for entry in range(entries[phase], entries[phase] + by_phase[phase]):
                table[0, at] = line + patterns[0, entry]
                for column in range(1, columns):
                    table[column, at] = patterns[column, entry]
                at += 1
            address += stride[command]


def replay(
    tags: Ints,
    dirty: Bools,
    fills: Ints,
    lines: Ints,
    writes: Bools,
    whole: Bools,
    victims: Ints,
    next_victim: Ints,
    flags: Bools,
    numbers: Ints,
) -> None:
    """Accesses in order through cache tags (sets x ways).

    ``flags`` of each: hit, fetched, dirtied. ``numbers`` of a miss: valid ways of its set, dirty lines of the cache
    before.

    ``victims`` holds the ways that the fills of each set replace, those of set ``s`` from entry ``next_victim[s]`` on.
    """
    sets, ways = tags.shape
    dirty_lines = dirty.sum()
    for at in range(len(lines)):
        line, write = lines[at], writes[at]
        number = line % sets
        way = 0
        while way < ways and tags[number, way] != line:
            way += 1
        hit = way < ways
        if not hit:
            # Any way is replaced, an empty one no sooner than others: that is what Gemmini's L2 does.
            way = victims[next_victim[number]]
            next_victim[number] += 1
            fills[number] += 1
            flags[1, at] = not (write and whole[at])
            for valid in range(ways):
                numbers[0, at] += tags[number, valid] != -1
            numbers[1, at] = dirty_lines
            dirty_lines -= dirty[number, way]
            tags[number, way] = line
            dirty[number, way] = False
        flags[0, at] = hit
        flags[2, at] = write and not dirty[number, way]
        dirty_lines += flags[2, at]
        dirty[number, way] = dirty[number, way] or write
