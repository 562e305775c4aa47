"""Any field can be changed, from text as from Python values."""

from __future__ import annotations

import pytest

import hwconfigs
from hwconfigs import SpecError


def test_text_numbers_booleans_lists() -> None:
    spec = hwconfigs.load(
        "gemmini",
        {
            "scratchpad.capacity": "64 KiB",
            "dma.max_in_flight": "32",
            "front_end.keeps_operands": "true",
            "array.dataflows": "[weight_stationary]",
            "dma.store_row_cycles": (1, 2, 3, 4),
            "host.kernel_cycles.softmax": 99,
            "clock": "500 MHz",
            "dram.latency": "80 ns",
            "dram.bandwidth": "4 GB/s",
        },
    )
    assert spec.scratchpad.capacity_bytes == 65536
    assert (spec.dma.max_in_flight, spec.dma.max_commands_in_flight) == (32, 3)
    assert spec.front_end.keeps_operands is True
    assert spec.array.dataflows == ("weight_stationary",)
    assert spec.dma.store_row_cycles == (1.0, 2.0, 3.0, 4.0)
    assert spec.host.kernel_cycles["softmax"] == 99.0
    assert (spec.clock_mhz, spec.dram.latency_cycles, spec.dram.bytes_per_cycle) == (500.0, 40, 8.0)


@pytest.mark.parametrize("path", ["scratchpad.capacity", "scratchpad.capacity_bytes"])
def test_both_spellings(path: str) -> None:
    assert hwconfigs.load("gemmini", {path: 131072}).scratchpad.capacity_bytes == 131072


@pytest.mark.parametrize("nothing", [None, "none", "null", "None"])
def test_sections_can_be_removed(nothing: object) -> None:
    spec = hwconfigs.load("gemmini_ibert", {"l2": nothing, "vector": nothing})
    assert spec.l2 is None
    assert spec.vector is None
    assert "l2.capacity_bytes" not in spec.sources


def test_a_section_can_be_given_whole() -> None:
    spec = hwconfigs.load("gemmini", {"vector": {"kernels": ["softmax"], "statistics_slots": 2}})
    assert spec.vector is not None
    assert (spec.vector.kernels, spec.vector.lanes, spec.vector.mean_cycles) == (("softmax",), 16, 18)
    cache = "{capacity: 1 MiB, ways: 8, line: 64, hit: 30}"
    llc = hwconfigs.load("gemmini", {"llc": cache}).llc
    assert llc is not None
    assert llc.sets == 2048


def test_override_method_equals_load_and_keeps_provenance() -> None:
    spec = hwconfigs.load("gemmini")
    small = hwconfigs.override(spec, {"array.size": 8, "scratchpad.capacity": "32 KiB"})
    assert small == hwconfigs.load("gemmini", {"array.size": 8, "scratchpad.capacity": "32 KiB"})
    assert (small.scratchpad.row_bytes, small.dma.max_commands_in_flight) == (8, 3)
    assert small.sources["scratchpad.capacity_bytes"] == "override"
    assert small.sources["accumulator.row_bytes"].startswith("derived")
    assert (
        hwconfigs.override(small, {"array.size": 16, "scratchpad.capacity": "256 KiB"}).fingerprint == spec.fingerprint
    )
    assert spec.array.rows == 16


def test_a_changed_machine_has_a_name_of_its_own() -> None:
    changes = {"scratchpad.capacity": "64 KiB", "l2": None}
    assert hwconfigs.load("gemmini", changes).name == "gemmini + scratchpad.capacity=64 KiB, l2=null"
    assert (
        hwconfigs.override(hwconfigs.load("gemmini"), changes).name == "gemmini + scratchpad.capacity=64 KiB, l2=null"
    )
    assert hwconfigs.load("gemmini", {"name": "mine", "array.size": 8}).name == "mine"
    assert hwconfigs.load("gemmini", {}).name == hwconfigs.override(hwconfigs.load("gemmini"), {}).name == "gemmini"


def test_explicit_values_are_not_derived_again() -> None:
    spec = hwconfigs.override(hwconfigs.load("gemmini", {"dma.max_commands_in_flight": 4}), {"array.size": 8})
    assert spec.dma.max_commands_in_flight == 4


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("scratchpad.capcity", "64 KiB", "unknown key; did you mean 'capacity'?"),
        ("array.sise", 8, "unknown key; did you mean 'size'?"),
        ("scratchpd.capacity", "64 KiB", "unknown key 'scratchpd'; did you mean 'scratchpad'?"),
        ("host.kernel_cycles.sofmax", 1, "did you mean 'softmax'?"),
        ("clock.fast", 1, "'clock' has no parts"),
        ("vector.lanes", 8, "vector is null on gemmini.yaml"),
        ("scratchpad.capacity", "64 GHz", "is not a size"),
        ("scratchpad.banks", 0, "must be in 1 .. 65,536, got 0"),
        ("scratchpad.banks", 2.5, "must be a whole number"),
        ("scratchpad.banks", True, "must be a whole number"),
        ("scratchpad.ports", 3, "must be in 1 .. 2, got 3"),
        ("front_end.keeps_operands", "yes", "must be true or false, got 'yes'"),
        ("array", None, "must be a section of 'key: value' lines, got null"),
        ("array.dataflows", ["weight_stationry"], "did you mean 'weight_stationary'?"),
        ("array.dataflows", [], "at least 1 item"),
        ("dram.bandwidth", float("inf"), "must be finite"),
        ("dram.bandwidth", -1, "must be in 0.001 .. 1,000,000 B/cycle, got -1"),
        ("clock", 0, "must be in 0.001 .. 1,000,000 MHz, got 0.0"),
        ("array.size", 0, "array.size: must be in 1 .. 65,536, got 0"),
        ("energy", "cacti", "no such energy table: 'cacti'"),
        ("sources", {}, "unknown key"),
        ("", 1, "unknown key"),
    ],
)
def test_refused(path: str, value: object, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        hwconfigs.load("gemmini", {path: value})
    assert len(caught.value.problems) == 1, caught.value
    assert words in str(caught.value)
    assert "override" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("scratchpad.capacity", 2**80),
        ("accumulator.capacity", 99999999999999999999744),
        ("l2.capacity", "1024 GiB"),
        ("l2.mshrs", 10**20),
        ("l2.line", 2**21),
        ("dma.max_in_flight", 10**20),
        ("dma.store_first_cycles", 10**20),
        ("dma.store_row_cycles", [1e-300, 1, 1, 1]),
        ("host.call_cycles", 1e18),
        ("host.kernel_cycles.softmax", 1e300),
        ("dram.latency_cycles", 10**23),
        ("dram.request_cycles", 1e300),
        ("dram.evict_cycles", 1e300),
        ("dram.bytes_per_cycle", 1e-18),
        ("clock_mhz", 1e-300),
        ("clock_mhz", 1e300),
    ],
)
def test_quantities_no_machine_has(path: str, value: object) -> None:
    with pytest.raises(SpecError, match=r"must be in [\d.,]+ \.\. [\d.,]+.*, got ") as caught:
        hwconfigs.load("gemmini", {path: value})
    assert len(caught.value.problems) == 1
    assert max(map(len, caught.value.problems)) < 140


def test_more_lines_than_can_be_simulated() -> None:
    with pytest.raises(SpecError, match="more than 16,777,216 lines of 16"):
        hwconfigs.load("gemmini", {"l2.capacity": "4 GiB", "l2.line": 16, "dma.max_request": 16})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"l2.capacity": 256},
            "l2.capacity_bytes=256 holds no set, which takes ways x line_bytes = 8 x 64 = 512 bytes",
        ),
        ({"l2.capacity": 1000}, "l2.capacity_bytes=1,000 must be a multiple of ways x line_bytes = 8 x 64 = 512"),
        ({"l2.ways": 256}, "l2.ways=256 must be at most 255"),
        ({"l2.line": 48}, "l2.line_bytes=48 must be a power of two"),
    ],
)
def test_caches_that_do_not_divide_into_sets(changes: dict[str, object], says: str) -> None:
    with pytest.raises(SpecError) as caught:
        hwconfigs.load("gemmini", changes)
    assert any(line.startswith(f"override: {says}") for line in caught.value.problems), caught.value


@pytest.mark.parametrize("paths", [("scratchpad.capacity", "scratchpad.capacity_bytes"), ("array.size", "array.rows")])
def test_two_spellings_of_one_value(paths: tuple[str, str]) -> None:
    with pytest.raises(SpecError, match=f"{paths[1]}: given twice, also as {paths[0]}"):
        hwconfigs.load("gemmini", dict.fromkeys(paths, 65536))


@pytest.mark.parametrize(("changes", "words"), [(["a"], "must map dotted paths"), ({1: 2}, "1 is no dotted path")])
def test_overrides_that_are_none(changes: object, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        hwconfigs.load("gemmini", changes)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=words):
        hwconfigs.override(hwconfigs.load("gemmini"), changes)  # type: ignore[arg-type]


def test_one_dimension_alone_is_refused_with_the_remedy() -> None:
    with pytest.raises(SpecError, match=r"array.rows=8 must equal array.cols=16 .*set array.size"):
        hwconfigs.load("gemmini", {"array.rows": 8})
