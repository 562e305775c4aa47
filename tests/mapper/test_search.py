"""Exhaustive search: the optimum of brute force, the same every time, fast."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapper.cost import OBJECTIVES, CostModel, Objective
from mapper.errors import MappingError
from mapper.estimate import estimate
from mapper.mapspace import MapSpace, batch_of
from mapper.problem import contiguous
from mapper.search.exhaustive import ExhaustiveSearcher, search
from tests.mapper.test_mapspace import everything
from tests.mapper.tiny import machine, prices, problems


@settings(max_examples=12, deadline=None)
@given(st.data(), st.sampled_from(OBJECTIVES))
def test_finds_the_optimum_of_brute_force(data: st.DataObject, objective: Objective) -> None:
    """Each candidate alone, a batch of one at a time, without the pruning of dominated ones."""
    spec = machine(data.draw(st.sampled_from(["tiny_4x4", "gemmini"])))
    problem = data.draw(problems(spec, blocks=3))
    space = MapSpace(problem, spec)
    model = CostModel.of(problem, spec, prices(spec))
    found = search(problem, spec, prices(spec), objective)
    best = model.costs(batch_of(found.mapping.hardware_loop)).keys(objective)
    for loop in everything(space):
        if not space.violations(loop):
            other = model.costs(batch_of(loop)).keys(objective)
            assert best[0][0] <= other[0][0] * (1 + 1e-12)
    assert found.candidates == space.size >= found.legal >= found.evaluated > 0


def test_same_result_for_any_chunk_and_every_time() -> None:
    spec = machine("gemmini")
    problem = contiguous(128, 256, 192, bias=True)
    space = MapSpace(problem, spec)
    model = CostModel.of(problem, spec, prices(spec))
    found = set()
    for rows in (8192, 100, 8192):
        searcher = ExhaustiveSearcher(space, "edp", rows)
        while (batch := searcher.ask()) is not None:
            searcher.tell(batch, model.costs(batch))
        found.add(searcher.best)
    assert len(found) == 1
    assert found == {search(problem, spec, prices(spec), "edp").mapping.hardware_loop}


def test_objectives_rank_their_own_metric_best() -> None:
    spec = machine("gemmini")
    problem = contiguous(256, 512, 384)
    model = CostModel.of(problem, spec, prices(spec))
    costs = {
        name: model.costs(batch_of(search(problem, spec, prices(spec), name).mapping.hardware_loop))
        for name in OBJECTIVES
    }
    assert min(costs.values(), key=lambda cost: cost.cycles[0]) is costs["latency"]
    assert costs["energy"].energy_pj[0] == min(cost.energy_pj[0] for cost in costs.values())
    assert costs["edp"].keys("edp")[0][0] == min(cost.keys("edp")[0][0] for cost in costs.values())


def test_held_operands_are_used_where_the_machine_can() -> None:
    """64 x 64 x 64 is one tile each way, so nothing is loaded twice whatever the order."""
    spec = machine("gemmini_chip")
    loop = search(contiguous(64, 64, 512), spec, prices(spec), "energy").mapping.hardware_loop
    assert "input" in loop.held


def test_unknown_objective() -> None:
    spec = machine("gemmini")
    with pytest.raises(MappingError, match="unknown objective 'speed'; use latency, energy, edp"):
        search(contiguous(16, 16, 16), spec, prices(spec), "speed")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(512, 768, 768), (512, 768, 3072), (512, 3072, 768), (512, 4096, 11008)])
def test_searches_take_fractions_of_a_second(shape: tuple[int, int, int]) -> None:
    """About 0.1 to 0.3 CPU s when this was written; the bound is what the project promises."""
    spec = machine("gemmini")
    before = time.process_time()
    result = search(contiguous(*shape), spec, prices(spec))
    assert time.process_time() - before < 2.0
    assert result.legal > 50_000


@pytest.mark.parametrize("shape", [(128, 768, 768), (512, 64, 512), (1, 768, 3072), (100, 90, 70)])
@pytest.mark.parametrize("name", ["gemmini", "gemmini_chip"])
def test_the_estimate_agrees_with_the_search(name: str, shape: tuple[int, int, int]) -> None:
    """Without L2 they are one number; a cold one the search knows by reuse distances (2.8 % seen)."""
    problem = contiguous(*shape)
    for spec, tolerance in ((machine(name), 0.05), (machine(name).override({"l2": None}), 1e-4)):
        found = search(problem, spec, prices(spec))
        expected = estimate(found.mapping, problem, spec, prices(spec))
        assert found.searched_cycles == pytest.approx(expected.cycles, rel=tolerance)
