"""Thousands of equal programs: those that are alike share an evaluation, and the rest of very many is not replayed."""

from __future__ import annotations

import pytest

import hwconfigs
from mapper import pipeline
from mapper.evaluation import alike_instances, evaluate
from mapper.result import RunResult


def run(machine: str, heads: int, *, exact: bool = False) -> RunResult:
    """Scores of many heads of a short sequence."""
    return pipeline.run_graph(
        pipeline.matmul_graph(8, 64, 24, heads), hwconfigs.load(machine), finalists=0, exact=exact
    )


@pytest.mark.parametrize("machine", [pytest.param("gemmini_ibert", marks=pytest.mark.slow), "tiny_4x4", "gemmini_lean"])
def test_sharing_evaluations_changes_no_count_and_no_time(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = run(machine, 200).simulation
    monkeypatch.setattr(evaluate, "likeness", lambda prepared: None)
    apart = run(machine, 200).simulation
    assert shared.counts == apart.counts
    assert shared.cycles == pytest.approx(apart.cycles, rel=1e-4)
    assert shared.energy_pj == pytest.approx(apart.energy_pj, rel=1e-4)


@pytest.mark.parametrize("machine", ["gemmini_ibert", pytest.param("gemmini_lean", marks=pytest.mark.slow)])
def test_instances_that_are_passed_over_are_like_those_before(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"l2.capacity": "32 KiB"} if hwconfigs.load(machine).l2 is not None else {}
    spec, graph = hwconfigs.load(machine, changes), pipeline.matmul_graph(8, 64, 24, 2000)
    every = pipeline.run_graph(graph, spec, finalists=0)
    monkeypatch.setattr(alike_instances, "SPAN", 128)
    monkeypatch.setattr(evaluate, "MANY", 512)
    some = pipeline.run_graph(graph, spec, finalists=0)
    assert every.groups[0].note == ""
    assert "of 2,000 instances are taken to be like the 128 before them" in some.groups[0].note
    assert some.simulation.cycles == pytest.approx(every.simulation.cycles, rel=2e-3)
    assert some.simulation.energy_pj == pytest.approx(every.simulation.energy_pj, rel=2e-3)
    assert some.simulation.counts["array", "mac"] == every.simulation.counts["array", "mac"]


def test_an_exact_run_passes_over_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike_instances, "SPAN", 8)
    monkeypatch.setattr(evaluate, "MANY", 32)
    assert run("tiny_4x4", 64, exact=True).groups[0].note == ""
    assert run("tiny_4x4", 64).groups[0].note != ""
