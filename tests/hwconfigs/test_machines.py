"""The shipped machines: complete, sourced, and with the values of the documents they cite."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

import hwconfigs
from hwconfigs.key_names import leaves

MACHINES = hwconfigs.available()


def test_the_machines_that_are_promised() -> None:
    assert set(MACHINES) == {
        "firesim_dosa",
        "gemmini",
        "gemmini_chip",
        "gemmini_decoder",
        "gemmini_decoder_128",
        "gemmini_decoder_64",
        "gemmini_ibert",
        "gemmini_ibert_v071",
        "gemmini_lean",
        "paper_baseline",
        "paper_codesign",
        "tiny_4x4",
    }


@pytest.mark.parametrize("name", MACHINES)
def test_every_leaf_has_a_source(name: str) -> None:
    spec = hwconfigs.load(name)
    values = spec.model_dump(exclude={"sources"})
    assert set(spec.sources) == set(leaves(values))
    assert all(text.strip() for text in spec.sources.values())
    assert spec.name == name
    assert len(spec.description) > 20


def test_every_default_says_where_it_comes_from() -> None:
    """The source of a value that a machine leaves out is the text of its field."""
    spec = hwconfigs.load("tiny_4x4")
    for section in ("array", "dma", "front_end", "dram", "vector"):
        for name, field in type(getattr(spec, section)).model_fields.items():
            assert field.is_required() or field.description, f"{section}.{name}"


@pytest.mark.parametrize("name", MACHINES)
def test_frozen_hashable_and_picklable(name: str) -> None:
    spec = hwconfigs.load(name)
    with pytest.raises(ValidationError):
        spec.array.rows = 3
    copy = pickle.loads(pickle.dumps(spec))
    assert copy == spec
    assert hash(copy) == hash(spec)


def test_gemmini_is_the_default_build() -> None:
    spec = hwconfigs.load("gemmini")
    assert (spec.array.rows, spec.array.cols, spec.array.input_bits, spec.array.accumulator_bits) == (16, 16, 8, 32)
    assert (spec.scratchpad.rows, spec.scratchpad.rows_per_bank, spec.scratchpad.ports) == (16384, 4096, 1)
    assert (spec.accumulator.rows, spec.accumulator.rows_per_bank, spec.accumulator.ports) == (1024, 512, 2)
    assert (spec.dma.bus_bytes_per_cycle, spec.dma.max_request_bytes, spec.dma.max_in_flight) == (16, 64, 16)
    assert spec.l2 is not None
    assert (spec.l2.capacity_bytes, spec.l2.sets, spec.l2.mshrs, spec.l2.hit_cycles) == (524288, 1024, 10, 10)
    assert (spec.dram.bytes_per_cycle, spec.dram.latency_cycles, spec.dram.evict_cycles) == (8.0, 40, 3.15)
    assert spec.vector is None
    assert (spec.host.loop_cycles, spec.host.call_cycles) == (117.0, 270.0)


def test_differences_between_the_builds() -> None:
    gemmini, ibert, lean, chip = map(hwconfigs.load, ("gemmini", "gemmini_ibert", "gemmini_lean", "gemmini_chip"))
    assert ibert.vector is not None
    assert (ibert.accumulator.capacity_bytes, ibert.vector.statistics_slots) == (131072, 2)
    assert ibert.scratchpad == gemmini.scratchpad
    assert (lean.dma.max_in_flight, lean.dma.max_commands_in_flight) == (64, 5)
    assert lean.array.dataflows == ("weight_stationary",)
    assert (chip.scratchpad.capacity_bytes, chip.accumulator.capacity_bytes) == (65536, 32768)
    assert (chip.accumulator.ports, chip.front_end.keeps_operands, chip.host.call_cycles) == (1, True, 900.0)
    assert chip.host.kernel_cycles["softmax"] > gemmini.host.kernel_cycles["softmax"]


def test_the_papers_machines_keep_the_total_sram() -> None:
    baseline, codesign = hwconfigs.load("paper_baseline"), hwconfigs.load("paper_codesign")
    assert (baseline.scratchpad.capacity_bytes, baseline.accumulator.capacity_bytes) == (262144, 65536)
    assert (codesign.scratchpad.capacity_bytes, codesign.accumulator.capacity_bytes) == (65536, 262144)
    assert baseline.vector is None
    assert codesign.vector is not None


@pytest.mark.parametrize(("size", "commands"), [(4, 5), (8, 3), (16, 2), (32, 1), (64, 1)])
def test_firesim_machine_with_every_measured_array(size: int, commands: int) -> None:
    """Commands in flight are floor(16 / size) + 1; rows of both memories follow the columns."""
    spec = hwconfigs.load("firesim_dosa", {"array.size": size})
    assert spec.dma.max_commands_in_flight == commands
    assert (spec.scratchpad.row_bytes, spec.accumulator.row_bytes) == (size, 4 * size)
    assert spec.scratchpad.capacity_bytes == 4 << 20
    assert spec.fingerprint == hwconfigs.load("firesim_dosa", {"array.rows": size, "array.cols": size}).fingerprint


def test_inherited_sources_stay_with_their_values() -> None:
    gemmini, ibert = hwconfigs.load("gemmini"), hwconfigs.load("gemmini_ibert")
    assert ibert.sources["l2.hit_cycles"] == gemmini.sources["l2.hit_cycles"]
    assert ibert.sources["accumulator.capacity_bytes"] != gemmini.sources["accumulator.capacity_bytes"]
    assert "[E]" in gemmini.sources["host.kernel_cycles.softmax"]
    assert gemmini.sources["scratchpad.row_bytes"].startswith("derived")


def test_fingerprint_ignores_texts_only() -> None:
    spec = hwconfigs.load("gemmini")
    assert hwconfigs.override(spec, {"description": "the same machine"}).fingerprint == spec.fingerprint
    assert hwconfigs.override(spec, {"l2.hit": 11}).fingerprint != spec.fingerprint
