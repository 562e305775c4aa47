"""Options of the commands that hold the models against evidence; nothing but the standard library, for ``--help``."""

from __future__ import annotations

import argparse

from mapper.commands.plot_options import add_size
from mapper.commands.sweep_options import NameType

VALIDATE = "Simulate measured rows and print how far off the simulator is. Exit code 1: a gate fails."


def add_validate(validate: argparse.ArgumentParser, name: NameType) -> None:
    """Add the options of ``validate``."""
    validate.add_argument(
        "--rtl", type=name, metavar="FILE", help="CSV of Verilator rows; default: the rows that are shipped"
    )
    validate.add_argument("--firesim", type=name, metavar="FILE", help="CSV of FireSim rows, run as well")
    validate.add_argument(
        "--normaliser", type=name, metavar="FILE",
        help="CSV of rows of the normaliser without a SoC; the shipped Verilator rows are left out",
    )  # fmt: skip
    validate.add_argument(
        "--timeloop", type=name, metavar="FILE", help="JSON of timeloop-model runs; alone: no other rows are run"
    )
    validate.add_argument(
        "--estimate", action="store_true", help="the estimate against the simulation, on random mappings; alone"
    )
    validate.add_argument(
        "--seed", type=int, metavar="N", help="of the mappings of --estimate; default: that of the gates"
    )
    validate.add_argument(
        "--without-patch", action="store_true", help="FireSim, 16x16: without the phenomenological l2.multi_beat_hit"
    )
    validate.add_argument(
        "--without-program-constants", action="store_true",
        help="Verilator: the core issues every stream as the machine file says, whatever program measured it",
    )  # fmt: skip
    group = validate.add_argument_group("files to write")
    group.add_argument("--json", type=name, metavar="FILE", help="scores, gates and rows, as JSON")
    group.add_argument("--plot", type=name, metavar="FILE", help="measured against simulated: .png, .svg or .pdf")
    add_size(group)
