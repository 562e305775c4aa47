"""The mapspace: exact sizes, costs of rows, walks, members and their mappings, and what is said when nothing fits."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest

from mapper.errors import MappingError
from mapper.mapping.loop_nest import LoopNest
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.model.accounting import DEFAULT, TIMELOOP
from mapper.nest.model.assemble import assemble
from mapper.nest.model.cost import evaluate
from mapper.nest.model.from_mapping import batch_of
from mapper.nest.model.problem import conv2d, matmul
from tests.mapper.nest.small_spaces import RAGGED, gemmini, random_space

SIZES = [
    ((512, 768, 768), 24_057_000, 18_880_128),
    ((512, 64, 512), 1_496_880, 1_451_520),
    ((512, 512, 64), 1_496_880, 1_415_880),
    ((512, 768, 3072), 44_906_400, 25_789_536),
    ((512, 3072, 768), 44_906_400, 23_560_416),
]
"""Members and valid ones with perfect factors, counted one by one by another program (see timeloop_optima.json)."""


@pytest.mark.parametrize(("shape", "total", "valid"), SIZES)
def test_perfect_sizes(shape: tuple[int, int, int], total: int, valid: int) -> None:
    space = NestSpace(matmul(*shape), gemmini(), TIMELOOP)
    assert space.total == total
    assert space.valid() == valid


@pytest.mark.parametrize(
    ("shape", "total", "valid"),
    [((512, 768, 768), 3.92e13, 3.93e12), ((512, 64, 512), 1.50e11, 6.87e10), ((512, 512, 64), 1.50e11, 1.40e11)],
)
def test_ragged_sizes(shape: tuple[int, int, int], total: float, valid: float) -> None:
    """K and N in 16s, M in single rows; three digits of an independent count."""
    space = NestSpace(matmul(*shape), gemmini(), RAGGED)
    assert space.total == pytest.approx(total, rel=0.005)
    assert space.valid() == pytest.approx(valid, rel=0.005)


def test_free_spatial_size() -> None:
    """16,276,480 factorisations (16.3 million as Timeloop prints them) x 216 orders."""
    space = NestSpace(matmul(512, 768, 768), gemmini(), TIMELOOP, spatial="free")
    assert space.total == 16_276_480 * 216


def test_description_names_axes_and_product() -> None:
    text = NestSpace(matmul(512, 768, 768), gemmini(), TIMELOOP).describe()
    for word in ("tiles", "orders", "spatial", "bypass", "buffering", "24,057,000", "111,375", "216"):
        assert word in text


def test_product_of_axes_is_the_total() -> None:
    space = NestSpace(matmul(512, 768, 768), gemmini(), DEFAULT)
    product_of_axes = 1
    for axis in space.axes.sizes():
        product_of_axes *= axis.size
    assert product_of_axes == space.total


@pytest.mark.parametrize("seed", range(6))
def test_walk_is_complete_and_counts_agree(seed: int) -> None:
    """Every member once; with those that do not fit as many as the total, those that do as many as the count."""
    random, done = Random(seed), 0
    while done < 5:
        try:
            space = random_space(random, constrained=seed % 2 == 1, largest=3)
        except MappingError:
            continue
        if space.total > 60_000:
            continue
        done += 1
        rows = list(space.walk(5_000))
        members = np.concatenate(rows) if rows else np.zeros((0, space.axes.genes), np.int64)
        assert len(np.unique(members, axis=0)) == len(members)
        assert space.valid() in (None, len(members))
        assert space.legal(members).all() if len(members) else True
        roomy = replace_entries(space)
        assert sum(map(len, roomy.walk(50_000))) == space.total


def replace_entries(space: NestSpace) -> NestSpace:
    """The same space on a machine where everything fits."""
    memories = tuple(
        replace(memory, entries=None if memory.instances == 1 else memory.entries)
        for memory in space.hierarchy.memories
    )
    return NestSpace(
        space.problem, replace(space.hierarchy, memories=memories), space.accounting, space.axes.constraints,
        units=dict.fromkeys(space.axes.dims, 1), spatial=space.axes.spatial,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_rows_cost_what_their_own_order_costs(seed: int) -> None:
    """Grouping rows by their innermost runs changes no bit against the kernel on the mapping as written."""
    random, generator = Random(seed), np.random.default_rng(seed)
    for _ in range(6):
        space = random_space(random, l2=seed % 2 == 1, largest=6)
        if not space.valid():
            continue
        rows = space.sample(40, generator)
        costs = space.costs(rows)
        for row, cycles, energy in zip(rows.tolist(), costs.cycles, costs.energy_pj, strict=True):
            alone = evaluate(batch_of(space.mapping(row), space.problem, space.hierarchy), space.accounting)
            assert (int(cycles), float(energy)) == (int(alone.cycles[0]), float(alone.energy_pj[0]))
            assert bool(alone.valid[0])
            assert space.row(space.mapping(row)) == tuple(row)
            assert not space.violations(space.mapping(row))


def test_convolution_rows() -> None:
    """Seven dimensions: groups of irrelevant loops drop out together, partly or not at all."""
    space = NestSpace(conv2d(1, 8, 6, 4, 4, 3, 3), gemmini(), replace(TIMELOOP, ragged="exact"), perfect=True)
    rows = space.sample(60, np.random.default_rng(5))
    costs = space.costs(rows)
    for row, cycles, energy in zip(rows.tolist(), costs.cycles, costs.energy_pj, strict=True):
        alone = evaluate(batch_of(space.mapping(row), space.problem, space.hierarchy), space.accounting)
        assert (int(cycles), float(energy)) == (int(alone.cycles[0]), float(alone.energy_pj[0]))


def test_row_by_hand() -> None:
    """Tiles T1 = (4, 2, 2), T2 = (1, 1, 2) of m, k, n = 8, 4, 4 on one multiplier."""
    machine = replace(gemmini(), rows=1, cols=1, memories=gemmini().memories[:3])
    space = NestSpace(matmul(8, 4, 4), machine, TIMELOOP)
    row = (0, 0, 0, 0, 4, 2, 2, 1, 1, 2)
    assert space.legal(np.array([row]))[0]
    batch = assemble(
        space.problem, machine, space.axes.variants[0].kept, space.axes.variants[0].spatial, ["mkn"] * 3,
        {"m": [np.array([4]), np.array([1])], "k": [np.array([2]), np.array([1])], "n": [np.array([2])] * 2},
        space.axes.variants[0].doubled,
    )  # fmt: skip
    assert space.mapping(row) == batch.mapping(0)


def test_illegal_rows_are_told() -> None:
    space = NestSpace(matmul(8, 32, 32), gemmini(), TIMELOOP)
    row = list(space.sample(1, np.random.default_rng(0))[0])
    for gene, value in ((0, 6), (0, -1), (3, 1), (4, 3), (4, 16)):
        bad = list(row)
        bad[gene] = value
        assert not space.legal(np.array([bad]))[0], (gene, value)


def test_a_level_too_small_for_any_tile() -> None:
    """16 x 16 weights and a row of 16 inputs need 272 words."""
    space = NestSpace(matmul(64, 64, 64), gemmini(scratchpad=271), TIMELOOP)
    assert space.valid() == 0
    with pytest.raises(MappingError, match=r"scratchpad: the smallest tile of input, weight needs 272 words > 271"):
        space.sample(1, np.random.default_rng(0))


def test_violations_show_the_inequality() -> None:
    space = NestSpace(matmul(64, 64, 64), gemmini(scratchpad=1000), TIMELOOP)
    roomy = NestSpace(matmul(64, 64, 64), gemmini(), TIMELOOP)
    mapping = roomy.mapping((0, 0, 0, 0, 64, 64, 64, 1, 16, 16))
    (violation,) = space.violations(mapping)
    assert (violation.resource, violation.demand, violation.bound) == ("scratchpad", 2 * 64 * 64, 1000)


def test_mapping_for_another_problem_or_machine() -> None:
    space = NestSpace(matmul(64, 64, 64), gemmini(), TIMELOOP)
    mapping = space.mapping(tuple(space.sample(1, np.random.default_rng(0))[0]))
    with pytest.raises(MappingError, match="m=64"):
        NestSpace(matmul(32, 64, 64), gemmini(), TIMELOOP).row(mapping)
    elsewhere = LoopNest(mapping.ops, mapping.problem, "elsewhere", mapping.levels)
    with pytest.raises(MappingError, match="elsewhere"):
        space.row(elsewhere)


def test_bad_units() -> None:
    with pytest.raises(MappingError, match="unit of m"):
        NestSpace(matmul(8, 8, 8), gemmini(), RAGGED, units={"m": 0})
    with pytest.raises(MappingError, match="unknown dimension 'q'"):
        NestSpace(matmul(8, 8, 8), gemmini(), RAGGED, units={"q": 2})
    with pytest.raises(MappingError, match="unit of k: 3"):
        NestSpace(matmul(8, 64, 8), gemmini(), RAGGED, units={"k": 3})


def test_every_combination_of_copies_is_a_choice() -> None:
    """Inputs and weights in the scratchpad, outputs in the accumulator: eight sets of second copies."""
    space = NestSpace(matmul(8, 8, 8), gemmini(), DEFAULT)
    sets = {(variant.doubled[1], variant.doubled[2]) for variant in space.axes.variants}
    scratchpad = [frozenset(some) for some in ((), ("input",), ("weight",), ("input", "weight"))]
    assert sets == set(product(scratchpad, [frozenset(), frozenset({"output"})]))
