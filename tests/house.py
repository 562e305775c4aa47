"""Rooms, floors, arrows and circles of the packages, read from the imports of every file.

A room is one of the packages ``hwconfigs``, ``workloads`` and ``simulator``, or a file or folder
directly below ``mapper/``. An arrow leads from a room to a room that it imports, a room's floor is one above the
highest floor that it imports, and a circle is a set of files that import each other. Imports inside functions and for
types only count like all others, since both say who must know whom. A name that a package's ``__init__`` takes from
one of its own files stands for that file: what a package offers at its door is no detour around the rule.

``python tests/house.py [CHECKOUT]`` prints them; `test_layering` says which are allowed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx as nx

PACKAGES = ("hwconfigs", "workloads", "simulator", "mapper")
DOOR = "__init__"


@dataclass(frozen=True, slots=True)
class House:
    """Every file of the packages by its dotted name, and the files that each one imports."""

    files: dict[str, Path]
    imports: nx.DiGraph

    def between(self, group: Callable[[str], str | None]) -> nx.DiGraph:
        """Imports between groups of files; a file whose group is None is left out."""
        groups = {file: group(file) for file in self.files}
        graph = nx.DiGraph()
        graph.add_nodes_from(name for name in groups.values() if name is not None)
        for user, used in self.imports.edges:
            if None not in (groups[user], groups[used]) and groups[user] != groups[used]:
                graph.add_edge(groups[user], groups[used])
        return graph

    def rooms(self) -> nx.DiGraph:
        """Imports between rooms."""
        return self.between(room_of)

    def inside(self, package: str) -> nx.DiGraph:
        """Imports between the files and folders that lie directly in a package, given by its dotted name."""
        depth = package.count(".") + 1
        return self.between(lambda file: file.split(".")[depth] if file.startswith(f"{package}.") else None)

    def packages(self) -> list[str]:
        """Dotted names of all packages, nested ones too."""
        return sorted(file.removesuffix(f".{DOOR}") for file in self.files if file.endswith(f".{DOOR}"))


def room_of(file: str) -> str:
    """Room in which a file lies: its package, or the file or folder directly below ``mapper``."""
    package, below, *_ = file.split(".")
    return f"mapper/{below}" if package == "mapper" and below != DOOR else package


def read(root: Path) -> House:
    """Parse every file of the packages below ``root``."""
    paths = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    files = {".".join(path.relative_to(root).with_suffix("").parts): path for path in paths}
    trees = {file: ast.parse(path.read_text(encoding="utf-8"), path.as_posix()) for file, path in files.items()}
    sources = {
        f"{file.removesuffix(f'.{DOOR}')}.{name}": source
        for file, tree in trees.items()
        if file.endswith(f".{DOOR}")
        for source, name in imported(tree)
        if name and source in files
    }
    imports = nx.DiGraph()
    imports.add_nodes_from(files)
    for file, tree in trees.items():
        targets = {target(source, name, files, sources) for source, name in imported(tree)}
        imports.add_edges_from((file, used) for used in targets - {None, file})
    return House(files, imports)


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Module and name of everything that a file imports; the name is empty for a whole module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def target(source: str, name: str, files: dict[str, Path], sources: dict[str, str]) -> str | None:
    """File that an import means: a module, the origin of a name that a package hands on, or the package itself."""
    full = f"{source}.{name}" if name else source
    candidates = (full, f"{full}.{DOOR}", sources.get(full), source, f"{source}.{DOOR}")
    return next((file for file in candidates if file in files), None)


def circles(graph: nx.DiGraph) -> list[list[str]]:
    """Sets of nodes that import each other, directly or through others."""
    return sorted(sorted(nodes) for nodes in nx.strongly_connected_components(graph) if len(nodes) > 1)


def floors(graph: nx.DiGraph) -> dict[str, int]:
    """Floor of every node, from 1 up; the nodes of a circle stand above each other as far as a path leads.

    Arrows that close a circle are left out, in the order of names, so that a house with circles has floors too.
    """
    acyclic = nx.DiGraph()
    acyclic.add_nodes_from(graph)
    for user, used in sorted(graph.edges):
        if not nx.has_path(acyclic, used, user):
            acyclic.add_edge(user, used)
    height: dict[str, int] = {}
    for node in reversed(list(nx.topological_sort(acyclic))):
        height[node] = 1 + max((height[used] for used in acyclic[node]), default=0)
    return height


def summary(house: House) -> str:
    """The counts in one line, then the rooms of each floor with what they import, then the circles."""
    rooms = house.rooms()
    height = floors(rooms)
    file_circles = circles(house.imports)
    lines = [
        f"{len(house.files)} files, {len(rooms)} rooms, {max(height.values())} floors, {len(rooms.edges)} arrows, "
        f"{len(file_circles)} circles of files, {len(circles(rooms))} circles of rooms"
    ]
    for room in sorted(rooms, key=lambda name: (-height[name], name)):
        lines.append(f"{height[room]:>3}  {room:<20} {' '.join(sorted(rooms[room]))}".rstrip())
    lines += [f"circle of files: {', '.join(circle)}" for circle in file_circles]
    lines += [f"circle of rooms: {', '.join(circle)}" for circle in circles(rooms)]
    for package in house.packages():
        lines += [f"circle inside {package}: {', '.join(circle)}" for circle in circles(house.inside(package))]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(summary(read(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])))
    sys.stdout.write("\n")
