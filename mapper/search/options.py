"""How a search is run: what ends it, its random numbers, its processes, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mapper.search.budget import Budget

SearchProgress: TypeAlias = Callable[[int, float, float], object]
"""Called now and then with the candidates priced, the seconds, and the best value of the objective so far."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Options of one search; those that a method does not take have no effect."""

    budget: Budget | None = None
    """None: until the optimum is proved or the space was walked, or a number of evaluations that the method sets."""
    seed: int = 0
    workers: int = 1
    """Processes that price candidates; the result does not depend on them."""
    finalists: int | None = None
    """How many of the best by the estimate are simulated in any case before one is taken, beside those who may win; 0:
    none is, and the best by the estimate is taken. None: only those who may win."""
    progress: SearchProgress | None = None
