"""How long a search may go on: so many candidates, or so many seconds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from mapper.errors import MappingError

DEFAULT_EVALUATIONS = 20_000
"""Candidates of a search that would not end by itself: fractions of a second, and a per cent or two from the optimum
on BERT's matmuls."""

SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
"""Units of a time."""

MOST_EVALUATIONS = 10**12
MOST_SECONDS = 30 * 86_400.0
LONGEST_NUMBER = 100
"""Digits that are read as a number at all; Python refuses more than a few thousand."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of a search; None for none."""

    evaluations: int | None = None
    """Different candidates that are priced."""
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.evaluations, int | None) or isinstance(self.evaluations, bool):
            raise MappingError(f"budget: evaluations={self.evaluations!r}: must be a whole number")
        if not isinstance(self.seconds, int | float | None) or isinstance(self.seconds, bool):
            raise MappingError(f"budget: seconds={self.seconds!r}: must be a number")
        if self.evaluations is not None and not 0 < self.evaluations <= MOST_EVALUATIONS:
            raise MappingError(f"budget {self.evaluations:,}: must be 1 to {MOST_EVALUATIONS:,} evaluations")
        if self.seconds is not None and not 0 < self.seconds <= MOST_SECONDS:
            raise MappingError(f"budget {self.seconds:g} s: must be more than 0 s and at most {MOST_SECONDS:,.0f} s")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``"20000"`` (evaluations) or ``"2s"``, ``"500ms"``, ``"5min"``, ``"1h"``.

        Raises
        ------
        MappingError
            Anything else, zero and negative numbers among it.
        """
        written = re.fullmatch(
            r"([+-]?\d[\d_,]*)|([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(ms|s|min|h)", text.strip()
        )
        if not written:
            raise MappingError(f"budget {text!r}: write how many evaluations (20000) or a time (2s, 500ms, 5min, 1h)")
        number, time, unit = written.groups()
        if number is not None:
            digits = number.replace(",", "").replace("_", "")
            if len(digits) > LONGEST_NUMBER:
                raise MappingError(f"budget of {len(digits)} digits: must be 1 to {MOST_EVALUATIONS:,} evaluations")
            return cls(evaluations=int(digits))
        seconds = float(time) * SECONDS[unit]
        return cls(seconds=seconds if math.isfinite(seconds) else MOST_SECONDS * 2)

    def __str__(self) -> str:
        parts = []
        if self.evaluations is not None:
            parts.append(f"{self.evaluations:,} evaluations")
        if self.seconds is not None:
            parts.append(f"{self.seconds:g} s")
        return " or ".join(parts) or "no budget"
