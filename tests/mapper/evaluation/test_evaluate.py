"""Pieces that are only counted: exact counts, nearly exact time, accounts that still add up."""

from __future__ import annotations

import pytest

from mapper import pipeline


@pytest.mark.parametrize(
    ("machine", "seq", "search"),
    [
        ("gemmini_ibert", 128, "optimal"),
        ("paper_codesign", 128, "gemmini_auto"),
        pytest.param("paper_codesign", 128, "optimal", marks=pytest.mark.slow),
        pytest.param("gemmini_ibert", 128, "gemmini_auto", marks=pytest.mark.slow),
        pytest.param("gemmini", 128, "optimal", marks=pytest.mark.slow),
        pytest.param("gemmini", 128, "gemmini_auto", marks=pytest.mark.slow),
    ],
)
def test_default_against_exact(machine: str, seq: int, search: str) -> None:
    quick = pipeline.run("bert-base", machine, seq=seq, search=search, finalists=0).simulation
    exact = pipeline.run("bert-base", machine, seq=seq, search=search, finalists=0, exact=True).simulation
    for quick_part, exact_part in zip(quick.by_op, exact.by_op, strict=True):
        assert quick_part.counts == exact_part.counts, quick_part.name
        assert quick_part.cycles == pytest.approx(exact_part.cycles, rel=0.01), quick_part.name
        assert all(time.total_cycles == quick_part.cycles for time in quick_part.units.values()), quick_part.name
