"""The proof of optimality against spaces that are walked whole."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from mapper.cost.objective import Goal
from mapper.errors import MappingError
from mapper.nest.mapspace.enumeration import all_tiles
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.assemble import assemble
from mapper.nest.model.cost import evaluate
from mapper.nest.model.problem import batched_matmul, conv2d, matmul
from mapper.nest.model.reuse_groups import groups_of
from mapper.search.exact.loop_nests import lower_bound, search
from mapper.search.exact.nest_result import NestResult
from mapper.validation.peers import best_mapping
from tests.mapper.nest.small_spaces import RAGGED, every_cost, gemmini, random_machine, random_space, with_l2

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))]
"""One of each kind always, the others in the slow run."""


def spaces(seed: int, count: int, most: int, **kind: bool | int) -> list[NestSpace]:
    """Random spaces of at most ``most`` members; those whose constraints contradict each other are passed over."""
    random, drawn_spaces = Random(seed), []
    while len(drawn_spaces) < count:
        try:
            space = random_space(random, **kind)
        except MappingError:
            continue
        if space.total <= most:
            drawn_spaces.append(space)
    return drawn_spaces


def front_of(cycles: np.ndarray, energy: np.ndarray) -> list[tuple[int, float]]:
    """Points that no other one beats."""
    order = np.lexsort((energy, cycles))
    front: list[tuple[int, float]] = []
    for at in order:
        if not front or energy[at] < front[-1][1] * (1 - 1e-12):
            front.append((int(cycles[at]), float(energy[at])))
    return front


def check(space: NestSpace) -> None:
    """Every objective and the front equal those over all members."""
    cycles, energy = every_cost(space)
    if not len(cycles):
        with pytest.raises(MappingError, match="fits"):
            search(space)
        return
    least = {"latency": cycles.min(), "energy": energy.min(), "edp": (energy * cycles).min()}
    for objective, best in least.items():
        result: NestResult = search(space, objective)  # type: ignore[arg-type]
        assert result.status == "optimal"
        assert result.score == pytest.approx(best, rel=1e-12), (objective, space.describe(), space.accounting.name)
        assert result.gap == 0.0
    fastest = search(space, "latency").best
    assert fastest.energy_pj == pytest.approx(energy[cycles == cycles.min()].min(), rel=1e-12)
    points = [(point.cycles, point.energy_pj) for point in search(space, "pareto").front]
    expected = front_of(cycles, energy)
    assert [c for c, _ in points] == [c for c, _ in expected], (space.describe(), space.accounting.name)
    assert [e for _, e in points] == pytest.approx([e for _, e in expected], rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_three_levels(seed: int) -> None:
    """All integer tiles, 216 orders, all second copies, random capacities, rates, energies and accountings."""
    for space in spaces(seed, 30, 30_000, largest=5):
        check(space)


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_four_levels(seed: int) -> None:
    """An L2 with a random keep set: three free tiles per dimension, 1296 orders."""
    for space in spaces(100 + seed, 20, 60_000, l2=True, largest=3):
        check(space)


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_constrained(seed: int) -> None:
    """Tiles, factors, orders and keep sets fixed, bounded or forbidden."""
    for space in spaces(200 + seed, 30, 30_000, constrained=True, largest=6):
        check(space)


def random_convolution(random: Random) -> NestSpace | None:
    """A tiny convolution, strides beyond the window included; None if it is large or nothing fits."""
    sizes = [random.choice(some) for some in ((1, 2), (1, 2, 4), (1, 2), (1, 2, 3), (1, 2), (1, 2, 3), (1,))]
    problem = conv2d(*sizes, stride=random.choice([1, 2, 3]), dilation=random.choice([1, 2]))
    accounting = random.choice([TIMELOOP, RAGGED, DEFAULT])
    perfect = accounting is TIMELOOP or random.random() < 0.5
    units = {} if perfect else dict.fromkeys(problem.names, 1)
    try:
        space = NestSpace(problem, random_machine(random, 40, l2=False), accounting, perfect=perfect, units=units)
    except MappingError:
        return None
    small = space.total // space.axes.order_count <= 600 and len(space.axes.variants) <= 2
    return space if small and space.valid() else None


@pytest.mark.parametrize("seed", range(3))
def test_convolutions(seed: int) -> None:
    """Two levels on chip with halos: all tiles under every order that keeps a tensor's irrelevant loops together, and
    5,000 draws of any order."""
    random, done = Random(600 + seed), 0
    while done < 2:
        space = random_convolution(random)
        if space is None:
            continue
        done += 1
        cycles, energy = grouped_costs(space)
        least = {"latency": cycles.min(), "energy": energy.min(), "edp": (energy * cycles).min()}
        drawn = space.costs(space.sample(5_000, np.random.default_rng(seed)))
        scores = {"latency": drawn.cycles, "energy": drawn.energy_pj, "edp": drawn.edp}
        for objective, best in least.items():
            result = search(space, objective)  # type: ignore[arg-type]
            assert result.score == pytest.approx(best, rel=1e-12), (objective, space.problem, space.accounting.name)
            assert result.score <= scores[objective].min() * (1 + 1e-12)


def grouped_costs(space: NestSpace) -> tuple[np.ndarray, np.ndarray]:
    """(cycles, energy) of all tiles under the orders in which groups of irrelevant dimensions stay together."""
    groups = [group for group in groups_of(space.problem) if group]
    orders = [tuple(dim for group in some for dim in group) for some in permutations(groups)]
    cycles, energy = [], []
    for number, choice in enumerate(space.axes.variants):
        for genes in all_tiles(space.axes, number, 10_000):
            tiles = genes.reshape(len(genes), space.axes.levels - 1, len(space.axes.dims))
            columns = {dim: list(tiles[:, :, place].T) for place, dim in enumerate(space.axes.dims)}
            for chosen in product(orders, repeat=space.axes.levels):
                batch = assemble(
                    space.problem, space.hierarchy, choice.kept, choice.spatial, chosen, columns, choice.doubled
                )
                costs = evaluate(batch, space.accounting)
                cycles.append(costs.cycles[costs.valid])
                energy.append(costs.energy_pj[costs.valid])
    return np.concatenate(cycles), np.concatenate(energy)


def test_resnet_layers() -> None:
    """Proved among 10^15 mappings and more, at the array's roof."""
    for problem in (conv2d(1, 64, 3, 112, 112, 7, 7, 2), conv2d(1, 512, 512, 7, 7, 3, 3)):
        space = NestSpace(problem, gemmini(), TIMELOOP)
        result = search(space, "edp")
        assert result.status == "optimal"
        assert result.covered > 10**15
        drawn = space.costs(space.sample(300, np.random.default_rng(1)))
        assert result.score <= drawn.edp.min()


def test_too_many_tiles_of_a_group() -> None:
    with pytest.raises(MappingError, match="take perfect factors or coarser units"):
        search(NestSpace(conv2d(1, 64, 3, 112, 112, 7, 7, 2), gemmini(), RAGGED))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_larger_spaces(seed: int) -> None:
    """The same up to two million members each."""
    for space in spaces(300 + seed, 12, 2_000_000, largest=7):
        check(space)
    for space in spaces(400 + seed, 6, 2_000_000, l2=True, largest=4):
        check(space)
    for space in spaces(500 + seed, 12, 2_000_000, constrained=True, l2=seed % 2 == 0, largest=7):
        check(space)


REFERENCE = Path(__file__).parents[3] / "reference"


def optima() -> dict[str, dict[str, Any]]:
    data: dict[str, Any] = json.loads((REFERENCE / "timeloop_optima.json").read_text(encoding="utf-8"))
    optima: dict[str, dict[str, Any]] = data["exhaustive_optimum"]["gemmini16_sp256_acc64"]
    return optima


@pytest.mark.parametrize("layer", sorted(optima()))
def test_timeloop_optima(layer: str) -> None:
    """Every digit of what an enumeration of 24 and 45 million mappings result and timeloop-model confirmed."""
    entry = optima()[layer]
    size = entry["problem"]
    space = NestSpace(matmul(size["M"], size["K"], size["N"]), gemmini(), TIMELOOP)
    result = search(space, "edp")
    assert result.status == "optimal"
    assert (result.best.cycles, result.best.energy_pj) == (entry["cycles"], entry["energy_pj"])
    assert result.best.edp == entry["edp"]
    assert (result.covered, space.valid()) == (entry["mappings_enumerated"], entry["valid"])


@pytest.mark.parametrize("accounting", [TIMELOOP, RAGGED, DEFAULT])
@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_no_draw_is_better(accounting: Accounting, objective: Goal) -> None:
    """20,000 random mappings of a BERT layer, with and without an L2."""
    for machine in (gemmini(), with_l2(gemmini())) if accounting is not DEFAULT else (gemmini(),):
        space = NestSpace(matmul(512, 768, 768), machine, accounting)
        costs = space.costs(space.sample(20_000, np.random.default_rng(0)))
        scores = {"latency": costs.cycles.astype(float), "energy": costs.energy_pj, "edp": costs.edp}
        assert search(space, objective).score <= scores[objective].min()


def test_ragged_tiles_are_never_worse() -> None:
    """Every mapping with perfect factors is one with tiles of any size."""
    for shape in ((512, 3072, 768), (384, 640, 1280)):
        for objective in ("latency", "energy", "edp"):
            perfect = search(NestSpace(matmul(*shape), gemmini(), TIMELOOP), objective)  # type: ignore[arg-type]
            ragged = search(NestSpace(matmul(*shape), gemmini(), RAGGED), objective)  # type: ignore[arg-type]
            assert ragged.score <= perfect.score


def test_fronts_of_bert() -> None:
    """One point at the roof with the least energy for four of the layers, five points for the second of the FFN."""
    shapes = [(512, 768, 768), (512, 64, 512), (512, 512, 64), (512, 768, 3072), (512, 3072, 768)]
    sizes = [len(search(NestSpace(matmul(*shape), gemmini(), RAGGED), "pareto").front) for shape in shapes]
    assert sizes == [1, 1, 1, 1, 5]


def test_same_result_on_every_run() -> None:
    space = NestSpace(matmul(197, 768, 300), with_l2(gemmini(), 64), DEFAULT, bypass=("l2",))
    first, second = search(space, "edp"), search(space, "edp")
    assert first.best == second.best
    assert first.rows == second.rows


def test_budgets_stop_with_a_gap() -> None:
    """What a stopped search says of the optimum is true."""
    space = NestSpace(matmul(512, 3072, 768), with_l2(gemmini()), DEFAULT, bypass=("l2",))
    proved = search(space, "edp")
    stopped = search(space, "edp", max_rows=50)
    assert stopped.status == "stopped"
    assert stopped.lower_bound <= proved.score <= stopped.score
    assert stopped.gap > 0.0
    assert "above the optimum" in stopped.claim()
    assert search(space, "edp", seconds=1e-9).status == "stopped"


def test_an_interrupt_returns_the_best_so_far() -> None:
    space = NestSpace(matmul(512, 3072, 768), with_l2(gemmini()), DEFAULT, bypass=("l2",))

    def interrupt(rows: int, best: float, bound: float) -> None:
        if np.isfinite(best) and rows > 50:
            raise KeyboardInterrupt

    result = search(space, "edp", progress=interrupt)
    assert result.status == "stopped"
    assert not space.violations(result.best.mapping)


def test_claims_name_what_they_hold_for() -> None:
    result = search(NestSpace(matmul(512, 768, 768), gemmini(), DEFAULT), "energy")
    assert result.accounting.startswith(
        "default (partial sums of 32 bits, drain reads, first read elision, double buffer"
    )
    assert "scratchpad input, weight; accumulator output" in result.space and "static hoisting" in result.space
    assert "optimal (energy)" in result.claim()
    assert f"{result.covered:,} mappings" in result.claim()
    assert "units of 16" in result.space


@pytest.mark.parametrize("budget", [{"max_rows": 0}, {"seconds": 0.0}, {"seconds": -1.0}])
def test_budgets_of_nothing(budget: dict[str, Any]) -> None:
    with pytest.raises(MappingError, match="allows no search"):
        search(NestSpace(matmul(8, 8, 8), gemmini(), TIMELOOP), **budget)


def test_unknown_objective() -> None:
    with pytest.raises(MappingError, match="unknown objective 'speed'; use latency, energy, edp, pareto"):
        search(NestSpace(matmul(8, 16, 16), gemmini(), TIMELOOP), "speed")  # type: ignore[arg-type]


def test_what_has_no_bound_is_refused() -> None:
    """Rather than called optimal: a minimum of cycles per pair."""
    slow_pairs = replace(DEFAULT, name="slow pairs", min_pair_cycles=16)
    with pytest.raises(MappingError, match="slow pairs: a least time per tile"):
        search(NestSpace(matmul(64, 64, 64), gemmini(), slow_pairs))


def test_nothing_fits() -> None:
    with pytest.raises(MappingError, match=r"accumulator: the smallest tile of output needs 16 words > 8"):
        search(NestSpace(matmul(64, 64, 64), gemmini(accumulator=8), TIMELOOP))


def test_the_lower_bound_is_below_everything() -> None:
    space = NestSpace(matmul(512, 768, 768), gemmini(), DEFAULT)
    cycles, energy = lower_bound(space)
    assert cycles <= search(space, "latency").best.cycles
    assert 0 < energy <= search(space, "energy").best.energy_pj


PEERS: dict[str, Any] = json.loads((REFERENCE / "peers_matmuls.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", PEERS["accelforge"], ids=lambda item: f"{item['matmul']}-{item['objective']}")
def test_never_worse_than_accelforge(entry: dict[str, Any]) -> None:
    """Its figures have three decimals of a microjoule."""
    sizes = entry["m"], entry["k"], entry["n"]
    problem = matmul(*sizes) if entry["heads"] == 1 else batched_matmul(entry["heads"], *sizes)
    best = best_mapping(problem, entry["objective"]).result.best
    half_a_digit = 0.0005
    if entry["objective"] == "latency":
        assert best.cycles <= entry["cycles"]
        assert best.energy_pj / 1e6 <= entry["energy_uj"] + half_a_digit
    elif entry["objective"] == "energy":
        assert best.energy_pj / 1e6 <= entry["energy_uj"] + half_a_digit
    else:
        assert best.edp / 1e6 <= (entry["energy_uj"] + half_a_digit) * entry["cycles"]


def test_second_ffn_layer_on_the_peers_machine() -> None:
    """0.6 % less energy than AccelForge with an output tile in the scratchpad and ragged tiles of k."""
    best = best_mapping(matmul(512, 3072, 768), "energy")
    assert best.residency != "even"
    assert best.result.best.energy_pj / 1e6 == pytest.approx(1565.236, abs=0.0005)
    assert best.result.best.cycles == 5_013_504
