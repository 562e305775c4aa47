"""Pieces that are only counted: exact counts, nearly exact time, accounts that still add up."""

from __future__ import annotations

import pytest

from mapper import pipeline


@pytest.mark.parametrize("search", ["optimal", "gemmini_auto"])
@pytest.mark.parametrize(("machine", "seq"), [("gemmini_ibert", 128), ("paper_codesign", 128), ("gemmini", 128)])
def test_default_against_exact(machine: str, seq: int, search: str) -> None:
    quick = pipeline.run("bert-base", machine, seq=seq, search=search).simulation
    exact = pipeline.run("bert-base", machine, seq=seq, search=search, exact=True).simulation
    for mine, theirs in zip(quick.by_op, exact.by_op, strict=True):
        assert mine.counts == theirs.counts, mine.name
        assert mine.cycles == pytest.approx(theirs.cycles, rel=0.01), mine.name
        assert all(time.total_cycles == mine.cycles for time in mine.units.values()), mine.name
