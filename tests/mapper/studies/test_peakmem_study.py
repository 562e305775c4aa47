"""Peak memory: the search of orders against all orders, the published peaks, budgets, and the command."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from mapper import cli
from mapper.studies import peakmem, peakmem_report
from mapper.studies.peakmem import BY_HAND, Chain, Live, Peaks


@pytest.fixture(scope="module")
def found() -> Peaks:
    peaks = Peaks(512)
    assert list(peakmem.run(peaks, (2_400_000, 2_300_000, 1_000_000))) == ["bert-base, 512 tokens", "MCUFormer"]
    return peaks


def test_published_peaks_of_bert(found: Peaks) -> None:
    plain, whole = found.variants[:2]
    assert plain.as_written.peak_bytes == BY_HAND["unfused"] == 4_718_592
    assert (plain.as_written.binding, whole.as_written.binding) == ("scores", "feed_forward")
    assert found.attention_alone == BY_HAND["attention in rows"] == 1_998_848
    assert whole.as_written.peak_bytes == BY_HAND["feed-forward"] == 2_359_296


def test_a_value_is_best_computed_behind_the_scores(found: Peaks) -> None:
    """V, 512 x 768 bytes, need not exist while the scores are made."""
    plain = found.variants[0]
    assert plain.as_written.peak_bytes - plain.schedule.peak_bytes == 512 * 768
    assert plain.schedule.order.index("v") > plain.schedule.order.index("scores")


def test_budgets_take_the_least_change_that_fits(found: Peaks) -> None:
    fused, split, none = found.fits
    assert (fused.fits, fused.variant.name) == (True, "fused attention")
    assert (split.fits, split.variant.name) == (True, "fused attention, feed-forward in 2 blocks")
    assert split.variant.extra_weight_bytes == 2 * 768 * 3072
    assert (none.fits, none.variant.schedule.binding) == (False, "attention")
    assert none.variant.schedule.peak_bytes == min(one.schedule.peak_bytes for one in found.variants)
    assert "does not fit; the smallest is fused attention" in peakmem_report.text(found)


def test_mcuformer_s_rows_and_space(found: Peaks) -> None:
    assert [(ours, ours <= peakmem.MCU_BYTES) for *_, ours in found.mcu] == [
        (275_942, True), (349_670, False), (291_446, True), (318_729, True),
    ]  # fmt: skip
    assert found.agreeing == found.points == 3 * 2 * 5 * 12


@pytest.mark.parametrize("seed", range(20))
def test_the_best_order_beats_all_others(seed: int) -> None:
    """Brute force over every order of random graphs of up to seven steps."""
    draw = random.Random(seed)
    count = draw.randint(2, 7)
    names = ["x", *(f"t{number}" for number in range(count))]
    steps = tuple(
        Live(f"s{number}", tuple(draw.sample(names[: number + 1], min(number + 1, draw.randint(1, 2)))),
             f"t{number}", draw.randint(0, 3), draw.random() < 0.4)
        for number in range(count)
    )  # fmt: skip
    read = {name for step in steps for name in step.reads}
    chain = Chain(steps, {name: draw.randint(1, 9) for name in names}, ("x",), tuple(set(names) - read - {"x"}))
    allowed = []
    for order in itertools.permutations(steps):
        there = {"x"}
        if all(there.issuperset(step.reads) and not there.add(step.makes) for step in order):
            allowed.append(chain.of_order([step.name for step in order]).peak_bytes)
    assert chain.best().peak_bytes == min(allowed)


def test_too_many_steps_are_refused() -> None:
    steps = tuple(Live(f"s{number}", ("x",), f"t{number}") for number in range(25))
    with pytest.raises(ValueError, match="25 steps: orders of at most 24 are searched"):
        Chain(steps, {}, ("x",), ()).best()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "peakmem", "--budget", "2200 KiB", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "budget 2,252,800 bytes: fused attention, feed-forward in 2 blocks" in out
    assert "360 of 360 points" in out
    assert all(len(line) <= 120 for line in out.splitlines())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["peakmem.csv", "peakmem.png"]
    assert cli.main(["study", "peakmem", "--budget", "much"]) == 2
    assert "--budget much" in capsys.readouterr().err
