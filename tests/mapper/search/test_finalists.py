"""Finalists: the best by the estimate, distinct programs, settled by simulation."""

from __future__ import annotations

import json

import pytest

from mapper.cost.model import CostModel
from mapper.cost.objective import OBJECTIVES, Objective
from mapper.errors import MappingError
from mapper.lowering.matmul import lower_matmul
from mapper.mapping.matmul_problem import contiguous
from mapper.mapspace.hardware_loops import MapSpace
from mapper.reports.finalists import finalists_dict, finalists_table
from mapper.search.exact.hardware_loops import ranked, search
from mapper.search.finalists import finalists
from simulator.machine import simulate
from tests.mapper.tiny import machine, prices


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("wanted", [1, 7, 40])
def test_the_ranking_is_that_of_an_exhaustive_walk(objective: Objective, wanted: int) -> None:
    spec = machine("gemmini_chip")
    problem = contiguous(80, 100, 70, bias=True)
    model = CostModel.of(problem, spec, prices(spec))
    every = []
    for batch in MapSpace(problem, spec).batches():
        keys = model.costs(batch).keys(objective)
        every += [(tuple(float(column[row]) for column in keys), batch.loop(row)) for row in range(len(batch))]
    expected = [loop for _, loop in sorted(every, key=lambda member: member[0])[:wanted]]
    proved, best = ranked(problem, spec, prices(spec), objective, wanted)
    assert [member.loop for member in best] == expected
    assert proved.loop == best[0].loop == search(problem, spec, prices(spec), objective).loop
    assert proved.status == "optimal"


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_winner_simulates_best(objective: Objective) -> None:
    spec = machine("gemmini")
    problem = contiguous(128, 64, 128, b_axes=("n", "k"))
    done: list[tuple[int, int]] = []
    final = finalists(problem, spec, prices(spec), objective, 6, progress=lambda *numbers: done.append(numbers))
    assert done == [(number, 6) for number in range(1, 7)]
    assert sorted(row.place for row in final.rows) == [1, 2, 3, 4, 5, 6]
    values = [row.value(objective) for row in final.rows]
    assert values == sorted(values)
    assert final.gain >= 0.0
    programs = {lower_matmul(problem, row.loop, spec) for row in final.rows}
    assert len(programs) == 6
    winner = final.winner
    simulated = simulate(lower_matmul(problem, winner.loop, spec), spec, exact=True)
    assert winner.simulation.cycles == simulated.cycles
    assert winner.simulation.counts == winner.estimate.counts
    assert winner.simulation.energy_pj == winner.estimate.energy_pj


def test_both_fidelities_are_shown() -> None:
    spec = machine("gemmini")
    final = finalists(contiguous(64, 64, 64), spec, prices(spec), count=3)
    lines = finalists_table(final).splitlines()
    assert len(lines) == 6
    for row, line in zip(final.rows, lines[2:5], strict=True):
        assert f"{row.estimate.cycles:,}" in line
        assert f"{row.simulation.cycles:,}" in line
        assert line.rstrip().endswith(f"{row.place}.")
    content = json.loads(json.dumps(finalists_dict(final)))
    assert content["finalists"][0]["simulated_cycles"] == final.winner.simulation.cycles


def test_fewer_than_wanted_and_none() -> None:
    spec = machine("gemmini")
    final = finalists(contiguous(16, 16, 16), spec, prices(spec), count=50)
    assert len(final.rows) == 2
    with pytest.raises(MappingError, match="0 finalists; at least 1 is needed"):
        finalists(contiguous(16, 16, 16), spec, prices(spec), count=0)
