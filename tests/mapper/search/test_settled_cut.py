"""Fuse or not: what runs is never worse than without fusion, and says what each group bought."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mapper import pipeline
from mapper.graph.fusion_cuts import Cut, fusion_groups
from mapper.graph.fusion_group import FusionGroup
from mapper.search.settled_cut import group_gains, settled_cut
from simulator.report import Counts, Report
from tests.mapper.graph.chains import X, addition, after, chain
from tests.mapper.tiny import machine
from workloads import OpGraph, Tensor, matmul
from workloads.ops import LayerNorm, Softmax

SPEC = machine("gemmini_ibert")


def graph_of_two() -> OpGraph:
    scores = matmul("scores", 32, 64, 64, a=X)
    softmax = after(Softmax, scores.output, "softmax")
    add = addition(softmax.output, Tensor("y", (32, 64), ("m", "n")))
    return chain(scores, softmax, add, after(LayerNorm, add.output, "norm"))


@dataclass(frozen=True)
class MadeRun:
    groups: tuple[FusionGroup, ...]
    simulation: Report


def made(cut: Cut, cycles: dict[str, int]) -> MadeRun:
    """Return a run in which each group takes the given cycles, by the names of its operators."""
    groups = fusion_groups(graph_of_two(), SPEC, cut)
    rows = []
    for group in groups:
        for op in group.operators:
            taken = cycles["+".join(one.name for one in group.operators)] if op is group.lead else 0
            rows.append(Report(op.name, "simulate", SPEC.name, SPEC.clock_mhz, taken, Counts(), {}, 256))
    total = sum(row.cycles for row in rows)
    whole = Report("all", "simulate", SPEC.name, SPEC.clock_mhz, total, Counts(), {}, 256, by_op=tuple(rows))
    return MadeRun(groups, whole)


ALONE: Cut = [["scores"], ["softmax"], ["add"], ["norm"]]
BOTH: Cut = [["scores", "softmax"], ["add", "norm"]]


@pytest.mark.parametrize(
    ("fused", "expected"),
    [
        ({"scores+softmax": 15, "add+norm": 15}, {"scores+softmax", "add+norm"}),
        ({"scores+softmax": 15, "add+norm": 25}, {"scores+softmax", "add", "norm"}),
        ({"scores+softmax": 25, "add+norm": 25}, {"scores", "softmax", "add", "norm"}),
        ({"scores+softmax": 20, "add+norm": 20}, {"scores", "softmax", "add", "norm"}),
    ],
)
def test_groups_that_lose_on_the_machine_are_cut_apart(fused: dict[str, int], expected: set[str]) -> None:
    cycles = dict.fromkeys(("scores", "softmax", "add", "norm"), 10) | fused
    best = settled_cut(made(ALONE, cycles), BOTH, "latency", lambda cut: made(cut, cycles))
    assert {"+".join(op.name for op in group.operators) for group in best.groups} == expected


def test_gains_are_told_group_by_group() -> None:
    cycles = dict.fromkeys(("scores", "softmax", "add", "norm"), 10) | {"scores+softmax": 15, "add+norm": 12}
    fused = made(BOTH, cycles)
    gains = group_gains(fused.groups, fused.simulation, made(ALONE, cycles))
    assert [(gain.operators, gain.fused.cycles, gain.unfused.cycles) for gain in gains] == [
        (("scores", "softmax"), 15, 20),
        (("add", "norm"), 12, 20),
    ]


@pytest.mark.parametrize(
    "objective",
    [pytest.param("latency", marks=pytest.mark.slow), pytest.param("energy", marks=pytest.mark.slow), "edp"],
)
def test_a_block_is_never_worse_for_fusion(objective: str) -> None:
    options = {"seq": 24, "objective": objective, "finalists": 0}
    unfused = pipeline.run("bert-base", "gemmini_ibert", **options)  # type: ignore[arg-type]
    fused = pipeline.run("bert-base", "gemmini_ibert", **options, fusion="auto")  # type: ignore[arg-type]
    value = {"latency": lambda r: r.cycles, "energy": lambda r: r.energy_pj, "edp": lambda r: r.cycles * r.energy_pj}
    assert value[objective](fused.simulation) < value[objective](unfused.simulation)
    assert fused.fusion is not None
    assert fused.fusion.unfused == unfused.simulation
    assert ("scores", "softmax") in [gain.operators for gain in fused.fusion.gains]
    for expected, measured in zip(fused.estimate.by_op, fused.simulation.by_op, strict=True):
        assert expected.counts == measured.counts
    assert sum(fused.simulation.energy_pj_by_action.values()) == pytest.approx(fused.simulation.energy_pj)


def test_groups_in_turns_are_those_that_win() -> None:
    """Probabilities of a head are read while the L2 holds them, which saves energy."""
    result = pipeline.run(
        "bert-base", "gemmini_ibert", seq=64, search="gemmini_auto", fusion="auto", objective="energy"
    )
    assert result.turns
    for choice in result.turns:
        assert choice.apart is not None
        assert choice.spent.energy_pj < choice.apart.energy_pj
    for expected, measured in zip(result.estimate.by_op, result.simulation.by_op, strict=True):
        assert expected.counts == measured.counts
    assert result.simulation.macs == result.graph.macs


def test_a_graph_in_which_nothing_more_can_be_fused_runs_as_without() -> None:
    graph = pipeline.matmul_graph(32, 48, 64)
    unfused, fused = (pipeline.run_graph(graph, SPEC, finalists=0, fusion=name) for name in ("none", "auto"))
    assert fused.simulation == unfused.simulation
    assert fused.fusion is not None
    assert fused.fusion.gains == ()
    assert fused.fusion.search.next_best is None
