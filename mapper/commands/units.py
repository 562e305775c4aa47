"""``--units m=1,k=16,n=16``: in which steps the sizes of tiles are looked at."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mapper.commands.problems import CommandError

MOST_UNITS = 1024
"""Units per dimension that are chosen without being asked: tables of a few million combinations, proofs in seconds."""


def parse(text: str, dims: Sequence[str]) -> dict[str, int]:
    """Units by dimension [elements].

    Raises
    ------
    CommandError
        For anything but ``dim=number`` with commas between, unknown dimensions, zero, and what is given twice.
    """
    sizes: dict[str, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([a-z]+)\s*=\s*([0-9]{1,10})\s*", part)
        if not match:
            raise CommandError(f"--units {text!r}: write dimensions with whole numbers, as in m=1,k=16,n=16")
        dim, unit = match[1], int(match[2])
        if dim not in dims:
            raise CommandError(f"--units: unknown dimension {dim!r}; there are {', '.join(dims)}")
        if dim in sizes:
            raise CommandError(f"--units: {dim} is given twice")
        if unit < 1:
            raise CommandError(f"--units: {dim}={unit}: must be at least 1 element")
        sizes[dim] = unit
    return sizes
