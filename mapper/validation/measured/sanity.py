"""Rows that cannot have been measured: unknown names, and sizes beyond any machine here or any patience.

Every bound is far beyond what was ever measured; such a cell is a slip, and its row would fill the memory or not end.
"""

from __future__ import annotations

import re

from mapper.validation.measured import categories
from mapper.validation.measured.rows import ValidationError, shown, whole
from mapper.validation.measured.session import MACHINES

Row = dict[str, str]

LARGEST = {"M": 65_536, "N": 65_536, "K": 65_536, "n_ops": 65_536, "dram_latency": 65_536, "stride_bytes": 2**24,
           "rows": 65_536, "cols": 65_536, "tile_i": 4_096, "tile_j": 4_096, "tile_k": 4_096, "offset_bytes": 2**24,
           "part": 65_536}  # fmt: skip
"""Largest cell of each column; measured: 3,072 elements, 4,096 commands, latency 100, stride 4,096 bytes."""
SMALLEST = {"stride_bytes": 0, "dram_latency": 0, "offset_bytes": 0, "part": 0}
"""Smallest one where it is not 1."""
MOST_MACS = 2**35
"""Measured: 302 million."""
MOST_ELEMENTS = 2**24
"""Of a matrix that is added or read out; measured: 98,304."""
MOST_LOOPS = 65_536
"""Hardware loops of one call; measured: 512."""
MOST_COMMANDS = 2**18
"""Commands of one stream; measured: 8,192."""
LARGEST_IN_NAME = 65_536
"""Largest number in the name of a test; measured: 2,304."""
MOST_CYCLES = 10**15
"""Twelve days of a machine at 1 GHz."""
STATES = ("cold", "repeat", "l2warm", "no_dram")


def check_rtl(row: Row) -> None:
    """Refuse a Verilator row that cannot have been measured.

    Raises
    ------
    ValidationError
        Saying which cell is wrong and what is allowed.
    """
    test = row["test"]
    if row["gemmini_config"] not in MACHINES:
        raise ValidationError(f"gemmini_config {shown(row['gemmini_config'])} unknown; known: {', '.join(MACHINES)}")
    if not categories.is_known_call(test):
        raise ValidationError(f"test {shown(test)} unknown")
    if row["state"] not in STATES:
        raise ValidationError(f"state={shown(row['state'])} is none of {', '.join(STATES)}")
    whole(row, "dram_latency")
    for column, most in LARGEST.items():
        text, least = row.get(column, "").strip(), SMALLEST.get(column, 1)
        if text and not least <= whole(row, column) <= most:
            raise ValidationError(f"{column}={_cut(text)} outside {least}..{most}")
    if any(len(number) > 6 or int(number) > LARGEST_IN_NAME for number in re.findall(r"\d+", test)):
        raise ValidationError(f"test {shown(test)}: no number in it may exceed {LARGEST_IN_NAME}")
    if test.startswith("seq_part"):
        whole(row, "part")
    if re.search(r"Bevery0+(?!\d)", test):
        raise ValidationError(f"test {shown(test)}: new weights every 0 pairs")
    _check_size(row)
    _check_strides(row)


def _check_size(row: Row) -> None:
    test, sizes = row["test"], [whole(row, column, 0) for column in "MNK"]
    m, n, k = sizes
    if m * n * k > MOST_MACS:
        raise ValidationError(f"{m}x{n}x{k} is more than {MOST_MACS} multiplications")
    if not k and m * n > MOST_ELEMENTS:
        raise ValidationError(f"{m}x{n} is more than {MOST_ELEMENTS} elements")
    tiles = [whole(row, column, 0) for column in ("tile_i", "tile_j", "tile_k")]
    if all(sizes) and all(tiles):
        loops = 1
        for size, tile in zip(sizes, tiles, strict=True):
            loops *= -(-size // (16 * tile))
        if loops > MOST_LOOPS:
            raise ValidationError(f"{loops} hardware loops, more than {MOST_LOOPS}")
    if test.startswith("mix_"):
        repeated = sum(int(number or 1) for number in re.findall(r"(?:^mix_|\+)(\d*)", test))
        if repeated * whole(row, "n_ops", 1) > MOST_COMMANDS:
            raise ValidationError(f"test {shown(test)} {row['n_ops']} times: more than {MOST_COMMANDS} commands")


def _check_strides(row: Row) -> None:
    """Rows of a matrix may not overlap, where the name of the test gives their distance."""
    widths = {"A": "K", "B": "K" if "_Btransposed" in row["test"] else "N", "C": "N"}
    for matrix, stride in re.findall(r"_s([ABC])(\d+)", row["test"]):
        column = widths[matrix]
        if row[column] and int(stride) < whole(row, column):
            raise ValidationError(f"test {shown(row['test'])}: rows of {matrix} overlap, {column}={row[column]}")


def measured(row: Row, column: str) -> int:
    """Measured cycles of a row.

    Raises
    ------
    ValidationError
        When they are not a whole number of 1 to ``MOST_CYCLES``.
    """
    cycles = whole(row, column)
    if cycles < 1:
        raise ValidationError(f"{column}={_cut(row[column])} must be at least 1")
    if cycles > MOST_CYCLES:
        raise ValidationError(f"{column}={_cut(row[column])} is more than {MOST_CYCLES}")
    return cycles


def _cut(text: str) -> str:
    return shown(text)[1:-1]
