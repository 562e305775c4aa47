"""Options of the commands around a store of points; nothing but the standard library, for ``--help`` must be quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias, TypeVar

NameType: TypeAlias = Callable[[str], str]
"""Refuses empty names."""

AnyParser = TypeVar("AnyParser", bound=argparse.ArgumentParser)

SWEEP = "Run every point of a sweep that its store does not have yet. Interrupt it and run it again to go on."
EXPLORE = "Search machines that none beats in several objectives. Run it again to go on; the end is the same."
RESULTS = "Print the rows of a store: filtered, sorted, or the Pareto front; write them as CSV, JSON or Parquet."
REPRODUCE = "Run one row of a store again and compare it to the bit. Exit code 1: it differs."


def add_commands(commands: argparse._SubParsersAction[AnyParser], name: NameType) -> None:
    """Add ``sweep``, ``explore``, ``results`` and ``reproduce``."""
    _add_sweep(commands.add_parser("sweep", help="run many points into a store", description=SWEEP), name)
    _add_explore(commands.add_parser("explore", help="search over hardware", description=EXPLORE), name)
    _add_results(commands.add_parser("results", help="show the rows of a store", description=RESULTS), name)
    _add_reproduce(commands.add_parser("reproduce", help="run a row of a store again", description=REPRODUCE), name)


def _add_sweep(sweep: argparse.ArgumentParser, name: NameType) -> None:
    sweep.add_argument("file", type=name, metavar="FILE", help="YAML: base machine and model, axes, filters, limits")
    sweep.add_argument("--store", type=name, metavar="STORE", help="SQLite file; default: FILE's name with .sqlite")
    sweep.add_argument("--jobs", type=int, metavar="N", help="worker processes; the result is the same; default: 1")
    sweep.add_argument("--dask", type=name, metavar="ADDRESS", help="compute on the Dask cluster of this scheduler")
    sweep.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True,
        help="go on with a store that has rows already (default), or refuse it",
    )  # fmt: skip
    sweep.add_argument("--yes", action="store_true", help="allow more than a million points")
    _add_points(sweep, name)


def _add_points(to: argparse.ArgumentParser, name: NameType) -> None:
    """Add what every command has that computes points."""
    to.add_argument("--retry-failed", action="store_true", help="run points again that failed")
    to.add_argument("--no-cache", action="store_true", help="share no searches and simulations with other sweeps")
    to.add_argument("--cache-size", type=name, metavar="SIZE", help="largest size of that cache; default: 1 GiB")
    to.add_argument("--quiet", action="store_true", help="print no text and no progress; the exit code tells")


def _add_explore(explore: argparse.ArgumentParser, name: NameType) -> None:
    explore.add_argument("file", type=name, metavar="FILE", help="YAML: that of a sweep, with a section 'explore'")
    explore.add_argument("--store", type=name, metavar="STORE", help="SQLite file; default: FILE's name with .sqlite")
    explore.add_argument("--jobs", type=int, metavar="N", help="worker processes; the result is the same; default: 1")
    explore.add_argument("--dask", type=name, metavar="ADDRESS", help="compute on the Dask cluster of this scheduler")
    _add_points(explore, name)


def _add_results(results: argparse.ArgumentParser, name: NameType) -> None:
    results.add_argument("store", type=name, metavar="STORE", help="the SQLite file of a sweep")
    results.add_argument(
        "--where", action="append", default=[], metavar="CONDITION",
        help='only rows that fulfil it, e.g. "latency_s < 0.2"; may be repeated',
    )  # fmt: skip
    results.add_argument("--pareto", type=name, metavar="A,B,..", help="only rows that no other beats in all of these")
    results.add_argument("--sort", type=name, metavar="A,B,..", help="columns to sort by; --sort=-A sorts downwards")
    results.add_argument("--columns", type=name, metavar="A,B,..", help="columns to print; files get all of them")
    results.add_argument("--rows", type=int, metavar="N", help="rows to print; 0: all; default: 50")
    results.add_argument(
        "--out", action="append", default=[], type=name, metavar="FILE", help="write .csv, .json or .parquet"
    )


def _add_reproduce(reproduce: argparse.ArgumentParser, name: NameType) -> None:
    reproduce.add_argument("store", type=name, metavar="STORE", help="the SQLite file of a sweep")
    reproduce.add_argument("row", type=name, metavar="ROW", help="number of the row, or the begin of its key")
