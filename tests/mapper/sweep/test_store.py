"""What can be wrong with a store is told in one line, and nothing in it is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mapper.errors import StoreError
from mapper.sweep import Store, run
from mapper.sweep.model_version import model_version
from mapper.sweep.outcome import Outcome
from tests.mapper.sweep.points import counted, trivial_sweep

NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of 20 points."""
    path = tmp_path / "s.sqlite"
    run(trivial_sweep(20), path, work=counted)
    return path


def refused(path: Path, match: str, *, also_read: bool = True) -> None:
    """Check that a store is refused by both ways to open it, in one line, and stays as it is."""
    before = path.read_bytes() if path.is_file() else b""
    ways = [lambda: run(trivial_sweep(20), path, work=counted)]
    ways += [lambda: list_rows(path)] if also_read else []
    for way in ways:
        with pytest.raises(StoreError, match=match) as caught:
            way()
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else b"") == before


def list_rows(path: Path) -> None:
    with Store.to_read(path) as opened:
        list(opened.rows())


def test_rows_come_back_as_they_were_written(store: Path) -> None:
    with Store.to_read(store) as opened:
        rows = list(opened.rows())
        assert [row.row for row in rows] == list(range(1, 21))
        assert rows[7].metrics == {"cycles": 7, "half": 3.6}
        assert rows[7].point.settings is not None and rows[7].point.settings.seed == 7
        assert opened.find("8") == opened.find(rows[7].key[:10]) == rows[7]
        for name in ("0", "21", "x" * 8, rows[0].key[:3]):
            with pytest.raises(StoreError, match="rows 1 to 20"):
                opened.find(name)
    assert sorted(path.name for path in store.parent.iterdir()) == ["s.sqlite"]


def test_not_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_text("model: bert-base\n" * 100)
    refused(path, "not an SQLite file")


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE points(row, key)")
    connection.close()
    refused(path, "another SQLite file")


def test_a_folder_and_a_place_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path, "no regular file")
    refused(tmp_path / "none" / "s.sqlite", "no such")


def test_a_later_format(store: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    refused(store, "format 99, of a later tilewright")


@pytest.mark.parametrize("damage", ["middle", "header", "end"])
def test_damaged(store: Path, damage: str) -> None:
    content = bytearray(store.read_bytes())
    match damage:
        case "middle":
            content[4096 : len(content) - 4096 : 3] = b"\xff" * len(content[4096 : len(content) - 4096 : 3])
        case "header":
            content[:4096] = bytes(range(256)) * 16
        case "end":
            del content[len(content) // 2 :]
    store.write_bytes(content)
    refused(store, "is damaged|not an SQLite file")


def test_another_version_of_the_model(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapper.sweep.driver.model_version", lambda: "9.9.9+later")
    refused(store, f"computed by model {model_version().replace('+', '.')}, this is 9.9.9", also_read=False)
    list_rows(store)


def test_locked_by_another_program(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapper.sweep.store_file.BUSY_SECONDS", 0.2)
    other = sqlite3.connect(store, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program has locked it; what was committed is kept"):
        run(trivial_sweep(25), store, work=counted)
    list_rows(store)
    other.execute("ROLLBACK")
    other.close()
    assert run(trivial_sweep(25), store, work=counted).done == 5


def test_a_second_driver(store: Path) -> None:
    with Store.to_write(store, model_version()):
        with pytest.raises(StoreError, match="another sweep is writing to it"):
            Store.to_write(store, model_version())
        list_rows(store)
    Store.to_write(store, model_version()).close()


@contextmanager
def without_rights(path: Path) -> Iterator[Path]:
    """Yield a copy of a store that this process may read and not write, nor its folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied = folder / "s.sqlite"
        shutil.copy(path, copied)
        copied.chmod(0o444)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:  # whom no mode keeps out
            os.seteuid(NOBODY)
        try:
            yield copied
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def test_read_only(store: Path) -> None:
    with without_rights(store) as copied:
        with pytest.raises(StoreError, match="cannot be written"):
            run(trivial_sweep(25), copied, work=counted)
        with Store.to_read(copied) as opened:
            assert opened.counts().done == 20


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """Yield a folder on a disk of its own."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def test_full_disk() -> None:
    with small_disk("512k") as folder:
        store = folder / "s.sqlite"
        with pytest.raises(StoreError, match="no space left|reading or writing failed") as caught:
            run(trivial_sweep(5000), store, work=counted)
        assert "what was committed is kept" in str(caught.value)
        with Store.to_read(store) as opened:
            done = [row.metrics["cycles"] for row in opened.rows(statuses=("done",))]
        assert done == list(range(len(done))) and len(done) > 50
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        assert run(trivial_sweep(len(done) + 30), store, work=counted).done == 30


def test_full_file(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where no disk can be mounted: SQLite is told that the file must not grow."""
    with Store.to_write(store, model_version()) as opened:
        pages = opened._connection.execute("PRAGMA page_count").fetchone()[0]
        opened._connection.execute(f"PRAGMA max_page_count = {pages}")
        key = opened.find("1").key
        with pytest.raises(StoreError, match="no space left on the disk; what was committed is kept"):
            opened.finish(key, Outcome(reason="x" * 100_000))
        assert opened.find("1").status == "done"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("metrics", "[1]"), ("metrics", '{"cycles": NaN}'), ("metrics", '{"cycles": [1]}'), ("point", "[]"),
        ("point", "[" * 100_000), ("point", '{"model": 5}'), ("reason", b"\xff\x00"),
    ],
)  # fmt: skip
def test_a_damaged_cell_is_told_with_its_row(store: Path, column: str, value: object) -> None:
    with sqlite3.connect(store) as opened:
        opened.execute(f"UPDATE points SET {column} = ? WHERE row = 4", (value,))
    with pytest.raises(StoreError, match=f"{store.name}: row 4 is damaged and cannot be read"):
        list_rows(store)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    notes, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    notes.touch()
    refused(notes, "empty file of somebody's", also_read=False)
    with sqlite3.connect(other) as opened:
        opened.execute("PRAGMA application_id = 12345")
    refused(other, "other.sqlite", also_read=False)
    with pytest.raises(StoreError, match="is a folder"):
        run(trivial_sweep(20), Path(), work=counted)
