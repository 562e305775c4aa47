"""Options of ``tilewright compare``; nothing but the standard library, for ``--help`` must be quick."""

from __future__ import annotations

import argparse

from mapper.commands.machines import RUN_MACHINE
from mapper.commands.sweep_options import NameType

COMPARE = """Run several machines, models or contexts, or read reports of --json, and print them side by side.

Each ITEM is MACHINE (with --model), MODEL, MODEL@MACHINE, or the report of 'tilewright run --json'; behind a comma
follow settings and fields of the machine: gpt2,context=512  gemmini,array.size=32
"""


def add_compare(compare: argparse.ArgumentParser, name: NameType) -> argparse._ArgumentGroup:
    """Add the options of ``compare`` and return the group of what to compute, for the shape."""
    compare.formatter_class = argparse.RawDescriptionHelpFormatter
    compare.add_argument("items", nargs="+", type=name, metavar="ITEM", help="at least two; ratios are to the first")
    compare.add_argument("--model", type=name, metavar="MODEL", help="of items that are machines")
    compare.add_argument(
        "--hw", type=name, metavar="NAME", help=f"machine of items that are models; default: {RUN_MACHINE}"
    )
    compare.add_argument("--objective", metavar="NAME", help="latency, energy or edp; default: latency")
    compare.add_argument("--energy", type=name, metavar="PRESET", help="energy table; default: each machine's own")
    compare.add_argument("--finalists", type=int, metavar="K", help="as of 'run'; 0: the estimate decides the mappings")
    compare.add_argument("--json", type=name, metavar="FILE", help="the comparison, as JSON")
    return compare.add_argument_group("what to compute")
