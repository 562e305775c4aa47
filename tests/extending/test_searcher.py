"""Extending's new searcher: one file and one line, and the command line offers it for both mapspaces."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.extending.conftest import Block, Copy


def test_one_file_and_one_line(extending: Callable[[str], tuple[Block, ...]], packages: Copy) -> None:
    searcher, registered, _ = extending("A searcher")
    assert (searcher.path, registered.path) == (
        "mapper/search/algorithms/hill_climbing.py",
        "mapper/search/registry.py",
    )
    assert registered.text.count("\n") == 1
    for block in (searcher, registered):
        packages.add(block)
    assert "hill_climbing" in packages.run("-m", "mapper.cli", "map", "--help")

    def searched(*options: str) -> dict[str, object]:
        packages.run("-m", "mapper.cli", "map", "96x64x80", *options, "--json", "out.json")
        report = json.loads((packages.root / "out.json").read_text(encoding="utf-8"))
        details: dict[str, object] = report["searches"]["matmul"] if "searches" in report else report["search"]
        return details

    climbed = searched("--search", "hill_climbing", "--budget", "300", "--seed", "1")
    assert (climbed["search"], climbed["evaluated"]) == ("hill_climbing", 300)
    assert climbed["value"] == searched("--search", "hill_climbing", "--budget", "300", "--seed", "1")["value"]
    proved = searched("--search", "optimal", "--finalists", "0")["value"]
    assert isinstance(proved, float) and isinstance(climbed["value"], float)
    # A climber with 300 evaluations comes near the optimum of a small mapspace, and cannot be better.
    assert proved <= climbed["value"] <= 1.1 * proved
    nested = searched("--mapspace", "loop-nest", "--search", "hill_climbing", "--budget", "200")
    assert nested["search"] == "hill_climbing"


@pytest.mark.slow
def test_it_passes_the_suite_of_searchers(extending: Callable[[str], tuple[Block, ...]], packages: Copy) -> None:
    for block in extending("A searcher"):
        packages.add(block)
        suite = block
    assert " passed" in packages.run("-m", "pytest", "-q", "-p", "no:cacheprovider", suite.path)
