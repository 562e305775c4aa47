"""Memory times of many works, one after the other: recurrences over those of `simulator.memory.recurrences`.

Loads and stores of a work are put through ports that are idle when it begins; what they do to the loads behind and
beside them is found on the way. Functions are compiled when that pays: see ``simulator.memory.compiled``.
"""

from __future__ import annotations

from typing import NamedTuple

from simulator.arrays import Ints, Numbers
from simulator.memory import recurrences
from simulator.memory.ports import Constants, Ports, Shared

LOADS, STORES, BEHIND, BESIDE = range(4)
"""Rows of memory times: loads alone, stores alone, by how much loads end later than those of the work before, and by
how much they take longer beside the stores of that work. Whether those meet depends on the pace, so that there is a row
for each of ``MEETINGS`` ways of meeting: works that meet in different ways are never alike."""

MEETINGS, PRIME = 16, 31
ROWS = BESIDE + MEETINGS

FIRST_LOAD, LOAD_COMMANDS, RULES, FIRST_STORE, STORE_COMMANDS, DURATIONS, COLUMNS = range(7)
"""Rows of a table of works: where the commands of a work begin among those of all requests, how many there are, and
where what is known of their shape begins; and the number of these rows."""


class Requested(NamedTuple):
    """Requests of works, and what their commands are like, as the recurrences take them."""

    table: Ints
    """Requests, by the rows that are named in `simulator.memory.recurrences`."""
    starts: Ints
    """Where each command's requests start, and the end."""
    missed: Ints
    """Requests that miss before each command, and in all."""
    works: Ints
    """``COLUMNS`` x works."""
    rules: Ints
    """Of the loads of each shape, as `recurrences.loads_alone` takes them."""
    durations: Ints
    """Of the stores of each shape, as `recurrences.stores_alone` takes them [cycles]."""


class Room(NamedTuple):
    """Arrays that are written, and of no use afterwards."""

    done: Ints
    """As many as DMA commands are in flight."""
    log: Ints
    """2 x requests of a work at most."""
    met: Ints
    """2 x sets of the L2, all 0."""


def of_works(
    fixed: Constants, shared: Shared, idle: Shared, of: Requested, room: Room, first: int, long: float, times: Ints
) -> None:
    """Find the memory times of works ``[first, end)``: ``times`` (``ROWS`` x works), all 0 before.

    Parameters
    ----------
    fixed, shared, idle
        The memory path, its ports, and ports that are idle.
    of, room
        The works and their requests, and room to write.
    first
        1 if the first work is known, and there only for what it does to the second one; else 0.
    long
        Works that need the memory for as long hide what neighbours do to each other [cycles].
    """
    ports, number, told = Ports(*shared), of.works.shape[1], -1
    behind, beside = 0, 0
    for work in range(first, number):
        begins_later, meets = 0, 0
        end = loads(fixed, shared, of, room, work, 0)
        goes_on = work + 1 < number and end < long
        if goes_on:
            begins_later = in_stream(fixed, shared, of, room, work + 1) - end
        rest(ports, idle)
        stored = stores(fixed, shared, of, work)
        goes_on = goes_on and end + stored < long
        if goes_on and may_meet(fixed, of, work):
            meets = loads(fixed, shared, of, room, work + 1, 0)
        rest(ports, idle)
        times[LOADS, work], times[STORES, work] = end, stored
        if work and end + stored < long:
            if told != work:
                behind, beside = found_behind(fixed, shared, idle, of, room, work)
            times[BEHIND, work] = behind
            if beside > end:
                times[BESIDE + meeting(fixed, of, room, work), work] = beside - end
        if goes_on:
            told, behind, beside = work + 1, begins_later, meets


def found_behind(
    fixed: Constants, shared: Shared, idle: Shared, of: Requested, room: Room, work: int
) -> tuple[int, int]:
    """By how much loads end later than those of the work before, and when they end beside its stores."""
    ports, beside = Ports(*shared), 0
    end = loads(fixed, shared, of, room, work - 1, 0)
    behind = in_stream(fixed, shared, of, room, work) - end
    rest(ports, idle)
    if may_meet(fixed, of, work - 1):
        stores(fixed, shared, of, work - 1)
        beside = loads(fixed, shared, of, room, work, 0)
        rest(ports, idle)
    return behind, beside


def in_stream(fixed: Constants, shared: Shared, of: Requested, room: Room, work: int) -> int:
    """When the loads of a work end that begin as soon as the last request before them has left. [cycles]"""
    start: int = Ports(*shared).cycles[recurrences.NEXT_REQUEST]
    return start + loads(fixed, shared, of, room, work, start)


def may_meet(fixed: Constants, of: Requested, work: int) -> bool:
    """Whether stores of a work may meet the loads behind them in a set of the L2."""
    return fixed[0].sets > 0 and of.works[STORE_COMMANDS, work] > 0


def rest(ports: Ports, idle: Shared) -> None:
    """Let all ports become idle, so that the next work begins as every work does."""
    for at in range(ports.cycles[recurrences.FETCHES]):
        ports.fetched[ports.fetching[at]] = 0
    fresh = Ports(*idle)
    refill(ports.slots, fresh.slots)
    refill(ports.write_slots, fresh.write_slots)
    refill(ports.mshrs, fresh.mshrs)
    refill(ports.cycles, fresh.cycles)
    refill(ports.dram, fresh.dram)
    for row in range(len(ports.banks)):
        refill(ports.banks[row], fresh.banks[row])
    for row in range(len(ports.columns)):
        refill(ports.columns[row], fresh.columns[row])


def refill(times: Numbers, fresh: Numbers) -> None:
    """Copy an array; assigning one to another would make a third."""
    for at in range(len(times)):
        times[at] = fresh[at]


def loads(fixed: Constants, shared: Shared, of: Requested, room: Room, work: int, start: int) -> int:
    """Put the loads of a work through the ports from ``start`` on. [cycles]"""
    first, number, rule = of.works[FIRST_LOAD, work], of.works[LOAD_COMMANDS, work], of.works[RULES, work]
    if not number:
        return 0
    for at in range(number):
        of.rules[0, rule + at] = of.missed[first + at + 1] == of.missed[first + at]
    room.done[:] = 0
    end = recurrences.loads_alone(
        fixed,
        shared,
        of.table,
        of.starts[first : first + number + 1],
        of.rules[:, rule : rule + number],
        room.done,
        start,
        room.log,
    )
    return end - start


def stores(fixed: Constants, shared: Shared, of: Requested, work: int) -> int:
    """Put the stores of a work through the ports. [cycles]"""
    first, number, duration = of.works[FIRST_STORE, work], of.works[STORE_COMMANDS, work], of.works[DURATIONS, work]
    if not number:
        return 0
    return recurrences.stores_alone(
        fixed, shared, of.table, of.starts[first : first + number + 1], of.durations[duration : duration + number], 0
    )


def meeting(fixed: Constants, of: Requested, room: Room, work: int) -> int:
    """Number the places at which a work's loads use sets into which the stores before them fetch.

    Each place is a load and a fetch of one set: added up are, over all places, the numbers of both.
    """
    sets, total = fixed[0].sets, 0
    first, number = of.works[FIRST_STORE, work - 1], of.works[STORE_COMMANDS, work - 1]
    low, high = of.starts[first], of.starts[first + number]
    for at in range(low, high):
        if of.table[recurrences.CODE, at] & recurrences.FETCH:
            place = of.table[recurrences.LINE, at] % sets
            room.met[0, place] += 1
            room.met[1, place] += at - low
    first, number = of.works[FIRST_LOAD, work], of.works[LOAD_COMMANDS, work]
    begin = of.starts[first]
    for at in range(begin, of.starts[first + number]):
        place = of.table[recurrences.LINE, at] % sets
        total += (at - begin) * room.met[0, place] * PRIME + room.met[1, place]
    for at in range(low, high):
        room.met[:, of.table[recurrences.LINE, at] % sets] = 0
    return total % MEETINGS
