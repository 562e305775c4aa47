"""Every legal member of a mapspace, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from mapper.nest.mapspace.axes import NestAxes
from mapper.nest.mapspace.level_capacity import needs_kernel
from mapper.nest.mapspace.members import costs, tiles_allowed
from simulator.arrays import Rows


def walk(axes: NestAxes, most: int) -> Iterator[Rows]:
    """Yield every legal member as rows, at most ``most`` at a time."""
    order_rows = np.array(list(product(*(range(len(orders)) for orders in axes.orders))), np.int64)
    for number, variant in enumerate(axes.variants):
        for tiles in all_tiles(axes, number, most):
            per_block = max(1, most // max(1, len(tiles)))
            for start in range(0, len(order_rows), per_block):
                orders = order_rows[start : start + per_block]
                rows = np.column_stack(
                    [
                        np.repeat(orders, len(tiles), axis=0),
                        np.full(len(orders) * len(tiles), number),
                        np.tile(tiles, (len(orders), 1)),
                    ]
                )
                if needs_kernel(axes, variant):
                    rows = rows[costs(axes, rows).valid]
                if len(rows):
                    yield rows


def all_tiles(axes: NestAxes, variant_number: int, most: int) -> Iterator[Rows]:
    """Yield the tile genes of one variant that fit level by level, at most ``most`` at a time."""
    chains = [_chains(axes, variant_number, dim) for dim in axes.dims]
    head, tail = chains[0], chains[1:]
    inner = np.array(list(product(*(range(len(chain)) for chain in tail))), np.int64).reshape(-1, len(tail))
    for outer in head:
        for start in range(0, len(inner), most):
            part = inner[start : start + most]
            columns = [np.broadcast_to(outer, (len(part), len(outer)))]
            columns += [chain[part[:, index]] for index, chain in enumerate(tail)]
            tiles = np.stack(columns, axis=2).reshape(len(part), -1)
            orders, variants = np.zeros((len(part), axes.levels), np.int64), np.full(len(part), variant_number)
            keep = tiles_allowed(axes, variant_number, np.column_stack([orders, variants, tiles]), fits=True)
            if keep.any():
                yield tiles[keep]


def _chains(axes: NestAxes, variant_number: int, dim: str) -> Rows:
    """(chains, levels - 1): tiles of one dimension [elements]."""
    variant = axes.variants[variant_number]
    steps, grid = axes.steps(variant, dim), axes.grid(variant, dim)
    chains: list[tuple[int, ...]] = [(len(steps.values) - 1,)]
    for level in range(axes.levels - 1):
        relation = steps.relations[level]
        chains = [
            (*chain, index)
            for chain in chains
            for index in range(len(steps.values))
            if steps.masks[level][index] and (index <= chain[-1] if relation is None else relation[chain[-1], index])
        ]
    index = np.array([chain[1:] for chain in chains], np.int64).reshape(len(chains), axes.levels - 1)
    return grid.elements(steps.values[index])
