"""The version of the normaliser is a choice; what no Gemmini has is marked; what cannot be is refused by its key."""

from __future__ import annotations

import pytest

import hwconfigs
from hwconfigs.beyond_gemmini import beyond_gemmini
from hwconfigs.vector_unit import VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_gives_what_the_machine_leaves_out(version: str) -> None:
    vector = hwconfigs.override(hwconfigs.load("gemmini_ibert_v071"), {"vector.version": version}).vector
    assert vector is not None
    assert {name: getattr(vector, name) for name in VERSIONS[version].values} == VERSIONS[version].values


def test_a_value_of_ones_own_outlives_a_change_of_version() -> None:
    changes = {"vector.statistics_slots": 3, "vector.version": "v0.7.1"}
    vector = hwconfigs.load("gemmini_ibert", changes).vector
    assert vector is not None
    assert (vector.statistics_slots, vector.mean_cycles) == (3, VERSIONS["v0.7.1"].values["mean_cycles"])


BAD = [
    ("version", "v0.7.3", "vector.version: 'v0.7.3' is not known; did you mean 'v0.7.2'?"),
    ("version", 71, "vector.version: 71 is not known"),
    ("lanes", 0, "vector.lanes: must be"),
    ("statistics_slots", -1, "vector.statistics_slots: must be"),
    ("statistics_slots", 1.5, "vector.statistics_slots: must be"),
    ("online_softmax", "perhaps", "vector.online_softmax: must be true or false"),
]


@pytest.mark.parametrize(("key", "value", "message"), BAD)
def test_one_line_names_the_key(key: str, value: object, message: str) -> None:
    with pytest.raises(hwconfigs.SpecError) as caught:
        hwconfigs.load("gemmini_ibert", {f"vector.{key}": value})
    (line,) = caught.value.problems
    assert message in line


BUILT = [name for name in hwconfigs.available() if name != "tiny_4x4" and hwconfigs.load(name).simd is None]


@pytest.mark.parametrize("name", BUILT)
def test_shipped_machines_go_beyond_gemmini_in_nothing(name: str) -> None:
    """Only keys of what no Gemmini has, and they do not either, are marked on them."""
    absent = {"vector.online_softmax", "vector.rescale_cycles", "vector.writes_scratchpad"}
    assert beyond_gemmini(hwconfigs.load(name)) <= absent
    vector = hwconfigs.load(name).vector
    assert vector is None or not (vector.online_softmax or vector.writes_scratchpad)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("front_end.loops_in_flight", 3), ("vector.lanes", 8), ("vector.statistics_slots", 8),
        ("vector.kernels", ["softmax", "silu"]),
    ],
)  # fmt: skip
def test_knobs_of_an_architect_are_marked(change: str, value: object) -> None:
    assert change in beyond_gemmini(hwconfigs.load("gemmini_ibert", {change: value}))
