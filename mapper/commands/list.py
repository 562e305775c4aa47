"""``tilewright list``: what can be named on the command line."""

from __future__ import annotations

import argparse
import textwrap

import hwconfigs
import workloads


def execute(options: argparse.Namespace) -> None:
    """Print models, machines and energy presets, one group each."""
    del options
    print("models      " + _wrapped(workloads.available()))
    print("machines    " + _wrapped(hwconfigs.available()))
    print("energy      " + _wrapped(hwconfigs.available_energy()))


def _wrapped(names: tuple[str, ...]) -> str:
    return textwrap.fill(" ".join(names), width=104, break_on_hyphens=False).replace("\n", "\n" + " " * 12)
