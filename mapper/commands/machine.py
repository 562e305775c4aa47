"""The machine asked for on the command line: a name or file, and ``--set`` changes."""

from __future__ import annotations

from collections.abc import Iterable

from hwconfigs import strict_yaml
from mapper.commands.problems import CommandError


def overrides(settings: Iterable[str]) -> dict[str, object]:
    """``["scratchpad.capacity=64 KiB", "l2=null"]`` as a mapping; values are read as YAML scalars are.

    Raises
    ------
    CommandError
        No ``=``, a value that cannot be read, or a key given twice.
    """
    found: dict[str, object] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals or not key or not text.strip():
            raise CommandError(f'--set {setting!r}: must be KEY=VALUE, as in scratchpad.capacity="64 KiB"')
        if key in found:
            raise CommandError(f"--set {key}: given twice")
        document = strict_yaml.parse(text, f"--set {key}")
        if document.problems:
            raise CommandError("\n".join(document.problems))
        found[key] = document.data
    return found
