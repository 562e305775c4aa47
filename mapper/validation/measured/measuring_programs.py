"""The programs that took the Verilator rows: where each begins, what it finds in the L2, what its core does meanwhile.

None of this belongs to the machine, but all of it is in the measured cycles. How the rows came to be:

    first series     bare-metal programs with single commands, chains and products; their rows are all in the file
    second series    adds tiles, slices, sequences of products and mixed streams; every program first runs two small
                     products, and only every other row is published

A row does not name its program or its series. `in_second_series` infers the series from what only one of the two
measured; rows that turn out to make no sense are *untrusted* and must not decide it. `new_program` infers from the
kinds of neighbouring rows where a program ends, and `fill_at_start` says how full the L2 is when the next one begins.
A product or stream of the second series has an *unpublished twin*: a run like it, kept aside from the file, whose lines
are in the caches of the rows behind it. Single commands of the second series ran in a program of their own between
streams, whose memory is set aside and taken up again; so did streams of prepared commands, which stand before the
others for one machine and behind them for another. `mapper.validation.measured.session` replays all of this.

Constants are core cycles, fitted to repeated rows, where they stand out alone.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import groupby

import hwconfigs
from hwconfigs import HardwareSpec
from mapper.validation.measured.command_streams import MATRIX_STRIDE
from mapper.validation.measured.programs import CallCost
from mapper.validation.measured.rows import whole
from simulator.program import HostTask, Program

Row = dict[str, str]

KINDS = (
    (r"loop_ws_single", "one loop"),
    (r"seq_", "sequence"),
    (r"resadd_", "residual"),
    (r"loop_ws_tile", "tile"),
    (r"loop_ws_auto\w*_(bias32|rowbias|relu|fullC32|Btransposed)", "variant"),
    (r"loop_ws_auto", "product"),
    (r"cpu_explicit|precomp_|os_auto", "core"),
)
"""Kinds of rows, first match; the others are command streams."""

STREAM, SINGLE, PREPARED = "stream", "single command", "prepared stream"

NEXT_PROGRAM = {("product", "one loop"), ("variant", "product")}
"""Kinds whose succession in the first series means another program: 16^3 and 64^3 are cold again there."""

FIRST_SERIES_FILL, FULL_FILL, RESIDUAL_FILL, SECOND_SERIES_FILL = 0.0, 0.9, 0.1, 0.25
"""Lines of the L2 in use when a program begins: none in the first series; in the second, most in the first program of
a machine and after its residual additions, a tenth before these, a quarter in the others (fitted to their first cold
rows, which come after unseen ones)."""

STREAM_FILL = 0.2
"""The same for streams of the second series, whatever was measured before them (fitted). Four quoted chains of loads
that share their lines ask for 0 to 0.1, the 22 published cold streams of both machines for 0.3 to 0.4: at 0.2 the first
are 1.8 to 11.9 % too slow and the others as close as with a value per machine, 0.6 and 0.25. With 0.9 the quoted ones
are 17 to 30 % too slow: every line evicts another."""

BEHIND_SEQUENCES_FILL = {"gemmini": 0.6, "gemmini_chip": SECOND_SERIES_FILL, "hybrid": FULL_FILL}
"""The same for products behind sequences of products (fitted: four cold rows, seven, and five)."""

REFERENCE_LATENCY = 40
"""DRAM latency of nearly all rows [cycles]."""
OTHER_LATENCY_FILL = {"gemmini": SECOND_SERIES_FILL, "gemmini_chip": FULL_FILL, "hybrid": SECOND_SERIES_FILL}
"""Second series, first rows at another latency. Few rows of each kind were taken there, residual additions behind
products that had filled the L2 (fitted: two of these, and three rows of the second SoC)."""

SINGLE_FILL = {"gemmini": (0.5, 0.03), "gemmini_chip": (0.75, 0.04), "hybrid": (0.5, 0.03)}
"""Single commands of the second series: lines in use, and the part of them that is dirty, per machine (fitted to 14
rows: their cold lines evict less often than those of the chains before them, so they ran in a program of their own).
"""

PACKED_STRIDE = 64
"""Row stride of the packed matrices that chains of the second series were timed on beside slices of wide ones. [bytes]
"""

SECOND_SERIES_TESTS = r"^mix_|^seq_|Bevery|chain\w*_precomp$|_s[ABC]\d|^loop_ws\w*_(softmax|layernorm)"
"""Tests of the second series only."""


def names_slots(row: Row) -> bool:
    """Whether a row's ``rows`` are statistics slots: of a read-out by the core."""
    return bool(re.match(r"(softmax|layernorm)_mvout", row["test"]))


def kind_of(row: Row) -> str:
    """What a row measures."""
    kind = next((kind for pattern, kind in KINDS if re.match(pattern, row["test"])), STREAM)
    if kind != STREAM or not row.get("offset_bytes"):
        return kind
    return SINGLE if row["n_ops"] == "1" else PREPARED if row["test"].endswith("_precomp") else STREAM


def has_unpublished_twin(row: Row) -> bool:
    """Whether a row of the second series stands for two: of its products and streams, every other one is published."""
    return row["test"].startswith("loop_ws") or kind_of(row) in (STREAM, SINGLE, PREPARED)


def twin(row: Row) -> Row:
    """The unpublished twin of a row: like it, but of a stream of a wide matrix the same one of a packed matrix.

    Seen of two chains of 48 x (16 x 64): with a stride of 768 bytes they are published, with one of 64 bytes quoted.
    """
    wide = kind_of(row) == STREAM and whole(row, "stride_bytes", 0) >= MATRIX_STRIDE
    return {**row, "stride_bytes": str(PACKED_STRIDE)} if wide else row


def in_second_series(rows: Sequence[Row], untrusted: Container[int] = ()) -> list[bool]:
    """Return for each row whether it belongs to the second series.

    Only rows of the second series have offsets, groups and streams of prepared commands; only those of the first are
    plain streams. A library call may belong to either. It is taken with the next decisive row of its machine, because
    programs of the second series begin with such calls, else with the one before it; where no row is decisive, with the
    second series.

    Parameters
    ----------
    rows
        Rows of one file, in their order.
    untrusted
        Positions of rows that must not decide, because they cannot be run.
    """
    flags: list[bool] = []
    for _, rows_of_machine in groupby(rows, key=lambda row: row["gemmini_config"]):
        start, block = len(flags), list(rows_of_machine)
        decided = [None if start + index in untrusted else _decides(row) for index, row in enumerate(block)]
        # From the last row to the first: an undecided one follows the row behind it.
        current = next((series for series in reversed(decided) if series is not None), True)
        backwards: list[bool] = []
        for series in reversed(decided):
            current = current if series is None else series
            backwards.append(current)
        flags.extend(reversed(backwards))
    return flags


def _decides(row: Row) -> bool | None:
    """Whether a row belongs to the second series; None if rows of both look like it."""
    if row.get("program"):
        return False
    if row.get("offset_bytes") or row.get("group") or re.search(SECOND_SERIES_TESTS, row["test"]):
        return True
    return False if kind_of(row) == STREAM or "nocounters" in row["test"] else None


def new_program(before: str, now: str, second_series: bool) -> bool:
    """Whether rows of kind ``now`` after rows of kind ``before`` come from another program."""
    if not before or before == now:
        return False
    if second_series:
        return bool({STREAM, SINGLE, PREPARED, "sequence", "residual"} & {before, now})
    return (before, now) in NEXT_PROGRAM


def fill_at_start(machine: str, second_series: bool, before: str, now: str, latency: int) -> tuple[float, float]:
    """Fraction of the L2 in use when a program begins, and dirty part of it.

    ``before`` is the kind of the rows before it, of this machine.
    """
    if not second_series:
        return FIRST_SERIES_FILL, 0.0
    if now == SINGLE:
        return SINGLE_FILL[machine]
    if now in (STREAM, PREPARED):
        return STREAM_FILL, 0.0
    elsewhere = latency != REFERENCE_LATENCY
    if now == "residual":
        return (FULL_FILL if elsewhere else RESIDUAL_FILL), 0.0
    if before in ("", "residual"):
        return FULL_FILL, 0.0
    if elsewhere:
        return OTHER_LATENCY_FILL[machine], 0.0
    return (BEHIND_SEQUENCES_FILL[machine] if before == "sequence" else SECOND_SERIES_FILL), 0.0


SECOND_SOC_LOOP = 80
"""Core cycles that the second SoC takes longer around its loops than the notes say, for library calls and bare hardware
loops alike (fitted to the repeated rows)."""
CALLS: dict[str, tuple[CallCost, CallCost]] = {
    "gemmini": (CallCost(330, 270, 46), CallCost(485, 555, 36)),
    "gemmini_chip": (
        CallCost(900 + SECOND_SOC_LOOP, 900 + SECOND_SOC_LOOP, 0),
        CallCost(1640 + SECOND_SOC_LOOP, 1640 + SECOND_SOC_LOOP, 0),
    ),
    "hybrid": (CallCost(330, 270, 46), CallCost(485, 555, 36)),
    "normaliser": (CallCost(470, 455, 46), CallCost(470, 455, 46)),
}
"""Core cycles of a library call before its first hardware loop, in both series. The notes found 270 + 46 per round of
the search, 330 with a given tile, 900 on the second SoC; in the second series about 475, 545 and 1650."""

OTHER_CALL_SITE = 245
"""First series: products with bias, ReLU, int32 output or transposed B are called from elsewhere (fitted)."""
NORMALISED_CALL = {"hybrid": (280, 280), "normaliser": (115, -45)}
"""Calls with softmax, and with LayerNorm: core cycles beyond those of a plain one, for constants of the unit and other
paths through the library (fitted to repeated fused rows of one and two loops)."""
RESIDUAL: dict[str, tuple[CallCost, CallCost]] = {
    "gemmini": (CallCost(100, 0, 19), CallCost(270, 0, 19)),
    "gemmini_chip": (CallCost(270, 0, 5.5), CallCost(270, 0, 5.5)),
    "hybrid": (CallCost(100, 0, 19), CallCost(270, 0, 19)),
    "normaliser": (CallCost(270, 0, 19), CallCost(270, 0, 19)),
}
"""Residual additions: core cycles of a call, and per step of its tile search (fitted to repeated rows). The 270 of the
second series lie between the 130 that two quoted rows of 1x768 ask for, within 1.1 %, and the 470 of the repeated
64x256: what makes that one 20 cycles slower per 16 rows of 64 elements is not known."""
WITHOUT_COUNTERS = CallCost(120, 120, 0)
"""``nocounters`` products are called without the code around them (fitted)."""
ONE_LOOP = {"gemmini": 14, "gemmini_chip": 20 + SECOND_SOC_LOOP, "hybrid": 14, "normaliser": 14}
"""Core cycles before a bare hardware loop (measured: 192 for one block, 178 of them the loop; second SoC: fitted)."""


def call_cost(row: Row, machine: str, second_series: bool) -> CallCost:
    """Core cycles around the library call of a row."""
    cost = CALLS[machine][second_series]
    if "nocounters" in row["test"]:
        return WITHOUT_COUNTERS
    if kind_of(row) == "residual":
        return RESIDUAL[machine][second_series]
    if kind_of(row) == "one loop":
        return CallCost(ONE_LOOP[machine], 0, 0)
    if re.search("softmax|layernorm", row["test"]):
        extra = NORMALISED_CALL[machine]["layernorm" in row["test"]]
        return CallCost(cost.given_tile + extra, cost.searched + extra, cost.per_round)
    if not second_series and kind_of(row) == "variant":
        return CallCost(cost.given_tile + OTHER_CALL_SITE, cost.searched + OTHER_CALL_SITE, cost.per_round)
    return cost


COMMAND_CYCLES: dict[str, tuple[tuple[str, float], ...]] = {
    "gemmini": (
        ("precomp", 4.0),
        ("chain_accK|chain64|_Atransposed|_outspad|_sameC|_withD", 4.0),
        ("_sameB", 6.0),
        ("resadd", 18.0),
        ("^mvout_acc_1row_chain$", 11.0),
        ("^mvout_spad_chain$", 10.0),
    ),
    "gemmini_chip": (("precomp", 3.0), ("_sameB", 8.5), ("resadd", 1.0), ("^mvout_spad_chain$", 14.0)),
    "hybrid": (),
    "normaliser": (("^mvout_acc_1row", 2.3), ("_mvout_precomp", 6.0)),
}
"""Issue cost of a command where the C loop is not that of the machine file: "a few core instructions" with operands
computed beforehand; fewer address computations when an operand stays the same, more in loops over short mvouts, which
the store controller takes as fast as they come (fitted to the chains)."""

READOUT_LOOP = {"hybrid": (9.9, 0.0), "normaliser": (7.0, 19.0)}
"""Read-outs by a plain C loop: issue cost of an mvout, and of the configuration command and the loop around each pass
of a row (measured; the hybrid's program issued no configuration)."""
MVOUT_COLUMNS = 64
"""Columns of a row that one mvout reads."""

PREPARED_BYTES = 16
"""Operands of one prepared command in the core's memory: two registers."""

DATA_CACHE_BYTES = {"gemmini": 16 << 10, "gemmini_chip": 4 << 10, "hybrid": 16 << 10, "normaliser": 16 << 10}
"""Data cache of the cores: prepared streams that do not fit fetch their operands from the L2."""

SETUP: dict[str, tuple[tuple[str, int, int], ...]] = {
    "gemmini": (
        (r"mvin.*_1row|mvin.*_scale|mvin.*acc32.*chain", 4, 0),
        (r"mvin.*_chain", 7, 8),
        (r"mvout.*_1row|mvout.*relu", 7, 5),
        (r"mvout.*_chain|mvin.mvout", 13, 5),
        (r"mvin_spad|mvin16", 0, 7),
        (r"mvout", 0, 5),
    ),
    "gemmini_chip": ((r"mvin_acc", 3, 0), (r"mvin.*_chain", 5, 5), (r"mvin_spad", 0, 5)),
    "hybrid": ((r"plain", 20, 20),),
    "normaliser": ((r"plain", 28, 28), (r"mvout_acc_1row", 7, 7)),
}
"""Core cycles between the start of the clock and the first command of a stream, in both series (measured on l2warm
streams, which carry them as a constant)."""


def core_pace(row: Row, machine: str) -> dict[str, object]:
    """The change of the machine that makes its core issue at the pace of the row's program."""
    if names_slots(row) and "precomp" not in row["test"]:
        mvout, around = READOUT_LOOP[machine]
        mvouts = -(-whole(row, "N") // MVOUT_COLUMNS)
        return {"host.command_cycles": (mvout * mvouts + around) / (mvouts + 1)}
    for pattern, cycles in COMMAND_CYCLES[machine]:
        if re.search(pattern, row["test"]):
            return {"host.command_cycles": cycles}
    return {}


def paced(spec: HardwareSpec, row: Row, machine: str, commands: int) -> HardwareSpec:
    """The machine, with its core slowed down when a prepared stream overflows the data cache."""
    if "precomp" not in row["test"] or commands * PREPARED_BYTES <= DATA_CACHE_BYTES[machine]:
        return spec
    line = spec.line_bytes
    cycles = spec.host.command_cycles + spec.host.line_cycles * PREPARED_BYTES / line
    return hwconfigs.override(spec, {"host.command_cycles": cycles})


def after_setup(program: Program, row: Row, machine: str, second_series: bool) -> Program:
    """A stream behind the core's work before its first command."""
    for pattern, early, late in SETUP[machine]:
        if re.match(pattern, row["test"]):
            cycles = late if second_series else early
            return replace(program, items=(HostTask("stream", cycles), *program.items)) if cycles else program
    return program
