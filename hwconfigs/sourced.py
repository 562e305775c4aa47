"""Numbers that say where they come from, and how far they can be trusted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwconfigs.limits import between
from hwconfigs.parts import Part

Evidence = Literal["run", "file", "quoted", "recalled", "derived", "chosen"]
"""How a number was obtained.

run: computed with the named tool; file: read in a public file; quoted: seen in a public text that quotes the source;
recalled: known value of the source that was not re-read; derived: our arithmetic on such numbers;
chosen: not a technology claim.
"""

Sentence = Annotated[str, Field(min_length=1)]


class Sourced(Part):
    """Anything that must say where it comes from."""

    source: Sentence
    evidence: Evidence

    @property
    def origin(self) -> str:
        """Source with its evidence tag."""
        return f"{self.source} [{self.evidence}]"


class Factor(Sourced):
    """One number without a unit, or of the unit its place says."""

    value: Annotated[float, between(1e-6, 10**6)]
