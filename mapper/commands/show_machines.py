"""``tilewright show hw``: a machine with the sources of its values, or several with what differs between them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import hwconfigs
from hwconfigs import HardwareSpec
from hwconfigs.beyond_gemmini import beyond_gemmini
from mapper.reports.die import die_lines
from mapper.reports.quantities import area, quantity
from mapper.reports.text import WIDTH, columns

NOT_COMPARED = {"name", "description", "source", "sources"}

LONGEST_VALUE = 28
"""Widest column of a machine beside others [characters]."""


def machine_text(spec: HardwareSpec) -> str:
    """Every value with the number of its source, then the sources."""
    numbers: dict[str, int] = {}
    rows: list[tuple[str, str, str]] = [("key", "value", "source")]
    unknown_to_gemmini = beyond_gemmini(spec)
    for path, value in _values(spec).items():
        text = _source(spec, path)
        mark = f"[{numbers.setdefault(text, len(numbers) + 1)}]" if text else ""
        rows.append((path, f"{value} (not in Gemmini)" if path in unknown_to_gemmini else value, mark))
    prices = hwconfigs.load_energy(spec.energy).bind(spec)
    for name, block in sorted(prices.silicon.blocks.items() if prices.silicon is not None else ()):
        number = numbers.setdefault(block.source, len(numbers) + 1)
        rows.append((f"die.{name}", f"{area(block.area_um2)}, {quantity(block.leakage_uw * 1e-6, 'W')}", f"[{number}]"))
    lines = [*_wrapped(f"{spec.name}: {spec.description}"), *_wrapped(f"source: {spec.source}"), ""]
    lines += [*columns(rows, rules=(1,)), "", *die_lines(prices), ""]
    for text, number in numbers.items():
        lines += _wrapped(f"[{number}] {text}")
    return "\n".join(lines)


def machines_text(specs: Sequence[HardwareSpec]) -> str:
    """Values that differ between machines, a column for each, area and leakage among them."""
    sheets = [{**_values(spec), **_die(spec)} for spec in specs]
    paths = list(dict.fromkeys(path for sheet in sheets for path in sheet))
    differing = [path for path in paths if len({sheet.get(path, "-") for sheet in sheets}) > 1]
    rows = [("key", *(_cell(spec.name) for spec in specs))]
    rows += [(path, *(_cell(sheet.get(path, "-")) for sheet in sheets)) for path in differing]
    names = [line for spec in specs for line in _wrapped(f"{spec.name}: {spec.description}")]
    equal = len(paths) - len(differing)
    table = columns(rows, rules=(1,)) if differing else []
    return "\n".join([*names, "", *table, *([""] if table else []), f"{equal} other values are equal"])


def _die(spec: HardwareSpec) -> dict[str, str]:
    silicon = hwconfigs.load_energy(spec.energy).bind(spec).silicon
    if silicon is None:
        return {}
    return {"die.area": area(silicon.area_mm2 * 1e6), "die.leakage": quantity(silicon.leakage_mw * 1e-3, "W")}


def _cell(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _values(spec: HardwareSpec) -> dict[str, str]:
    """Text of every value by dotted path; a section that a machine lacks is one value."""
    return dict(_leaves("", spec.model_dump(mode="json", exclude=NOT_COMPARED)))


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Dotted paths and the text of their values."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, part)
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    else:
        yield path, "-" if value is None else str(value)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def _source(spec: HardwareSpec, path: str) -> str:
    """The text that covers ``path``: its own, or that of the nearest section around it."""
    while path not in spec.sources and "." in path:
        path = path.rpartition(".")[0]
    return str(spec.sources.get(path, ""))
