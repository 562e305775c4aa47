"""Problems a user can cause, and how they are told."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hwconfigs.errors import SpecError
from mapper.errors import MappingError, SweepError
from mapper.settings import SettingsError
from simulator.program import ProgramError
from workloads.errors import GraphError


class CommandError(ValueError):
    """A wrong argument, or a file that cannot be read or written."""


REFUSALS = (CommandError, SettingsError, SpecError, GraphError, ProgramError, MappingError, SweepError)
"""Errors whose text is meant for the user."""


def explanation(problem: BaseException) -> list[str]:
    """Lines that explain bad input; empty if ``problem`` is a fault of the program itself."""
    if isinstance(problem, OSError):
        # Files are opened and written by name; what has none is the screen.
        where = problem.filename or "standard output"
        return [f"{where}: {problem.strerror or problem}"]
    if isinstance(problem, REFUSALS):
        return [line for line in str(problem).splitlines() if line.strip()] or [type(problem).__name__]
    return []


def nearest(word: str, names: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the closest of ``names``, or nothing."""
    close = difflib.get_close_matches(word, list(names), n=1, cutoff=0.65)
    return f"; did you mean {close[0]!r}?" if close else ""
