"""Area and leakage of a machine by unit, as lines of a report and as plain data."""

from __future__ import annotations

from hwconfigs import EnergyModel
from mapper.reports.quantities import area, in_one_unit
from mapper.reports.text import columns


def die_lines(energy: EnergyModel) -> list[str]:
    """Return area and leakage by unit, the largest first, and in all; a line if the energy table has neither."""
    silicon = energy.silicon
    if silicon is None:
        return [f"die: the energy table {energy.name} accounts for no area and no leakage; energies are dynamic only"]
    blocks = sorted(silicon.blocks.items(), key=lambda item: (-item[1].area_um2, item[0]))
    areas = [block.area_um2 for _, block in blocks]
    leaks = [block.leakage_uw * 1e-6 for _, block in blocks]
    rows = [
        (f"die, {silicon.node_nm:g} nm", *(name for name, _ in blocks), "all"),
        ("area", *(area(um2) for um2 in areas), area(sum(areas))),
        ("leakage", *in_one_unit([*leaks, sum(leaks)], "W")),
    ]
    return columns(rows, rules=(1,), right=range(1, len(blocks) + 2))


def die_dict(energy: EnergyModel) -> dict[str, object]:
    """Return area and leakage as plain data, with the energy table that they are from."""
    silicon = energy.silicon
    whole: dict[str, object] = {"energy_table": energy.name}
    if silicon is None:
        return whole
    return whole | {
        "node_nm": silicon.node_nm,
        "area_mm2": silicon.area_mm2,
        "leakage_mw": silicon.leakage_mw,
        "units": {
            name: {"area_um2": block.area_um2, "leakage_uw": block.leakage_uw, "source": block.source}
            for name, block in sorted(silicon.blocks.items())
        },
    }
