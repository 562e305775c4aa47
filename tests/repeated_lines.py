"""Repeated code: pairs of places in the Python files that share six or more equal lines.

    python tests/repeated_lines.py [CHECKOUT]

Blank lines, comments, imports and lone punctuation do not count, white space is folded. A run that several files share
counts once for each pair of places.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("hwconfigs", "workloads", "simulator", "mapper", "tests")
LEAST = 6
PASSED_OVER = re.compile(r"(#|import |from )|[^\w]*$")


def lines(file: Path) -> list[tuple[int, str]]:
    """Numbers and texts of the lines that count."""
    numbered = enumerate((" ".join(line.split()) for line in file.read_text(encoding="utf-8").splitlines()), start=1)
    return [(number, text) for number, text in numbered if not PASSED_OVER.match(text)]


def pairs(root: Path) -> Iterator[str]:
    """Pairs of places, the first line of a run each."""
    places: dict[tuple[str, ...], list[tuple[str, int, int]]] = defaultdict(list)
    for file in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        kept = lines(file)
        for index in range(len(kept) - LEAST + 1):
            window = tuple(text for _, text in kept[index : index + LEAST])
            places[window].append((file.relative_to(root).as_posix(), index, kept[index][0]))
    runs: set[tuple[str, int, str, int]] = set()
    for here in places.values():
        for (left, i, line), (right, j, other) in itertools.combinations(here, 2):
            # A longer run is one pair: its further windows follow a window that is known.
            if (left, i - 1, right, j - 1) not in runs:
                yield f"{left}:{line} ~ {right}:{other}"
            runs.add((left, i, right, j))


if __name__ == "__main__":
    shared = list(pairs(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]))
    sys.stdout.write("\n".join([*shared, f"{len(shared)} pairs of places share {LEAST} or more lines", ""]))
