"""One way into a file that somebody wrote: a regular file of bounded size, UTF-8, with or without a byte order mark.

Whoever reads says what the content means; here it is only made sure that reading ends, and ends soon.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_BYTES = 2**20
"""Of a file of YAML, which is read at a few hundred kilobytes per second; the largest that is shipped has 12 kB."""

MOST_JSON_BYTES = 2**23
"""Of a file of JSON, which is read a hundred times as fast; label lists of image models take up to 2 MB."""

HALF = "holds half of a character, as \\ud800 alone is"
"""What to say of a text with `holds_half_a_character`."""

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class UnreadableFile(ValueError):
    """Why a file cannot be read, without its name, which the reader knows better."""


def read_text(path: str | Path, most_bytes: int | None = None) -> str:
    """Return the text of a file.

    Parameters
    ----------
    path
        Where it lies.
    most_bytes
        Largest size that is read; None: `MOST_JSON_BYTES` for a name that ends with ``.json``, else `MOST_BYTES`.

    Raises
    ------
    UnreadableFile
        When there is none, when it is no regular file (a pipe or a device may never end, and is not even opened), when
        it is larger, or when it is not UTF-8.
    """
    if most_bytes is None:
        most_bytes = MOST_JSON_BYTES if str(path).endswith(".json") else MOST_BYTES
    return decoded(read_bytes(path, most_bytes))


def read_bytes(path: str | Path, most_bytes: int) -> bytes:
    """Return the content of a regular file; raises as `read_text`."""
    try:
        _require_regular(Path(path).stat())
        # Between the question and the opening another file may have taken the name: opening must not wait either.
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            _require_regular(os.fstat(file.fileno()))
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise UnreadableFile(error.strerror or str(error)) from error
    except ValueError as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(str(error)) from error  # a zero byte in the name
    if len(content) > most_bytes:
        raise UnreadableFile(f"larger than the {most_bytes:,} bytes that are read of such a file")
    return content


def decoded(content: bytes) -> str:
    """Return UTF-8 as text, without a byte order mark; raises as `read_text`."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"not a UTF-8 text file ({error.reason} at byte {error.start})") from error


def spelt_out(name: str | Path) -> str:
    """Return the name of a file as text that can be written: bytes that are no letters as ``\\udcff``."""
    return str(name).encode("utf-8", "backslashreplace").decode("utf-8")


def holds_half_a_character(text: str) -> bool:
    """Return whether a text holds a lone surrogate, as ``"\\ud800"`` alone is: no encoding can write it."""
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


def _require_regular(status: os.stat_result) -> None:
    for is_kind, kind in _KINDS:
        if is_kind(status.st_mode):
            raise UnreadableFile(f"is {kind}, not a regular file")
