"""Limits of size and repetition that the packages keep; ``python tests/count_code.py`` prints all counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import count_code
from tests.count_code import Source

ROOT = Path(__file__).resolve().parents[1]
SOURCES = count_code.read(ROOT)
PACKAGES = [source for source in SOURCES if not source.name.startswith("tests/")]


def test_every_package_is_counted() -> None:
    assert {source.name.split("/")[0] for source in SOURCES} == set(count_code.TREES)


@pytest.mark.slow
def test_the_table_has_a_row_for_each_room() -> None:
    assert len(count_code.summary(SOURCES).splitlines()) > 30


def test_files_stay_short() -> None:
    assert {source.name: source.lines for source in SOURCES if source.lines > 400} == {}


def test_functions_stay_short() -> None:
    """Docstring included: whoever needs more lines to explain one function has two of them."""
    sizes = {(source.name, name): size for source in PACKAGES for name, size in source.functions.items()}
    assert {place: size for place, size in sizes.items() if size > 50} == {}


def test_few_class_names_have_two_owners_inside_one_package() -> None:
    shared = count_code.shared_class_names(SOURCES)
    assert len(shared) <= 3, shared


@pytest.mark.parametrize("room", ["mapper/cost", "mapper/search/exact", "mapper/nest/bounds"])
def test_dense_formulas_have_their_reasons_beside_them(room: str) -> None:
    files = count_code.within(SOURCES, room)
    assert count_code.comments_per_100_lines(files) >= 3.0


@pytest.mark.parametrize(
    ("formula", "place"),
    [
        ("tile footprint", "simulator/tile_footprint.py"),
        ("objective", "mapper/cost/objective.py"),
        ("Pareto filter", "mapper/nest/bounds/pareto.py"),
    ],
)
def test_a_formula_stands_in_one_place(formula: str, place: str) -> None:
    assert count_code.formula_places(SOURCES)[formula] == [place]


def test_the_counter_sees_what_it_counts() -> None:
    text = "# a reason\nx = k * (tile_m + self.n)  # noqa: E501\nif goal == 'energy':\n    pass\n"
    source = Source("mapper/x.py", text)
    assert source.comments == 1
    assert count_code.formula_places([source]) == {
        "tile footprint": ["mapper/x.py"], "objective": ["mapper/x.py"], "Pareto filter": [],
    }  # fmt: skip
