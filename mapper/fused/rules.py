"""What a tree may do: the machine's own rules, and the relaxed ones under which a peer's points were found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """Switches; all off is what a row-wise unit and sums of 32 bits can keep."""

    rows_may_be_cut: bool = False
    """A softmax is a copy: its rows may be cut by a loop that it shares."""
    narrow_sums: bool = False
    """Partial sums may leave the accumulator and come back, in one word of the memory outside."""

    @property
    def name(self) -> str:
        """What holds, in words."""
        relaxed = ["rows may be cut"] * self.rows_may_be_cut + ["one-byte partial sums"] * self.narrow_sums
        return ", ".join(relaxed) if relaxed else "whole rows, sums stay in the accumulator"


STRICT = Rules()
RELAXED = Rules(rows_may_be_cut=True, narrow_sums=True)
