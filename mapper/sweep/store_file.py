"""The file of a store: opened and checked, locked by its driver, and its faults told in one line."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mapper.errors import StoreError

try:
    import fcntl
except ImportError:  # a system without advisory locks: two drivers of one store are not told from one
    fcntl = None  # type: ignore[assignment]

APPLICATION_ID = 0x54575350
"""Says in the header of the file that it is a store of this program ("TWSP")."""

ENDINGS = (".sqlite", ".sqlite3", ".db")
"""Names that an empty file may have in which a store is made; any other empty file is somebody's."""

FORMAT = 2
"""Version of the tables; a store with a higher one was written by a later program. Version 1 has no plans."""

BUSY_SECONDS = 5.0
"""How long somebody else's transaction is waited for [s]."""


class DriverLock:
    """Keeps a second driver away from a store.

    Raises
    ------
    StoreError
        When another process holds it, or there is no place for it.
    """

    def __init__(self, store: Path) -> None:
        if not store.name:
            raise StoreError(f"{store}: is a folder; name a file")
        self._path = store.with_name(store.name + ".lock")
        self._file: int | None = None
        if fcntl is None or store.is_dir():
            return
        try:
            # Whoever holds the lock removes the file at its end: a lock on a removed file is worth nothing.
            while self._file is None:
                handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if self._path.exists() and os.path.samestat(os.fstat(handle), self._path.stat()):
                        self._file = handle
                finally:
                    if self._file is None:
                        os.close(handle)
        except BlockingIOError:
            raise StoreError(
                f"{store}: another sweep is writing to it; wait for its end or name another store"
            ) from None
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            raise StoreError(f"{store}: cannot be written: {reason.lower()}") from None

    def release(self) -> None:
        """Let others in."""
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._file)
            self._file = None


def connect(path: Path, *, create: str | None) -> sqlite3.Connection:
    """Open the file and check what it is.

    Parameters
    ----------
    create
        Statements that make the tables of a new store, which is then writable; None: it is read only.

    Raises
    ------
    StoreError, sqlite3.Error
        When it is no store, of a later format, damaged, or cannot be opened.
    """
    if path.exists() and not path.is_file():
        raise StoreError(f"{path}: is no regular file")
    if create is None:
        return _opened_to_read(path)
    if path.exists() and not os.access(path, os.W_OK):
        raise StoreError(f"{path}: cannot be written: permission denied")
    if path.exists() and not path.stat().st_size and path.suffix not in ENDINGS:
        raise StoreError(f"{path}: is an empty file of somebody's; a store is made where nothing is, or as .sqlite")
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        others = connection.execute("PRAGMA application_id").fetchone()[0] not in (0, APPLICATION_ID)
        if not others and connection.execute("PRAGMA schema_version").fetchone()[0] == 0:
            connection.executescript(create)
        _check(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _opened_to_read(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise StoreError(f"{path}: no such store")
    try:
        return _reader(path, "mode=ro")
    except sqlite3.OperationalError:
        # Without the right to make its index of a log, SQLite reads a file only if told that nobody writes to it.
        if path.with_name(path.name + "-wal").exists():
            raise
        return _reader(path, "immutable=1")


def _reader(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?{how}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    try:
        _check(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    found, made_by = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id"))
    if made_by != APPLICATION_ID:
        raise StoreError(f"{path}: is no store of a sweep but another SQLite file; nothing was changed")
    if found > FORMAT:
        raise StoreError(f"{path}: has format {found}, of a later tilewright; this one reads up to {FORMAT}")
    answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if answer != "ok":
        raise sqlite3.DatabaseError(f"malformed: {answer}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a `StoreError` that says what to do."""
    try:
        yield
    except sqlite3.Error as problem:
        raise StoreError(f"{path}: {_explanation(problem)}") from problem
    except OSError as problem:
        raise StoreError(f"{path}: cannot be read: {(problem.strerror or str(problem)).lower()}") from problem


def _explanation(problem: sqlite3.Error) -> str:
    """Return what happened and what to do, for the kinds of faults that SQLite tells apart."""
    code = (getattr(problem, "sqlite_errorcode", None) or 0) & 0xFF
    kept = "what was committed is kept"
    if code == sqlite3.SQLITE_FULL:
        return f"no space left on the disk; {kept}: make room and run the sweep again"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"another program has locked it; {kept}: run again when that has ended"
    if code == sqlite3.SQLITE_READONLY:
        return f"cannot be written: it, or its folder, is read only; {kept}"
    if code == sqlite3.SQLITE_CANTOPEN:
        return "cannot be opened: no such folder, or no right to write there"
    if code == sqlite3.SQLITE_IOERR:
        return f"reading or writing failed ({problem}); {kept}: is the disk full or gone?"
    if code == sqlite3.SQLITE_NOTADB:
        return "is no store of a sweep: not an SQLite file; nothing was changed"
    text = f"is damaged ({' '.join(str(problem).split())[:120]}); nothing was changed"
    return f"{text}: 'sqlite3 STORE .recover' gets out what is readable"
