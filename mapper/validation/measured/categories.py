"""Which gate a measured row counts for, and which rows are listed only.

The core dominates command streams it issues itself, and some first rows of a program: its instruction cache is cold
there. The project's notes on the RTL measurements name these rows; they are told apart here by what they are and where
they stand in the file, never by their error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from hwconfigs.vector_unit import VERSIONS
from mapper.validation.measured import normaliser_rows
from mapper.validation.measured.measuring_programs import REFERENCE_LATENCY, in_second_series

Row = dict[str, str]

COMMANDS, PRODUCTS, HYBRID, CHIP_COMMANDS, CHIP_PRODUCTS = (
    "single commands and chains",
    "products",
    "hybrid normalisation (not gated)",
    "second SoC: commands and chains",
    "second SoC: products",
)
FUSED_WARM, FUSED_COLD, SOC_STORES, SOC_OTHERS = (
    "normaliser in the SoC: fused, warm",
    "normaliser in the SoC: fused, cold",
    "normaliser in the SoC: one-row stores",
    "normaliser in the SoC: others (not gated)",
)
UNIT_ALONE = "normaliser, unit alone (not gated)"
COLD_CORE = "cold instruction cache (not gated)"
FIRESIM = "FireSim matmul"
MESH = "array micro-benchmarks"


def normaliser(version: str, kernel: str) -> str:
    """Category of the read-outs and stores of one kernel on one version of the normaliser."""
    return f"normaliser {version}: {kernel}"


NORMALISER = tuple(normaliser(version, kernel) for version in VERSIONS for kernel in normaliser_rows.KERNELS)
CATEGORIES = (
    COMMANDS, PRODUCTS, HYBRID, CHIP_COMMANDS, CHIP_PRODUCTS, FUSED_WARM, FUSED_COLD, SOC_STORES, SOC_OTHERS,
    COLD_CORE, *NORMALISER, UNIT_ALONE, FIRESIM, MESH,
)  # fmt: skip
"""In the order of the scoreboard."""
MANY_LOOPS = 5
"""Hardware loops from which on a fused product shows the pace of its loops."""

PRODUCT = re.compile(
    r"(loop_ws_(single|auto|tile)|seq_part|seq_total)"
    r"(_(Btransposed|bias32|rowbias|relu|fullC32|nocounters|softmax|layernorm|s[ABC]\d+))*"
)
OTHER_CALL = re.compile(r"resadd_auto(_relu)?")
NOT_RUN = (
    (re.compile(r"cpu_explicit_\w+|precomp_(db|nodb|nodb_fence)"), "issued command by command by the core, not gated"),
    (re.compile(r"os_auto"), "output-stationary library mode, issued command by command by the core, not gated"),
    (re.compile(r"fence_empty|config_ld"), "the core alone: no command reaches a unit"),
)
"""Known tests that are listed, and why."""
CALL = re.compile(r"(loop_ws|seq|resadd)_")

BLOCK = 16
"""Rows of a block of the measured arrays."""
LONG_SIDE = 768
"""Smallest inner and output width of BERT-Base's products [elements]; smaller ones are not a model's layers."""
DECODE_SIDE = 256
"""The same for products of one row."""
SHORT_FIRST = 64
"""Largest side of a program's first product that its own instruction fetches can dominate [elements]."""

OWN_CODE = ("mvin_acc32", "mvin_spad_chain", "preload_compute_ws", "preload_compute_ws_rows")
"""Commands whose first row in a program ran code of the core for the first time: the mvin that the notes name, and
those whose first row takes as much more (13 to 29 cycles at a DRAM latency of 1, 53 to 67 at 40). First rows of other
kinds shared code that had run before."""


def why_not_run(test: str) -> str:
    """Reason for listing a known test; empty for others."""
    return next((reason for pattern, reason in NOT_RUN if pattern.fullmatch(test)), "")


def is_known_call(test: str) -> bool:
    """Whether a library call's name has only suffixes that mean something here."""
    return not CALL.match(test) or bool(PRODUCT.fullmatch(test) or OTHER_CALL.fullmatch(test))


def category(row: Row) -> str:
    """Category of a Verilator row."""
    config, call = row["gemmini_config"], bool(CALL.match(row["test"]))
    if config.startswith("chip_"):
        return CHIP_PRODUCTS if call else CHIP_COMMANDS
    if "norm_timing_model" in config:
        return HYBRID
    if "real_normalizer" in config:
        return _of_the_soc(row)
    return PRODUCTS if call else COMMANDS


def _of_the_soc(row: Row) -> str:
    """Category of a row of the SoC with the normaliser."""
    test = row["test"]
    if test.startswith("mvout_acc_1row"):
        return SOC_STORES
    fused = test.startswith("loop_ws") and re.search("softmax|layernorm", test)
    if not fused and not test.startswith("seq_"):
        return SOC_OTHERS
    return FUSED_COLD if row["state"] == "cold" else FUSED_WARM


def has_many_loops(row: Row) -> bool:
    """Whether a product is one of many hardware loops."""
    sizes = [(row["M"], row["tile_i"]), (row["N"], row["tile_j"]), (row["K"], row["tile_k"])]
    if not all(size and tile for size, tile in sizes):
        return False
    loops = [-(-int(size) // (BLOCK * int(tile))) for size, tile in sizes]
    return math.prod(loops) >= MANY_LOOPS


def is_model_shape(row: Row) -> bool:
    """BERT and decode shapes: the products that must be within 6 % each."""
    try:
        m, n, k = (int(row[column]) for column in "MNK")
    except ValueError:
        return False
    side = min(n, k)
    return side >= LONG_SIDE or (m == 1 and side >= DECODE_SIDE)


def cold_core_rows(rows: Sequence[Row]) -> frozenset[int]:
    """Positions of rows that a cold instruction cache of the core dominates.

    The notes name ten products of the first series, in which a machine's rows stand together for the first time: the
    first library call of each program, if it is short (it follows something else in the file, or another machine or
    latency), and the smallest cold ones. They name one mvin, the first into the accumulator; the first load chain and
    the first preload/compute pairs of a program are slower alike: see ``OWN_CODE``. The second series ran two products
    before each program's first row, which does not help code that they did not run: at other latencies, where few rows
    were taken, a short first call counts as cold (quoted: 16x25x6 at 100 cycles took 600 more than its commands).
    """
    cold: set[int] = set()
    tests_before: set[tuple[str, ...]] = set()
    before: Row | None = None
    for index, (row, second_series) in enumerate(zip(rows, in_second_series(rows), strict=True)):
        if row.get("program"):
            # These programs ran three small products first, one of them fused.
            continue
        test, program = row["test"], _program(row)
        if test.startswith("loop_ws_auto") and row["state"] != "repeat":
            if (_cold_behind_products if second_series else _cold_call)(row, before):
                cold.add(index)
        elif not second_series and _runs_own_code(row) and (*program, test) not in tests_before:
            cold.add(index)
        tests_before.add((*program, test))
        before = row
    return frozenset(cold)


def _program(row: Row) -> tuple[str, str]:
    return row["gemmini_config"], row["dram_latency"]


def _runs_own_code(row: Row) -> bool:
    """Whether this command runs code of the core that the rows of other kinds did not."""
    return row["test"] in OWN_CODE and row["n_ops"] == "1" and row["state"] != "l2warm"


def _cold_call(row: Row, before: Row | None) -> bool:
    """Whether the first series made this library call on a cold core."""
    first = before is None or _program(before) != _program(row) or before["test"] != row["test"]
    smallest = 32 if row["gemmini_config"].startswith("chip_") else 16
    return _largest(row) <= smallest or (first and _largest(row) <= SHORT_FIRST)


def _cold_behind_products(row: Row, before: Row | None) -> bool:
    """Whether the second series did, behind the two products that its programs ran first."""
    first = before is None or _program(before) != _program(row)
    return first and row["dram_latency"] != str(REFERENCE_LATENCY) and _largest(row) <= SHORT_FIRST


def _largest(row: Row) -> float:
    try:
        return max(int(row[column]) for column in "MNK")
    except ValueError:
        return math.inf
