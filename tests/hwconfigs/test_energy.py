"""Energy tables: complete and ordered for every machine, and the worked figures they were built from."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import hwconfigs
from hwconfigs import EnergyModel, SpecError
from hwconfigs.kernels import KERNELS, UNIT_KERNELS
from hwconfigs.sram_energy import SramPoint, SramSeries, access_pj

TABLES = hwconfigs.available_energy()
MACHINES = hwconfigs.available()
ACTIONS = {
    ("array", "mac"),
    ("array", "weight_load"),
    *itertools.product(("scratchpad", "accumulator"), ("read_row", "write_row")),
    *itertools.product(("l2",), ("read", "write", "fill")),
    *itertools.product(("llc",), ("read", "fill")),
    *itertools.product(("dma",), ("read_beat", "write_beat")),
    *itertools.product(("dram",), ("read_byte", "write_byte")),
    *itertools.product(("vector",), (*UNIT_KERNELS, "requantise")),
    ("host", "cycle"),
}
TAGS = ("[run]", "[file]", "[quoted]", "[recalled]", "[derived]", "[chosen]")


MOVES = {("vector", kernel.name) for kernel in KERNELS if kernel.operations == (0, 0)}
"""Actions of kernels that compute nothing."""


def model(table: str, machine: str, **changes: object) -> EnergyModel:
    overrides = {path.replace("__", "."): value for path, value in changes.items()}
    return hwconfigs.load_energy(table).bind(hwconfigs.load(machine, overrides))


@pytest.mark.parametrize(("table", "machine"), list(itertools.product(TABLES, MACHINES)))
def test_conformance(table: str, machine: str) -> None:
    bound = model(table, machine)
    spec = hwconfigs.load(machine)
    assert set(bound.pj) == set(bound.source) == ACTIONS
    absent = {name for name in ("l2", "llc") if getattr(spec, name) is None}
    for (unit, action), energy in bound.pj.items():
        if unit in absent:
            assert energy == 0.0
        elif (unit, action) in MOVES:
            assert energy == 0.0, "what is moved is priced where it moves"
        elif table != "flat_peers":
            assert energy > 0.0, (unit, action)
        assert unit in absent or any(tag in bound.source[unit, action] for tag in TAGS)
    register = bound.pj["array", "weight_load"] / (spec.array.rows + 1) * 2
    for memory in ("scratchpad", "accumulator"):
        per_byte = bound.pj[memory, "read_row"] / getattr(spec, memory).row_bytes
        assert bound.pj["dram", "read_byte"] > per_byte
        if table != "flat_peers":
            assert per_byte > register * 0.5
    if table != "flat_peers":
        assert bound.pj["scratchpad", "read_row"] / spec.scratchpad.row_bytes > register


def test_worked_example_at_22_nm() -> None:
    """512 x 768 x 768 int8 on 16x16, compulsory DRAM traffic, LPDDR4.

    MACs 512*768*768 = 301,989,888; A rows 512*48*48 = 1,179,648, and as many accumulator reads and writes;
    DRAM 512*768 + 768*768 + 512*768 = 1,376,256 bytes. MAC 59.3 + registers 80.6, scratchpad 22.6, accumulator 58.7,
    DRAM 88.1, sum 309 uJ.
    """
    pj = model("cacti_22nm", "gemmini").pj
    rows = 512 * 48 * 48
    parts_uj = [
        512 * 768 * 768 * pj["array", "mac"] / 1e6,
        rows * pj["scratchpad", "read_row"] / 1e6,
        rows * (pj["accumulator", "read_row"] + pj["accumulator", "write_row"]) / 1e6,
        (512 * 768 + 768 * 768 + 512 * 768) * pj["dram", "read_byte"] / 1e6,
    ]
    assert parts_uj == pytest.approx([59.3 + 80.6, 22.6, 58.7, 88.1], rel=2e-3)
    assert sum(parts_uj) == pytest.approx(309, abs=0.5)


@pytest.mark.parametrize(
    ("table", "mac", "registers", "scratchpad", "accumulator", "l2"),
    [
        ("horowitz_45nm", 0.300, 0.382, (77.5, 74.3), (76.7, 126.6), (275, 333)),
        ("cacti_22nm", 0.197, 0.267, (19.1, 17.8), (19.9, 29.9), (72.9, 76.1)),
        ("jouppi_7nm", 0.100, 0.151, (10.8, 10.0), (11.2, 16.9), (41.1, 42.9)),
        ("conservative_22nm", 0.197, 0.267, (46.8, 46.8), (63.8, 63.8), (129.7, 129.7)),
    ],
)
def test_defaults_per_node(
    table: str,
    mac: float,
    registers: float,
    scratchpad: tuple[float, float],
    accumulator: tuple[float, float],
    l2: tuple[float, float],
) -> None:
    """The proposed defaults of this project's energy survey, printed to three digits."""
    pj = model(table, "gemmini").pj
    assert pj["array", "mac"] == pytest.approx(mac + registers, rel=4e-3)
    assert (pj["scratchpad", "read_row"], pj["scratchpad", "write_row"]) == pytest.approx(scratchpad, rel=6e-3)
    assert (pj["accumulator", "read_row"], pj["accumulator", "write_row"]) == pytest.approx(accumulator, rel=6e-3)
    assert (pj["l2", "read"], pj["l2", "write"]) == pytest.approx(l2, rel=6e-3)


@pytest.mark.parametrize(
    ("table", "softmax", "gelu", "layernorm", "requantise"),
    [("horowitz_45nm", 16.1, 9.7, 12.8, 3.2), ("cacti_22nm", 12.0, 7.3, 9.6, 2.4), ("jouppi_7nm", 7.6, 4.6, 6.0, 1.5)],
)
def test_vector_units(table: str, softmax: float, gelu: float, layernorm: float, requantise: float) -> None:
    pj = model(table, "gemmini_ibert").pj
    priced = [pj["vector", name] for name in ("softmax", "gelu", "layernorm", "requantise")]
    assert priced == pytest.approx([softmax, gelu, layernorm, requantise], rel=1e-2)
    assert pj["vector", "rmsnorm"] < pj["vector", "layernorm"]


def test_vector_scale() -> None:
    spec = hwconfigs.load("paper_codesign")
    table = hwconfigs.load_energy("cacti_22nm")
    unscaled, scaled = table.bind(spec).pj, table.with_sfu_scale(5).bind(spec).pj
    assert scaled["vector", "softmax"] == pytest.approx(5 * unscaled["vector", "softmax"])
    assert scaled["vector", "requantise"] == unscaled["vector", "requantise"]
    with pytest.raises(SpecError, match="must be in 1e-06 .. 1,000,000, got -1"):
        table.with_sfu_scale(-1)


def test_flat_table_is_the_peers_table() -> None:
    """Projection 512x768x768 with two passes over the weights, accumulator read and written on every 16-deep step.

    DRAM 1,966,080 B x 64 = 125.8; MAC 60.4 and weight registers 15.1; A rows 1,179,648 x 16 B x 2 = 37.7; accumulator
    2 x 1,179,648 x 64 B x 1 = 151.0; scratchpad fills of A and twice B 1,572,864 x 2 = 3.1, weights read out as
    often as brought in 1,179,648 x 2 = 2.4: 395.6 uJ, the optimum AccelForge 1.0.467 found under the same table.
    """
    pj = model("flat_peers", "gemmini").pj
    total = (
        1_966_080 * pj["dram", "read_byte"]
        + 512 * 768 * 768 * pj["array", "mac"]
        + 1_179_648 * (pj["scratchpad", "read_row"] + pj["accumulator", "read_row"] + pj["accumulator", "write_row"])
        + 1_572_864 / 16 * pj["scratchpad", "write_row"]
        + 1_179_648 / 16 * pj["scratchpad", "read_row"]
    )
    assert total / 1e6 == pytest.approx(395.6, abs=0.5)
    assert pj["host", "cycle"] == pj["dma", "read_beat"] == pj["vector", "softmax"] == 0.0


@pytest.mark.parametrize("table", [name for name in TABLES if name != "flat_peers"])
def test_sram_energy_rises_with_capacity_and_width(table: str) -> None:
    capacities = [2**exponent * 1024 for exponent in range(3, 13)]
    rows = [model(table, "gemmini", scratchpad__capacity=size).pj["scratchpad", "read_row"] for size in capacities]
    assert all(large > 0.98 * small for small, large in itertools.pairwise(rows))
    by_size = [
        model(table, "firesim_dosa", array__size=size).pj["scratchpad", "read_row"] for size in (4, 8, 16, 32, 64)
    ]
    assert all(small < large <= 4.5 * small for small, large in itertools.pairwise(by_size))
    assert by_size[-1] / 64 < by_size[0] / 4 * 8


def test_interpolation_is_a_power_law() -> None:
    """Energies 1, 2, 4 pJ at 1, 4, 16 KiB rise as the square root: 2**0.5 at 2 KiB, 8 at 64 KiB, 0.5 at 256 B."""
    points = tuple(
        SramPoint(capacity_bytes=1024 * size, read_pj=energy, write_pj=2 * energy)
        for size, energy in ((1, 1.0), (4, 2.0), (16, 4.0))
    )
    series = [SramSeries(row_bytes=16, points=points)]
    for capacity, expected in ((1024, 1.0), (2048, 2**0.5), (65536, 8.0), (256, 0.5)):
        assert access_pj(series, capacity, 16, 1) == pytest.approx((expected, 2 * expected))
    assert access_pj(series, 1024, 64, 1) == pytest.approx((4.0, 8.0))


def test_machine_dependent_prices() -> None:
    small = model("cacti_22nm", "gemmini", scratchpad__capacity="64 KiB").pj
    full = model("cacti_22nm", "gemmini").pj
    assert small["scratchpad", "read_row"] == pytest.approx(8.8794)
    assert full["scratchpad", "read_row"] == pytest.approx(19.13)
    assert model("cacti_22nm", "gemmini", dram__kind="hbm3").pj["dram", "read_byte"] == 32.4
    with pytest.raises(SpecError, match="has no 'lpdr4'; did you mean 'lpddr4'"):
        model("cacti_22nm", "gemmini", dram__kind="lpdr4")


GOOD = "extends: cacti_22nm\ndescription: d\nsource: s\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "host_cycle: {pj: 3, evidence: run}\n", "mine.yaml:4: host_cycle.source: missing; every number needs"),
        (GOOD + "host_cycle: {pj: 3, source: x}\n", "host_cycle.evidence: missing; every number needs its source"),
        (GOOD + "host_cycle: {pj: 3, source: x, evidence: guess}\n", "'guess' is not known"),
        (
            GOOD + "host_cycle: {pj: -3, source: x, evidence: run}\n",
            "host_cycle.pj: must be in 0 .. 1,000,000,000,000 pJ, got -3",
        ),
        (GOOD + "host_cycle: {pj: 3 mJ, source: x, evidence: run}\n", "'3 mJ' is not an energy"),
        (GOOD + "hostcycle: {pj: 3, source: x, evidence: run}\n", "hostcycle: unknown key; did you mean 'host_cycle'?"),
        (GOOD + "sram:\n  default: {}\n", "sram.default: give either points or per_byte"),
        (GOOD + "sram:\n  scratchpd: {}\n", "did you mean 'scratchpad'?"),
        (GOOD[:20] + "description: d\n", "source: missing; every table says it for itself"),
        ("description: d\nsource: s\n", "mine.yaml: arithmetic: missing"),
        ("extends: mine.yaml\n", "extends itself"),
        ("extends: cacti\ndescription: d\nsource: s\n", "no such energy table; did you mean 'cacti_22nm'?"),
        ("[]", "must consist of"),
        ("", "the file is empty"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        hwconfigs.load_energy(path)
    assert words in str(caught.value)


def test_own_table_beside_own_machine(tmp_path: Path) -> None:
    (tmp_path / "fab.yaml").write_text(GOOD + "host_cycle: {pj: 0.3 nJ, source: x, evidence: run}\n", encoding="utf-8")
    machine = tmp_path / "mine.yaml"
    machine.write_text("extends: gemmini\ndescription: d\nsource: s\nenergy: fab.yaml\n", encoding="utf-8")
    spec = hwconfigs.load(machine)
    bound = hwconfigs.load_energy(spec.energy).bind(spec)
    assert bound.pj["host", "cycle"] == pytest.approx(300.0)
    assert bound.source["host", "cycle"] == "x [run]"


def test_unknown_table() -> None:
    with pytest.raises(SpecError, match="no such energy table; did you mean 'flat_peers'"):
        hwconfigs.load_energy("flat_peer")


def test_energy_of_the_array_follows_widths_and_wires() -> None:
    """cacti_22nm's rules by hand: a multiplier goes with the square of its width, an adder with its width.

    A MAC shifts an activation and a partial sum; a weight passes half of the rows, (rows + 1) / 2 registers.
    """
    table = hwconfigs.load_energy("cacti_22nm")
    ops, kind = table.arithmetic, table.pe.kind
    assert kind == "systolic"
    multiply, add, bit = ops.int8_multiply.pj, ops.int32_add.pj, ops.register_bit.pj
    narrow = model("cacti_22nm", "gemmini").pj
    assert narrow["array", "mac"] == pytest.approx(multiply + add + (8 + 32) * bit)
    assert narrow["array", "weight_load"] == pytest.approx(8.5 * 8 * bit)
    wide = model("cacti_22nm", "gemmini", array__input_bits=16, array__accumulator_bits=64, array__size=8).pj
    assert wide["array", "mac"] == pytest.approx(4 * multiply + 2 * add + (16 + 64) * bit)
    assert wide["array", "weight_load"] == pytest.approx(4.5 * 16 * bit)


@pytest.mark.parametrize(("table", "side_mm"), [("cacti_22nm", 1.01), ("horowitz_45nm", 2.07), ("jouppi_7nm", 0.32)])
def test_a_beat_crosses_one_side_of_the_tile(table: str, side_mm: float) -> None:
    """1.029 mm2 at 22 nm, its side scaled with the node; a bus of 16 bytes has 128 wires, one of 32 twice as many."""
    bit = hwconfigs.load_energy(table).wire.bit_mm.pj
    for bus, bits in ((16, 128), (32, 256)):
        pj = model(table, "gemmini", dma__bus_bytes_per_cycle=bus).pj
        assert pj["dma", "read_beat"] == pj["dma", "write_beat"] == pytest.approx(bits * bit * side_mm)


def test_energy_of_an_array_of_weight_registers() -> None:
    """A MAC reads its weight, and a weight is written once, however many rows there are."""
    table = hwconfigs.load_energy("cacti_22nm")
    held = table.model_copy(update={"pe": table.pe.model_copy(update={"kind": "weight_register"})})
    ops = table.arithmetic
    prices = held.bind(hwconfigs.load("gemmini")).pj
    assert prices["array", "mac"] == pytest.approx(ops.int8_multiply.pj + ops.int32_add.pj + 8 * ops.register_bit.pj)
    assert prices["array", "weight_load"] == pytest.approx(8 * ops.register_bit.pj)
