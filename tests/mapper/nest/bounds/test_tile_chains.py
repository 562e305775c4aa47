"""Tile chains: nothing that an optimum needs is missing, checked against all chains of small dimensions."""

from __future__ import annotations

from itertools import pairwise, product
from random import Random

import numpy as np
import pytest

from mapper.nest.bounds.chain_shape import ChainShape
from mapper.nest.bounds.pareto import minimal, thinned
from mapper.nest.bounds.tile_chains import chains, expanded
from mapper.nest.mapspace.divisions import break_points, divisors

Attributes = tuple[int, ...]


def every_chain(shape: ChainShape) -> dict[tuple[int, ...], list[int]]:
    """All chains with their counts, by walking tile for tile."""
    chains_of: dict[tuple[int, ...], list[int]] = {}
    for tiles in product(range(1, shape.size + 1), repeat=shape.levels - 1):
        sizes = (shape.size, *tiles, min(shape.last, (shape.size, *tiles)[-1]))
        if any(outer < inner for outer, inner in pairwise(sizes)):
            continue
        if shape.perfect and any(outer % inner for outer, inner in pairwise(sizes)):
            continue
        trips = [-(-outer // inner) for outer, inner in pairwise(sizes)]
        if any(forced and trip > 1 for forced, trip in zip(shape.forced, trips, strict=True)):
            continue
        if any(left is not None and tile not in left for left, tile in zip(shape.allowed, tiles, strict=False)):
            continue
        if any(left is not None and trip not in left for left, trip in zip(shape.trips, trips, strict=False)):
            continue
        chains_of[tiles] = walked(sizes)
    return chains_of


def walked(sizes: tuple[int, ...]) -> list[int]:
    """c(0) .. c(L) by cutting every tile."""
    pieces, counts = [sizes[0]], [1]
    for tile in sizes[1:]:
        pieces = [min(tile, piece - start) for piece in pieces for start in range(0, piece, tile)]
        counts.append(len(pieces))
    return counts


def observed(shape: ChainShape, tiles: tuple[int, ...], counts: list[int]) -> Attributes:
    kept = [tile for tile, keeps in zip(tiles, shape.kept, strict=True) if keeps]
    if shape.whole:
        kept += [int(tile != shape.size) for tile, keeps in zip(tiles, shape.kept, strict=True) if keeps]
    return tuple(kept + [count for count, sees in zip(counts[1:], shape.counted, strict=True) if sees])


def front(points: list[Attributes]) -> set[Attributes]:
    left = set(points)
    return {p for p in left if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in left)}


def random_shape(random: Random) -> ChainShape:
    levels = random.choice([2, 3, 3, 4])
    size = random.randint(1, 16 if levels == 4 else 24)
    perfect = random.random() < 0.3
    flags = [tuple(random.random() < p for _ in range(n)) for n, p in ((levels, 0.2), (levels - 1, 0.7), (levels, 0.6))]
    allowed: tuple[tuple[int, ...] | None, ...] = ()
    trips: tuple[tuple[int, ...] | None, ...] = ()
    if random.random() < 0.25:
        allowed = tuple(
            tuple(sorted(random.sample(range(1, size + 1), min(4, size)))) if random.random() < 0.4 else None
            for _ in range(levels - 1)
        )
    if random.random() < 0.25:
        some = [tuple(range(1, random.randint(2, 5))) if random.random() < 0.4 else None for _ in range(levels)]
        trips = tuple(some)
    last = 1 if perfect else random.choice([1, 1, 2, 3])
    return ChainShape(size, last, *flags, perfect, random.random() < 0.5, (), allowed, trips)


@pytest.mark.parametrize("seed", range(4))
def test_the_front_of_all_chains_is_kept(seed: int) -> None:
    random = Random(seed)
    for _ in range(80):
        shape = random_shape(random)
        every, table = every_chain(shape), chains(shape)
        rows = [
            (tuple(tiles), counts)
            for tiles, counts in zip(table.tiles.T.tolist(), table.counts.T.tolist(), strict=True)
        ]
        for tiles, counts in rows:
            assert every[tiles] == counts, shape
        assert front([observed(shape, *row) for row in rows]) == front(
            [observed(shape, *row) for row in every.items()]
        ), shape


@pytest.mark.parametrize("seed", range(3))
def test_relaxed_rows_bound_every_chain(seed: int) -> None:
    """Each chain has a relaxed row that is nowhere larger; exact rows are chains; expansion brings the front back."""
    random = Random(50 + seed)
    for _ in range(60):
        shape = random_shape(random)
        table = chains(ChainShape(**{name: getattr(shape, name) for name in shape.__slots__} | {"relaxed": True}))
        rows = [
            (tuple(tiles), counts)
            for tiles, counts in zip(table.tiles.T.tolist(), table.counts.T.tolist(), strict=True)
        ]
        points = [observed(shape, *row) for row in rows]
        every = every_chain(shape)
        for point in front([observed(shape, *row) for row in every.items()]):
            assert any(all(a <= b for a, b in zip(bound, point, strict=True)) for bound in points), shape
        for (tiles, counts), exact in zip(rows, table.exact, strict=True):
            if exact:
                assert observed(shape, tiles, every[tiles]) == observed(shape, tiles, counts), shape
        if table.exact.all():
            continue
        more = expanded(shape, table.tiles[:, ~table.exact])
        exact_rows = [row for row, exact in zip(rows, table.exact, strict=True) if exact]
        more_rows = zip(more.tiles.T.tolist(), more.counts.T.tolist(), strict=True)
        more = [(tuple(tiles), counts) for tiles, counts in more_rows]
        together = front([observed(shape, *row) for row in (*exact_rows, *more)])
        assert together == front([observed(shape, *row) for row in every.items()]), shape


def test_break_points_of_the_remainder_matter() -> None:
    """D=7, T1=4: T2=2 and T2=3 both cut 4 in two, but the last tile of 3 is one or two tiles: c2 = 3 against 4."""
    shape = ChainShape(7, 1, (False,) * 3, (True, True), (True, True, False), allowed=((4,), None))
    table = chains(shape)
    assert {tuple(tiles) for tiles in table.tiles.T.tolist()} >= {(4, 2), (4, 3)}
    assert dict(zip(map(tuple, table.tiles.T.tolist()), table.counts[2].tolist(), strict=True))[4, 3] == 3


def test_taking_out_a_cut_can_cost() -> None:
    """16 is six pieces under steps 8, 5, 3 but seven under 5, 3: with two cuts inside, none is taken out."""
    assert walked((16, 8, 5, 3))[-1] == 6
    assert walked((16, 5, 5, 3))[-1] == 7
    shape = ChainShape(16, 1, (False,) * 4, (True, True, True), (False, True, True, False))
    assert (8, 5, 3) in {tuple(tiles) for tiles in chains(shape).tiles.T.tolist()}


def test_break_points() -> None:
    offsets, points = break_points(48)
    assert len(points[offsets[48] :]) == 13
    for size in (1, 7, 10, 48):
        smallest = points[offsets[size] : offsets[size + 1]].tolist()
        assert smallest == sorted({-(-size // parts) for parts in range(1, size + 1)})


def test_divisors() -> None:
    assert divisors(48) == (1, 2, 3, 4, 6, 8, 12, 16, 24, 48)


def test_dominance_filters() -> None:
    random = np.random.default_rng(3)
    points = random.integers(0, 6, (400, 3))
    expected = front([tuple(map(int, point)) for point in points])
    assert {tuple(map(int, points[row])) for row in minimal(points)} == expected
    assert {tuple(map(int, points[row])) for row in thinned(list(points.T))} == expected
