"""Options of ``report``; nothing but the standard library, for ``--help`` must be quick."""

from __future__ import annotations

import argparse

from mapper.commands.sweep_options import NameType

REPORT = "One page of HTML about a run, or about several beside each other, from the JSON that they wrote."

MOST_RUNS = 8
"""Runs of a page; a table of more is no longer read."""


def add_report(report: argparse.ArgumentParser, name: NameType) -> None:
    """Add the options."""
    report.add_argument(
        "runs", nargs="+", type=name, metavar="RUN.json",
        help="a file of 'run --json', best with --timeline; of several, the first is the base of all ratios",
    )  # fmt: skip
    report.add_argument("-o", "--out", type=name, metavar="FILE", required=True, help="the page, as report.html")
