"""YAML as data only: a strict reader that tells the line of every value.

PyYAML reads YAML 1.1, where ``no`` is False, ``12:30`` is 750, ``1e3`` is text and a repeated key silently wins.
Here a plain scalar follows the YAML 1.2 core schema, narrowed: only ``true``/``false`` are booleans. Repeated keys,
anchors, aliases, merge keys and explicit tags are refused. Problems are collected, not raised one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

import yaml

from hwconfigs.textfiles.reading import HALF, holds_half_a_character

MOST_DIGITS = 400
"""Of a number; no quantity has as many, and Python refuses to print integers of some thousands."""

MOST_VALUES = 20_000
"""Of a document; no file of ours has a tenth, and each may be complained about."""

_PREFIX = "tag:yaml.org,2002:"


class _StrictLoader(yaml.SafeLoader):
    """Composes nodes with the scalar rules below; nothing is ever constructed from a tag."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_SCALARS: tuple[tuple[str, str], ...] = (
    ("null", r"~|null|"),
    ("bool", r"true|false"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan"),
)
for _name, _pattern in _SCALARS:
    _StrictLoader.add_implicit_resolver(_PREFIX + _name, re.compile(f"(?:{_pattern})$"), None)


@dataclass(slots=True)
class Document:
    """Plain data of one YAML text."""

    file: str
    """Name shown in messages."""
    data: object = None
    """dict, list, str, int, float, bool or None."""
    lines: dict[str, int] = field(default_factory=dict)
    """Dotted path to line number, counted from 1."""
    problems: list[str] = field(default_factory=list)
    """One line each, with file and line."""

    def where(self, path: str) -> str:
        """``file:line`` of a path, or of the nearest enclosing one that the file contains."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        line = self.lines.get(path)
        return self.file if line is None else f"{self.file}:{line}"


def parse(text: str, file: str) -> Document:
    """Read one YAML document; what is wrong with it is in ``problems``."""
    document = Document(file)
    try:
        node = _composed(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = file if mark is None else f"{file}:{mark.line + 1}"
        reason = "; ".join(part for part in (error.context, error.problem) if part)
        document.problems.append(f"{place}: not readable as YAML ({reason}); is the file complete?")
        return document
    except (yaml.YAMLError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        document.problems.append(f"{file}: not readable as YAML ({reason})")
        return document
    if node is None:
        emptiness = "nothing but comments" if text.strip() else "nothing"
        document.problems.append(f"{file}: the file is empty: it holds {emptiness}")
        return document
    reader = _Reader(document)
    reader.read(node)
    if reader.has_too_many:
        document.data = None
        document.problems[:] = [f"{file}: more than {MOST_VALUES:,} values; no file of ours has as many"]
    return document


@lru_cache(maxsize=64)
def _composed(text: str) -> yaml.Node | None:
    """Return the nodes of a text, which nobody changes: a sweep reads the same few files for each of its machines."""
    node: yaml.Node | None = yaml.compose(text, Loader=_StrictLoader)
    return node


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self._visited: set[int] = set()

    @property
    def has_too_many(self) -> bool:
        """Whether the document has more values than are read."""
        return len(self._visited) > MOST_VALUES

    def read(self, node: yaml.Node) -> None:
        self.document.data = self._value(node, "")

    def _complain(self, node: yaml.Node, path: str, problem: str) -> None:
        place = f"{self.document.file}:{node.start_mark.line + 1}"
        self.document.problems.append(f"{place}: {path}: {problem}" if path else f"{place}: {problem}")

    def _value(self, node: yaml.Node, path: str) -> object:
        self.document.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._visited:
            self._complain(node, path, "anchors and aliases are not allowed; write the value out")
            return None
        self._visited.add(id(node))
        if self.has_too_many:
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, path, "seq")
            return [self._value(child, f"{path}[{i}]") for i, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _check_tag(self, node: yaml.Node, path: str, *allowed: str) -> bool:
        if node.tag in {_PREFIX + name for name in allowed}:
            return True
        self._complain(node, path, f"the tag {node.tag!r} is not allowed; configs are plain data")
        return False

    def _is_half(self, node: yaml.Node, path: str) -> bool:
        """Complain about a text that no encoding can write."""
        half = holds_half_a_character(str(node.value))
        if half:
            self._complain(node, path, HALF)
        return half

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, object]:
        self._check_tag(node, path, "map")
        result: dict[str, object] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _PREFIX + "str":
                shown = key_node.value if isinstance(key_node, yaml.ScalarNode) else "a collection"
                self._complain(key_node, path, f"the key {shown} is not a name; quote it if it is one")
                continue
            if self._is_half(key_node, path):
                continue
            key = str(key_node.value)
            if key == "<<":
                self._complain(key_node, path, "merge keys are not allowed; write the values out")
                continue
            line = key_node.start_mark.line + 1
            child = f"{path}.{key}" if path else key
            if key in first:
                self._complain(key_node, child, f"repeated key; it was already given in line {first[key]}")
                continue
            first[key] = line
            self.document.lines[child] = line
            result[key] = self._value(value_node, child)
        return result

    def _scalar(self, node: yaml.Node, path: str) -> object:
        if not self._check_tag(node, path, "str", "null", "bool", "int", "float"):
            return None
        text, kind = str(node.value), node.tag.removeprefix(_PREFIX)
        if self._is_half(node, path):
            return None
        if kind != "str" and len(text) > MOST_DIGITS:
            self._complain(node, path, f"a number of {len(text):,} digits, {text[:12]}..., is more than can be read")
            return None
        try:
            match kind:
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text]
                case "int":
                    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
                case "float":
                    return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except (ValueError, KeyError):
            self._complain(node, path, f"{text!r:.60} is not a {kind}")
            return None
        return text
