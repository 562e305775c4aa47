"""The order in which things that wait for one another can run."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter


class CircleError(ValueError):
    """Things that wait for each other."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(" -> ".join(names))


def ordered(names: Iterable[str], waits_for: Mapping[str, Iterable[str]]) -> list[str]:
    """Return names so that each follows those that it waits for, otherwise in the order given.

    Raises
    ------
    CircleError
        When there is none; it names a circle, each before one that waits for it.
    """
    position = {name: number for number, name in enumerate(names)}
    sorter = TopologicalSorter({name: sorted(waits_for.get(name, ()), key=position.__getitem__) for name in position})
    try:
        sorter.prepare()
    except CycleError as error:
        raise CircleError(error.args[1][:-1]) from None
    ready = [(position[name], name) for name in sorter.get_ready()]
    heapq.heapify(ready)
    order = []
    while ready:
        _, name = heapq.heappop(ready)
        order.append(name)
        sorter.done(name)
        for other in sorter.get_ready():
            heapq.heappush(ready, (position[other], other))
    return order
