"""Files that a command writes: checked before the work, complete or absent after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from mapper.commands.problems import CommandError

PICTURES = (".png", ".svg", ".pdf")


class Output:
    """One file, written beside its final name and moved there when it is complete.

    Entering creates the temporary file, which is the only certain proof that the place can be written.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.target = self.path.resolve()
        # /dev/stdout and pipes cannot be replaced by a file: they are written as they are.
        self.direct = self.target.exists() and not self.target.is_file() and not self.target.is_dir()
        self.partial = self.target if self.direct else self.target.with_name(f".{self.target.name}.{os.getpid()}.part")

    def __enter__(self) -> Output:
        if self.target.is_dir():
            raise CommandError(f"{self.path}: cannot be written: it is a directory")
        if self.target.exists() and not os.access(self.target, os.W_OK):
            raise CommandError(f"{self.path}: cannot be written: permission denied")
        if not self.direct:
            try:
                self.partial.open("xb").close()
            except OSError as problem:
                reason = (problem.strerror or str(problem)).lower()
                raise CommandError(f"{self.path}: cannot be written: {reason}") from problem
        return self

    def finish(self, write: Callable[[Path], object]) -> None:
        """Let ``write`` fill the temporary file, then give it its name."""
        write(self.partial)
        if not self.direct:
            self.partial.replace(self.target)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.direct:
            self.partial.unlink(missing_ok=True)


def open_outputs(stack: ExitStack, wanted: Mapping[str, str | None]) -> dict[str, Output]:
    """Open what was asked for, by purpose: ``{"json": "a.json", "plot": None}``.

    Raises
    ------
    CommandError
        A file cannot be written, two purposes name the same file, or a picture's format is unknown.
    """
    opened: dict[str, Output] = {}
    for purpose, path in wanted.items():
        if path is None:
            continue
        if purpose == "plot" and Path(path).suffix.lower() not in PICTURES:
            raise CommandError(f"{path}: a plot's name must end with {', '.join(PICTURES)}")
        output = Output(path)
        for other, taken in opened.items():
            if output.target == taken.target and not output.direct:
                raise CommandError(f"{path}: asked for by --{other} and --{purpose}; give two names")
        opened[purpose] = stack.enter_context(output)
    return opened
