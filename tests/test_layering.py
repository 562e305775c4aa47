"""Who may import whom: the tables of layers and of rooms, read from the imports of every file.

A machine that does not know its compiler can run recorded command streams, and the cost model can share the units'
formulas without a circle. Both are lost silently with one wrong import, so every file is parsed here. `house` draws the
rooms and says what a room, an arrow, a floor and a circle are; run with ``-s`` to see them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from tests import house
from tests.pages import page

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("simulator", "mapper", "workloads", "hwconfigs")
MAY_IMPORT = {
    "hwconfigs": {"hwconfigs"},
    "workloads": {"workloads", "hwconfigs"},
    "simulator": {"simulator", "hwconfigs"},
    "mapper": {"mapper", "simulator", "workloads", "hwconfigs"},
}
ROOMS = {
    "hwconfigs": "",
    "workloads": "hwconfigs",
    "simulator": "hwconfigs",
    "mapper/errors": "",
    "mapper/version": "",
    "mapper/mapping": "errors",
    "mapper/graph": "errors mapping",
    "mapper/recall": "errors mapping",
    "mapper/nest": "errors mapping",
    "mapper/fused": "errors mapping nest cost",
    "mapper/plots": "errors mapping nest fused reports",
    "mapper/mapspace": "errors mapping graph",
    "mapper/lowering": "errors mapping graph mapspace",
    "mapper/cost": "errors mapping graph mapspace lowering",
    "mapper/evaluation": "errors recall mapping graph mapspace lowering cost",
    "mapper/search": "errors recall mapping graph mapspace nest lowering cost",
    "mapper/settings": "errors mapping cost search",
    "mapper/result": "errors mapping graph cost evaluation search settings",
    "mapper/compiler": "errors recall mapping graph mapspace lowering cost evaluation search settings result",
    "mapper/pipeline": "errors recall mapping graph mapspace lowering cost evaluation search settings result compiler",
    "mapper/reports": "errors version mapping graph nest fused cost evaluation search settings result pipeline",
    "mapper/pages": "errors plots reports settings",
    "mapper/testing": "errors mapping graph mapspace nest lowering cost evaluation search",
    "mapper/validation": "errors version mapping graph mapspace nest fused lowering cost search settings result "
    "reports",
    "mapper/studies": "errors version mapping graph mapspace nest lowering cost evaluation search settings result "
    "compiler pipeline reports plots validation",
    "mapper/sweep": "errors version recall mapping graph nest cost search settings result pipeline reports",
    "mapper/generation": "errors search settings result pipeline reports",
    "mapper/regression": "errors mapping search pipeline",
    "mapper/explore": "errors nest sweep",
    "mapper/commands": "errors version mapping graph mapspace nest fused lowering cost search settings result compiler "
    "pipeline reports plots pages validation studies sweep generation regression explore",
    "mapper/cli": "errors version cost search settings commands",
    "mapper": "version",
}
"""Rooms of `mapper` that each room may import, from the ground up.

Every one of them may also import the packages below `mapper`. A room that stands above another may import it only if it
is named here: a mapping knows no graph, a search no report, and only commands and studies hold results against
measurements.
"""

MOST_FLOORS = 14
AT_THE_ROOT = {"__init__", "__main__", "cli", "pipeline", "compiler", "settings", "result", "errors", "version"}
"""Files directly in `mapper`: the door, the main path and what all rooms share. Everything else has a room."""

ABOVE_VALIDATION = {"mapper/commands", "mapper/studies"}

SIMULATOR = (
    "arrays", "clock", "program", "loop_columns", "report", "tile_footprint", "cycle_account", "frontend", "memory",
    "fast_forward", "units", "residency", "bottleneck", "checks", "views", "functional", "machine",
)  # fmt: skip
"""Files and folders of the simulator from the ground up: each imports only what stands before it."""

EVENT_ROOMS = ("simulator/machine.py", "simulator/clock.py", "simulator/units/", "simulator/memory/")
"""Where processes live: the only files that may import simpy."""

DOOR = (
    "mapper/__init__.py", "mapper/version.py", "mapper/cli.py", "mapper/__main__.py", "mapper/commands/__init__.py",
    "mapper/commands/compare_options.py", "mapper/commands/exit_codes.py", "mapper/commands/generate_options.py",
    "mapper/commands/machines.py", "mapper/commands/plot_options.py", "mapper/commands/regress_options.py",
    "mapper/commands/report_options.py", "mapper/commands/shape_options.py", "mapper/commands/study_options.py",
    "mapper/commands/sweep_options.py", "mapper/commands/validate_options.py", "mapper/cost/__init__.py",
    "mapper/cost/objective.py", "mapper/search/__init__.py", "mapper/search/registry.py",
)  # fmt: skip
"""What ``tilewright --help`` loads: the standard library only."""

NAMELESS = {"utils", "util", "common", "helpers", "helper", "base", "misc"}
STANDARD_LIBRARY_OF_THE_DOOR = {
    "__future__", "argparse", "collections", "contextlib", "importlib", "io", "os", "pkgutil", "signal", "sys",
    "typing", "warnings",
}  # fmt: skip

FILES = sorted(path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(tree: ast.AST, *, inside_functions: bool = True) -> Iterator[str]:
    """Dotted names that a file imports; optionally only those executed when it is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            if inside_functions:
                yield from imports(node)
        elif inside_functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from imports(node, inside_functions=inside_functions)


def parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), file)


def top(names: Iterator[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def test_finds_the_packages() -> None:
    assert {file.split("/")[0] for file in FILES} == set(PACKAGES)


def test_files_import_only_their_own_layer_and_below() -> None:
    ours = {file: top(imports(parsed(file))) & {*PACKAGES, "tests", "notebooks"} for file in FILES}
    above = {file: names - MAY_IMPORT[file.split("/")[0]] for file, names in ours.items()}
    assert {file: names for file, names in above.items() if names} == {}


def test_the_mathematics_knows_of_machines_only_how_files_are_read() -> None:
    used = {(file, name) for file in FILES if file.startswith("workloads/") for name in imports(parsed(file))}
    of_machines = {(file, name) for file, name in used if name.split(".")[0] == "hwconfigs"}
    assert {one for one in of_machines if not f"{one[1]}.".startswith("hwconfigs.textfiles.")} == set()


@pytest.fixture(scope="module")
def drawn() -> house.House:
    return house.read(ROOT)


def test_every_room_is_told_of_on_the_page_of_rooms() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| [^|]+ \|$", page("mapper/README.md").text, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == {room.removeprefix("mapper/") for room in ROOMS if "/" in room} - {"errors", "version", "cli"}


def test_the_house_can_be_seen(drawn: house.House) -> None:
    drawing = house.summary(drawn)
    sys.stdout.write(f"\n{drawing}\n")
    assert [room for room in drawn.rooms() if room not in drawing] == []


def test_a_room_imports_only_what_the_table_of_rooms_names(drawn: house.House) -> None:
    rooms = drawn.rooms()
    assert set(rooms) <= set(ROOMS)
    unexpected = {room: set(rooms[room]) - allowed(room) for room in rooms}
    assert {room: used for room, used in unexpected.items() if used} == {}


def allowed(room: str) -> set[str]:
    """Rooms that the two tables let a room import."""
    package = room.split("/")[0]
    return (MAY_IMPORT[package] - {"mapper"}) | {
        f"mapper/{name}" for name in ROOMS[room].split() if package == "mapper"
    }


def test_the_rooms_stand_on_few_floors_and_form_no_circle(drawn: house.House) -> None:
    rooms = drawn.rooms()
    assert house.circles(rooms) == []
    assert max(house.floors(rooms).values()) <= MOST_FLOORS


def test_no_files_import_each_other_in_a_circle(drawn: house.House) -> None:
    assert house.circles(drawn.imports) == []


def test_the_files_and_folders_of_a_package_form_no_circle(drawn: house.House) -> None:
    """What files do not show: two folders can need each other while no two of their files do."""
    inside = {package: house.circles(drawn.inside(package)) for package in drawn.packages()}
    assert {package: circles for package, circles in inside.items() if circles} == {}


def test_the_rooms_of_the_simulator_are_one_ladder(drawn: house.House) -> None:
    """From the table of units upward everything may know all units; below it nothing knows any."""
    upward = [
        f"{lower} imports {upper}"
        for lower, upper in drawn.inside("simulator").edges
        if SIMULATOR.index(lower.split("/")[-1]) <= SIMULATOR.index(upper.split("/")[-1])
    ]
    assert upward == []


def test_only_commands_and_studies_import_the_measurements(drawn: house.House) -> None:
    assert set(drawn.rooms().predecessors("mapper/validation")) <= ABOVE_VALIDATION


def test_only_the_main_path_lies_at_the_root_of_the_mapper() -> None:
    at_root = {PurePosixPath(file).stem for file in FILES if file.startswith("mapper/") and file.count("/") == 1}
    assert at_root <= AT_THE_ROOT


def test_imports_are_absolute() -> None:
    assert [(file, name) for file in FILES for name in imports(parsed(file)) if name.startswith(".")] == []


def test_simpy_stays_in_the_rooms_of_processes() -> None:
    users = {file for file in FILES if "simpy" in top(imports(parsed(file)))}
    assert {file for file in users if not file.startswith(EVENT_ROOMS)} == set()
    assert users


def test_matplotlib_is_imported_only_while_drawing() -> None:
    assert [file for file in FILES if "matplotlib" in top(imports(parsed(file), inside_functions=False))] == []


@pytest.mark.parametrize("file", [file for file in DOOR if file in FILES])
def test_the_door_of_the_command_is_light(file: str) -> None:
    names = set(imports(parsed(file), inside_functions=False)) - set(DOOR_MODULES)
    assert {name.split(".")[0] for name in names} <= STANDARD_LIBRARY_OF_THE_DOOR


DOOR_MODULES = tuple(PurePosixPath(file).with_suffix("").as_posix().replace("/", ".") for file in DOOR)


def test_every_module_has_a_name_that_says_something() -> None:
    at_package_level = [PurePosixPath(file) for file in FILES if file.count("/") == 1]
    assert [str(path) for path in at_package_level if path.stem in NAMELESS] == []


def test_only_the_command_prints() -> None:
    printing = {
        file
        for file in FILES
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert {file for file in printing if not file.startswith(("mapper/cli.py", "mapper/commands/"))} == set()
