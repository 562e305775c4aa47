"""The one exception of this package, and the nearest-name hint it carries."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GraphError(ValueError):
    """A workload cannot be built: unknown model, impossible shape, unreadable configuration.

    The text has one line per problem and says what, where and what is allowed.
    """


def nearest(word: str, names: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of ``names``, or an empty string."""
    matches = difflib.get_close_matches(word.lower(), list(names), n=1, cutoff=0.65)
    return f"; did you mean {matches[0]!r}?" if matches else ""
