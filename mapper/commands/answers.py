"""What a command says at its end: text for the screen, content for the files that were asked for, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mapper.commands.exit_codes import INTERRUPTED
from mapper.commands.outputs import Output
from mapper.mapping.loop_nest import LoopNest
from mapper.mapping.mapping_file import dump_mapping

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Writer: TypeAlias = Callable[[Path, str], object]
"""Fills a file; the second argument is the ending of its final name, as in ``".png"``."""


SPELT_OUT = "backslashreplace"
"""Names of files may hold bytes that are no text, which Python reads as halves of characters: they become ``\\udcff``,
as JSON itself writes them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a command as its user sees it."""

    text: str
    files: Mapping[str, Writer] = field(default_factory=dict)
    """By purpose: ``"json"``, ``"yaml"``, ``"trace"``, ``"plot"``; only those that the user asked for are written."""
    interrupted: bool = False

    def deliver(self, outputs: Mapping[str, Output]) -> int:
        """Print the text, write the files and return the exit code."""
        if self.text:
            print(self.text, flush=True)
        for purpose, write in self.files.items():
            if purpose in outputs:
                _finish(outputs[purpose], write)
        return INTERRUPTED if self.interrupted else 0


def _finish(output: Output, write: Writer) -> None:
    output.finish(lambda path: write(path, output.path.suffix.lower()))


def json_file(document: Callable[[], Mapping[str, object]]) -> Writer:
    """Return what writes a document as JSON; it is made only if it is asked for."""

    def write(path: Path, ending: str) -> None:
        del ending
        text = json.dumps(document(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        path.write_text(text, encoding="utf-8", errors=SPELT_OUT)

    return write


def mapping_file(mapping: LoopNest) -> Writer:
    """Return what writes a mapping as YAML."""
    return text_file(lambda: dump_mapping(mapping))


def text_file(text: Callable[[], str]) -> Writer:
    """Return what writes a text, which is made only if it is asked for."""

    def write(path: Path, ending: str) -> None:
        del ending
        path.write_text(text(), encoding="utf-8", errors=SPELT_OUT)

    return write


def picture_file(draw: Callable[[], Figure]) -> Writer:
    """Return what writes a picture; it is drawn only if it is asked for."""

    def write(path: Path, ending: str) -> None:
        from simulator.views.style import save

        save(draw(), path, ending[1:])

    return write
