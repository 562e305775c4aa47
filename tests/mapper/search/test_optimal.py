"""The proof of optimality against spaces that are walked whole."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from mapper.errors import MappingError
from mapper.nest.space import NestSpace
from mapper.search.optimal import NestResult, search
from tests.mapper.nest.small import every_cost, random_space

LARGEST_WALK = 150_000
"""Members of a space that the default suite walks."""


def spaces(seed: int, count: int, **kind: bool | int) -> list[NestSpace]:
    """Random spaces that are not too large; those whose constraints contradict each other are passed over."""
    random, found = Random(seed), []
    while len(found) < count:
        try:
            space = random_space(random, **kind)
        except MappingError:
            continue
        if space.total <= LARGEST_WALK:
            found.append(space)
    return found


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
    found = [(point.cycles, point.energy_pj) for point in search(space, "pareto").front]
    expected = front_of(cycles, energy)
    assert [c for c, _ in found] == [c for c, _ in expected], (space.describe(), space.accounting.name)
    assert [e for _, e in found] == pytest.approx([e for _, e in expected], rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_three_levels(seed: int) -> None:
    """All integer tiles, 216 orders, all second copies, random capacities, rates, energies and accountings."""
    for space in spaces(seed, 20, largest=4):
        check(space)


@pytest.mark.parametrize("seed", range(4))
def test_four_levels(seed: int) -> None:
    """An L2 with a random keep set: three free tiles per dimension, 1296 orders."""
    for space in spaces(100 + seed, 10, l2=True, largest=3):
        check(space)


@pytest.mark.parametrize("seed", range(4))
def test_constrained(seed: int) -> None:
    """Tiles, factors, orders and keep sets fixed, bounded or forbidden."""
    for space in spaces(200 + seed, 20, constrained=True, largest=4):
        check(space)
