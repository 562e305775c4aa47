"""Model files as one object of plain data, by the strict readers of `hwconfigs.textfiles`."""

from __future__ import annotations

from hwconfigs.textfiles.reading import UnreadableFile
from hwconfigs.textfiles.strict_json import parse_json
from hwconfigs.textfiles.strict_yaml import parse as parse_yaml
from workloads.errors import GraphError


def parse(text: str, origin: str) -> dict[str, object]:
    """Read one object; JSON if ``origin`` ends so, else YAML.

    Raises
    ------
    GraphError
        What is wrong, after ``origin`` and, where it is known, the line.
    """
    raw = _json(text, origin) if origin.endswith(".json") else _yaml(text, origin)
    if not isinstance(raw, dict):
        raise GraphError(f"{origin}: must hold one object with text keys, not {type(raw).__name__}")
    return raw


def _json(text: str, origin: str) -> object:
    try:
        return parse_json(text, knows_infinity=True)  # whoever asks for a size refuses what is none
    except UnreadableFile as error:
        raise GraphError(f"{origin}: {error}") from error


def _yaml(text: str, origin: str) -> object:
    document = parse_yaml(text, origin)
    if document.problems:
        raise GraphError("\n".join(document.problems))
    return document.data


def parse_list(text: str, origin: str) -> list[object]:
    """Read a list: JSON or YAML by the ending of ``origin``, else a number on each line.

    Raises
    ------
    GraphError
        What is wrong, after ``origin`` and, where it is known, the line.
    """
    if origin.endswith((".json", ".yaml", ".yml")):
        raw = _json(text, origin) if origin.endswith(".json") else _yaml(text, origin)
        if not isinstance(raw, list):
            raise GraphError(f"{origin}: must hold a list, not {type(raw).__name__}")
        return raw
    numbers: list[object] = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.split("#", 1)[0].strip().rstrip(",")
        try:
            numbers += [float(word)] if word else []
        except ValueError:
            raise GraphError(f"{origin}:{number}: {word!r:.40} is no number") from None
    return numbers
