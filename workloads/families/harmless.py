"""Keys that change neither the sizes nor the cost of a block, whatever the model type: ``harmless.yaml``."""

from __future__ import annotations

import functools
import re
from importlib import resources

from pydantic import TypeAdapter

from workloads.reading import parse

_PATTERNS = re.compile(r"_?(flash_attn|attn_implementation)|mask_(time|feature)_|apply_spec_augment|_commit_hash")


@functools.cache
def _listed() -> frozenset[str]:
    text = resources.files("workloads").joinpath("families", "harmless.yaml").read_text("utf-8")
    groups = TypeAdapter(dict[str, list[str]]).validate_python(parse(text, "harmless.yaml"))
    return frozenset(key for keys in groups.values() for key in keys)


def is_harmless(key: str) -> bool:
    """Whether a key changes neither sizes nor cost of a block in any model type."""
    return key in _listed() or _PATTERNS.match(key) is not None
