"""Counts of the code: sizes of files and functions, shared class names, comments per room, and formulas by their place.

``python tests/count_code.py [CHECKOUT]`` prints them; `test_code_counts` holds the packages to limits. Functions are
counted with their docstring, nested ones apart and within the one around them. A comment is one that `tokenize` finds
and that speaks to a reader: not those that speak to a linter or a type checker.
"""

from __future__ import annotations

import ast
import io
import re
import statistics
import sys
import tokenize
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

TREES = ("hwconfigs", "workloads", "simulator", "mapper", "tests")
FOR_TOOLS = re.compile(r"#\s*(noqa|type:|fmt:|ruff:|mypy:|pragma|!)")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file of the project."""

    name: str
    """Its path below the checkout."""
    text: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    @cached_property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def functions(self) -> dict[str, int]:
        """Lines of every function by its name and line, docstring and decorators' lines apart."""
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, Function)]
        return {f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes}

    @cached_property
    def classes(self) -> list[str]:
        return [node.name for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]

    @cached_property
    def comments(self) -> int:
        """Lines with a comment for a reader."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return sum(token.type == tokenize.COMMENT and not FOR_TOOLS.match(token.string) for token in tokens)


def read(root: Path) -> list[Source]:
    """Every Python file of the packages and the tests."""
    paths = sorted(path for tree in TREES for path in (root / tree).rglob("*.py"))
    return [Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def room_of(source: Source) -> str:
    """Folder in which a file lies; the files of `mapper`'s root are rooms of their own."""
    return source.name if source.name.count("/") == 1 and source.name.startswith("mapper/") else folder(source.name)


def folder(name: str) -> str:
    return name.rsplit("/", 1)[0]


def shared_class_names(sources: list[Source]) -> dict[tuple[str, str], list[str]]:
    """Files that own a class, by package and name, where there are several within one package."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for source in sources:
        for name in source.classes:
            owners[source.name.split("/")[0], name].append(source.name)
    return {key: files for key, files in sorted(owners.items()) if len(set(files)) > 1 and key[0] != "tests"}


def formula_places(sources: list[Source]) -> dict[str, list[str]]:
    """Files in which a formula stands that everyone must take from one place.

    Tile footprint: a product of k with the sum of m and n, whatever the variables are called beyond that letter.
    Objective: a choice by the name of an objective, by comparing it or in a table by its name. Pareto
    filter: a function that compares with a running minimum.
    """
    rules = {"tile footprint": is_footprint, "objective": is_objective, "Pareto filter": is_pareto_filter}
    packages = [source for source in sources if not source.name.startswith("tests/")]
    return {
        formula: [source.name for source in packages if any(map(rule, ast.walk(source.tree)))]
        for formula, rule in rules.items()
    }


def is_footprint(node: ast.AST) -> bool:
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)):
        return False
    for factor, total in ((node.left, node.right), (node.right, node.left)):
        if isinstance(total, ast.BinOp) and isinstance(total.op, ast.Add):
            letters = {dimension(total.left), dimension(total.right)}
            if dimension(factor) == "k" and letters == {"m", "n"}:
                return True
    return False


def dimension(node: ast.AST) -> str:
    """The letter m, k or n that a name or attribute carries as a word of its own; empty without exactly one."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    letters = {word for word in name.split("_") if word in ("m", "k", "n")}
    return letters.pop() if len(letters) == 1 else ""


def is_objective(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return any(named(operand) for operand in (node.left, *node.comparators))
    if isinstance(node, ast.Dict):
        return sum(named(key) for key in node.keys) > 1
    return isinstance(node, ast.MatchValue) and named(node.value)


def named(node: ast.AST | None) -> bool:
    """Whether this is the name of one of the two metrics."""
    return isinstance(node, ast.Constant) and node.value in ("latency", "energy")


def is_pareto_filter(node: ast.AST) -> bool:
    parts = list(ast.walk(node)) if isinstance(node, Function) else []
    running = any(
        isinstance(part, ast.Attribute) and ast.unparse(part).endswith("minimum.accumulate") for part in parts
    )
    return running and any(isinstance(part, ast.Lt | ast.LtE) for part in parts)


def comments_per_100_lines(sources: list[Source]) -> float:
    lines = sum(source.lines for source in sources)
    return 100 * sum(source.comments for source in sources) / lines if lines else 0.0


def within(sources: list[Source], *rooms: str) -> list[Source]:
    """Files below one of some folders."""
    return [source for source in sources if source.name.startswith(tuple(f"{room}/" for room in rooms))]


def sizes(name: str, sources: list[Source]) -> str:
    """One row: files, lines, longest file, functions, comments."""
    functions = [length for source in sources for length in source.functions.values()] or [0]
    p95 = sorted(functions)[min(len(functions) - 1, int(0.95 * len(functions)))]
    row = (
        len(sources), sum(source.lines for source in sources), max(source.lines for source in sources),
        len(functions), statistics.median_low(functions), p95, max(functions),
    )  # fmt: skip
    return ROW.format(name, *map("{:,}".format, row), f"{comments_per_100_lines(sources):.1f}")


ROW = "{:<34}{:>6}{:>8}{:>9}{:>10}{:>7}{:>5}{:>8}{:>14}"
HEADINGS = ("", "files", "lines", "longest", "functions", "median", "p95", "longest", "comments/100")


def summary(sources: list[Source]) -> str:
    """All counts, packages first, then rooms."""
    packages = [source for source in sources if not source.name.startswith("tests/")]
    lines = [ROW.format(*HEADINGS), sizes("packages", packages)]
    lines += [sizes(tree, within(sources, tree)) for tree in TREES]
    lines.append("")
    rooms: dict[str, list[Source]] = defaultdict(list)
    for source in packages:
        rooms[room_of(source)].append(source)
    lines += [sizes(room, files) for room, files in sorted(rooms.items())]
    lines.append("")
    shared = shared_class_names(sources)
    lines.append(f"class names with two owners inside one package: {len(shared)}")
    lines += [f"  {name}: {', '.join(files)}" for (_, name), files in shared.items()]
    long = {f"{source.name}:{name}": size for source in sources for name, size in source.functions.items() if size > 50}
    lines.append(f"functions over 50 lines: {len(long)}")
    lines += [f"  {name}: {size}" for name, size in long.items()]
    lines += [f"{formula} in: {', '.join(files)}" for formula, files in formula_places(sources).items()]
    return "\n".join(lines)


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    sys.stdout.write(f"{summary(read(root))}\n")
