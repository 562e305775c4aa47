"""Every named way to find a mapping, and the options that have an effect on it.

A new search is one file in ``mapper/search/algorithms`` and one line in `METHODS`. Nothing but the standard library is
imported here, so that the command line can list the searches at once; `load` brings the code of one of them.
"""

from __future__ import annotations

import pkgutil
from typing import NamedTuple

MOST_FINALISTS = 256
"""Mappings whose simulation may be asked for before one is taken."""

MAPSPACES = ("hardware-loop", "loop-nest")
"""What Gemmini's hardware loops can execute, and loop nests of any form."""


class SearchMethod(NamedTuple):
    """One way to find a mapping."""

    name: str
    where: str
    """``module:name`` of a subclass of `mapper.search.searcher.Searcher`, or of a function that takes a space, a goal
    and options as `mapper.search.proofs.prove` does."""
    searches: bool = True
    """False for a rule that looks at one mapping only."""
    walks_all: bool = False
    """Whether it prices every member of the space unless a budget ends it."""
    takes_seed: bool = True
    """Whether it draws random numbers."""
    takes_workers: bool = True
    """Whether candidates may be priced by several processes."""
    ranks_finalists: bool = False
    """Whether it knows the best few, which can then be simulated."""
    mapspaces: tuple[str, ...] = MAPSPACES
    time_budget: tuple[str, ...] = MAPSPACES
    """Mapspaces in which it can end after a time; elsewhere a budget counts evaluations."""
    front_budget: tuple[str, ...] = MAPSPACES
    """Mapspaces in which a budget can end the search of a Pareto front."""
    fronts: bool = True
    """Whether it can search a Pareto front."""


METHODS = (
    SearchMethod(
        "optimal", "mapper.search.proofs:prove", takes_seed=False, takes_workers=False, ranks_finalists=True,
        time_budget=("loop-nest",), front_budget=("loop-nest",),
    ),
    SearchMethod(
        "exhaustive", "mapper.search.algorithms.exhaustive:ExhaustiveSearcher", walks_all=True, takes_seed=False,
    ),
    SearchMethod("random", "mapper.search.algorithms.random_search:RandomSearcher"),
    SearchMethod("annealing", "mapper.search.algorithms.annealing:AnnealingSearcher"),
    SearchMethod("genetic", "mapper.search.algorithms.genetic:GeneticSearcher"),
    SearchMethod(
        "gemmini_auto", "mapper.search.strategies:library_tile", searches=False, takes_seed=False,
        takes_workers=False, mapspaces=("hardware-loop",), time_budget=(), front_budget=(), fronts=False,
    ),
)  # fmt: skip

DEFAULT_METHOD = "optimal"

SEARCHES = tuple(method.name for method in METHODS if method.searches)
RULES = tuple(method.name for method in METHODS if not method.searches)
WITH_SEED = tuple(method.name for method in METHODS if method.takes_seed)
WITH_FINALISTS = tuple(method.name for method in METHODS if method.ranks_finalists)


def find_method(name: str) -> SearchMethod | None:
    """Return the method of that name, None if there is none."""
    return next((method for method in METHODS if method.name == name), None)


def load(method: SearchMethod) -> object:
    """Return the class or the function that a method names."""
    return pkgutil.resolve_name(method.where)
