"""Reading ends, and ends soon, whatever lies under the name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwconfigs.textfiles import reading
from hwconfigs.textfiles.reading import UnreadableFile, read_text


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\n")
    assert read_text(path) == "a: é\n"


@pytest.mark.parametrize(("name", "most"), [("a.yaml", reading.MOST_BYTES), ("a.json", reading.MOST_JSON_BYTES)])
def test_size_is_bounded(tmp_path: Path, name: str, most: int) -> None:
    path = tmp_path / name
    path.write_bytes(b" " * most)
    assert len(read_text(path)) == most
    path.write_bytes(b" " * (most + 1))
    with pytest.raises(UnreadableFile, match=f"larger than the {most:,} bytes"):
        read_text(path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    (tmp_path / "link.yaml").symlink_to(pipe)
    (tmp_path / "ring.yaml").symlink_to(tmp_path / "ring.yaml")
    refused = {
        pipe: "is a pipe", tmp_path / "link.yaml": "is a pipe", tmp_path: "is a directory", "/dev/zero": "is a device",
        tmp_path / "nothing": "No such file", tmp_path / "ring.yaml": "levels of symbolic links", "a\0b": "null byte",
        "x" * 300: "name too long",
    }  # fmt: skip
    for path, says in refused.items():
        with pytest.raises(UnreadableFile, match=says):
            read_text(path)


def test_a_pipe_that_takes_the_name_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the question and the opening: the file is what was opened, not what was asked about."""
    pipe, regular = tmp_path / "pipe", tmp_path / "regular"
    os.mkfifo(pipe)
    regular.touch()
    status = regular.stat()
    monkeypatch.setattr(Path, "stat", lambda self: status)
    with pytest.raises(UnreadableFile, match="is a pipe"):
        read_text(pipe)


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("a: é".encode("utf-16"))
    with pytest.raises(UnreadableFile, match="not a UTF-8 text file .* at byte 0"):
        read_text(path)
