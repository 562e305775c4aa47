"""The version of everything that decides a number: that of the package and a digest of its code and data.

A comment that changes makes another version, too: nobody can tell by program which changes move numbers, and a store
that mixes two models is worth nothing.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from mapper.version import __version__

PACKAGES = ("hwconfigs", "simulator", "workloads", "mapper")

NOT_OF_THE_MODEL = frozenset(
    f"mapper/{name}"
    for name in ("cli.py", "__main__.py", "commands", "explore", "fused", "plots", "regression", "reports", "studies")
) | frozenset({"mapper/sweep", "mapper/testing", "mapper/validation", "simulator/views"})
"""Files and rooms that show or store numbers and make none; machines and models have their own digests."""

OF_THE_MODEL = (
    "mapper/reports/run_json.py", "mapper/sweep/axes.py", "mapper/sweep/definition.py", "mapper/sweep/points.py",
    "mapper/sweep/work.py",
)  # fmt: skip
"""Files in those rooms that decide what a row is computed from, or what it holds."""


@cache
def model_version() -> str:
    """Return the version, as in ``0.1.0+1f2e3d4c5b6a``."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        _add(digest, files(package), package)
    for path in OF_THE_MODEL:
        package, _, below = path.partition("/")
        digest.update(path.encode() + b"\0" + files(package).joinpath(below).read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _add(digest: hashlib._Hash, folder: Traversable, path: str) -> None:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        name = f"{path}/{entry.name}"
        if name in NOT_OF_THE_MODEL or entry.name == "__pycache__":
            continue
        if entry.is_dir():
            _add(digest, entry, name)
        elif entry.name.endswith(".py"):
            digest.update(name.encode() + b"\0" + entry.read_bytes() + b"\0")
