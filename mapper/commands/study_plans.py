"""Options of ``study`` as the plan of one study."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from hwconfigs.quantity import size_bytes
from mapper.commands.problems import CommandError
from mapper.search.registry import MOST_FINALISTS
from mapper.studies import (
    codesign,
    codesign_report,
    fusion,
    fusion_report,
    nas_report,
    nas_search,
    nonlinear,
    nonlinear_report,
    partition_report,
    peakmem,
    peakmem_report,
    roofline,
    roofline_report,
)
from mapper.studies.study import StudyPlan

MOST = 1 << 20
"""Largest number of tokens, or of KiB of an accumulator."""

MOST_TOKENS_OF_A_BLOCK = 4096
"""Of studies that simulate whole blocks, which take minutes beyond."""

MOST_ROUNDS = 10_000
MOST_BYTES = 1 << 40


def _fusion(options: argparse.Namespace) -> StudyPlan:
    lengths = _whole_numbers("tokens", options.tokens, fusion.LENGTHS)
    return fusion_report.plan(lengths, _whole_numbers("accumulator", options.accumulator, fusion.ACCUMULATORS))


def _codesign(options: argparse.Namespace) -> StudyPlan:
    tokens = _one("tokens", options.tokens, codesign.TOKENS, MOST_TOKENS_OF_A_BLOCK)
    finalists = None if options.finalists is None else _one("finalists", options.finalists, 0, MOST_FINALISTS, least=0)
    return codesign_report.plan(tokens, finalists)


def _roofline(options: argparse.Namespace) -> StudyPlan:
    tokens = _whole_numbers("tokens", options.tokens, roofline.SIMULATED, MOST_TOKENS_OF_A_BLOCK)
    return roofline_report.plan(tokens)


def _nas(options: argparse.Namespace) -> StudyPlan:
    seed = 0 if options.seed is None else options.seed
    if seed < 0:
        raise CommandError(f"--seed {seed}: must not be negative")
    rounds = _one("rounds", options.rounds, nas_search.ROUNDS, MOST_ROUNDS)
    loss = nas_search.lost_weights if options.loss is None else nas_search.read_loss(options.loss)
    state = None if options.state is None else Path(options.state)
    return nas_report.plan(nas_search.Evolution(seed, loss, options.loss or "", state), rounds)


def _peakmem(options: argparse.Namespace) -> StudyPlan:
    tokens = _one("tokens", options.tokens, peakmem.TOKENS, MOST_TOKENS_OF_A_BLOCK)
    return peakmem_report.plan(tokens, [_bytes(size) for size in options.budget.split(",")] if options.budget else ())


def _bytes(text: str) -> int:
    try:
        size = size_bytes(text.strip())
        if isinstance(size, int) and 0 < size <= MOST_BYTES:
            return size
        raise ValueError("must be 1 B to 1024 GiB")
    except ValueError as problem:
        raise CommandError(f"--budget {text}: {problem}") from None


def _nonlinear(options: argparse.Namespace) -> StudyPlan:
    return nonlinear_report.plan(_whole_numbers("tokens", options.tokens, nonlinear.LENGTHS, MOST_TOKENS_OF_A_BLOCK))


def _partition(options: argparse.Namespace) -> StudyPlan:
    if options.chips is None:
        return partition_report.plan()
    sides = [word.strip() for word in options.chips.split(",")]
    if len(sides) != 3 or not all(side.isascii() and side.isdecimal() and 0 < int(side) <= MOST for side in sides):
        raise CommandError(f"--chips {options.chips}: must be X,Y,Z, whole numbers of 1 to {MOST:,}")
    x, y, z = map(int, sides)
    return partition_report.plan((x, y, z))


PLANS: Mapping[str, Callable[[argparse.Namespace], StudyPlan]] = {
    "fusion": _fusion, "codesign": _codesign, "roofline": _roofline, "nas": _nas, "peakmem": _peakmem,
    "partition": _partition, "nonlinear": _nonlinear,
}  # fmt: skip
"""By name of the study."""


def _one(name: str, text: str | None, default: int, most: int = MOST, *, least: int = 1) -> int:
    """The number of an option that takes only one."""
    numbers = _whole_numbers(name, text, (default,), most, least)
    if len(numbers) > 1:
        raise CommandError(f"--{name} {text}: this study takes one number")
    return numbers[0]


def _whole_numbers(
    name: str, text: str | None, default: tuple[int, ...], most: int = MOST, least: int = 1
) -> tuple[int, ...]:
    """The numbers of an option, each once, in its order; a `CommandError` names what is none."""
    if text is None:
        return default
    numbers = [word.strip() for word in text.split(",")]
    wrong = [word for word in numbers if not (word.isascii() and word.isdecimal() and least <= int(word) <= most)]
    if wrong:
        raise CommandError(f"--{name} {text}: {wrong[0]!r} is no whole number of {least} to {most:,}")
    return tuple(dict.fromkeys(map(int, numbers)))
