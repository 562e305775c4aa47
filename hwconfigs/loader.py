"""Machines from YAML: inheritance, provenance, overrides, and all problems of a file at once.

    machine.yaml ── strict_yaml ──► keys by field name ── extends ──► + overrides ──► + derived values ──► HardwareSpec

Each file's values are kept together with their sources and line numbers until the end (`LayeredValues`), so a message
about an inherited value names its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from hwconfigs import catalogue, quantity
from hwconfigs.checks import cross_problems
from hwconfigs.dram_clock import CLOCK, clock_of
from hwconfigs.errors import SpecError, suggestion
from hwconfigs.key_names import leaves, location, wording
from hwconfigs.layers import LayeredValues, apply_override, read_layer
from hwconfigs.limits import shortened
from hwconfigs.spec import SECTIONS, HardwareSpec
from hwconfigs.vector_unit import DEFAULT_VERSION, VERSIONS

LONGEST_CHAIN = 32
"""Machines that extend each other in a row."""

_DERIVED = "derived: "


def available() -> tuple[str, ...]:
    """Names of the machines that come with the package."""
    return catalogue.names(catalogue.folder())


def available_energy() -> tuple[str, ...]:
    """Names of the energy tables that come with the package."""
    return catalogue.names(catalogue.folder("energy"))


def load(name_or_path: str | Path, overrides: Mapping[str, object] | None = None) -> HardwareSpec:
    """Read a machine.

    Parameters
    ----------
    name_or_path
        A name of :func:`available`, or the path of a YAML file.
    overrides
        Dotted path to value, see :func:`override`. Text is read as a YAML value: ``"64 KiB"``, ``"[softmax]"``,
        ``"none"``. The machine's name tells them: ``gemmini + scratchpad.capacity=64 KiB``.

    Raises
    ------
    SpecError
        With all problems of the file and of the overrides, one line each.
    """
    layered = _read(name_or_path, None, ())
    _apply(layered, {} if overrides is None else overrides)
    return _finish(layered)


def override(spec: HardwareSpec, changes: Mapping[str, object]) -> HardwareSpec:
    """Return a machine with some values changed; derived values are derived anew.

    Parameters
    ----------
    spec
        The machine to start from; it is not changed.
    changes
        Dotted path to value, as in ``{"scratchpad.capacity": "64 KiB", "l2": None, "array.size": 8}``.

    Raises
    ------
    SpecError
        With every problem of the changed machine.
    """
    values = spec.model_dump(exclude={"sources"})
    sources = dict(spec.sources)
    # What was derived from values that may change now must not outlive them.
    for path in [path for path, text in sources.items() if text.startswith(_DERIVED)]:
        section, key = path.split(".")
        del values[section][key]
        del sources[path]
    layered = LayeredValues(spec.name, values, sources)
    _apply(layered, changes)
    return _finish(layered)


def _apply(layered: LayeredValues, overrides: object) -> None:
    """Override what is asked for.

    Raises
    ------
    SpecError
        If ``overrides`` is no mapping from dotted paths.
    """
    if not isinstance(overrides, Mapping):
        raise SpecError(f"overrides: must map dotted paths to values, got {shortened(repr(overrides))}")
    for path in overrides:
        if not isinstance(path, str):
            raise SpecError(f"overrides: {shortened(repr(path))} is no dotted path; write e.g. 'scratchpad.capacity'")
    # The clock comes first, so that cycles given beside it are cycles of it.
    for path in sorted(overrides, key=lambda path: path not in CLOCK):
        apply_override(layered, path, overrides[path])
    name = layered.values.get("name")
    if overrides and "name" not in overrides and isinstance(name, str):
        layered.values["name"] = f"{name} + " + ", ".join(
            f"{path}={_shown(value)}" for path, value in overrides.items()
        )


def _shown(value: object) -> str:
    """A new value in the machine's name."""
    names = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return names[value]
    return shortened(str(value).strip())


def _read(name_or_path: str | Path, start: Path | None, chain: tuple[tuple[str, str], ...]) -> LayeredValues:
    """The values of a machine, on top of those it extends; ``chain`` are those that extend it, by file and label."""
    file = catalogue.find(name_or_path, catalogue.folder(), "machine", start)
    # The same file has many names, as d/../a.yaml for a.yaml, and each of them would be met for the first time.
    if file.identity in (identity for identity, _ in chain):
        raise SpecError(f"{file.label}: extends itself: {' -> '.join((*(label for _, label in chain), file.label))}")
    if len(chain) == LONGEST_CHAIN:
        raise SpecError(f"{file.label}: extends: the chain of machines is longer than {LONGEST_CHAIN}")
    layer, parent = read_layer(file)
    if parent is None:
        return layer
    try:
        below = _read(parent, file.directory, (*chain, (file.identity, file.label)))
    except SpecError as error:
        raise SpecError((*layer.problems, *(f"{file.label}: extends: {line}" for line in error.problems))) from error
    below.put_on_top(layer)
    return below


def _finish(layered: LayeredValues) -> HardwareSpec:
    clock = clock_of(layered.values)
    unknown = _derive(layered)
    _check_energy(layered)
    try:
        spec = HardwareSpec.model_validate(layered.values, context={"clock_mhz": clock})
    except ValidationError as error:
        _collect(layered, error, clock, unknown)
        raise SpecError(layered.problems) from None
    if layered.problems:
        raise SpecError(layered.problems)
    values = spec.model_dump(exclude={"sources"})
    default = "default of hwconfigs.parts, see the text of the field there"
    return spec.model_copy(update={"sources": {path: layered.sources.get(path, default) for path in leaves(values)}})


def _derive(layered: LayeredValues) -> set[str]:
    """Fill in what follows from other values; returns the paths for which those are unusable."""
    rules = (
        ("scratchpad.row_bytes", ("array.cols", "array.input_bits"), "array.cols x array.input_bits / 8"),
        ("accumulator.row_bytes", ("array.cols", "array.accumulator_bits"), "array.cols x array.accumulator_bits / 8"),
        (
            "dma.max_commands_in_flight",
            ("dma.max_in_flight", "array.rows"),
            "dma.max_in_flight // array.rows + 1",
        ),
    )
    defaults = {"array.input_bits": 8, "array.accumulator_bits": 32, "dma.max_in_flight": 16}
    unknown: set[str] = set()
    for path, needs, formula in rules:
        section, key = path.split(".")
        values = layered.values.get(section)
        if not isinstance(values, dict) or key in values:
            continue
        first, second = (_positive(layered.get(need, defaults.get(need))) for need in needs)
        if first is None or second is None:
            unknown.add(path)
            continue
        values[key] = first // second + 1 if section == "dma" else -(-first * second // 8)
        layered.sources[path] = _DERIVED + formula
    _derive_vector(layered)
    return unknown


def _derive_vector(layered: LayeredValues) -> None:
    """Take what a vector section leaves out from the version of the unit."""
    vector = layered.values.get("vector")
    if not isinstance(vector, dict):
        return
    name = vector.get("version", DEFAULT_VERSION)
    # An unknown version is complained about once, not once more for each of its values.
    version = VERSIONS.get(name if isinstance(name, str) else "", VERSIONS[DEFAULT_VERSION])
    for key, value in version.values.items():
        if key not in vector:
            vector[key] = value
            layered.sources[f"vector.{key}"] = f"{_DERIVED}vector.version: {version.source}"


def _positive(value: object) -> int | None:
    try:
        number = quantity.width_bits(value)
    except ValueError:
        return None
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number <= 65536 else None


def _check_energy(layered: LayeredValues) -> None:
    name = layered.values.get("energy")
    if isinstance(name, str) and not catalogue.is_path(name) and name not in available_energy():
        layered.complain("energy", f"no such energy table: {name!r}{suggestion(name, available_energy())}")


def _collect(layered: LayeredValues, error: ValidationError, clock: float | None, unknown: set[str]) -> None:
    """Turn pydantic's errors into our lines, and look for contradictions between the sections that are fine."""
    has_contradictions = False
    for detail in error.errors():
        path = location(detail)
        if not path:
            has_contradictions = True
            for line in wording(detail).split("\n"):
                layered.complain_line(line)
        elif not (path in unknown and detail["type"] == "missing"):
            layered.complain(path, wording(detail))
    if not has_contradictions:
        # pydantic checks the machine as a whole only if every section is valid: here, the valid ones among themselves.
        sections: dict[str, BaseModel] = {}
        for name in SECTIONS:
            annotation: Any = HardwareSpec.model_fields[name].annotation
            try:
                part = TypeAdapter(annotation).validate_python(layered.values.get(name), context={"clock_mhz": clock})
            except ValidationError:
                continue
            if isinstance(part, BaseModel):
                sections[name] = part
        for path, text in cross_problems(sections):
            layered.complain_line(f"{path}{text if text[0] == '=' else ': ' + text}")
