"""The one exception of this package, and the hint that goes with a misspelt word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class SpecError(ValueError):
    """A machine, an energy table or an override that cannot be used.

    Parameters
    ----------
    problems
        Every problem found, one line each: ``file:line: path: what; hint``.
    """

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


def suggestion(word: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for a near miss, else the list of what is allowed."""
    allowed = sorted(set(choices))
    by_lower = {choice.lower(): choice for choice in allowed}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.65)
    if near:
        return f"; did you mean '{by_lower[near[0]]}'?"
    return f"; allowed: {', '.join(allowed)}" if allowed else ""
