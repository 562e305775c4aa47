"""What a search says: the mapping to run or a whole front, how it was found, and what is known of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mapper.mapping.loop_nest import LoopNest
from mapper.search.contenders import Contenders
from mapper.search.finalists import Finalists


class FrontPoint(NamedTuple):
    """A mapping that no other one beats in cycles and energy at once."""

    mapping: LoopNest
    cycles: float
    energy_pj: float


class SimulatedFront(NamedTuple):
    """What the simulation made of a front: its points have simulated cycles and energy."""

    estimates: tuple[tuple[float, float], ...]
    """Cycles and energy of each point by the search [cycles, pJ]."""
    simulated: int
    """Mappings simulated."""
    dropped: int
    """Points of the front of the estimate that another mapping beats by simulation."""


@dataclass(frozen=True, slots=True)
class MappingResult:
    """The mapping of a matmul."""

    mapping: LoopNest
    """Of a front, the point with the least EDP."""
    statement: str = ""
    """One sentence on how it was found, and what is known of better ones."""
    details: Mapping[str, object] = field(default_factory=dict)
    """The same as plain data."""
    finalists: Finalists | None = None
    """The mappings that were simulated before this one was taken; None if the estimate alone chose it."""
    estimated: FrontPoint | None = None
    """The mapping with what the search took it to cost; None of a mapping that was not searched."""
    front: tuple[FrontPoint, ...] = ()
    """The Pareto front, fewest cycles first, if it was asked for."""
    front_simulated: SimulatedFront | None = None
    """How the front was settled; None of a front that is the estimate's."""
    contenders: Contenders | None = None
    """Who may win on the machine, if that is still to be settled."""
    interrupted: bool = False
    """Whether the user ended the search; the mapping is then the best so far."""


class SearchInterrupted(KeyboardInterrupt):
    """The user interrupted a search that had found something already."""

    def __init__(self, result: MappingResult) -> None:
        super().__init__()
        self.result = result
