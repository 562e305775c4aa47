"""Recurrences over the memory stream of a whole program: its requests, and what the cache tags say to each.

Functions are compiled when that pays: see ``simulator.memory.compiled``.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from simulator.arrays import Bools, Ints

Words: TypeAlias = "np.uint64 | np.ndarray[tuple[int, ...], np.dtype[np.uint64]]"

SET_FACTOR, FILL_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
MIX_FACTOR, SHIFT_FIRST, SHIFT_SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(29), np.uint64(32)
"""Of the mix that chooses a victim."""


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
        # Rows that are whole lines apart are split alike: copied column by column, without a division for each.
        if stride[command] % len(by_phase) == 0:
            phase = address % len(by_phase)
            number, end = by_phase[phase], at + rows[command] * by_phase[phase]
            for entry in range(number):
                place = address - phase + patterns[0, entries[phase] + entry]
                for to in range(at + entry, end, number):
                    table[0, to] = place
                    place += stride[command]
                for column in range(1, columns):
                    value = patterns[column, entries[phase] + entry]
                    for to in range(at + entry, end, number):
                        table[column, to] = value
            at = end
            continue
        for _ in range(rows[command]):
            phase = address % len(by_phase)
            line = address - phase
            for entry in range(entries[phase], entries[phase] + by_phase[phase]):
                table[0, at] = line + patterns[0, entry]
                for column in range(1, columns):
                    table[column, at] = patterns[column, entry]
                at += 1
            address += stride[command]


def running_sums(starts: Ints, codes: Ints, beats: Ints, missed: Ints, moved: Ints) -> None:
    """Requests that miss (bit 0 of their outcome), and beats, before each command and in all."""
    misses = total = 0
    for command in range(len(starts) - 1):
        missed[command], moved[command] = misses, total
        for at in range(starts[command], starts[command + 1]):
            misses += codes[at] & 1
            total += beats[at]
    missed[len(starts) - 1], moved[len(starts) - 1] = misses, total


def mixed(sets: Words, fills: Words) -> Words:
    """64-bit multiplicative mix of set number and fills of the set so far; modulo the ways, the way that is replaced.

    Unsigned 64-bit integers, which wrap around; alone they may be arrays, too.
    """
    product = sets * SET_FACTOR + fills * FILL_FACTOR
    product = (product ^ (product >> SHIFT_FIRST)) * MIX_FACTOR
    return product ^ (product >> SHIFT_SECOND)


def victim(number: int, fills: int, ways: int) -> int:
    """Pseudo-random way that the next fill of a set replaces."""
    word = mixed(np.uint64(number), np.uint64(fills))
    if ways & (ways - 1) == 0:
        return int(np.int64(word & np.uint64(ways - 1)))
    return int(np.int64(word % np.uint64(ways)))


def exponent(number: int) -> int:
    """Exponent of a power of two; -1 for other numbers."""
    power = 0
    while 1 << power < number:
        power += 1
    return power if 1 << power == number else -1


def replay(
    tags: Ints,
    dirty: Bools,
    fills: Ints,
    places: Ints,
    codes: Ints,
    starts: Ints,
    writes: Bools,
    unit: int,
    bits: tuple[int, int, int, int, int],
) -> tuple[int, int]:
    """Accesses in order through cache tags (sets x ways); the lines fetched, and those that turned dirty.

    ``places``: the address of each access, which becomes its line (address // ``unit``). ``codes``: whether a write
    covers its line, which becomes the outcome. Accesses ``starts[g]:starts[g + 1]`` write if ``writes[g]``. ``bits``:
    what a miss, a fetch, a valid way of the set and a share of dirty lines before add to the outcome, and the number of
    these shares; a hit is 0.
    """
    sets, ways = tags.shape
    missed, fetched, valid_way, dirty_share, shares = bits
    by_unit, by_sets = exponent(unit), exponent(sets)
    dirty_lines, lines_fetched, lines_dirtied = int(dirty.sum()), 0, 0
    for group in range(len(writes)):
        write = writes[group]
        for at in range(starts[group], starts[group + 1]):
            # Powers of two need no divisions, which take longer than all the rest.
            line = places[at] >> by_unit if by_unit >= 0 else places[at] // unit
            number = line & (sets - 1) if by_sets >= 0 else line % sets
            way, code = 0, 0
            while way < ways and tags[number, way] != line:
                way += 1
            if way == ways:
                # Any way is replaced, an empty one no sooner than others: that is what Gemmini's L2 does.
                way = victim(number, fills[number], ways)
                fills[number] += 1
                code = missed + dirty_lines * shares // (sets * ways) * dirty_share
                if not (write and codes[at] != 0):
                    code += fetched
                    lines_fetched += 1
                for valid in range(ways):
                    if tags[number, valid] != -1:
                        code += valid_way
                dirty_lines -= dirty[number, way]
                tags[number, way] = line
                dirty[number, way] = False
            if write and not dirty[number, way]:
                dirty[number, way] = True
                dirty_lines, lines_dirtied = dirty_lines + 1, lines_dirtied + 1
            places[at], codes[at] = line, code
    return lines_fetched, lines_dirtied
