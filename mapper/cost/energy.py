"""Energy of a report: its counts, and what the die leaks in its cycles."""

from __future__ import annotations

from dataclasses import replace

from hwconfigs import EnergyModel
from simulator.report import STATIC, Action, Counts, Report, price

UNPRICED: frozenset[Action] = frozenset({("dma", "read_request"), ("dma", "write_request"), ("dram", "activate")})
"""Actions without energy of their own: a request is priced by its beats and by the memory access it makes, the
activation of a row within the energy of a byte."""


def dynamic_pj(counts: Counts, energy: EnergyModel) -> dict[Action, float]:
    """Return the energy of each priced action [pJ]."""
    return price(Counts({action: number for action, number in counts.items() if action not in UNPRICED}), energy.pj)


def energy_of(counts: Counts, cycles: int, energy: EnergyModel) -> dict[Action, float]:
    """Return the energy of each priced action, and what the die leaks in so many cycles [pJ]."""
    actions = dynamic_pj(counts, energy)
    return {**actions, STATIC: energy.static_pj_per_cycle * cycles} if energy.static_pj_per_cycle else actions


def priced(report: Report, energy: EnergyModel) -> Report:
    """Return ``report`` with its energy."""
    return replace(report, energy_pj_by_action=energy_of(report.counts, report.cycles, energy))
