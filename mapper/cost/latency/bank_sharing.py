"""Chances that two rows of a tile lie in the same bank of the scratchpad, where a write stops a read.

┌──────── half or whole of the scratchpad ────────┐
│ bank 0     │ bank 1     │ bank 2     │ bank 3   │
│ A A A A A A A A ►                    ◄ B B B B B│      A fills rows upwards, B ends at the top
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwconfigs import HardwareSpec
from mapper.mapspace.batch import Batch
from simulator.arrays import Floats


@dataclass(frozen=True, slots=True, eq=False)
class BankSharing:
    """Chance that two rows share a bank (columns)."""

    a_with_b: Floats
    """A row of A and one of B."""
    a_with_a: Floats
    b_with_b: Floats


def bank_sharing(batch: Batch, spec: HardwareSpec) -> BankSharing:
    """Return the chances for tiles in halves of the scratchpad, or in the whole of it."""
    scratchpad, whole = spec.scratchpad, not batch.double_buffered
    side = spec.array.rows
    a, b = batch.tile_m * batch.tile_k * side, batch.tile_k * batch.tile_n * side
    half = scratchpad.rows // 2
    # A tile that may use the whole memory but fits a half is placed in the first half.
    rows = np.where(whole & (a + b > half), scratchpad.rows, half)
    bank = min(scratchpad.rows_per_bank, half)
    a_with_b, a_with_a, b_with_b = np.zeros(len(a)), np.zeros(len(a)), np.zeros(len(a))
    for start in range(0, scratchpad.rows if whole else half, bank):
        a_share = np.clip(a - start, 0, bank) / a
        b_share = np.clip(np.minimum(start + bank, rows) - np.maximum(start, rows - b), 0, bank) / b
        a_with_b = a_with_b + a_share * b_share
        a_with_a = a_with_a + a_share**2
        b_with_b = b_with_b + b_share**2
    return BankSharing(a_with_b, a_with_a, b_with_b)
