"""Options of ``study`` as the plan of one study."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from mapper.commands.problems import CommandError
from mapper.search.registry import MOST_FINALISTS
from mapper.studies import codesign, codesign_report, fusion, fusion_report, roofline, roofline_report
from mapper.studies.study import StudyPlan

MOST = 1 << 20
"""Largest number of tokens, or of KiB of an accumulator."""

MOST_TOKENS_OF_A_BLOCK = 4096
"""Of studies that simulate whole blocks, which take minutes beyond."""


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


PLANS: Mapping[str, Callable[[argparse.Namespace], StudyPlan]] = {
    "fusion": _fusion, "codesign": _codesign, "roofline": _roofline,
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
