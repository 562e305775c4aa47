"""From an energy table and a machine to picojoules per action.

    cacti_22nm.yaml ── load_energy ──► EnergyTable ── bind(spec) ──► EnergyModel.pj[("scratchpad", "read_row")]

A table knows technology; binding applies it to the capacities, widths and DRAM kind of one machine. Reads and
writes stay apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hwconfigs import catalogue
from hwconfigs.energy_table import REQUANTISE, OperationCount, SramTable, TableBody
from hwconfigs.errors import SpecError, suggestion
from hwconfigs.kernels import KERNELS
from hwconfigs.key_names import Renamer, location, wording
from hwconfigs.layers import LayeredValues
from hwconfigs.silicon import Silicon, silicon_of
from hwconfigs.sourced import Factor
from hwconfigs.spec import HardwareSpec
from hwconfigs.sram_energy import access_pj
from hwconfigs.textfiles import strict_yaml

Action = tuple[str, str]
"""Unit and action, such as ``("dram", "read_byte")``."""

_SECTIONS = ("arithmetic", "sram", "dram", "wire", "vector", "silicon")
"""Parts of a table that hold entries by name."""

Prices = dict[Action, tuple[float, str]]
"""Picojoules and where they come from."""


@dataclass(frozen=True, slots=True)
class EnergyModel:
    """Price of every action of one machine under one table."""

    name: str
    """Name of the table."""
    pj: Mapping[Action, float]
    """Energy of one action. [pJ]"""
    source: Mapping[Action, str]
    """Where each price comes from, with evidence tags."""
    static_pj_per_cycle: float = 0.0
    """What the die leaks in a cycle of the machine's clock; 0 where the table does not account for it. [pJ]"""
    silicon: Silicon | None = None
    """Area and leakage by unit; None: the table does not account for them."""


class EnergyTable(TableBody):
    """Energies of one technology, read by :func:`load_energy`."""

    def with_sfu_scale(self, factor: float) -> EnergyTable:
        """The table with another multiplier on the vector kernels (5 matches the power share published for them)."""
        try:
            scale = Factor(value=factor, source="set by the user", evidence="chosen")
        except ValidationError as error:
            raise SpecError([f"sfu_energy_scale: {wording(detail)}" for detail in error.errors()]) from None
        return self.model_copy(update={"sfu_energy_scale": scale})

    def bind(self, spec: HardwareSpec) -> EnergyModel:
        """Prices for one machine.

        Raises
        ------
        SpecError
            If the table has no energy for the machine's kind of DRAM, or none for a supply of its own.
        """
        supply = self._supply(spec)
        prices: Prices = {}
        prices.update(self._array(spec))
        for memory in ("scratchpad", "accumulator"):
            sram = getattr(spec, memory)
            read, write, origin = self._sram(memory, sram.capacity_bytes, sram.row_bytes, sram.banks)
            prices[(memory, "read_row")] = read, origin
            prices[(memory, "write_row")] = write, origin
        prices.update(self._caches(spec))
        prices.update(self._transport(spec))
        prices.update(self._vector())
        prices[("host", "cycle")] = self.host_cycle.pj, self.host_cycle.origin
        # A switched capacitance takes the square of the voltage; the DRAM has a supply of its own.
        pj = {action: price * (1.0 if action[0] == "dram" else supply**2) for action, (price, _) in prices.items()}
        origins = {action: origin for action, (_, origin) in prices.items()}
        silicon = None if self.silicon is None else silicon_of(self.silicon, spec, supply)
        # 1 mW at 1 MHz is 1 nJ per cycle.
        static_pj = 0.0 if silicon is None else 1000.0 * silicon.leakage_mw / spec.clock_mhz
        return EnergyModel(self.name, pj, origins, static_pj, silicon)

    def _supply(self, spec: HardwareSpec) -> float:
        """Supply of a machine over that of the table."""
        if spec.supply_v is None:
            return 1.0
        if self.supply_v is None:
            raise SpecError(
                f"{spec.name}: supply_v: the energy table {self.name} does not say at which supply it holds"
            )
        return spec.supply_v / self.supply_v.value

    def _array(self, spec: HardwareSpec) -> Prices:
        """Multiplier energy rises with the square of the width, adder energy linearly (Aladdin's scaling)."""
        array, ops = spec.array, self.arithmetic
        multiply = ops.int8_multiply.pj * (array.input_bits / 8) ** 2
        add = ops.int32_add.pj * array.accumulator_bits / 32
        if self.pe.kind == "systolic":
            mac_bits, hops = array.input_bits + array.accumulator_bits, (array.rows + 1) / 2
        else:
            mac_bits, hops = array.input_bits, 1.0
        bit = ops.register_bit
        mac = f"multiply {ops.int8_multiply.origin}; add {ops.int32_add.origin}; {mac_bits} register bits {bit.origin}"
        load = f"{hops:g} registers of {array.input_bits} bits on the way, {self.pe.origin}; {bit.origin}"
        return {
            ("array", "mac"): (multiply + add + mac_bits * bit.pj, mac),
            ("array", "weight_load"): (hops * array.input_bits * bit.pj, load),
        }

    def _sram(self, memory: str, capacity_bytes: int, row_bytes: int, banks: int) -> tuple[float, float, str]:
        table: SramTable = self.sram.get(memory) or self.sram["default"]  # type: ignore[call-overload]
        if table.per_byte is not None:
            flat = table.per_byte
            return flat.read_pj * row_bytes, flat.write_pj * row_bytes, f"{row_bytes} bytes, {flat.origin}"
        assert table.points is not None
        read, write = access_pj(table.points.series, capacity_bytes, row_bytes, banks)
        shape = f"{capacity_bytes / 1024:g} KiB, {row_bytes}-byte rows, {banks} banks"
        return read, write, f"{shape}, log-log in {table.points.origin}"

    def _caches(self, spec: HardwareSpec) -> Prices:
        """A request costs a whole line; tags are not priced."""
        prices: Prices = {}
        for name, actions in (("l2", ("read", "write", "fill")), ("llc", ("read", "fill"))):
            cache = getattr(spec, name)
            if cache is None:
                prices.update(dict.fromkeys(((name, action) for action in actions), (0.0, "not on this machine")))
                continue
            read, write, origin = self._sram(name, cache.capacity_bytes, cache.line_bytes, 1)
            for action in actions:
                prices[(name, action)] = (read if action == "read" else write), origin
        return prices

    def _transport(self, spec: HardwareSpec) -> Prices:
        kind = self.dram.get(spec.dram.kind) or self.dram.get("any")
        if kind is None:
            hint = suggestion(spec.dram.kind, self.dram)
            raise SpecError(f"{spec.name}: dram.kind: the energy table {self.name} has no {spec.dram.kind!r}{hint}")
        bits = 8 * spec.dma.bus_bytes_per_cycle
        beat = bits * self.wire.bit_mm.pj * self.wire.length_mm.value
        length = self.wire.length_mm
        text = f"{bits} bits over {length.value:g} mm, {length.origin}; {self.wire.bit_mm.origin}"
        return {
            ("dma", "read_beat"): (beat, text),
            ("dma", "write_beat"): (beat, text),
            ("dram", "read_byte"): (kind.pj, f"{spec.dram.kind}: {kind.origin}"),
            ("dram", "write_byte"): (kind.pj, f"{spec.dram.kind}: {kind.origin}"),
        }

    def _vector(self) -> Prices:
        ops, scale = self.arithmetic, self.sfu_energy_scale
        prices: Prices = {}
        for name, count in {**_counts_by_row(), **self.vector}.items():
            energy = count.int32_multiplies * ops.int32_multiply.pj + count.int32_adds * ops.int32_add.pj
            work = f"{count.int32_multiplies} multiplies + {count.int32_adds} adds, {count.origin}; "
            origin = f"{work}{ops.int32_multiply.origin}; {ops.int32_add.origin}"
            if name != REQUANTISE:
                energy, origin = energy * scale.value, f"{origin}; times {scale.value:g}, {scale.origin}"
            prices[("vector", name)] = energy, origin
        return prices


def _counts_by_row() -> dict[str, OperationCount]:
    """Operations of the kernels whose row in the table of kernels gives them, for tables that do not."""
    source = "row of hwconfigs.kernels, not named by this table"
    return {
        kernel.name: OperationCount(
            int32_multiplies=kernel.operations[0], int32_adds=kernel.operations[1], source=source, evidence="derived"
        )
        for kernel in KERNELS
        if kernel.operations is not None
    }


def load_energy(name_or_path: str | Path) -> EnergyTable:
    """Read an energy table by name (see :func:`hwconfigs.available_energy`) or path.

    Raises
    ------
    SpecError
        With all problems of the file; an entry without ``source`` and ``evidence`` is one.
    """
    layered = _read(name_or_path, None, ())
    try:
        table = EnergyTable.model_validate(layered.values)
    except ValidationError as error:
        for detail in error.errors():
            layered.complain(location(detail), _why(wording(detail), detail["loc"]))
        raise SpecError(layered.problems) from None
    _check_complete(table, layered)
    if layered.problems:
        raise SpecError(layered.problems)
    return table


def _read(name_or_path: str | Path, start: Path | None, chain: tuple[str, ...]) -> LayeredValues:
    """The values of a table on top of those it extends."""
    file = catalogue.find(name_or_path, catalogue.folder("energy"), "energy table", start)
    if file.label in chain:
        raise SpecError(f"{file.label}: extends itself: {' -> '.join((*chain, file.label))}")
    document = strict_yaml.parse(file.content, file.label)
    data = document.data
    if not isinstance(data, dict):
        raise SpecError(document.problems or f"{file.label}: must consist of 'key: value' lines")
    parent = data.pop("extends", None)
    layered = LayeredValues(file.label, {}, problems=list(document.problems))
    renamer = Renamer(lambda path, text: layered.problems.append(f"{document.where(path)}: {path}: {text}"))
    values: Any = renamer.canonical(TableBody, data)
    layered.values = values
    layered.values.setdefault("name", file.name)
    layered.places = {path: document.where(written) for path, written in renamer.written.items()}
    if parent is None:
        return layered
    for key in ("description", "source"):
        if key not in values:
            layered.problems.append(f"{file.label}: {key}: missing; every table says it for itself")
    if not isinstance(parent, str):
        raise SpecError(
            [*layered.problems, f"{document.where('extends')}: extends: must be the name or path of a table"]
        )
    below = _read(parent, file.directory, (*chain, file.label))
    layered.values = _over(below.values, layered.values)
    # An entry that the file gives anew must not be blamed on a line of the file that it extends.
    replaced = {_entry(path) for path in layered.places}
    kept = {path: place for path, place in below.places.items() if _entry(path) not in replaced}
    layered.places = {**kept, **layered.places}
    layered.problems = below.problems + layered.problems
    return layered


def _entry(path: str) -> str:
    """The part of a path that is replaced as a whole."""
    first, _, rest = path.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first in _SECTIONS and rest else first


def _over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of ``above`` replace whole entries of ``below``; sections are joined."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if key in _SECTIONS and isinstance(value, dict) and isinstance(old, dict):
            value = {**old, **value}
        result[key] = value
    return result


def _check_complete(table: EnergyTable, layered: LayeredValues) -> None:
    wanted = [*(kernel.name for kernel in KERNELS if kernel.needs_unit and kernel.operations is None), REQUANTISE]
    missing = [name for name in wanted if name not in table.vector]
    if missing:
        layered.complain("vector", f"missing: {', '.join(missing)}")
    if "default" not in table.sram:
        layered.complain("sram", "missing: default")
    for name, sram in table.sram.items():
        if (sram.points is None) == (sram.per_byte is None):
            layered.complain(f"sram.{name}", "give either points or per_byte")


def _why(text: str, steps: tuple[int | str, ...]) -> str:
    if text == "missing" and steps[-1] in ("source", "evidence"):
        return "missing; every number needs its source and an evidence tag"
    return text
