"""The hierarchy as the loop-nest model sees it."""

from __future__ import annotations

import pytest

import hwconfigs


def test_gemmini_levels() -> None:
    """256 KiB of int8 are 262,144 words; 64 KiB of int32 are 16,384; 4 and 2 banks of 16 words per cycle."""
    dram, l2, scratchpad, accumulator, array = hwconfigs.memory_levels(hwconfigs.load("gemmini"))
    assert [level.memory for level in (dram, l2, scratchpad, accumulator, array)] == [
        "dram",
        "l2",
        "scratchpad",
        "accumulator",
        "array",
    ]
    assert (scratchpad.entries, scratchpad.word_bits, accumulator.entries, accumulator.word_bits) == (
        262144,
        8,
        16384,
        32,
    )
    assert (dram.shared_words_per_cycle, l2.shared_words_per_cycle) == (8.0, 16.0)
    assert (scratchpad.read_words_per_cycle, scratchpad.shared_words_per_cycle) == (64.0, 64.0)
    assert (accumulator.read_words_per_cycle, accumulator.shared_words_per_cycle) == (32.0, None)
    assert (array.instances, array.entries, array.keeps) == (256, 1, frozenset({"weight"}))


@pytest.mark.parametrize("name", hwconfigs.available())
def test_every_role_has_a_home_outside_and_inside(name: str) -> None:
    levels = hwconfigs.memory_levels(hwconfigs.load(name))
    assert levels[0].keeps == {"input", "weight", "output"}
    assert frozenset.union(*(level.keeps for level in levels if level.memory not in ("dram", "l2"))) == levels[0].keeps
    assert all(level.entries > 0 and level.read_words_per_cycle > 0 for level in levels)
    assert levels[0].entries > max(level.entries for level in levels[1:])


def test_without_l2_and_output_stationary() -> None:
    spec = hwconfigs.load("gemmini", {"l2": None, "array.dataflows": ["output_stationary"]})
    levels = hwconfigs.memory_levels(spec)
    assert [level.memory for level in levels] == ["dram", "scratchpad", "accumulator", "array"]
    assert (levels[-1].keeps, levels[-1].word_bits) == (frozenset({"output"}), 32)


def test_single_ported_accumulator_shares_its_port() -> None:
    accumulator = hwconfigs.memory_levels(hwconfigs.load("gemmini_chip"))[3]
    assert accumulator.shared_words_per_cycle == accumulator.read_words_per_cycle
