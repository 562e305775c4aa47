"""Areas against the sources' own totals, widths, nodes, and leakage as power times time."""

from __future__ import annotations

import itertools

import pytest

import hwconfigs
from hwconfigs import EnergyModel, SpecError
from hwconfigs.silicon import Block, Silicon, silicon_of
from hwconfigs.technology import area_factor, leakage_factor
from mapper import pipeline

TABLES = [name for name in hwconfigs.available_energy() if name != "flat_peers"]
NODES = (130.0, 90.0, 65.0, 45.0, 40.0, 28.0, 22.0, 16.0, 12.0, 7.0)


def model(machine: str = "gemmini", table: str = "cacti_22nm", **changes: object) -> EnergyModel:
    overrides = {path.replace("__", "."): value for path, value in changes.items()}
    return hwconfigs.load_energy(table).bind(hwconfigs.load(machine, overrides))


def die(machine: str = "gemmini", table: str = "cacti_22nm", **changes: object) -> Silicon:
    silicon = model(machine, table, **changes).silicon
    assert silicon is not None
    return silicon


def array_of(input_bits: int, accumulator_bits: int) -> Block:
    """The array of a machine of widths that no Gemmini has."""
    spec, table = hwconfigs.load("gemmini"), hwconfigs.load_energy("cacti_22nm").silicon
    assert table is not None
    array = spec.array.model_copy(update={"input_bits": input_bits, "accumulator_bits": accumulator_bits})
    return silicon_of(table, spec.model_copy(update={"array": array})).blocks["array"]


def test_gemmini_has_the_published_breakdown() -> None:
    """Gemmini, DAC 2021, Fig. 6a: array 116, scratchpad 544, accumulator 146, core 171, in all 1,029 thousand um2."""
    blocks = die().blocks
    published = {"array": 116_000, "scratchpad": 544_000, "accumulator": 146_000, "host": 171_000}
    for name, um2 in published.items():
        assert blocks[name].area_um2 == pytest.approx(um2, rel=1e-3)
    tile = sum(block.area_um2 for name, block in blocks.items() if name != "l2")
    assert tile == pytest.approx(1_029_000, rel=1e-3)


def test_normalisation_units_take_the_published_share() -> None:
    """Kim et al.: 14 % more area of the accelerator, which is the published one without its core."""
    blocks = die("gemmini_ibert", accumulator__capacity="64 KiB").blocks
    accelerator = sum(blocks[name].area_um2 for name in ("array", "scratchpad", "accumulator", "dma"))
    assert blocks["vector"].area_um2 / accelerator == pytest.approx(0.14, rel=2e-3)


def test_an_int4_mac_with_a_32_bit_sum_is_half_an_int8_one() -> None:
    """Synthesis: 4,064 of 8,340 transistors, 2,122 of 4,556 with -booth; the sum and its adder do not shrink."""
    table = hwconfigs.load_energy("cacti_22nm")
    parts, ops = table.silicon, table.arithmetic
    assert parts is not None
    area = (parts.multiplier.um2 / 4 + parts.adder.um2) / (parts.multiplier.um2 + parts.adder.um2)
    energy = (ops.int8_multiply.pj / 4 + ops.int32_add.pj) / (ops.int8_multiply.pj + ops.int32_add.pj)
    for ratio in (area, energy):
        assert 2122 / 4556 - 0.02 < ratio < 4064 / 8340 + 0.02
    int4, int8 = array_of(4, 32), array_of(8, 32)
    assert 0.5 < int4.area_um2 / int8.area_um2 < 0.75, "registers of the sum do not shrink either"
    assert 0.45 < int4.leakage_uw / int8.leakage_uw < 0.65


def test_a_narrower_sum_makes_the_element_smaller() -> None:
    """Synthesis: a 32-bit sum is 45 % more MAC than a 20-bit one; here the registers beside it dilute that."""
    assert array_of(8, 20).area_um2 < 0.85 * array_of(8, 32).area_um2


@pytest.mark.parametrize("factor", [area_factor, leakage_factor])
def test_scaling_a_node_to_itself_is_one(factor: object) -> None:
    assert callable(factor)
    for node in NODES:
        assert factor(node, node) == 1.0
    for there, back in itertools.combinations(NODES, 2):
        assert factor(there, back) * factor(back, there) == pytest.approx(1.0, abs=1e-12)
        assert factor(there, back) < 1.0, "NODES fall"
        assert factor(there, 22) * factor(22, back) == pytest.approx(factor(there, back))
    with pytest.raises(ValueError, match="5 nm is outside the scaling table"):
        factor(45, 5)


def test_smaller_nodes_give_smaller_dies() -> None:
    areas = [die(table=name).area_mm2 for name in ("horowitz_45nm", "cacti_22nm", "jouppi_7nm")]
    assert areas == sorted(areas, reverse=True)
    assert die(table="conservative_22nm") == die(table="cacti_22nm")


@pytest.mark.parametrize("table", TABLES)
def test_area_rises_with_everything(table: str) -> None:
    base = die(table=table)
    for changes in ({"array.size": 32}, {"scratchpad.capacity": "512 KiB"}, {"accumulator.capacity": "128 KiB"}):
        silicon = hwconfigs.load_energy(table).bind(hwconfigs.load("gemmini", changes)).silicon
        assert silicon is not None
        assert silicon.area_mm2 > base.area_mm2
        assert silicon.leakage_mw > base.leakage_mw
    assert "l2" not in die(table=table, l2=None).blocks
    assert die(table=table, array__size=32).blocks["array"].area_um2 == pytest.approx(4 * base.blocks["array"].area_um2)
    assert all("[" in block.source for block in base.blocks.values())


def test_leakage_is_power_times_time() -> None:
    """The static row of a report is the die's power over the run's latency, at any clock."""
    for clock in ("1 GHz", "500 MHz"):
        result = pipeline.map_matmul(64, 64, 64, "gemmini", overrides={"clock": clock})
        silicon = result.prices.silicon
        assert silicon is not None
        for report in (result.simulation, result.estimate):
            assert report.static_pj == pytest.approx(silicon.leakage_mw * 1e-3 * report.latency_s * 1e12)
            assert report.energy_pj == pytest.approx(sum(report.energy_pj_by_unit.values()))


def test_a_larger_array_does_not_pay_for_ever() -> None:
    """What 128 rows leave idle leaks and costs area: energy, and EDP times area, have their best in between."""
    energies, area_products = [], []
    for size in (16, 32, 64, 128):
        result = pipeline.map_matmul(128, 768, 768, "gemmini_ibert", overrides={"array.size": size}, finalists=0)
        silicon = result.prices.silicon
        assert silicon is not None
        energies.append(result.simulation.energy_pj)
        area_products.append(result.simulation.edp_js * silicon.area_mm2)
    for values in (energies, area_products):
        assert values[0] > min(values) < values[-1]


def test_a_table_without_a_die_leaks_nothing() -> None:
    result = pipeline.map_matmul(64, 64, 64, "gemmini", energy="flat_peers")
    assert result.prices.silicon is None
    assert result.simulation.static_pj == 0.0
    assert "static" not in result.simulation.energy_pj_by_unit


def test_supply_scales_what_is_on_the_chip() -> None:
    base, high = model(), model(supply="1.6 V")
    for action, pj in base.pj.items():
        assert high.pj[action] == pytest.approx(pj * (1 if action[0] == "dram" else 4))
    assert high.static_pj_per_cycle == pytest.approx(2 * base.static_pj_per_cycle)
    with pytest.raises(SpecError, match="the energy table flat_peers does not say at which supply it holds"):
        model(table="flat_peers", supply="1 V")
    with pytest.raises(SpecError, match=r"supply_v: must be in 0.3 .. 2 V, got 12"):
        hwconfigs.load("gemmini", {"supply": "12 V"})
