"""Searches of machines that differ in prices alone compute the cycles of their candidates once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mapper.cost import known_cycles
from mapper.cost.known_cycles import KnownCycles, lent
from mapper.cost.latency import loop_pipeline
from mapper.cost.model import CostModel
from mapper.mapping.matmul_problem import contiguous
from mapper.mapspace.hardware_loops import MapSpace
from mapper.search.exact.hardware_loops import search
from tests.mapper.tiny import machine, prices

SPEC, PROBLEM = machine("gemmini"), contiguous(100, 70, 90)
SIGNATURE = PROBLEM.signature(SPEC.dma.max_request_bytes)


def test_another_search_computes_none_and_finds_what_it_would_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first, energy = KnownCycles(SIGNATURE, None), prices(SPEC)
    dearer = replace(energy, pj={action: 3.0 * pj for action, pj in energy.pj.items()})
    alone = search(PROBLEM, SPEC, dearer, "latency")
    with lent(first):
        search(PROBLEM, SPEC, energy, "latency")
    assert first.has_grown
    second = KnownCycles(SIGNATURE, first.text())
    monkeypatch.setattr(loop_pipeline, "cycles", None)
    monkeypatch.setattr(loop_pipeline, "least_cycles", None)
    with lent(second):
        assert search(PROBLEM, SPEC, dearer, "latency") == alone
    assert not second.has_grown


@pytest.mark.parametrize("other", [contiguous(100, 70, 91), replace(PROBLEM, name="another")])
def test_a_matmul_takes_only_its_own(other: object) -> None:
    known = KnownCycles(SIGNATURE, None)
    with lent(known):
        model = CostModel.of(other, SPEC, prices(SPEC))  # type: ignore[arg-type]
        batch = next(batch for batch in MapSpace(model.problem, SPEC).batches() if len(batch))
        cycles = model.costs(batch).cycles
    assert known.has_grown == (model.problem.name == "another")
    assert np.array_equal(cycles, model.costs(batch).cycles)


def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_cycles, "MOST_BYTES", 800)
    known = KnownCycles(SIGNATURE, None)
    with lent(known):
        search(PROBLEM, SPEC, prices(SPEC), "latency")
    assert sum(len(column) for column in known._columns.values()) <= 100
