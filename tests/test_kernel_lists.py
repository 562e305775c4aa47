"""No file but the table lists kernels: a second list is forgotten when a row is added."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from hwconfigs.kernels import KERNELS

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = ("hwconfigs/kernels.py", "workloads/ops/")
"""The table, and the operators, each of which names its own kind."""

FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("hwconfigs", "workloads", "simulator", "mapper")
    for path in (ROOT / package).rglob("*.py")
)
NAMES = {kernel.name for kernel in KERNELS}


def texts(nodes: list[ast.expr]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def collections(tree: ast.AST) -> Iterator[tuple[int, set[str]]]:
    """Line and texts of each tuple, list, set, ``Literal`` and the keys of each dictionary."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            yield node.lineno, texts(node.elts)
        elif isinstance(node, ast.Dict):
            yield node.lineno, texts([key for key in node.keys if key is not None])


def test_kernels_are_listed_in_the_table_only() -> None:
    trees = {file: ast.parse((ROOT / file).read_text(encoding="utf-8")) for file in FILES}
    lists = [
        (file, line, words & NAMES)
        for file, tree in trees.items() if not file.startswith(ALLOWED)
        for line, words in collections(tree) if len(words & NAMES) > 1
    ]  # fmt: skip
    assert lists == []


def test_a_list_would_be_seen() -> None:
    code = 'X = {"softmax": 1, "gelu": 2}\nY: Literal["relu", "gelu"]\nZ = ["softmax", "columns"]\n'
    listed = [line for line, words in collections(ast.parse(code)) if len(words & NAMES) > 1]
    assert listed == [1, 2]
