"""Which machines to try next: a seeded sampler of optuna over the places of the axes.

All it hears is what it asked for, in the order in which it asked. So a search that is run again asks for the same
machines, whatever was computed when, and where.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mapper.errors import SweepError
from mapper.explore.definition import Exploration
from mapper.sweep.axes import Axis

if TYPE_CHECKING:
    import optuna


class Asker:
    """Asks for combinations of the axes' values and hears of their objectives."""

    def __init__(self, exploration: Exploration) -> None:
        try:
            import optuna
        except ImportError:
            raise SweepError("explore needs optuna: python -m pip install 'tilewright[dse]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._axes = exploration.sweep.axes
        self._space = {_name(axis): _distribution(axis) for axis in self._axes}
        self._failed = optuna.trial.TrialState.FAIL
        self._study = optuna.create_study(
            directions=["minimize"] * len(exploration.objectives), sampler=_sampler(exploration)
        )

    def ask(self) -> tuple[optuna.trial.Trial, dict[str, object]]:
        """Return a trial and the values of its axes by name."""
        trial = self._study.ask(self._space)
        rows = [axis.rows[trial.params[_name(axis)]] for axis in self._axes]
        return trial, {
            name: value
            for axis, row in zip(self._axes, rows, strict=True)
            for name, value in zip(axis.names, row, strict=True)
        }

    def ask_next_for(self, values: Mapping[str, object]) -> None:
        """Let the next trial have these values."""
        places = {_name(axis): axis.rows.index(tuple(values[name] for name in axis.names)) for axis in self._axes}
        self._study.enqueue_trial(places)

    def tell(self, trial: optuna.trial.Trial, objectives: Sequence[float] | None) -> None:
        """Hear of a trial; None: it broke a limit, or could not run."""
        if objectives is None:
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, list(objectives))


def _name(axis: Axis) -> str:
    return " + ".join(axis.names)


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    """Places of quantities have an order that a sampler can use, those of words have none."""
    import optuna

    last = len(axis.rows) - 1
    ordered = all(str(value).lstrip("+-.")[:1].isdigit() for row in axis.rows for value in row)
    if ordered:
        return optuna.distributions.IntDistribution(0, last)
    return optuna.distributions.CategoricalDistribution(tuple(range(last + 1)))


def _sampler(exploration: Exploration) -> optuna.samplers.BaseSampler:
    from optuna import samplers

    seed = exploration.seed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exploration.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if exploration.sampler == "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=max(2, min(50, exploration.trials // 4)))
        return samplers.TPESampler(seed=seed, n_startup_trials=max(2, min(10, exploration.trials // 4)))
