"""Options of ``tilewright regress``; nothing but the standard library, for ``--help`` must be quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

REGRESS = "Run every mapping of a folder and compare with the numbers in its file. Exit code 1: something has drifted."

NameType: TypeAlias = Callable[[str], str]
"""Refuses empty names."""

OTHER_MACHINE = "run a mapping on another machine than its own, if it fits there"


def add_regress(regress: argparse.ArgumentParser, name: NameType) -> None:
    """Add the arguments of ``regress``."""
    regress.add_argument("folder", type=name, metavar="DIR", help="with mappings of map --yaml, or one such file")
    regress.add_argument("--update", action="store_true", help="show the differences, then write the new numbers")
    regress.add_argument("--allow-other-machine", action="store_true", help=OTHER_MACHINE)
    regress.add_argument("--hw", type=name, metavar="NAME", help="that machine; it needs --allow-other-machine")
    regress.add_argument("--json", type=name, metavar="FILE", help="every entry with its drift, as JSON")
