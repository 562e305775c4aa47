"""The finalists of a search as a table, in sentences and as plain data: what won by simulation, and of how many."""

from __future__ import annotations

from collections.abc import Sequence

from mapper.cost.objective import tie_metric
from mapper.reports.quantities import in_one_unit
from mapper.reports.text import columns, wrapped
from mapper.result import RunResult
from mapper.search.contenders import TIE
from mapper.search.finalists import Finalists

SHOWN = 4
"""Rows of a table of finalists that nobody asked for; the proved best of the estimate is always one more."""

FAR_OFF = 0.10
"""Difference of estimate and simulation that is said so [fraction]."""


def finalists_table(final: Finalists, shown: int = SHOWN) -> str:
    """Return the first finalists as a table, with both fidelities and what the winner gains."""
    table: list[Sequence[str]] = [
        ("simulated", "tile [blocks]", "order", "memories", "estimate", "simulation", "diff.", "energy", "by estimate")
    ]
    joules = in_one_unit([row.simulation.energy_pj * 1e-12 for row in final.rows], "J")
    for place, row in enumerate(final.rows, start=1):
        if place > shown and row.place > 1:
            continue
        m, k, n = row.loop.tiles
        expected, simulated = row.estimate.cycles, row.simulation.cycles
        table.append(
            (
                f"{place}.",
                f"{m} x {k} x {n}",
                row.loop.order,
                "halves" if row.loop.double_buffered else "whole",
                f"{expected:,}",
                f"{simulated:,}",
                f"{100 * (expected / simulated - 1):+.1f} %",
                joules[place - 1],
                f"{row.place}.",
            )
        )
    lines = columns(table, rules=(1,), right=(0, 4, 5, 6, 7, 8))
    return "\n".join([*lines, f"{len(final.rows)} finalists by {final.objective}: {_outcome(final)}"])


def _outcome(final: Finalists) -> str:
    if final.winner.place == 1:
        return "the best by the estimate wins"
    first = next(row for row in final.rows if row.place == 1).simulation
    winner = final.winner.simulation
    before, after = (tie_metric(final.objective, float(part.cycles), part.energy_pj) for part in (first, winner))
    saved = 1.0 - after / before
    # Within a tie the other metric decided.
    if final.gain > TIE or (final.gain > 0.0 and saved <= 0.0):
        return f"{final.gain:.2%} better than the estimate's"
    metric = "fewer cycles" if after == winner.cycles else "less energy"
    return f"a tie with the estimate's, {saved:.2%} {metric}"


def settled_lines(result: RunResult) -> list[str]:
    """Return how many mappings were simulated, and which matmuls do not run the best by the estimate."""
    finals = {name: search.finalists for name, search in result.searches.items() if search.finalists is not None}
    if not finals:
        return []
    # Equal matmuls share what was simulated.
    names: dict[Finalists, list[str]] = {}
    for name, final in finals.items():
        names.setdefault(final, []).append(name)
    others = [f"{', '.join(equal)} ({_outcome(final)})" for final, equal in names.items() if final.winner.place > 1]
    least, most = (choose(len(final.rows) for final in finals.values()) for choose in (min, max))
    number = f"{least}" if least == most else f"{least} to {most}"
    return wrapped(
        f"finalists: {number} simulated for each matmul; other than the best by the estimate: "
        f"{', '.join(others) or 'none'}"
    )


def far_off_lines(result: RunResult) -> list[str]:
    """Return which mappings the estimate and the simulation disagree about."""
    simulated = {part.name: part.cycles for part in result.simulation.by_op}
    errors = {
        part.name: part.cycles / simulated[part.name] - 1.0
        for part in result.estimate.by_op
        if part.name in result.mappings
    }
    off = [f"{name} ({error:+.1%})" for name, error in errors.items() if abs(error) > FAR_OFF]
    text = f"estimate more than {FAR_OFF:.0%} off the simulation of the mapping: {', '.join(off)}"
    return wrapped(text) if off else []


def finalists_dict(final: Finalists) -> dict[str, object]:
    """Return the finalists as plain data, winner first."""
    return {
        "objective": final.objective,
        "gain": final.gain,
        "considered": final.considered,
        "finalists": [
            {
                "place_by_estimate": row.place,
                "tile_blocks": list(row.loop.tiles),
                "order": row.loop.order,
                "double_buffered": row.loop.double_buffered,
                "held": sorted(row.loop.held),
                "estimated_cycles": row.estimate.cycles,
                "simulated_cycles": row.simulation.cycles,
                "estimated_energy_pj": row.estimate.energy_pj,
                "simulated_energy_pj": row.simulation.energy_pj,
            }
            for row in final.rows
        ],
    }
