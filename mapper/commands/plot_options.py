"""Options of ``plot``; nothing but the standard library, for ``--help`` must be quick."""

from __future__ import annotations

import argparse

from mapper.commands.sweep_options import NameType

PLOT = "Draw what was written: a run (JSON of --json) or the store of a sweep."

OF_RUNS = {
    "breakdown": "latency by cause and energy by unit, of every operator",
    "causes": "share of every operator's cycles by cause",
    "roofline": "operators and groups under the roofs of array and DRAM",
    "timeline": "when each unit worked, and what was loaded for which tile (run with --timeline)",
    "occupancy": "what scratchpad, accumulator and L2 held, by tensor (run with --timeline)",
}
OF_STORES = {
    "front": "Pareto front of --x and --y, with the difference between neighbours",
    "heatmap": "--value for every pair of values of --x and --y",
    "parallel": "all axes and latency, energy and EDP as parallel coordinates",
    "distribution": "histogram and cumulated shares of --value",
}
KINDS = {**OF_RUNS, **OF_STORES}


def add_size(to: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the size of a picture."""
    to.add_argument(
        "--size", choices=("notebook", "paper"), default="notebook", help="width and letters; default: %(default)s"
    )


def add_plot(plot: argparse.ArgumentParser, name: NameType) -> None:
    """Add the options."""
    kinds = "; ".join(f"{kind}: {what}" for kind, what in KINDS.items())
    plot.add_argument("kind", choices=KINDS, metavar="KIND", help=kinds)
    plot.add_argument("source", type=name, metavar="FILE", help="the JSON of a run, or the store of a sweep")
    plot.add_argument("-o", "--out", type=name, metavar="FILE", required=True, help="the picture: .png, .svg or .pdf")
    add_size(plot)
    plot.add_argument("--x", type=name, metavar="COLUMN", help="of front (default: latency_s) and heatmap (an axis)")
    plot.add_argument("--y", type=name, metavar="COLUMN", help="of front (default: energy_pj) and heatmap (an axis)")
    plot.add_argument("--value", type=name, metavar="COLUMN", help="of heatmap and distribution; default: latency_s")
    plot.add_argument(
        "--where", action="append", default=[], metavar="CONDITION", help="only rows of the store that fulfil it"
    )
    plot.add_argument("--window", metavar="A:B", help="of timeline and occupancy: from cycle A to cycle B")
