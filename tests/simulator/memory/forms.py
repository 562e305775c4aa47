"""A module of recurrences as it is written, or compiled, for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from simulator.memory.compiled import compile_functions

FORMS = ("as written", "compiled")


@contextmanager
def form_of(module: ModuleType, form: str) -> Iterator[ModuleType]:
    """Put ``module`` into one of ``FORMS``, and back into what it was."""
    before = dict(vars(module))
    vars(module).update({name: getattr(value, "py_func", value) for name, value in before.items()})
    if form == "compiled":
        compile_functions(module)
    try:
        yield module
    finally:
        vars(module).update(before)
