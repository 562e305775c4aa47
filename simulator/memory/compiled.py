"""Recurrences as plain Python that numba compiles once there is enough to do.

A module of recurrences holds functions over arrays and nothing else. Until ``use`` has been told of
``WORTH_COMPILING`` row segments they run as they are written; then all of them are replaced by compiled ones, in place.
Loading numba and its machine code takes a quarter of a second, more than a small program: a run that never needs it
never imports it. Results are the same to the bit.

Machine code is kept beside the source or, where that cannot be written, in the user's cache directory. Files there that
cannot be read or written cost a warning, and compiling once more. The code is renewed when its own file changes, or
that of a module of recurrences that it imports whole: constants come from no other file, and from others only the shape
of arguments (``simulator.memory.ports``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

WORTH_COMPILING = 20_000
"""Row segments that as plain Python cost as much as loading the machine code: 14 us each against 0.28 s (measured)."""

PACKAGE = __name__.partition(".")[0]

OPTIONS: dict[str, Any] = {"_nrt": False, "forceinline": True}
"""How numba compiles: without counting references to arrays, which the caller holds anyway and which functions of
recurrences never make, and with every call in place. A request takes 29 ns, not 62 (measured, numba 0.68), and
compiling takes a quarter less."""

_handled = 0


def use(segments: int, *modules: ModuleType) -> None:
    """Tell that ``modules`` are about to handle ``segments`` row segments, so that they are compiled if that pays."""
    global _handled
    _handled += segments
    if _handled > WORTH_COMPILING:
        for module in modules:
            compile_functions(module)


def compile_functions(module: ModuleType) -> None:
    """Replace all functions that ``module`` defines by compiled ones."""
    for name, function in list(vars(module).items()):
        if isinstance(function, FunctionType) and function.__module__ == module.__name__:
            setattr(module, name, _compiled(function))


def is_compiled(function: Callable[..., Any]) -> bool:
    """Return whether a function of a module of recurrences runs as machine code by now."""
    return not isinstance(function, FunctionType)


def _compiled(function: FunctionType) -> Callable[..., Any]:
    """Compile at the first call, from the cache if possible; without one where no directory can be written."""
    import numba

    from simulator.memory.code_cache import CodeCache

    compiled: Any = numba.njit(**OPTIONS)(function)
    with suppress(RuntimeError, OSError):  # of a cache that finds no place
        compiled._cache = CodeCache(function, repr(OPTIONS), *_stamps(function))
    return compiled  # type: ignore[no-any-return]


def _stamps(function: FunctionType) -> Iterator[tuple[str, float, int]]:
    """Yield what changes when a module of recurrences does that a function's own module imports whole."""
    for name, value in sorted(function.__globals__.items(), key=lambda item: item[0]):
        if isinstance(value, ModuleType) and value.__name__.startswith(PACKAGE) and value.__file__ is not None:
            status = Path(value.__file__).stat()
            yield name, status.st_mtime, status.st_size
