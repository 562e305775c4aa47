"""JSON and YAML as plain data, read strictly: what one reader would guess and another not is refused.

Repeated keys, and in YAML anchors, aliases, merge keys and tags are errors; only ``true`` and ``false`` are booleans,
so that ``no``, ``12:30`` and ``2024-01-01`` stay text, and ``1e3`` is a number.

`hwconfigs.strict_yaml` is a second strict reader, because `workloads` and `hwconfigs` import nothing of each other and
no package stands below both. It collects all problems of a file; a rule that changes here changes there.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

import yaml

from workloads.errors import GraphError

_PREFIX = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Composes nodes by the scalar rules below; nothing is constructed from a tag."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _name, _pattern in (
    ("null", r"~|null|"),
    ("bool", r"true|false"),
    ("int", r"[-+]?[0-9]+"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"),
):
    _Loader.add_implicit_resolver(_PREFIX + _name, re.compile(f"(?:{_pattern})$"), None)


def parse(text: str, origin: str) -> dict[str, object]:
    """Read one object; JSON if ``origin`` ends so, else YAML.

    Raises
    ------
    GraphError
        What is wrong, after ``origin`` and the line.
    """
    try:
        raw = _json(text, origin) if origin.endswith(".json") else _yaml(text, origin)
    except RecursionError as error:
        raise GraphError(f"{origin}: nested too deeply") from error
    except ValueError as error:
        if isinstance(error, GraphError):
            raise
        raise GraphError(f"{origin}: holds a value that cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise GraphError(f"{origin}: must hold one object with text keys, not {type(raw).__name__}")
    return raw


def _json(text: str, origin: str) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in pairs:
            if key in values:
                raise GraphError(f"{origin}: key {key!r} is given twice")
            values[key] = value
        return values

    def no_number(name: str) -> NoReturn:
        raise GraphError(f"{origin}: {name} is no number")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=no_number)
    except json.JSONDecodeError as error:
        raise GraphError(f"{origin}: line {error.lineno}: not valid JSON, perhaps truncated: {error.msg}") from error


def _yaml(text: str, origin: str) -> object:
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "malformed"
        raise GraphError(f"{origin}: {where}not valid YAML: {problem}") from error
    return None if node is None else _plain(node, origin, set())


def _plain(node: yaml.Node, origin: str, visited: set[int]) -> object:
    """Return the value of a node; ``visited`` are the nodes read so far, which an alias would name again."""
    where = f"{origin}: line {node.start_mark.line + 1}"
    kind = node.tag.removeprefix(_PREFIX)
    if id(node) in visited:
        raise GraphError(f"{where}: anchors and aliases are not allowed; write the value out")
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode) and kind == "map":
        values: dict[str, object] = {}
        for key_node, value in node.value:
            line = f"{origin}: line {key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _PREFIX + "str":
                raise GraphError(f"{line}: the key {str(key_node.value)[:40]} is not a name; quote it if it is one")
            key = str(key_node.value)
            if key == "<<":
                raise GraphError(f"{line}: merge keys are not allowed; write the values out")
            if key in values:
                raise GraphError(f"{line}: not valid YAML: key {key!r} is given twice")
            values[key] = _plain(value, origin, visited)
        return values
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_plain(item, origin, visited) for item in node.value]
    if isinstance(node, yaml.ScalarNode) and kind in ("str", "null", "bool", "int", "float"):
        return _scalar(kind, str(node.value))
    raise GraphError(f"{where}: the tag {node.tag!r} is not allowed; models are plain data")


def _scalar(kind: str, text: str) -> object:
    match kind:
        case "null":
            return None
        case "bool":
            return text == "true"
        case "int":
            return int(text)
        case "float":
            return float(text)
    return text
