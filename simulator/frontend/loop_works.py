"""Command queues of many hardware loops: a template of commands for loops that are laid out alike, and addresses.

layout of a loop    its commands when all its matrices begin at address 0
addresses           where they begin, added when somebody asks for the commands of that loop
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, overload

from simulator.arrays import Ints
from simulator.frontend.command_queues import CommandQueues
from simulator.program import HostTask

Step: TypeAlias = CommandQueues | HostTask | None
"""What the host does next; None is a fence."""


@dataclass(frozen=True, slots=True, eq=False)
class LoopLayout:
    """What loops have in common that differ by the addresses of their matrices alone."""

    queues: CommandQueues
    """Of a loop whose matrices all start at address 0."""
    load_kind: Ints
    """Matrix of each load: INPUT, WEIGHT, BIAS or RESIDUAL, which are rows of the addresses, too."""

    def at(self, addresses: Ints) -> CommandQueues:
        """Return the commands of a loop whose matrices begin at addresses (A, B, D, residual, C) [bytes]."""
        queues = self.queues
        return queues.at(queues.loads.base + addresses[self.load_kind], queues.stores.base + addresses[-1])


class LoopWorks(Sequence[CommandQueues]):
    """Works of hardware loops in a row.

    Parameters
    ----------
    layouts
        Each of them different.
    layout
        Which of them is that of each loop.
    addresses
        Of the matrices of each loop (A, B, D, residual, C; matrices x loops) [bytes].
    """

    def __init__(self, layouts: Sequence[LoopLayout], layout: Ints, addresses: Ints) -> None:
        self.layouts, self.layout, self.addresses = layouts, layout, addresses

    def __len__(self) -> int:
        return len(self.layout)

    @overload
    def __getitem__(self, index: int) -> CommandQueues: ...

    @overload
    def __getitem__(self, index: slice) -> list[CommandQueues]: ...

    def __getitem__(self, index: int | slice) -> CommandQueues | list[CommandQueues]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return self.layouts[int(self.layout[index])].at(self.addresses[:, index])

    def templates(self) -> list[CommandQueues]:
        """Return works that differ from these in addresses alone."""
        queues = [layout.queues for layout in self.layouts]
        return [queues[number] for number in self.layout.tolist()]


class LoopSteps(Sequence[Step]):
    """Steps of a program of hardware loops, and of host work before and behind them."""

    def __init__(self, before: Sequence[HostTask | None], works: LoopWorks, behind: Sequence[HostTask | None]) -> None:
        self.before, self.works, self.behind = before, works, behind

    def __len__(self) -> int:
        return len(self.before) + len(self.works) + len(self.behind)

    @overload
    def __getitem__(self, index: int) -> Step: ...

    @overload
    def __getitem__(self, index: slice) -> list[Step]: ...

    def __getitem__(self, index: int | slice) -> Step | list[Step]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index] - len(self.before)
        if at < 0:
            return self.before[at]
        return self.works[at] if at < len(self.works) else self.behind[at - len(self.works)]

    def __iter__(self) -> Iterator[Step]:
        yield from self.before
        yield from self.works
        yield from self.behind


def templates(steps: Sequence[Step]) -> list[CommandQueues]:
    """Return the works of some steps; their addresses may be others."""
    if isinstance(steps, LoopSteps):
        return steps.works.templates()
    return [step for step in steps if isinstance(step, CommandQueues)]
