"""A machine before validation: values by field name, with where each came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from hwconfigs import catalogue
from hwconfigs.dram_clock import CLOCK, clock_of, keep_seconds
from hwconfigs.dram_presets import PRESETS
from hwconfigs.errors import SpecError, suggestion
from hwconfigs.key_names import Complain, Renamer, holds_entries, join, leaves, nested, spellings, unknown_key
from hwconfigs.limits import SHOWN_CHARACTERS, shortened
from hwconfigs.parts import DramPagesSpec
from hwconfigs.spec import SECTIONS, HardwareSpec
from hwconfigs.textfiles import strict_yaml

OWN = "own"
"""Source of a value in a what-if that gives none."""

ALONE = "; a first line 'extends: gemmini' would take all that is not said here from that machine"
"""What helps a file that is no whole machine."""

OVERRIDE = "override"
"""Source of a value that the user changed."""

_ROWS_COLS = ("rows", "cols")
_SIZE = ("array.rows", "array.cols")

_REST = "rest"
"""Key of a section's ``source`` mapping that stands for everything not named."""


@dataclass(slots=True)
class LayeredValues:
    """Nested values plus, per dotted path, source and place in a file."""

    label: str
    values: dict[str, Any]
    sources: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    """Dotted path to ``file:line``."""
    problems: list[str] = field(default_factory=list)
    overridden: bool = False
    """Whether the user changed anything after the files were read."""
    sized: bool = False
    """Whether the array's rows and columns were given as ``array.size``."""
    changed: dict[str, str] = field(default_factory=dict)
    """Dotted path of each override by field names, and as the user wrote it."""

    def get(self, path: str, default: object = None) -> object:
        """Value of a dotted path."""
        value: object = self.values
        for step in path.split("."):
            if not isinstance(value, Mapping) or step not in value:
                return default
            value = value[step]
        return value

    def place(self, path: str) -> str:
        """``file:line`` of a path or of the nearest enclosing one."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places.get(path, self.label)

    def complain(self, path: str, text: str) -> None:
        """Note a problem of one path."""
        shown = "array.size" if self.sized and path in _SIZE else path
        line = f"{self.place(path)}: {shown}: {text}"
        if line not in self.problems:
            self.problems.append(line)

    def complain_line(self, line: str) -> None:
        """Note a contradiction; its text begins with the path.

        An inherited value was valid in its own file, so the outermost file or the overrides are blamed.
        """
        path = line.partition("=")[0].partition(":")[0]
        places = (self.places.get(path, ""), self.places.get(path.partition(".")[0], ""))
        outermost = (place for label in (OVERRIDE, self.label) for place in places if place.startswith(label))
        self.problems.append(f"{next(outermost, OVERRIDE if self.overridden else self.label)}: {line}")

    def put_on_top(self, layer: LayeredValues) -> None:
        """Let the values of ``layer`` win over those of this one; with its clock the DRAM keeps its seconds."""
        if not layer.values.keys().isdisjoint(CLOCK):
            below, above = (clock_of(values) for values in (self.values, layer.values))
            if below is not None and above is not None and below != above:
                keep_seconds(self.values, below)
        _merge(self, layer.values, layer.sources, "")
        # Messages name rows and columns as the layer gave them that set them last.
        if isinstance(layer.values.get("array"), Mapping) and not layer.values["array"].keys().isdisjoint(_ROWS_COLS):
            self.sized = layer.sized
        self.label = layer.label
        self.places.update(layer.places)
        self.problems.extend(layer.problems)


def _merge(below: LayeredValues, values: Mapping[str, Any], sources: Mapping[str, str], path: str) -> None:
    target = below.values
    for step in path.split(".") if path else ():
        target = target[step]
    for key, value in values.items():
        inner = join(path, key)
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(below, value, sources, inner)
            continue
        # A value that is replaced as a whole takes the sources of all its parts with it.
        for stale in [known for known in below.sources if known == inner or known.startswith(inner + ".")]:
            del below.sources[stale]
        target[key] = value
        for leaf in leaves({key: value}, path):
            if leaf in sources:
                below.sources[leaf] = sources[leaf]


def read_layer(file: catalogue.SourceFile) -> tuple[LayeredValues, str | None]:
    """The values of one file, and the name of the machine it extends."""
    document = strict_yaml.parse(file.content, file.label)
    layered = LayeredValues(file.label, {}, problems=list(document.problems))
    data = document.data
    if not isinstance(data, dict):
        if not layered.problems:
            layered.problems.append(f"{file.label}: must consist of 'key: value' lines")
        raise SpecError(layered.problems)
    parent = data.pop("extends", None)
    if parent is None:
        _refuse_other_words_for_extends(data, document)
    if parent is not None and not isinstance(parent, str):
        layered.problems.append(f"{document.where('extends')}: extends: must be the name or path of a machine")
        parent = None
    # A section's ``source`` is no field of its model, so it is taken out before keys are matched with fields.
    notes = {name: data[name].pop("source") for name in SECTIONS if _has_source(data.get(name))}
    _expand_size(data, document, layered)

    def complain(path: str, text: str) -> None:
        layered.problems.append(f"{document.where(path)}: {path}: {text}")

    renamer = Renamer(complain)
    values = renamer.canonical(HardwareSpec, data)
    assert isinstance(values, dict)
    layered.values = values
    layered.values.setdefault("name", file.name)
    layered.places = {path: document.where(written) for path, written in renamer.written.items()}
    # A what-if needs no paperwork; what is shipped, or stands on its own, does.
    own = parent is not None and file.directory is not None
    if own:
        layered.values.setdefault("description", f"{parent} with changes of one's own")
        layered.values.setdefault("source", OWN)
    for key in ("description", "source"):
        if key not in layered.values and not document.problems:
            remedy = ALONE if parent is None and key == "description" else ""
            layered.problems.append(f"{file.label}: {key}: missing; every machine says it for itself{remedy}")
            layered.values[key] = "-"
    _expand_pages(values, layered.sources, complain)
    _resolve_energy(layered, file)
    _cover(layered, notes, own=own)
    return layered, parent


def _refuse_other_words_for_extends(data: Mapping[str, object], document: strict_yaml.Document) -> None:
    """Stop at ``inherits: gemmini``: whatever else the file lacks, it inherits once the word is right."""
    for key, value in data.items():
        if key not in spellings(HardwareSpec) and isinstance(value, str):
            hint = f"; to start from another machine write 'extends: {value}'"
            raise SpecError([*document.problems, f"{document.where(key)}: {key}: unknown key{hint}"])


def _has_source(section: object) -> bool:
    return isinstance(section, dict) and "source" in section


def _expand_size(data: dict[str, Any], document: strict_yaml.Document, layered: LayeredValues) -> None:
    """``array.size`` means rows and columns."""
    array = data.get("array")
    if not isinstance(array, dict) or "size" not in array:
        return
    size = array.pop("size")
    layered.sized = True
    for name in _ROWS_COLS:
        if name in array:
            layered.problems.append(f"{document.where('array.size')}: array.size: give either size or {name}, not both")
        array[name] = size
        document.lines[f"array.{name}"] = document.lines["array.size"]


def _expand_pages(values: dict[str, Any], sources: dict[str, str], complain: Complain) -> None:
    """Put the section of a preset in the place of its name, with the preset as the source of its values."""
    dram = values.get("dram")
    if not isinstance(dram, dict) or not isinstance(dram.get("pages"), str):
        return
    name = dram.pop("pages")
    preset = PRESETS.get(name)
    if preset is None:
        complain("dram.pages", f"{shortened(repr(name))} is no preset{suggestion(name[:SHOWN_CHARACTERS], PRESETS)}")
        return
    dram["pages"] = Renamer(complain).canonical(DramPagesSpec, preset.values)
    sources.update(dict.fromkeys(leaves(dram["pages"], "dram.pages"), f"{name}: {preset.source}"))


def _resolve_energy(layered: LayeredValues, file: catalogue.SourceFile) -> None:
    name = layered.values.get("energy")
    if isinstance(name, str) and catalogue.is_path(name) and file.directory is not None:
        layered.values["energy"] = str(file.directory / name)


def _cover(layered: LayeredValues, notes: Mapping[str, object], *, own: bool) -> None:
    """Give every leaf its source; those without one are the user's ``own``, or complained about."""
    top = layered.values.get("source")
    for name, value in layered.values.items():
        if not isinstance(value, Mapping):
            layered.sources[name] = top if isinstance(top, str) else "-"
            continue
        note = notes.get(name)
        bare = [leaf for leaf in leaves({name: value}) if not _covered(layered, name, note, leaf)]
        if own:
            layered.sources.update(dict.fromkeys(bare, OWN))
        elif bare:
            listed = ", ".join(leaf.removeprefix(name + ".") for leaf in bare)
            layered.complain(name, f"no source for {listed}; add 'source:' to the section")
        if isinstance(note, Mapping):
            _check_note_keys(layered, name, note)


def _covered(layered: LayeredValues, section: str, note: object, leaf: str) -> bool:
    if leaf in layered.sources:
        return True
    text: object = note
    if isinstance(note, Mapping):
        text = next((note[key] for key in _note_keys(section, leaf) if key in note), None)
    if not isinstance(text, str) or not text.strip():
        return False
    layered.sources[leaf] = text
    return True


def _note_keys(section: str, leaf: str) -> Iterator[str]:
    """Keys of a ``source`` mapping that cover ``leaf``, most specific first."""
    inner = leaf.removeprefix(section + ".")
    model = nested(HardwareSpec, section)
    assert model is not None
    name, _, entry = inner.partition(".")
    keys = [key for key, known in spellings(model[1]).items() if known == name]
    if entry:
        yield from (f"{key}.{entry}" for key in keys)
    yield from keys
    if name in ("rows", "cols") and section == "array":
        yield "size"
    yield _REST


def _check_note_keys(layered: LayeredValues, section: str, note: Mapping[str, object]) -> None:
    model = nested(HardwareSpec, section)
    assert model is not None
    accepted = {*spellings(model[1]), _REST, *getattr(model[1], "shorthands", ())}
    for key in note:
        if key.partition(".")[0] not in accepted:
            layered.complain(f"{section}.source.{key}", f"unknown key{suggestion(key, accepted)}")


def apply_override(layered: LayeredValues, path: str, value: object) -> None:
    """Set one dotted path; text is read as a YAML value."""
    value = _override_value(value)
    if path == "array.size":
        for name in _ROWS_COLS:
            _apply_one(layered, f"array.{name}", value, path)
        layered.sized = True
    else:
        _apply_one(layered, path, value, path)


def _apply_one(layered: LayeredValues, path: str, value: object, written: str) -> None:
    """Set one field, which the user calls ``written``."""

    def complain(path: str, text: str) -> None:
        layered.problems.append(f"{OVERRIDE}: {path}: {text}")

    section = _override_section(layered, path, complain)
    if section is None:
        return
    steps = [*section.split("."), path.rpartition(".")[2]] if section else [path]
    wrapped: Any = value
    for step in reversed(steps):
        wrapped = {step: wrapped}
    wrapped = Renamer(complain).canonical(HardwareSpec, wrapped)
    preset: dict[str, str] = {}
    _expand_pages(wrapped, preset, complain)
    layer = LayeredValues(layered.label, wrapped, dict.fromkeys(leaves(wrapped), OVERRIDE) | preset)
    twice = next((leaf for leaf in layer.sources.keys() | {path} if leaf in layered.changed), None)
    if twice is not None:
        complain(written, f"given twice, also as {layered.changed[twice]}")
        return
    # The values of a preset may be changed one by one behind it.
    layered.changed.update(dict.fromkeys([path] if preset else layer.sources, written))
    layer.places = dict.fromkeys([*layer.sources, section.partition(".")[0]], OVERRIDE)
    layered.put_on_top(layer)
    layered.overridden = True


def _override_value(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, str):
        item = getattr(value, "item", None)  # a numpy scalar, as sweeps hand out
        return item() if callable(item) else value
    if value.strip().lower() == "none":
        return None
    document = strict_yaml.parse(value, "override")
    return value if document.problems else document.data


def _override_section(layered: LayeredValues, path: str, complain: Complain) -> str | None:
    """Field path of the section or mapping that the last step names a part of; None after a complaint.

    ``""`` is the machine itself.
    """
    model: type[BaseModel] = HardwareSpec
    section = ""
    steps = path.split(".")
    for i, step in enumerate(steps[:-1]):
        accepted = spellings(model)
        name = accepted.get(step)
        if name is None:
            complain(path, f"unknown key '{step}'{suggestion(step, accepted)}")
            return None
        inner = nested(model, name)
        section = join(section, name)
        if holds_entries(model, name) and i == len(steps) - 2:
            return section
        if inner is None:
            complain(path, f"'{step}' has no parts; set it as a whole")
            return None
        if layered.get(section, 0) is None:
            complain(
                path, f"{section} is null on {layered.label}; set it as a whole or start from a machine that has it"
            )
            return None
        model = inner[1]
    if steps[-1] in spellings(model):
        return section
    complain(path, unknown_key(steps[-1], model))
    return None
