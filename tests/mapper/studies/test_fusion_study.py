"""The fusion study: small sizes, its sums, its files and what it refuses."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from mapper import cli
from mapper.studies import fusion, fusion_report
from mapper.studies.fusion import BOTH, Entry, Fused


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return list(fusion.run([32], [64]))


def test_both_pairs_of_attention_are_the_sum_of_the_two(entries: list[Entry]) -> None:
    scores, projection, ffn, both = entries
    assert [entry.name for entry in entries] == [*(pair.name for pair in fusion.PAIRS), BOTH]
    assert both.heuristic == scores.heuristic + projection.heuristic
    assert both.best.unfused == scores.best.unfused + projection.best.unfused
    assert ffn.heuristic.product > projection.heuristic.product
    for entry in entries:
        assert entry.best.fused is not None and entry.heuristic.fused is not None
        # Whatever wins on the machine is not worse than the tile of the heuristic, but for ties.
        assert entry.best.fused <= 1.006 * entry.heuristic.fused
        assert entry.best.product <= 1.006 * entry.heuristic.product


def test_rows_that_no_tile_holds_say_why() -> None:
    graph, spec = fusion.QK.graph(2048), fusion.machine(64)
    fused, refused = fusion._compared(fusion.QK, graph, spec, fusion.heuristic)
    assert (fused.fused, fused.effect) == (None, None)
    assert "131,072 bytes > 65,536; the smallest accumulator that would do has 128 KiB" in refused


def made(published: float, product: int, kernel: int, fused: int, tile: int) -> Entry:
    return Entry("pair", 512, 128, published, Fused(product, kernel, fused, tile), Fused(product, kernel, fused, tile))


def test_deviations_name_the_part_that_makes_them() -> None:
    near, far = made(-0.5, 100, 100, 110, 100), made(+0.8, 100, 50, 180, 175)
    assert fusion_report.notes([near]) == ["sign of the paper's effect: 1 of 1, with the paper's own tiles"]
    (_, line) = fusion_report.notes([replace(far, published=+0.8)])
    assert "The forced tile makes the product +75% slower (100 to 175), and fusing takes 45 of the" in line
    # 180 cycles are 1.8 times the two apart if those take 100: the normalisation would have to take no time.
    assert fusion_report.needed_share(far.heuristic, +0.8) is None
    assert fusion_report.needed_share(far.heuristic, -0.4) == pytest.approx(2.0)
    other = made(-0.1, 100, 50, 180, 175)
    assert fusion_report.notes([other])[0].startswith("sign of the paper's effect: 0 of 1")


@pytest.mark.slow
def test_the_command_writes_complete_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "fusion", "--tokens", "32", "--accumulator", "64", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 120 for line in out.splitlines())
    assert "W_out + LayerNorm" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fusion.csv", "fusion.png"]
    assert (tmp_path / "fusion.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "fusion.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["pair"] for row in rows] == [*(pair.name for pair in fusion.PAIRS), BOTH]
    assert int(rows[0]["best_fused_cycles"]) > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fusion", "--tokens", "512,many"], "--tokens 512,many: 'many' is no whole number"),
        (["fusion", "--accumulator", "0"], "--accumulator 0: '0' is no whole number of 1 to"),
        (["fusion", "--iso-macs"], "--iso-macs has no meaning for the study 'fusion'"),
        (["mapspace", "--tokens", "512"], "--tokens has no meaning for the study 'mapspace'"),
    ],
)
def test_bad_input(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
