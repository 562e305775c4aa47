"""The pages of the repository, read as data: README.md and the `*.md` beside what they describe.

Blocks of a page say by their language, and by their first line, what they are:

- ``sh``: lines for a shell, run one after the other in a folder of their own;
- ``text`` that begins with ``$ tilewright``: commands and what they print;
- ``yaml`` that begins with ``# NAME.yaml``: a file in that folder;
- ``python``: code that runs as it is, or, if it begins with a comment, a part of a file that the comment names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from matplotlib.image import imread

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("hwconfigs", "workloads", "simulator", "mapper", "notebooks")

MAIN = "tilewright run bert-base --hw gemmini_ibert --seq 512"
"""The first command of the README."""


@dataclass(frozen=True, slots=True)
class Page:
    """One file of Markdown."""

    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        """The whole page."""
        return self.path.read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """Return the code blocks of a language."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, flags=re.MULTILINE | re.DOTALL)

    def shown(self) -> list[str]:
        """Return the blocks of commands with what they print."""
        return [block for block in self.blocks("text") if block.startswith("$ tilewright ")]

    def code(self) -> list[str]:
        """Return the blocks of Python that run as they are."""
        return [block for block in self.blocks("python") if not block.startswith("# ")]

    def files(self) -> dict[str, str]:
        """Return the files that the page shows whole, by name."""
        named = ((re.match(r"# ([a-z_]+\.yaml)\n", block), block) for block in self.blocks("yaml"))
        return {match[1]: block for match, block in named if match is not None}

    def picture(self, name: str) -> Path | None:
        """Return a picture that the page shows, by the name of its file."""
        targets = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", self.text)
        return next((self.path.parent / target for target in targets if Path(target).name == name), None)

    def section(self, title: str) -> str:
        """Return the text below a heading of the second level."""
        (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", self.text, flags=re.MULTILINE | re.DOTALL)
        return str(found)

    def rewrite(self, old: str, new: str) -> None:
        """Replace a part of the page."""
        self.path.write_text(self.text.replace(old, new), encoding="utf-8")


README = Page(ROOT / "README.md")
PAGES = (README, *(Page(path) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md"))))
"""All pages but the list of changes and what the tests keep for themselves."""


MOST_DIFFERENCE = 0.01
"""Between a picture that is shown and one made anew, in the mean over its pixels: what nobody sees needs no refresh."""


def hold_picture(shown: Path, made: Path, update: bool) -> None:
    """Compare a picture of a page with one that was made anew, or put the new one in its place."""
    if update:
        shown.write_bytes(made.read_bytes())
    elif shown.read_bytes() != made.read_bytes():
        old, new = imread(shown), imread(made)
        assert old.shape == new.shape, f"{shown.name} has another size by now; refresh it with --update-golden"
        assert abs(old - new).mean() <= MOST_DIFFERENCE, f"{shown.name} is old; refresh it with --update-golden"


def page(name: str) -> Page:
    """Return the page at a path from the root."""
    return next(one for one in PAGES if str(one) == name)
