"""`hwconfigs/FIELDS.md`: every field of a machine file, read from the schema and from shipped machines.

``python -m tests.field_reference`` writes the page; `test_pages` holds it to the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import hwconfigs
from hwconfigs import DramPagesSpec, HardwareSpec
from hwconfigs.key_names import holds_entries, nested, spellings
from hwconfigs.spec import SECTIONS
from tests.pages import ROOT

PAGE = ROOT / "hwconfigs" / "FIELDS.md"

INTRODUCTION = """\
# Every field of a machine

Generated from the schema (`hwconfigs/spec.py` and the files it imports) and from the shipped machines by `python -m
tests.field_reference`; do not edit it.

A machine file is YAML with one mapping for each section below. `extends: NAME` takes everything else from a shipped
machine or a file. A machine that stands on its own needs every field without a default, and a `source` in every
section: one text, or texts by key with `rest` for the others. `--set SECTION.KEY=VALUE` changes one value for a run;
the axes of a sweep have the same names.

**Key** is the short spelling; the full one ends in the unit. **Unit** is that of a plain number; a text brings its
own: `256 KiB`, `1 GHz`, `40 ns`, `8 GB/s`. **Default** is what the schema fills in, "-" if a value must be given or is
derived; **value** and **source** are those of a shipped machine, `gemmini` unless the section says otherwise. Of
any machine `tilewright show hw NAME` prints the same.
"""

EXAMPLES = {"llc": "firesim_dosa", "vector": "gemmini_ibert", "simd": "gemmini_decoder", "unpack": "gemmini_decoder"}
"""Machines that show a section which `gemmini` lacks."""

UNITS = {
    "_bytes_per_cycle": "bytes/cycle", "bytes_per_cycle": "bytes/cycle", "_cycles_per_row": "cycles/row",
    "_bytes": "bytes", "_cycles": "cycles", "_bits": "bits", "_mhz": "MHz", "_v": "V",
}  # fmt: skip
"""By the end of a field's name."""

TEXTS = ("name", "description", "source")
"""Of the machine as a whole, which need no source."""

KIB = 1024

KINDS = {bool: "true or false", str: "name", int: "number", float: "number"}


def text() -> str:
    """Return the page."""
    parts = [INTRODUCTION, "## The machine as a whole\n", _table(HardwareSpec, hwconfigs.load("gemmini"), "", SECTIONS)]
    for name in SECTIONS:
        machine = hwconfigs.load(EXAMPLES.get(name, "gemmini"))
        parts += _section(name, HardwareSpec.model_fields[name], machine)
        if name == "dram":
            page = hwconfigs.load("firesim_dosa")
            parts += ["## `dram.pages`\n", f"{_prose(DramPagesSpec)} Values are those of `{page.name}`.\n"]
            parts += [_table(DramPagesSpec, page, "dram.pages")]
    return "\n".join(parts)


def _section(name: str, field: FieldInfo, machine: HardwareSpec) -> Iterator[str]:
    inner = nested(HardwareSpec, name)
    assert inner is not None, f"{name} is a section"
    model = inner[1]
    shown = "" if machine.name == "gemmini" else f" Values are those of `{machine.name}`."
    yield f"## `{name}`\n"
    yield " ".join(filter(None, [_prose(model), field.description])) + f"{shown}\n"
    yield _table(model, machine, name)


def _prose(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _table(model: type[BaseModel], machine: HardwareSpec, path: str, skipped: tuple[str, ...] = ()) -> str:
    """Return one row for each field; fields that are sections of their own are left out."""
    rows = ["| key | unit | default | value | what it is | source |", "|---|---|---|---|---|---|"]
    short = {field: key for key, field in sorted(spellings(model).items(), key=lambda pair: -len(pair[0]))}
    for name, field in model.model_fields.items():
        if name in skipped or name == "sources":
            continue
        full = f"{path}.{name}" if path else name
        key = name if holds_entries(model, name) else short[name]
        cells = (f"`{key}`", _unit(name, field), _default(field), _value(machine, full))
        rows.append(f"| {' | '.join(map(_cell, (*cells, _meaning(field), _source(machine, full))))} |")
    return "\n".join(rows) + "\n"


def _cell(words: str) -> str:
    return words.replace("``", "`").replace("|", "\\|")


def _meaning(field: FieldInfo) -> str:
    return " ".join(re.sub(r"\s*\[[^\]]*\]\.?(?=$|\s)", "", field.description or "").split())


def _unit(name: str, field: FieldInfo) -> str:
    bracket = re.search(r"\[([^\]]+)\]", field.description or "")
    suffix = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
    return (bracket[1] if bracket else suffix) or _kind(field.annotation)


def _kind(annotation: Any) -> str:
    """Return what a value of a type looks like in YAML."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_kind(part) for part in arguments if part is not NoneType)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if hasattr(annotation, "__metadata__"):
        return _kind(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return KINDS.get(annotation, "mapping" if origin is not None else "name")


def _default(field: FieldInfo) -> str:
    return "-" if field.is_required() else _shown(field.get_default(call_default_factory=True))


def _value(machine: HardwareSpec, path: str) -> str:
    value: Any = machine
    for step in path.split("."):
        value = getattr(value, step)
    if isinstance(value, BaseModel):
        return "a section, below"
    is_size = path.endswith("_bytes") and isinstance(value, int) and value >= KIB and value % KIB == 0
    return f"{value // KIB} KiB" if is_size else _shown(value)


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _source(machine: HardwareSpec, path: str) -> str:
    """Return the text that covers a value: its own, those of its entries, or that of the section around it."""
    if path in TEXTS:
        return ""
    entries: dict[str, list[str]] = {}
    for place, told in machine.sources.items():
        if place.startswith(f"{path}."):
            entries.setdefault(told, []).append(place.removeprefix(f"{path}."))
    if entries and path not in machine.sources:
        return "; ".join(f"{', '.join(names)}: {told}" for told, names in entries.items())
    while path not in machine.sources and "." in path:
        path = path.rpartition(".")[0]
    told = str(machine.sources.get(path, ""))
    return "the default's" if told.startswith("default of ") else told


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
