"""Machine code kept between processes; whatever is wrong with its files costs time and nothing else.

numba's own cache lets any trouble end the call: a full or read-only disk, a file cut short. And it runs what it finds:
of files with a few changed bits a third ended the process, without a word of Python. Here code is sealed by its digest.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from contextlib import suppress
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.serialize import dumps


class CompiledCodeWarning(UserWarning):
    """Compiled code could not be kept or taken from where it was kept; results are the same."""


class DamagedCode(Exception):
    """A file does not hold what was written."""


class CodeCache(FunctionCache):
    """The machine code of one function; a `RuntimeError` when there is no place for it.

    It is renewed when its file changes, or one of ``stamps``: whatever else it depends on.
    """

    def __init__(self, function: object, *stamps: object) -> None:
        super().__init__(function)
        self._cache_file = _SealedFile(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}.sealed",
            source_stamp=(self._impl.locator.get_source_stamp(), *stamps),
        )

    def load_overload(self, sig: object, target_context: object) -> Any:
        """Return the code for a signature, None if it is to be compiled."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as problem:  # whatever unpickling of arbitrary bytes comes to
            _warn(f"{self.cache_path}: compiled code cannot be read ({_reason(problem)}); compiling it again")
        with suppress(Exception):
            self.flush()  # so that the code compiled now replaces what is damaged
        return None

    def save_overload(self, sig: object, data: object) -> None:
        """Keep code for the next process."""
        try:
            super().save_overload(sig, data)
        except Exception as problem:
            _warn(f"{self.cache_path}: compiled code cannot be kept ({_reason(problem)}); going on without")


class _SealedFile(IndexDataCacheFile):
    """Files whose content is checked, and belongs to the signature that asks for it, before anything of it is run."""

    def save(self, key: object, data: object) -> None:
        content = dumps((key, data))
        super().save(key, (hashlib.sha256(content).digest(), content))

    def load(self, key: object) -> Any:
        sealed = super().load(key)
        if sealed is None:
            return None
        digest, content = sealed
        if hashlib.sha256(content).digest() != digest:
            raise DamagedCode
        kept_for, data = pickle.loads(content)
        if kept_for != key:
            raise DamagedCode
        return data


_warned = False


def _warn(text: str) -> None:
    """Warn of the first trouble; there are as many as functions."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(text, CompiledCodeWarning, stacklevel=2)


def _reason(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or type(problem).__name__
