"""Whatever is thrown at the loader, the answer is a machine or a SpecError."""

from __future__ import annotations

import contextlib
from functools import reduce
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwconfigs
from hwconfigs import SpecError
from hwconfigs.checks import MOST_WAYS
from hwconfigs.key_names import leaves
from simulator.memory import recurrences

BASE = hwconfigs.load("gemmini_ibert")
PATHS = sorted(leaves(BASE.model_dump(exclude={"sources"})))
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.lists(st.integers(), max_size=5),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.sampled_from(
        ["1e999", "9" * 400 + " GHz", "1e99 KiB", "-1 ns", "0x10", "{", "&a 1", "nan", ".nan", "[[[[", "1 KiB"]
    ),
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from([*PATHS, "array.size", "l2", "nothing", "a.b.c"]), VALUES, max_size=3))
def test_any_override(changes: dict[str, object]) -> None:
    with contextlib.suppress(SpecError):
        spec = hwconfigs.override(BASE, changes)
        assert spec.scratchpad.rows_per_bank * spec.scratchpad.banks * spec.scratchpad.row_bytes == (
            spec.scratchpad.capacity_bytes
        )


@pytest.mark.parametrize(("folder", "name"), [(".", "tiny_4x4.yaml"), ("energy", "flat_peers.yaml")])
def test_truncated_files(tmp_path: Path, folder: str, name: str) -> None:
    """A file cut anywhere before its last section is refused in words."""
    text = (files("hwconfigs") / folder / name).read_text(encoding="utf-8")
    path = tmp_path / name
    read = hwconfigs.load if folder == "." else hwconfigs.load_energy
    last = text.rindex("\n\n")
    for cut in range(0, last, 61):
        path.write_text(text[:cut], encoding="utf-8")
        with pytest.raises(SpecError) as caught:
            read(path)
        assert all(str(path) in line for line in caught.value.problems)
    path.write_text(text, encoding="utf-8")
    read(path)


def test_numpy_scalars_are_numbers() -> None:
    spec = hwconfigs.load("gemmini", {"array.size": np.int64(8), "dram.evict": np.float64(1.5)})
    assert (spec.array.rows, spec.dram.evict_cycles) == (8, 1.5)


@pytest.mark.parametrize("text", ["1e99999999999 B", "9" * 500 + " B", "1e30 B"])
def test_absurd_quantities(text: str) -> None:
    with pytest.raises(SpecError, match=r"too large|is not a size"):
        hwconfigs.load("gemmini", {"scratchpad.capacity": text})


NUMBERS = [
    path
    for path in leaves(BASE.model_dump(exclude={"sources"}))
    if isinstance(reduce(lambda part, key: getattr(part, key, None), path.split("."), BASE), int | float)
]


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 1e18, "banana"])
def test_no_number_of_a_machine_takes_nonsense(value: object) -> None:
    """All keys at once: each is refused by its name, in a line."""
    assert len(NUMBERS) > 60
    with pytest.raises(SpecError) as caught:
        hwconfigs.load("gemmini_ibert", dict.fromkeys(NUMBERS, value))
    refused = [line for line in caught.value.problems if len(line) < 200]
    assert [path for path in NUMBERS if not any(f" {path}" in line for line in refused)] == []


def test_ways_fit_the_outcome_of_a_request() -> None:
    assert MOST_WAYS == recurrences.MOST_WAYS - 1
