"""YAML as data only: a strict reader that tells the line of every value.

PyYAML reads YAML 1.1, where ``no`` is False, ``12:30`` is 750, ``1e3`` is text and a repeated key silently wins.
Here a plain scalar follows the YAML 1.2 core schema, narrowed: only ``true``/``false`` are booleans. Repeated keys,
anchors, aliases, merge keys and explicit tags are refused. Problems are collected, not raised one by one.

`workloads.reading` is a second strict reader, because `hwconfigs` and `workloads` import nothing of each other and no
package stands below both. It stops at the first problem, and also reads JSON; a rule that changes here changes there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

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
        node = yaml.compose(text, Loader=_StrictLoader)
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
        document.problems.append(f"{file}: the file is empty")
        return document
    _Reader(document).read(node)
    return document


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self._visited: set[int] = set()

    def read(self, node: yaml.Node) -> None:
        self.document.data = self._value(node, "")

    def _complain(self, node: yaml.Node, path: str, problem: str) -> None:
        place = f"{self.document.file}:{node.start_mark.line + 1}"
        self.document.problems.append(f"{place}: {path}: {problem}" if path else f"{place}: {problem}")

    def _value(self, node: yaml.Node, path: str) -> object:
        self.document.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._visited:
            self._complain(node, path, "anchors and aliases are not allowed; write the value out or use 'extends'")
            return None
        self._visited.add(id(node))
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

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, object]:
        self._check_tag(node, path, "map")
        result: dict[str, object] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _PREFIX + "str":
                shown = key_node.value if isinstance(key_node, yaml.ScalarNode) else "a collection"
                self._complain(key_node, path, f"the key {shown} is not a name; quote it if it is one")
                continue
            key = str(key_node.value)
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
        text = str(node.value)
        try:
            match node.tag.removeprefix(_PREFIX):
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text]
                case "int":
                    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
                case "float":
                    return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except (ValueError, KeyError):
            self._complain(node, path, f"{text!r} is not a {node.tag.removeprefix(_PREFIX)}")
            return None
        return text
