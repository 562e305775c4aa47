"""What goes wrong with a sweep as a whole; a point that fails is no error but a row."""

from __future__ import annotations


class SweepError(ValueError):
    """A sweep that makes no sense or cannot run; one line per problem."""


class StoreError(SweepError):
    """A store that cannot be used; nothing in it was changed."""
