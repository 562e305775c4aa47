"""The store of a sweep: one SQLite file with one row for each point, committed as it arrives.

Only the process that drives a sweep writes; results may be read at any time, also while the sweep runs. A killed
driver loses nothing that was committed. Commits reach the disk at least once a second: after a power cut the file is
whole, and at most the points of the last second have to be computed again.

    points   row, key, status ('waiting', 'done', 'failed'), point, metrics, digest, reason, trace, seconds, plan
    about    version of the model; of each plan what it was, and the folder in which it was made

Rows are numbered as they were planned, whatever the order in which they arrive.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter

from mapper.errors import StoreError
from mapper.sweep.outcome import Metric, Outcome, Status
from mapper.sweep.points import Point
from mapper.sweep.store_file import APPLICATION_ID, FORMAT, DriverLock, connect, explained

PLAN = "plan INTEGER NOT NULL DEFAULT 1"

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE about(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE points(
  row INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL DEFAULT 'waiting' CHECK(status IN ('waiting', 'done', 'failed')),
  point TEXT NOT NULL, metrics TEXT, digest TEXT, reason TEXT, trace TEXT, seconds REAL, {PLAN});
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
COMMIT;
"""

_METRICS: TypeAdapter[dict[str, Metric]] = TypeAdapter(
    dict[str, Annotated[float, Field(allow_inf_nan=False)] | int | str | None]
)

_COLUMNS = "row, key, status, point, metrics, digest, reason, trace, seconds, plan"

SYNC_SECONDS = 1.0
"""Longest time that a commit stays in the memory of the operating system [s]."""


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A row of the store."""

    row: int
    key: str
    status: Status
    point: Point
    metrics: Mapping[str, Metric]
    digest: str
    reason: str
    trace: str
    seconds: float
    plan: int = 1
    """Number of the last sweep that asked for it."""


class Counts(NamedTuple):
    """How many rows there are of each kind."""

    done: int
    failed: int
    waiting: int

    @property
    def total(self) -> int:
        """Return all rows."""
        return self.done + self.failed + self.waiting


class Store:
    """An open store; a context manager that closes it.

    Make one by `Store.to_write`, which creates the file, or by `Store.to_read`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: DriverLock | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._synced = time.monotonic()
        self._plan = 1
        with explained(path):
            has_plans = connection.execute("PRAGMA user_version").fetchone()[0] > 1
        self._columns = _COLUMNS if has_plans else _COLUMNS.replace("plan", "1")

    @classmethod
    def to_write(cls, path: str | Path, version: str) -> Store:
        """Open or create the store of a sweep; nobody else can drive a sweep into it meanwhile.

        Parameters
        ----------
        version
            Of the model that computes (`mapper.sweep.model_version`).

        Raises
        ------
        StoreError
            When the file is no store, damaged, of a newer format or another model version, locked, or not writable.
        """
        file = Path(path)
        lock = DriverLock(file)
        try:
            with explained(file):
                connection = connect(file, create=_SCHEMA)
            store = cls(file, connection, lock)
            try:
                store._claim(version)
            except BaseException:
                connection.close()
                raise
            return store
        except BaseException:
            lock.release()
            raise

    @classmethod
    def to_read(cls, path: str | Path) -> Store:
        """Open a store whose rows are read only; raises as `to_write`, whatever the version of its model."""
        file = Path(path)
        with explained(file):
            return cls(file, connect(file, create=None), None)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a store that was written needs no other file beside it then."""
        try:
            if self._lock is not None:
                # A store that rests is one file, which can be read in a folder that is read only. Whoever reads just
                # now keeps it from that, and the next driver makes good for it.
                with suppress(sqlite3.Error):
                    self._connection.execute("PRAGMA busy_timeout = 0")
                    self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def _claim(self, version: str) -> None:
        """Note the version of the model, or refuse another one before anything is changed."""
        made_by = self.model_version or ("that it does not name" if self.counts().total else "")
        if made_by not in ("", version):
            raise StoreError(
                f"{self.path}: was computed by model {made_by}, this is {version}; results of two models "
                "are never mixed: name another store, or read this one with 'tilewright results'"
            )
        with explained(self.path):
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A commit is safe from a kill at once; `sync` brings it to the disk by and by.
            self._connection.execute("PRAGMA synchronous = NORMAL")
        if not self.model_version:
            self.note("model_version", version)
        if self._columns != _COLUMNS:
            with self._writing():
                self._connection.execute(f"ALTER TABLE points ADD COLUMN {PLAN}")
                self._connection.execute(f"PRAGMA user_version = {FORMAT}")
            self._columns = _COLUMNS

    @property
    def model_version(self) -> str:
        """Return the version of the model that computed it."""
        return self.about("model_version")

    def about(self, name: str) -> str:
        """Return a note of the store, empty text if there is none."""
        found = self._one("SELECT value FROM about WHERE name = ?", (name,))
        return "" if found is None else str(found[0])

    def note(self, name: str, value: str) -> None:
        """Set a note of the store, such as what a search over hardware minimises."""
        with self._writing():
            self._connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    @property
    def plans(self) -> int:
        """Return how many different sweeps were driven into it."""
        try:
            return int(self.about("plans") or 1)
        except ValueError:
            raise self._damaged_notes() from None

    def begin(self, digest: str) -> None:
        """Let the points that are planned from now on be those of a sweep, by its digest; the last one may go on."""
        number = self.plans
        told = self._told(number)
        self._plan = number + (told is not None and told.get("digest") != digest)
        # From the store to where names of files start, so that both can be moved together.
        folder = os.path.relpath(Path.cwd(), self.path.resolve().parent)
        self.note("plans", str(self._plan))
        self.note(f"plan {self._plan}", json.dumps({"digest": digest, "folder": folder}))

    def folder(self, plan: int) -> Path:
        """Return where names of files start in the rows of a sweep: the current directory when it was driven."""
        told = self._told(plan)
        return Path.cwd() if told is None else self.path.resolve().parent / str(told.get("folder", "."))

    def _told(self, plan: int) -> dict[str, object] | None:
        """Return what was noted of a sweep; None if nothing was."""
        text = self.about(f"plan {plan}")
        try:
            told = json.loads(text) if text else None
        except (ValueError, RecursionError):
            raise self._damaged_notes() from None
        if not isinstance(told, dict | None):
            raise self._damaged_notes()
        return told

    def _damaged_notes(self) -> StoreError:
        return StoreError(f"{self.path}: what it knows of its sweeps is damaged and cannot be read")

    def plan(self, points: Iterable[tuple[str, Point]]) -> list[Status]:
        """Give points their rows, by key, unless they have one; return the status of each.

        Raises
        ------
        StoreError
            When the file cannot be written, as on a full disk.
        """
        given = [(key, json.dumps(point.to_dict(), ensure_ascii=False)) for key, point in points]
        with self._writing():
            self._connection.executemany("INSERT OR IGNORE INTO points(key, point) VALUES (?, ?)", given)
            # Names of files start from the folder of the plan, and axes are its own: the point goes with the plan.
            of_this = [(self._plan, point, key, self._plan) for key, point in given]
            self._connection.executemany("UPDATE points SET plan = ?, point = ? WHERE key = ? AND plan != ?", of_this)
        find = "SELECT status FROM points WHERE key = ?"
        with explained(self.path):
            return [self._connection.execute(find, (key,)).fetchone()[0] for key, _ in given]

    def finish(self, key: str, outcome: Outcome) -> None:
        """Write what became of a planned point; it is committed when this returns.

        Raises
        ------
        StoreError
            When the file cannot be written, as on a full disk; what was there before is still there.
        """
        values = (
            outcome.status,
            json.dumps(dict(outcome.metrics), ensure_ascii=False),
            outcome.digest,
            outcome.reason,
            outcome.trace,
            outcome.seconds,
            key,
        )
        with self._writing():
            self._connection.execute(
                "UPDATE points SET status = ?, metrics = ?, digest = ?, reason = ?, trace = ?, seconds = ? "
                "WHERE key = ?",
                values,
            )
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Bring all commits to the disk."""
        with explained(self.path):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._synced = time.monotonic()

    def counts(self) -> Counts:
        """Return how many rows are done, failed and waiting."""
        with explained(self.path):
            found = dict(self._connection.execute("SELECT status, count(*) FROM points GROUP BY status").fetchall())
        return Counts(found.get("done", 0), found.get("failed", 0), found.get("waiting", 0))

    def rows(self, *, statuses: Sequence[Status] = ("done", "failed", "waiting")) -> Iterator[StoredPoint]:
        """Yield the rows in the order of the plan."""
        marks = ", ".join("?" * len(statuses))
        with explained(self.path):
            query = f"SELECT {self._columns} FROM points WHERE status IN ({marks}) ORDER BY row"
            for found in self._connection.execute(query, tuple(statuses)):
                yield self._stored(found)

    def find(self, name: str) -> StoredPoint:
        """Return a row by its number, or by the first characters of its key.

        Raises
        ------
        StoreError
            When there is none, or more than one.
        """
        with explained(self.path):
            found = self._connection.execute(
                f"SELECT {self._columns} FROM points WHERE row = ? "
                "OR (length(?) >= 6 AND substr(key, 1, length(?)) = ?) ORDER BY row LIMIT 2",
                (int(name) if name.isdecimal() and len(name) < 19 else None, name, name, name),
            ).fetchall()
        if len(found) != 1:
            known = self.counts().total
            raise StoreError(
                f"{self.path}: {'several rows' if found else 'no row'} {name!r}; it has rows 1 to {known:,}, named by "
                "number or by 6 or more characters of their key"
            )
        return self._stored(found[0])

    def _stored(self, found: Sequence[Any]) -> StoredPoint:
        row, key, status, point, metrics, digest, reason, trace, seconds, plan = found
        try:
            read = Point.from_dict(json.loads(point))
            numbers = _METRICS.validate_json(metrics) if metrics else {}
            cells = (reason or "", trace or "", digest or "", read.model, read.machine)
            if not all(isinstance(cell, str) for cell in cells) or not isinstance(read.values, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise StoreError(f"{self.path}: row {row} is damaged and cannot be read") from None
        texts = digest or "", reason or "", trace or ""
        return StoredPoint(row, key, status, read, numbers, *texts, seconds or 0.0, plan)

    def _one(self, query: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
        with explained(self.path):
            found: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        return found

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Commit what happens inside, or nothing of it."""
        with explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
