"""What the tile of a product occupies on chip, counted in blocks of the array.

         k        n                n
      ┌─────┐  ┌─────┐          ┌─────┐
    m │  A  │ k│  B  │ ──────► m│  C  │
      └─────┘  └─────┘          └─────┘
       scratchpad: k (m + n)     accumulator: m n

Every function takes integers or columns of them. A double-buffered tile has half of each memory, which is for the
caller to say; bytes follow from the rows of a block and the bytes of a row.
"""

from __future__ import annotations

from typing import TypeVar

from simulator.arrays import Ints

Blocks = TypeVar("Blocks", int, Ints)


def scratchpad_blocks(m: Blocks, k: Blocks, n: Blocks) -> Blocks:
    """Return the blocks of a tile of A and one of B."""
    return k * (m + n)


def accumulator_blocks(m: Blocks, n: Blocks) -> Blocks:
    """Return the blocks of a tile of C, whatever its depth along k."""
    return m * n


def deepest_k(m: Blocks, n: Blocks, capacity: int) -> Blocks:
    """Return the largest k of which `scratchpad_blocks` is at most ``capacity`` blocks; 0 if none is."""
    return capacity // (m + n)


def widest_n(m: Blocks, capacity: int) -> Blocks:
    """Return the largest n of which `accumulator_blocks` is at most ``capacity`` blocks; 0 if none is."""
    return capacity // m
