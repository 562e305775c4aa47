"""What a search minimises: latency, energy, their product, or the whole front of latency against energy.

Nothing but the standard library is imported here, so that the command line can name the objectives at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from simulator.arrays import Floats

Objective: TypeAlias = Literal["latency", "energy", "edp"]
"""One number to minimise; ``"edp"`` is the energy-delay product."""

Goal: TypeAlias = Literal["latency", "energy", "edp", "pareto"]
"""What a search looks for: the mapping with the least objective, or the Pareto front of cycles and energy."""

OBJECTIVES: tuple[Objective, ...] = ("latency", "energy", "edp")
GOALS: tuple[Goal, ...] = (*OBJECTIVES, "pareto")

OBJECTIVE_NAMES: dict[Goal, str] = {"latency": "latency", "energy": "energy", "edp": "EDP", "pareto": "EDP"}
"""The number that a goal minimises, in words."""

Metric = TypeVar("Metric", float, "Floats")
"""A metric of one mapping, or a column of many."""


def objective_value(goal: Goal, cycles: Metric, energy_pj: Metric) -> Metric:
    """Return the number to minimise [cycles, pJ, or pJ cycles].

    Of ``"pareto"`` it is the energy-delay product, by which the points of a front are compared where one must be
    picked.
    """
    if goal == "latency":
        return cycles
    return energy_pj if goal == "energy" else cycles * energy_pj


def least_objective(goal: Goal, least_cycles: Metric, least_energy: Callable[[Metric], Metric]) -> Metric:
    """Return what no objective is below [cycles, pJ, or pJ cycles].

    Parameters
    ----------
    least_cycles
        What no mapping is below.
    least_energy
        Returns what no energy is below, given those cycles; not asked where the latency is the objective.
    """
    # A product of lower bounds of two positive numbers bounds their product, so EDP needs no bound of its own.
    return least_cycles if goal == "latency" else objective_value(goal, least_cycles, least_energy(least_cycles))


def ranking_keys(goal: Goal, cycles: Metric, energy_pj: Metric) -> tuple[Metric, ...]:
    """Return the numbers by which mappings are ranked, most important first: the objective, then the other metrics."""
    if goal == "latency":
        return cycles, energy_pj
    if goal == "energy":
        return energy_pj, cycles
    return objective_value(goal, cycles, energy_pj), cycles, energy_pj


def tie_metric(goal: Goal, cycles: Metric, energy_pj: Metric) -> Metric:
    """Return what decides between mappings that are as good as each other: the energy, or the cycles where the energy
    is the objective."""
    return cycles if goal == "energy" else energy_pj


def cycles_weight(goal: Objective) -> float:
    """Return the weight of log(cycles) in a weighted mean with log(energy) that orders mappings like an objective."""
    return {"latency": 1.0, "energy": 0.0, "edp": 0.5}[goal]


def metric_limits(goal: Goal, value: float, least_cycles: float, least_energy_pj: float) -> tuple[float, float]:
    """Return the most cycles and the most energy that a mapping with at most ``value`` can have.

    Parameters
    ----------
    value
        Of the objective [cycles, pJ, or pJ cycles].
    least_cycles, least_energy_pj
        What no mapping is below: of a product, the other factor is at least this.
    """
    if goal == "latency":
        return value, float("inf")
    if goal == "energy":
        return float("inf"), value
    return value / least_energy_pj, value / least_cycles


def tie_breaker(goal: Goal) -> Objective | None:
    """Return the objective that decides among the many mappings with the least value; None where they are few.

    Latency alone leaves huge ties, because what hides behind the busiest unit takes no time.
    """
    return "energy" if goal == "latency" else None
