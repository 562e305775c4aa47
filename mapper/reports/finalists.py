"""The finalists of a search as a table and as plain data, in the order of the simulation."""

from __future__ import annotations

from collections.abc import Sequence

from mapper.reports.quantities import in_one_unit
from mapper.reports.text import columns
from mapper.search.finalists import Finalists


def finalists_table(final: Finalists) -> str:
    """Return the finalists as a table, with both fidelities and what the winner gains."""
    table: list[Sequence[str]] = [
        ("simulated", "tile [blocks]", "order", "memories", "estimate", "simulation", "diff.", "energy", "by estimate")
    ]
    joules = in_one_unit([row.simulation.energy_pj * 1e-12 for row in final.rows], "J")
    for place, row in enumerate(final.rows, start=1):
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
    first = (
        "the best by the estimate wins" if final.winner.place == 1 else f"{final.gain:.2%} better than the estimate's"
    )
    return "\n".join([*lines, f"{len(final.rows)} finalists by {final.objective}: {first}"])


def finalists_dict(final: Finalists) -> dict[str, object]:
    """Return the finalists as plain data, winner first."""
    return {
        "objective": final.objective,
        "gain": final.gain,
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
