"""Draws from valid mappings: uniform, exact in number, seeded."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from mapper.errors import MappingError
from mapper.nest.mapspace import uniform_sampling
from mapper.nest.mapspace.nest_space import NestSpace
from mapper.nest.mapspace.variants import Unrolling
from mapper.nest.model.accounting import DEFAULT, TIMELOOP, Accounting
from mapper.nest.model.problem import conv2d, matmul
from tests.mapper.nest.gemmini_nests import flat
from tests.mapper.nest.small_spaces import RAGGED, gemmini, random_space


def chi_square(space: NestSpace, draws: int, seed: int) -> float:
    """Per degree of freedom, over all tiles and outer choices; orders left out."""
    genes = slice(space.axes.levels, None)
    every = np.unique(np.concatenate([rows[:, genes] for rows in space.walk(100_000)]), axis=0)
    drawn = space.sample(draws, np.random.default_rng(seed))[:, genes]
    cells, counts = np.unique(np.concatenate([every, drawn]), axis=0, return_counts=True)
    assert len(cells) == len(every), "a draw that the walk does not know"
    expected = draws / len(every)
    return float((((counts - 1) - expected) ** 2 / expected).sum() / (len(every) - 1))


@pytest.mark.parametrize(
    ("accounting", "spatial", "shape", "rooms"),
    [
        (TIMELOOP, "full", (24, 96, 64), (1200, 80)),
        (TIMELOOP, "free", (6, 12, 8), (20, 6)),
        (RAGGED, "full", (7, 60, 50), (1200, 80)),
        (RAGGED, "free", (3, 4, 4), (20, 6)),
        (DEFAULT, "full", (4, 40, 33), (1200, 80)),
    ],
)
def test_uniform(
    accounting: Accounting, spatial: Unrolling, shape: tuple[int, int, int], rooms: tuple[int, int]
) -> None:
    """Some 10^2 to 10^3 valid choices of tiles; the statistic's own deviation is sqrt(2 / cells)."""
    space = NestSpace(matmul(*shape), gemmini(*rooms), accounting, spatial=spatial)
    cells = (space.valid() or 0) // space.axes.order_count
    assert 100 < cells < space.total // space.axes.order_count
    statistic = chi_square(space, 100 * cells, seed=1)
    assert abs(statistic - 1.0) < 5.0 * np.sqrt(2.0 / cells)


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_the_walk(seed: int) -> None:
    random, done = Random(seed), 0
    while done < 8:
        try:
            space = random_space(random, l2=seed % 3 == 0, constrained=seed % 2 == 0, largest=3)
        except MappingError:
            continue
        if space.total > 300_000:
            continue
        done += 1
        assert space.valid() in (None, sum(map(len, space.walk(50_000))))


def test_orders_are_uniform() -> None:
    space = NestSpace(matmul(64, 64, 64), gemmini(), TIMELOOP)
    rows = space.sample(60_000, np.random.default_rng(2))
    for level in range(3):
        counts = np.bincount(rows[:, level], minlength=6)
        assert (np.abs(counts - 10_000) < 5 * np.sqrt(10_000 * 5 / 6)).all()


def test_seeded() -> None:
    space = NestSpace(matmul(512, 768, 768), gemmini(), DEFAULT)
    first, again, different = (space.sample(500, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert (first == again).all()
    assert (first != different).any()


def test_all_draws_are_legal() -> None:
    ragged = NestSpace(matmul(509, 761, 320), gemmini(), RAGGED)
    free = NestSpace(matmul(512, 768, 768), gemmini(), TIMELOOP, spatial="free")
    for space in (ragged, free):
        rows = space.sample(2_000, np.random.default_rng(0))
        assert space.legal(rows).all()
        assert space.costs(rows).valid.all()


def test_convolution() -> None:
    """ResNet's first layer: draws fit, and the count of a tiny one is that of its walk."""
    space = NestSpace(conv2d(1, 64, 3, 112, 112, 7, 7, 2), gemmini(), TIMELOOP)
    rows = space.sample(200, np.random.default_rng(0))
    assert space.costs(rows).valid.all()
    valid = space.valid()
    assert valid is not None and 0 < valid < space.total
    machine = gemmini(scratchpad=60, accumulator=6)
    tied = NestSpace(conv2d(1, 4, 4, 2, 2, 2, 1), machine, TIMELOOP)
    tiles = (tied.valid() or 0) // tied.axes.order_count
    assert 0 < tiles < tied.total // tied.axes.order_count
    drawn = tied.sample(4_000, np.random.default_rng(1))[:, tied.axes.levels :]
    assert len(np.unique(drawn, axis=0)) <= tiles


def test_partial_sums_in_narrow_words_are_drawn_by_rejection() -> None:
    """The room of outputs in an 8-bit cache depends on the order: no exact count, but valid draws."""
    random = Random(5)
    while True:
        space = random_space(random, l2=True, largest=4)
        if space.accounting is DEFAULT and space.valid() is None and next(iter(space.walk(100)), None) is not None:
            break
    rows = space.sample(300, np.random.default_rng(0))
    assert space.costs(rows).valid.all()


def test_levels_that_share_a_memory_are_drawn_by_rejection() -> None:
    """Each tensor of the scratchpad on a level of its own: the tiles of one level fit, those of all may not."""
    machine = flat(scratchpad=600).uneven("scratchpad", ("output", "input", "weight"))
    space = NestSpace(matmul(16, 32, 32), machine, TIMELOOP)
    assert space.valid() is None
    rows = space.sample(200, np.random.default_rng(0))
    assert space.costs(rows).valid.all()
    crowded = space.row(space.mapping((*[0] * space.axes.levels, 0, *[16, 32, 32] * (space.axes.levels - 1))))
    assert not space.legal(np.array([crowded]))[0]


def test_nothing_to_draw() -> None:
    space = NestSpace(matmul(64, 64, 64), gemmini(accumulator=15), TIMELOOP)
    with pytest.raises(MappingError, match="accumulator: the smallest tile of output needs 16 words > 15"):
        space.sample(1, np.random.default_rng(0))


def test_one_table_serves_all_sets_of_second_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting them one by one takes a table each, 64 with an L2."""
    made: list[object] = []

    class Counted(uniform_sampling.TileSampler):
        def __init__(self, steps: object, fits: object) -> None:
            made.append(self)
            super().__init__(steps, fits)  # type: ignore[arg-type]

    monkeypatch.setattr(uniform_sampling, "TileSampler", Counted)
    space = NestSpace(matmul(4, 40, 33), gemmini(1200, 80), DEFAULT)
    rows = space.sample(2_000, np.random.default_rng(0))
    assert len(space.axes.variants) > 1
    assert len(made) == 1
    assert space.legal(rows).all()
    assert len(np.unique(rows[:, space.axes.levels])) == len(space.axes.variants)
