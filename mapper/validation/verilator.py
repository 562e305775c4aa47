"""Rows measured in Verilator (``gemmini_rtl.csv``): each test becomes the program that was timed.

The measured programs ended in a fence; operands lie page-aligned one after the other. ``repeat`` and ``l2warm`` rows run on the caches that
the same program left; ``no_dram`` rows touch no memory. ``loop_ws_auto`` rows contain the library's software.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.validation.library import Product, Tiling, auto_tiling, library_call, tiled
from mapper.validation.rows import ValidationError, whole
from simulator.machine import count, simulate
from simulator.memory.traffic import MemoryState
from simulator.program import (
    Activation,
    Command,
    Compute,
    Config,
    Fence,
    HostTask,
    Item,
    Matrix,
    Mvin,
    Mvout,
    Preload,
    Program,
)

Row = dict[str, str]

COLUMNS = ("gemmini_config", "test", "M", "N", "K", "tile_i", "tile_j", "tile_k", "n_ops", "rows", "cols")
REQUIRED = (*COLUMNS, "stride_bytes", "state", "dram_latency", "cycles")

BASE = 0x8000_0000
PAGE = 4096
"""Where the first operand lies, and the alignment of the others."""

MACHINES: dict[str, tuple[str, dict[str, object]]] = {
    "default_16x16_sp256K_acc64K": ("gemmini", {}),
    "chip_16x16_sp64K_acc32K": ("gemmini_chip", {}),
    "default_16x16_sp256K_acc64K+norm_timing_model": ("gemmini_ibert", {"accumulator.capacity": "64 KiB"}),
}


class NotModelled(ValidationError):
    """A row of a kind that is listed, not run."""


@lru_cache(maxsize=64)
def machine(config: str, latency: int) -> HardwareSpec:
    """The machine of a row."""
    if config not in MACHINES:
        raise ValidationError(f"gemmini_config {config!r} unknown; known: {', '.join(MACHINES)}")
    name, changes = MACHINES[config]
    return hwconfigs.load(name, {**changes, "dram.latency_cycles": latency})


def simulated_cycles(row: Row) -> int:
    """Cycles of the program that a row measured.

    Raises
    ------
    NotModelled
        When rows of this kind are only listed.
    ValidationError
        When the row makes no sense.
    """
    spec = machine(row["gemmini_config"], whole(row, "dram_latency"))
    program = program_of(row, spec)
    memory = MemoryState(spec)
    if row["state"] in ("repeat", "l2warm"):
        count(program, spec, memory)
        count(program, spec, memory)
    return simulate(program, spec, memory=memory).cycles


def program_of(row: Row, spec: HardwareSpec) -> Program:
    """The timed program of a row."""
    test = row["test"]
    for pattern, build in BUILDERS:
        if re.fullmatch(pattern, test):
            return build(row, spec)
    raise NotModelled(f"test {test!r} is not modelled")


@dataclass(frozen=True, slots=True)
class _Suffixes:
    """What the suffixes of a product's name say."""

    b_transposed: bool
    c_full: bool
    bias: str
    activation: Activation
    strides: dict[str, int]


def _suffixes(test: str) -> _Suffixes:
    activation: Activation = "none"
    for name in ("relu", "softmax", "layernorm"):
        if f"_{name}" in test:
            activation = name  # type: ignore[assignment]
    return _Suffixes(
        b_transposed="_Btransposed" in test,
        c_full="_fullC32" in test,
        bias="matrix" if "_bias32" in test else "row" if "_rowbias" in test else "",
        activation=activation,
        strides={key: int(value) for key, value in re.findall(r"_s([ABC])(\d+)", test)},
    )


def _page(size: int) -> int:
    return -(-size // PAGE) * PAGE


def product_of(row: Row, base: int = BASE) -> Product:
    """Operands of a product row, page-aligned one after the other: A, B, D, C."""
    m, n, k = (whole(row, column) for column in "MNK")
    suffix = _suffixes(row["test"])
    stride_a = suffix.strides.get("A", k)
    stride_b = suffix.strides.get("B", k if suffix.b_transposed else n)
    element = 4 if suffix.c_full else 1
    stride_c = suffix.strides.get("C", n) * element
    a = base
    b = a + _page(m * stride_a)
    d = b + _page((n if suffix.b_transposed else k) * stride_b)
    c = d + (_page(m * n * 4) if suffix.bias else 0)
    bias = Matrix(d, 0 if suffix.bias == "row" else n * 4) if suffix.bias else None
    return Product(
        m, k, n, Matrix(a, stride_a), Matrix(b, stride_b), Matrix(c, stride_c), bias, suffix.b_transposed,
        suffix.c_full, suffix.activation,
    )  # fmt: skip


def _product(row: Row, spec: HardwareSpec) -> Program:
    product = product_of(row)
    test = row["test"]
    searched = auto_tiling(
        product.m, product.k, product.n, spec, whole_rows=product.activation in ("softmax", "layernorm")
    )
    given = searched
    if row["tile_i"]:
        given = Tiling(*(whole(row, column) for column in ("tile_i", "tile_j", "tile_k")))
    if test.startswith("loop_ws_single"):
        loop = replace(tiled(product, given, spec)[0], whole_memory=True)
        return Program(test, (loop, Fence()))
    return library_call(product, given, spec, software_cycles(row, searched, spec))


def software_cycles(row: Row, searched: Tiling, spec: HardwareSpec) -> int:
    """Core cycles inside the measured time before the first hardware loop."""
    host = spec.host
    if row["test"].startswith("loop_ws_tile") or not host.search_round_cycles:
        return round(host.call_cycles)
    return round(host.call_cycles + host.search_round_cycles * searched.rounds)


def _fenced(commands: list[Command], name: str) -> Program:
    items: list[Item] = [*commands, Fence()]
    return Program(name, tuple(items))


def _mvin(row: Row, spec: HardwareSpec) -> Program:
    test, number = row["test"], whole(row, "n_ops", 1)
    rows, cols = whole(row, "rows"), whole(row, "cols")
    to_accumulator = "acc32" in test
    stride = 0 if "stride0" in test else whole(row, "stride_bytes")
    element = 4 if to_accumulator else 1
    offset = whole(row, "offset_bytes", 0)
    height = -(-cols // spec.array.cols) * spec.array.rows
    memory = spec.accumulator if to_accumulator else spec.scratchpad
    places = max(1, memory.rows // height)
    return _fenced(
        [
            Mvin(
                source=Matrix(BASE + offset + index * rows * stride, stride),
                rows=rows,
                cols=cols,
                memory="accumulator" if to_accumulator else "scratchpad",
                row=index % places * height,
                element_bits=8 * element,
                accumulate="accumulate" in test,
                scaled="scale0.5" in test,
            )
            for index in range(number)
        ],
        test,
    )


def _mvout(row: Row, spec: HardwareSpec) -> Program:
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
                target=Matrix(BASE + offset + index * rows * stride, stride),
                rows=rows,
                cols=cols,
                memory="scratchpad" if from_scratchpad else "accumulator",
                row=index % places * height,
                element_bits=32 if full else 8,
                activation="relu" if "relu" in test else "none",
            )
        )
    return _fenced(commands, test)


def _chain(row: Row, spec: HardwareSpec) -> Program:
    """Preload/compute pairs on operands already on chip."""
    test = row["test"]
    number = whole(row, "n_ops", 1)
    rows = whole(row, "rows", spec.array.rows)
    every = re.search(r"Bevery(\d+)", test)
    period = int(every.group(1)) if every else number + 1 if "sameB" in test else 1
    return _fenced(pairs(number, rows, period, test, spec), test)


def pairs(number: int, rows: int, period: int, test: str, spec: HardwareSpec, bank: int = 0) -> list[Command]:
    """Commands of a chain: new weights every ``period`` pairs."""
    dim = spec.array.rows
    same_bank = "samebank" in test
    stationary_outputs = test.startswith("os_")
    depth = 8 if "_K8" in test else dim
    bank_rows = spec.scratchpad.rows_per_bank
    commands: list[Command] = []
    for index in range(number):
        new = index % period == 0
        weights_row = (bank if same_bank else bank + 1) * bank_rows + bank_rows // 2 + (index // period) % 8 * dim
        to_scratchpad = "outspad" in test
        where = 0 if "sameC" in test else index % (spec.accumulator.rows_per_bank // dim) * dim
        commands.append(
            Preload(
                weights_row=weights_row if new or stationary_outputs else None,
                k=depth,
                n=dim,
                result="scratchpad" if to_scratchpad else "accumulator",
                result_row=(3 * bank_rows if to_scratchpad else 0) + where,
                weights_transposed="Btransposed" in test,
            )
        )
        commands.append(
            Compute(
                inputs_row=bank * bank_rows + index % 8 * dim,
                m=rows,
                k=depth,
                n=dim,
                inputs_transposed="Atransposed" in test,
                output_stationary=stationary_outputs,
                last_of_output="accK" not in test or index == number - 1,
            )
        )
    return commands


def _residual(row: Row, spec: HardwareSpec) -> Program:
    """Residual addition: per tile A into the accumulator, B added to it, the sum out."""
    m, n = whole(row, "M"), whole(row, "N")
    a, b = BASE, BASE + _page(m * n)
    c = b + _page(m * n)
    commands: list[Command] = []
    dim, wide = spec.array.rows, spec.dma.max_request_bytes
    places = spec.accumulator.rows // (4 * dim)
    tile = 0
    for row_at in range(0, m, dim):
        for col in range(0, n, wide):
            rows, cols = min(dim, m - row_at), min(wide, n - col)
            where, at = tile % places * 4 * dim, row_at * n + col
            commands += [
                Mvin(Matrix(a + at, n), rows, cols, "accumulator", where, 8),
                Mvin(Matrix(b + at, n), rows, cols, "accumulator", where, 8, accumulate=True),
                Mvout(Matrix(c + at, n), rows, cols, "accumulator", where),
            ]
            tile += 1
    return Program("resadd", (HostTask("library call", round(spec.host.call_cycles)), *commands, Fence()))


def _readout(row: Row, spec: HardwareSpec) -> Program:
    """Accumulator to memory of an M x N int8 result, plain or normalised."""
    m, n = whole(row, "M"), whole(row, "N")
    activation: Activation = "none"
    for name in ("softmax", "layernorm"):
        if row["test"].startswith(name):
            activation = name  # type: ignore[assignment]
    dim = spec.array.rows
    commands: list[Command] = []
    for row_at in range(0, m, dim):
        rows = min(dim, m - row_at)
        if activation != "none":
            commands.append(Mvout(Matrix(BASE + row_at * n, n), rows, n, "accumulator", 0, activation=activation))
            continue
        for col in range(0, n, 4 * dim):
            cols = min(4 * dim, n - col)
            commands.append(Mvout(Matrix(BASE + row_at * n + col, n), rows, cols, "accumulator", 0))
    return _fenced(commands, row["test"])


BUILDERS: tuple[tuple[str, Callable[[Row, HardwareSpec], Program]], ...] = (
    (r"loop_ws_(auto|single|tile).*", _product),
    (r"mvin_(spad|acc32).*", _mvin),
    (r"(config_st\+)?mvout_(acc|spad|full32).*", _mvout),
    (r"(ws|os)_chain.*|preload_compute_ws.*", _chain),
    (r"resadd_auto.*", _residual),
    (r"(softmax|layernorm|plain)_mvout", _readout),
)
"""Kinds of rows and how their programs are built, first match."""
