"""Streams of single commands that were timed in Verilator: mvins, mvouts, preload/compute chains, and mixes of them."""

from __future__ import annotations

import re
from collections.abc import Callable

from hwconfigs import HardwareSpec
from mapper.validation.measured.rows import ValidationError, whole
from simulator.program import Activation, Command, Compute, Config, Matrix, Mvin, Mvout, Preload

Row = dict[str, str]


MATRIX_STRIDE = 768
"""Row stride from which a chain walks along the rows of its matrix [bytes]: the second series cuts its slices out of
matrices at least this wide. In the first series 1024 bytes are the stride of a column of blocks."""
WHOLE_BLOCK_STRIDE, WHOLE_BLOCK_ROWS = 256, 12
"""The same for chains of blocks of at least so many rows [bytes, rows]. At a stride of 256 bytes, blocks of 12 and 16
rows touch few lines, those of 3, 5 and 7 rows only fresh ones (seven cold rows); how many rows it takes, between 8 and
12, no row tells."""


def _block_offset(row: Row, index: int, width: int) -> int:
    """Distance of the ``index``-th block of a chain from the first. [bytes]

    Chains of the second series (they have an offset, which may be 0) in a wide matrix walk along its rows and start
    over at its edge: cold ones fetch only stride / width blocks, and warm ones with a stride of 3072 miss nothing,
    though going down they would fight for 64 cache sets. The others go down.
    """
    rows, stride = whole(row, "rows"), whole(row, "stride_bytes")
    wide = stride >= (WHOLE_BLOCK_STRIDE if rows >= WHOLE_BLOCK_ROWS else MATRIX_STRIDE)
    if row.get("offset_bytes") and width and wide:
        return index % max(1, stride // width) * width
    return index * rows * stride


def _mvin(row: Row, spec: HardwareSpec, base: int) -> list[Command]:
    test, number = row["test"], whole(row, "n_ops", 1)
    rows, cols = whole(row, "rows"), whole(row, "cols")
    to_accumulator = "acc32" in test
    stride = 0 if "stride0" in test else whole(row, "stride_bytes")
    element = spec.array.sum_bytes if to_accumulator else 1
    offset = whole(row, "offset_bytes", 0)
    height = -(-cols // spec.array.cols) * spec.array.rows
    memory = spec.accumulator if to_accumulator else spec.scratchpad
    places = max(1, memory.rows // height)
    return [
        Mvin(
            source=Matrix(base + offset + _block_offset(row, index, cols * element), stride),
            rows=rows,
            cols=cols,
            memory="accumulator" if to_accumulator else "scratchpad",
            row=index % places * height,
            element_bits=8 * element,
            accumulate="accumulate" in test,
            scaled="scale0.5" in test,
        )
        for index in range(number)
    ]


def _mvout(row: Row, spec: HardwareSpec, base: int) -> list[Command]:
    test, number = row["test"], whole(row, "n_ops", 1)
    rows, cols = whole(row, "rows"), whole(row, "cols")
    stride = whole(row, "stride_bytes")
    full = "full32" in test
    from_scratchpad = "spad" in test
    offset = whole(row, "offset_bytes", 0)
    height = -(-cols // spec.array.cols) * spec.array.rows
    memory = spec.scratchpad if from_scratchpad else spec.accumulator
    places = max(1, memory.rows // height)
    commands: list[Command] = []
    for index in range(number):
        if test.startswith("config_st"):
            commands.append(Config("store"))
        commands.append(
            Mvout(
                target=Matrix(base + offset + _block_offset(row, index, cols * (4 if full else 1)), stride),
                rows=rows,
                cols=cols,
                memory="scratchpad" if from_scratchpad else "accumulator",
                row=index % places * height,
                element_bits=32 if full else 8,
                activation="relu" if "relu" in test else "none",
            )
        )
    return commands


def _chain(row: Row, spec: HardwareSpec, base: int) -> list[Command]:
    """Preload/compute pairs on operands already on chip."""
    test = row["test"]
    number = whole(row, "n_ops", 1)
    rows = whole(row, "rows", spec.array.rows)
    every = re.search(r"Bevery(\d+)", test)
    period = int(every.group(1)) if every else number + 1 if "sameB" in test else 1
    return pairs(number, rows, period, test, spec)


def pairs(number: int, rows: int, period: int, test: str, spec: HardwareSpec, bank: int = 0) -> list[Command]:
    """Commands of a chain: new weights every ``period`` pairs."""
    side = spec.array.rows
    same_bank = "samebank" in test
    stationary_outputs = test.startswith("os_")
    depth = 8 if "_K8" in test else side
    bank_rows = spec.scratchpad.rows_per_bank
    commands: list[Command] = []
    for index in range(number):
        new = index % period == 0 and "sameB" not in test
        weights_row = (bank if same_bank else bank + 1) * bank_rows + bank_rows // 2 + (index // period) % 8 * side
        to_scratchpad = "outspad" in test
        where = 0 if "sameC" in test else index % (spec.accumulator.rows_per_bank // side) * side
        commands.append(
            Preload(
                weights_row=weights_row if new or stationary_outputs else None,
                k=depth,
                n=side,
                result="scratchpad" if to_scratchpad else "accumulator",
                result_row=(3 * bank_rows if to_scratchpad else 0) + where,
                weights_transposed="Btransposed" in test,
            )
        )
        commands.append(
            Compute(
                inputs_row=bank * bank_rows + index % 8 * side,
                m=rows,
                k=depth,
                n=side,
                inputs_transposed="Atransposed" in test,
                output_stationary=stationary_outputs,
                last_of_output="accK" not in test or index == number - 1,
            )
        )
    return commands


def _readout(row: Row, spec: HardwareSpec, base: int) -> list[Command]:
    """Accumulator to memory of an M x N int8 result, plain or normalised."""
    m, n = whole(row, "M"), whole(row, "N")
    activation: Activation = "none"
    if row["test"].startswith("softmax"):
        activation = "softmax"
    elif row["test"].startswith("layernorm"):
        activation = "layernorm"
    side = spec.array.rows
    commands: list[Command] = []
    for row_at in range(0, m, side):
        rows = min(side, m - row_at)
        if activation != "none":
            commands.append(Mvout(Matrix(base + row_at * n, n), rows, n, "accumulator", 0, activation=activation))
            continue
        for col in range(0, n, 4 * side):
            cols = min(4 * side, n - col)
            commands.append(Mvout(Matrix(base + row_at * n + col, n), rows, cols, "accumulator", 0))
    return commands


def _mix(row: Row, spec: HardwareSpec, base: int) -> list[Command]:
    """Groups of commands of several kinds, one of each per group."""
    test = row["test"]
    kinds = MODIFIERS.sub("", test.removeprefix("mix_")).split("+")
    mixer = _Mixer(test, spec, base)
    for group in range(whole(row, "n_ops", 1)):
        for kind in kinds:
            mixer.add(kind, group)
    return mixer.commands


MODIFIERS = re.compile(r"_(newB|reuseB|Bevery\d+|Abank|sameaccbank|otheraccbank|precomp|dstbank\d|interleaved)")
KIND = re.compile(
    r"(?:(?P<count>\d+)x?)?"
    r"(?P<name>mvin_acc32|mvin16|mvin64|mvin|mvout_full32|mvout16|mvout64|mvout|pair|compute)"
    r"(?:x(?P<rows>\d+)rows?)?"
)


class _Mixer:
    """Collects the commands of a mixed stream; the bank names in the test's name say where they meet."""

    def __init__(self, test: str, spec: HardwareSpec, base: int) -> None:
        self.spec = spec
        self.commands: list[Command] = []
        self._next = base
        self._pairs = 0
        match = re.search(r"dstbank(\d)", test)
        self._load_bank = int(match.group(1)) if match else 0 if "Abank" in test else 2
        every = re.search(r"Bevery(\d+)", test)
        self._period = int(every.group(1)) if every else 10**9 if "reuseB" in test else 1
        self._store_bank = 0 if "sameaccbank" in test else 1
        self._accumulates = "accbank" in test
        if "compute" in test:
            self._inputs_bank, self._weights_bank = 1, 0
            self._period = 4 if "reuseB" in test else self._period
        else:
            self._inputs_bank, self._weights_bank = 0, 1

    def add(self, kind: str, group: int) -> None:
        """One kind of the group."""
        match = KIND.fullmatch(kind)
        if match is None:
            raise ValidationError(f"unknown command {kind!r} in a mixed stream")
        rows = int(match["rows"] or self.spec.array.rows)
        for _ in range(int(match["count"] or 1)):
            if match["name"] in ("pair", "compute"):
                self._pair()
            elif match["name"].startswith("mvin"):
                self._mvin(match["name"], rows, group)
            else:
                self._mvout(match["name"], rows, group)

    def _take(self, size: int) -> int:
        address, self._next = self._next, self._next + size
        return address

    def _mvin(self, name: str, rows: int, group: int) -> None:
        to_accumulator = name == "mvin_acc32"
        cols = 16 if name in ("mvin16", "mvin_acc32") else 64
        bits = 32 if to_accumulator else 8
        source = Matrix(self._take(rows * cols * bits // 8), cols * bits // 8)
        row = self._load_bank * self.spec.scratchpad.rows_per_bank + group % 4 * 64
        if to_accumulator:
            self.commands.append(Mvin(source, rows, cols, "accumulator", group % 4 * 16, bits))
        else:
            self.commands.append(Mvin(source, rows, cols, "scratchpad", row, bits))

    def _mvout(self, name: str, rows: int, group: int) -> None:
        full = name == "mvout_full32"
        cols = 16 if name in ("mvout16", "mvout_full32") else 64
        bits = 32 if full else 8
        bank_rows = self.spec.accumulator.rows_per_bank
        row = self._store_bank * bank_rows + bank_rows // 2 + group % 2 * 64
        target = Matrix(self._take(rows * cols * bits // 8), cols * bits // 8)
        self.commands.append(Mvout(target, rows, cols, "accumulator", row, bits))

    def _pair(self) -> None:
        bank_rows, side = self.spec.scratchpad.rows_per_bank, self.spec.array.rows
        new = self._pairs % self._period == 0
        weights = self._weights_bank * bank_rows + self._pairs // self._period % 8 * side
        where = self._pairs % 8 * side
        self._pairs += 1
        self.commands.append(
            Preload(weights if new else None, side, side, "accumulator", where, accumulate=self._accumulates)
        )
        self.commands.append(Compute(self._inputs_bank * bank_rows + where, side, side, side))


STREAMS: tuple[tuple[str, Callable[[Row, HardwareSpec, int], list[Command]]], ...] = (
    (r"mix_.*|mvin64\+4x?compute_.*|mvin\+mvout_interleaved", _mix),
    (r"mvin_(spad|acc32).*", _mvin),
    (r"(config_st\+)?mvout_(acc|spad|full32).*", _mvout),
    (r"(ws|os)_chain.*|preload_compute_ws.*", _chain),
    (r"(softmax|layernorm)_mvout(_precomp|_unrolled)?|plain_mvout", _readout),
)
"""Kinds of command streams and how they are built, first match."""
