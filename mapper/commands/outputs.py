"""Files that a command writes: checked before the work, complete or absent after it."""

from __future__ import annotations

import os
import stat
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TextIO

from mapper.commands.problems import CommandError

PICTURES = (".png", ".svg", ".pdf")


STANDARD_OUTPUT = "-"
"""Name of a file that stands for it, for purposes that are text."""

TEXTS = ("json", "yaml")

_screen: TextIO | None = None
"""Where texts of purposes go while nothing else is printed."""


@contextmanager
def quietly() -> Iterator[None]:
    """Print nothing inside, but what a file that is called ``-`` holds."""
    global _screen
    _screen = sys.stdout
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            yield
    finally:
        _screen = None


class Output:
    """One file, written beside its final name and moved there when it is complete.

    Entering creates the temporary file, which is the only certain proof that the place can be written.

    Raises
    ------
    CommandError
        The place cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        # Pipes and /dev/stdout cannot be replaced by a file: they are written as they are, under the name given, for
        # what /dev/stdout or /dev/fd/63 resolve to need not exist as a path.
        self.direct = self._is_direct()
        self.target = self.path if self.direct else self.path.resolve()
        self.partial = self.target if self.direct else self.target.with_name(f".{self.target.name}.{os.getpid()}.part")
        # Registered before the file exists: a signal between its creation and the block that it opens leaves no file.
        self._clear = None if self.direct else weakref.finalize(self, self.partial.unlink, missing_ok=True)

    def _is_direct(self) -> bool:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as problem:
            raise self._refusal(problem) from problem
        if stat.S_ISDIR(status.st_mode):
            raise CommandError(f"{self.path}: cannot be written: it is a directory")
        return not stat.S_ISREG(status.st_mode) or _is_standard_output(status)

    def _refusal(self, problem: Exception) -> CommandError:
        reason = (getattr(problem, "strerror", None) or str(problem)).lower()
        return CommandError(f"{self.path}: cannot be written: {reason}")

    def __enter__(self) -> Output:
        if self.target.exists() and not os.access(self.target, os.W_OK):
            raise CommandError(f"{self.path}: cannot be written: permission denied")
        if not self.direct:
            try:
                self.partial.open("xb").close()
            except OSError as problem:
                raise self._refusal(problem) from problem
        return self

    def finish(self, write: Callable[[Path], object]) -> None:
        """Let ``write`` fill the temporary file, then give it its name."""
        if self.direct:
            sys.stdout.flush()
        try:
            write(self.partial)
            if not self.direct:
                self.partial.replace(self.target)
        except BrokenPipeError:
            raise
        except OSError as problem:
            raise self._refusal(problem) from problem

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._clear is not None:
            self._clear()


class StandardOutput(Output):
    """A text that goes to standard output, whole or not at all."""

    def __init__(self) -> None:
        self.path = self.target = self.partial = Path(STANDARD_OUTPUT)
        self.direct, self._clear = True, None

    def __enter__(self) -> StandardOutput:
        return self

    def finish(self, write: Callable[[Path], object]) -> None:
        """Let ``write`` fill a file, and copy it."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "text"
            write(file)
            stream = _screen or sys.stdout
            stream.write(file.read_text(encoding="utf-8"))
            stream.flush()


def open_outputs(
    stack: ExitStack, wanted: Mapping[str, str | None], inputs: Iterable[str | Path | None] = ()
) -> dict[str, Output]:
    """Open what was asked for, by purpose: ``{"json": "a.json", "plot": None}``.

    ``inputs`` are names or paths that the command reads; those that are files must survive it.

    Raises
    ------
    CommandError
        A file cannot be written or is an input, two purposes name the same file, or a picture's format is unknown.
    """
    opened: dict[str, Output] = {}
    read = _files(inputs)
    for purpose, path in wanted.items():
        if path is None:
            continue
        if not path:
            raise CommandError(f"--{purpose}: needs the name of a file")
        if purpose == "plot" and Path(path).suffix.lower() not in PICTURES:
            raise CommandError(f"{path}: a plot's name must end with {', '.join(PICTURES)}")
        to_screen = path == STANDARD_OUTPUT and purpose in TEXTS
        output = StandardOutput() if to_screen else Output(path)
        if any(output.target.exists() and output.target.samefile(file) for file in read):
            raise CommandError(f"{path}: is read by this command; give --{purpose} another name")
        for earlier, taken in opened.items():
            if output.target == taken.target and (to_screen or not output.direct):
                raise CommandError(f"{path}: asked for by --{earlier} and --{purpose}; give two names")
        opened[purpose] = stack.enter_context(output)
    return opened


def _files(inputs: Iterable[str | Path | None]) -> list[Path]:
    """Those inputs that are files; of a folder, the configuration in it."""
    paths = [Path(name) for name in inputs if name and "\0" not in str(name)]
    return [file for path in paths for file in (path, path / "config.json") if file.is_file()]


def _is_standard_output(status: os.stat_result) -> bool:
    try:
        return os.path.samestat(status, os.fstat(1))
    except OSError:
        return False
