"""What a study hands to the command: work step by step, and what is known after any number of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a study found."""

    text: str
    """Tables beside the published values, then a line for each deviation with its cause."""
    tables: Mapping[str, str]
    """CSV by name of the file."""
    figure: Callable[[], Figure]
    """Draws the picture."""


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study that is about to run."""

    steps: int
    """How many there are."""
    work: Iterator[str]
    """Does a step for each name that is taken from it."""
    outcome: Callable[[], StudyResult]
    """Returns what the finished steps tell."""
    tables: tuple[str, ...]
    """Names of the CSV files."""
