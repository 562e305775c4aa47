"""Key names of a model: short spellings, unknown keys, and pydantic's complaints in our words."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from hwconfigs.errors import suggestion
from hwconfigs.foreign_names import key_hint
from hwconfigs.limits import SHOWN_CHARACTERS, shortened

_UNITS = ("_bytes_per_cycle", "_bytes", "_cycles", "_bits", "_mhz", "_pj", "_um2", "_uw", "_nm", "_v")

Complain = Callable[[str, str], None]
"""Takes a dotted path and a text."""


def spellings(model: type[BaseModel]) -> dict[str, str]:
    """Every accepted key of ``model`` to its field: the field's name, and the name without its unit."""
    fields = [name for name in model.model_fields if name != "sources"]
    result = {name: name for name in fields}
    for name in fields:
        short = next((name.removesuffix(unit) for unit in _UNITS if name.endswith(unit)), name)
        if name == "bytes_per_cycle":
            short = "bandwidth"
        result.setdefault(short, name)
    return result


def unknown_key(key: str, model: type[BaseModel]) -> str:
    """What to say of a key that ``model`` does not accept, with the one that may be meant."""
    return f"unknown key{key_hint(key) or suggestion(key, (*spellings(model), *getattr(model, 'shorthands', ())))}"


def nested(model: type[BaseModel], field: str) -> tuple[str, type[BaseModel]] | None:
    """``(kind, model)`` if the field holds models: kind is one, mapping or list."""
    return _nested(model.model_fields[field].annotation)


def holds_entries(model: type[BaseModel], field: str) -> bool:
    """Whether the field is a mapping of plain values, such as host.kernel_cycles; its keys are checked with it."""
    origin = get_origin(model.model_fields[field].annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping) and nested(model, field) is None


def _nested(annotation: Any) -> tuple[str, type[BaseModel]] | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _nested(arguments[0])
    if origin in (Union, types.UnionType):
        return next((inner for argument in arguments if (inner := _nested(argument))), None)
    if origin is tuple and arguments and (inner := _nested(arguments[0])):
        return "list", inner[1]
    if isinstance(origin, type) and issubclass(origin, Mapping) and (inner := _nested(arguments[1])):
        return "mapping", inner[1]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "one", annotation
    return None


class Renamer:
    """Replaces the keys of nested data by field names; unknown and doubled keys are complained about and dropped."""

    def __init__(self, complain: Complain) -> None:
        self.complain = complain
        self.written: dict[str, str] = {}
        """Field path to the path as written."""

    def canonical(self, model: type[BaseModel], data: object, written: str = "", path: str = "") -> object:
        """``data`` by field names; ``written`` and ``path`` are its path as written and by field names."""
        if not isinstance(data, Mapping):
            return data
        accepted = spellings(model)
        result: dict[str, object] = {}
        for key, value in data.items():
            spelt = join(written, str(key))
            name = accepted.get(str(key))
            if name is None:
                self.complain(spelt, unknown_key(str(key), model))
            elif name in result:
                self.complain(spelt, f"given twice, also as {self.written[join(path, name)]}")
            else:
                result[name] = self._field(nested(model, name), value, spelt, join(path, name))
        return result

    def _field(self, inner: tuple[str, type[BaseModel]] | None, value: object, written: str, path: str) -> object:
        self.written[path] = written
        kind, model = inner or ("plain", None)
        if kind == "one" and model is not None:
            return self.canonical(model, value, written, path)
        deeper = ("one", model) if model is not None else None
        if isinstance(value, Mapping) and kind in ("mapping", "plain"):
            return {key: self._field(deeper, item, f"{written}.{key}", f"{path}.{key}") for key, item in value.items()}
        if isinstance(value, list) and kind == "list":
            return [self._field(deeper, item, f"{written}[{i}]", f"{path}[{i}]") for i, item in enumerate(value)]
        return value


def join(path: str, key: str) -> str:
    """Dotted path of a key."""
    return f"{path}.{key}" if path else key


def leaves(values: Mapping[str, object], path: str = "") -> Iterator[str]:
    """Dotted paths of everything that is not a mapping itself; an empty mapping has none."""
    for key, value in values.items():
        inner = join(path, key)
        if isinstance(value, Mapping):
            yield from leaves(value, inner)
        else:
            yield inner


def location(error: ErrorDetails) -> str:
    """Dotted path of a pydantic error; the ``[key]`` marker of mapping keys is left out."""
    path = ""
    for step in error["loc"]:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step != "[key]":
            path = join(path, step)
    return path


_PLAIN_TEXTS: Mapping[str, str] = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "model_type": "must be a section of 'key: value' lines",
    "dict_type": "must be a section of 'key: value' lines",
    "mapping_type": "must be a section of 'key: value' lines",
    "finite_number": "must be finite",
}


def wording(error: ErrorDetails) -> str:
    """What a pydantic error means, with the value that was given."""
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    shown = "null" if given is None else repr(given)
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    if kind == "literal_error":
        choices = [choice.strip("'") for choice in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return f"{shortened(shown)} is not known{suggestion(str(given)[:SHOWN_CHARACTERS], choices)}"
    if kind in ("greater_than", "greater_than_equal", "less_than_equal"):
        sign = {"greater_than": ">", "greater_than_equal": ">=", "less_than_equal": "<="}[kind]
        bound = next(value for name, value in context.items() if name in ("gt", "ge", "le"))
        return f"must be {sign} {bound}, got {shortened(shown)}"
    if kind in ("tuple_type", "list_type") and isinstance(given, str):
        return f"must be a list, as in [{shortened(given)}], got {shortened(shown)}"
    text = _PLAIN_TEXTS.get(kind, error["msg"])
    return f"{text}, got {shortened(shown)}"
