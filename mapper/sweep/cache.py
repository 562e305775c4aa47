"""The cache of what points share: settled mappings and simulations by digest, kept across points, sweeps and processes.

It is an SQLite file in the user's cache directory that every worker writes to. Nothing depends on it: what it cannot
find, or keep, is computed. A cache that is damaged, or lies where nobody may write, is left alone for the run.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import suppress
from functools import cache as once
from pathlib import Path

from mapper.sweep.model_version import model_version

DEFAULT_BYTES = 2**30
"""Largest size of the file [bytes]."""

SMALLEST_BYTES = 2**20

LOOKED_AFTER = 256
"""Texts kept between two looks at the size of the file."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept(number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL);
"""


def default_path() -> Path:
    """Return where the cache lies: below ``XDG_CACHE_HOME``, or ``.cache`` in the home directory."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "tilewright" / "points.sqlite"


class PointCache:
    """Texts by key (`mapper.recall.digests.Recall`); the oldest make room for new ones.

    Parameters
    ----------
    path
        Of the file, made if there is none.
    most_bytes
        Its largest size.
    """

    def __init__(self, path: Path, most_bytes: int = DEFAULT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._version = model_version().encode()
        self._kept = 0
        self._connection: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
            # What a power cut takes is computed again.
            for line in ("journal_mode = WAL", "synchronous = OFF", "auto_vacuum = INCREMENTAL"):
                self._connection.execute(f"PRAGMA {line}")
            self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error):
            self._leave()

    @property
    def is_open(self) -> bool:
        """Whether anything is kept at all."""
        return self._connection is not None

    def find(self, key: str) -> str | None:
        """Return what was kept under a key by this version of the model; None if there is nothing."""
        if self._connection is None:
            return None
        try:
            found = self._connection.execute("SELECT value FROM kept WHERE key = ?", (self._named(key),)).fetchone()
            if found is None:
                return None
            text = zlib.decompress(found[0])
            # A damaged index may lead to another key's value, whose checksum is right.
            named = self._named(key)
            return text[len(named) :].decode() if text.startswith(named) else None
        except (sqlite3.Error, zlib.error, TypeError, ValueError):
            self._leave()
            return None

    def keep(self, key: str, value: str) -> None:
        """Keep a text."""
        if self._connection is None:
            return
        try:
            self._connection.execute(
                "INSERT OR IGNORE INTO kept(key, value) VALUES (?, ?)",
                (self._named(key), zlib.compress(self._named(key) + value.encode(), 1)),
            )
            self._kept += 1
            if self._kept % LOOKED_AFTER == 0:
                self._make_room(self._connection)
        except sqlite3.Error:
            self._leave()

    def _named(self, key: str) -> bytes:
        """Return the key of this version: another model finds nothing of it."""
        return self._version + bytes.fromhex(key)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Drop the oldest quarter once the file is too large."""
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size <= self._most_bytes:
            return
        connection.execute(
            "DELETE FROM kept WHERE number <= (SELECT number FROM kept ORDER BY number LIMIT 1 "
            "OFFSET (SELECT count(*) / 4 FROM kept))"
        )
        connection.execute("PRAGMA incremental_vacuum").fetchall()

    def _leave(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()
        self._connection = None


@once
def cache_at(path: str, most_bytes: int) -> PointCache:
    """Return the cache of this process at a path."""
    return PointCache(Path(path), most_bytes)
