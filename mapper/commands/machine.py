"""Changes of the machine asked for with ``--set``."""

from __future__ import annotations

from collections.abc import Iterable

from mapper.commands.problems import CommandError


def overrides(settings: Iterable[str]) -> dict[str, object] | None:
    """``["scratchpad.capacity=64 KiB", "l2=null"]`` as a mapping of texts, which the loader reads as it reads YAML.

    Raises
    ------
    CommandError
        No ``=``, nothing on one side of it, or a key given twice.
    """
    changes: dict[str, object] = {}
    for setting in settings:
        key, _, text = (part.strip() for part in setting.partition("="))
        if not key or not text:
            raise CommandError(f'--set {setting!r}: must be KEY=VALUE, as in scratchpad.capacity="64 KiB"')
        if key in changes:
            raise CommandError(f"--set {key}: given twice")
        changes[key] = text
    return changes or None
