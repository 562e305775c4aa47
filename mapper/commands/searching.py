"""Options that say how to map: read, checked against each other, made into a chooser."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TypedDict

from mapper.commands.problems import CommandError
from mapper.mapping.loop_nest import LoopNest
from mapper.search.budget import Budget
from mapper.search.driver import ALGORITHMS, Progress
from mapper.search.strategies import Chooser, Fixed, Library, Optimal, Searched

if TYPE_CHECKING:
    from tqdm import tqdm

SEARCHES = ("optimal", *(kind.name for kind in ALGORITHMS))
RANDOM = ("random", "annealing", "genetic")
"""Searches that draw random numbers."""

LEAST = {"latency": "latency", "energy": "energy", "edp": "EDP", "pareto": "EDP"}
"""Objectives as words."""

LOOP_NEST_ONLY = ("accounting", "factors", "constraints", "units")
SEARCH_ONLY = ("search", "budget", "seed", "workers", "finalists")


def given(options: argparse.Namespace, names: tuple[str, ...]) -> list[str]:
    """Those options that were given, as they are written."""
    return [f"--{name}" for name in names if getattr(options, name, None) is not None]


def check(options: argparse.Namespace, *, loop_nest: bool, fixed: bool) -> None:
    """Refuse options that would have no effect.

    Raises
    ------
    CommandError
        Names the option and what it needs.
    """
    search = options.search or "optimal"
    if fixed:
        for option in given(options, SEARCH_ONLY):
            raise CommandError(f"{option} has no meaning with --mapping {options.mapping}: nothing is searched")
        if options.objective == "pareto":
            raise CommandError(f"--objective pareto has no meaning with --mapping {options.mapping}: it is one mapping")
    if not loop_nest:
        for option in given(options, LOOP_NEST_ONLY):
            raise CommandError(f"{option} needs --mapspace loop-nest")
    elif options.finalists is not None:
        raise CommandError("--finalists simulates mappings; loop nests are not, take --mapspace hardware-loop")
    if options.seed is not None and search not in RANDOM:
        raise CommandError(f"--seed has no effect on --search {search}; it is for {', '.join(RANDOM)}")
    if options.workers is not None and search == "optimal":
        raise CommandError("--workers has no effect on --search optimal, which takes milliseconds on one processor")
    if options.finalists is not None:
        if options.finalists < 1:
            raise CommandError(f"--finalists {options.finalists}: must be at least 1")
        if search != "optimal" or options.objective == "pareto":
            raise CommandError("--finalists needs --search optimal and one objective: latency, energy or edp")
        if options.budget is not None:
            raise CommandError(
                "--budget has no effect with --finalists: the search that ranks them ends by itself, soon"
            )
    budget = budget_of(options)
    if budget and budget.seconds is not None and search == "optimal" and not loop_nest:
        raise CommandError(
            "--budget of --search optimal counts evaluations of hardware loops: write a number, not a time"
        )


def budget_of(options: argparse.Namespace) -> Budget | None:
    """The budget, None if not given; a `MappingError` if it makes no sense."""
    return None if options.budget is None else Budget.parse(options.budget)


def chooser_of(options: argparse.Namespace, fixed: LoopNest | None = None, progress: Progress | None = None) -> Chooser:
    """What finds the mapping of a hardware loop."""
    if fixed is not None:
        return Fixed(fixed, options.mapping)
    if options.mapping == "gemmini_auto":
        return Library()
    search = options.search or "optimal"
    if search == "optimal":
        budget = budget_of(options)
        return Optimal(options.objective, budget.evaluations if budget else None, options.finalists)
    return Searched(search, options.objective, progress=progress, **settings(options))


class Settings(TypedDict):
    """What `mapper.search.driver.find` takes besides the space and the goal."""

    budget: Budget | None
    seed: int
    workers: int


def settings(options: argparse.Namespace) -> Settings:
    """Budget, seed and workers, with their defaults."""
    return {
        "budget": budget_of(options),
        "seed": options.seed or 0,
        "workers": 1 if options.workers is None else options.workers,
    }


@contextmanager
def bar() -> Iterator[Progress]:
    """Evaluations per second and the best value on a terminal, nothing elsewhere."""
    bars: list[tqdm[NoReturn]] = []

    def show(evaluated: int, seconds: float, best: float) -> None:
        del seconds
        if not sys.stderr.isatty():
            return
        if not bars:
            from tqdm import tqdm

            bars.append(tqdm(unit=" evaluations", unit_scale=True, leave=False, file=sys.stderr))
        if evaluated < bars[0].n:  # the next problem
            bars[0].reset()
        if math.isfinite(best):  # a front has no best
            bars[0].set_postfix_str(f"best {best:.6g}", refresh=False)
        bars[0].update(evaluated - bars[0].n)

    try:
        yield show
    finally:
        for one in bars:
            one.close()
