"""The mapspace study: exact counts, uniform draws, published figures beside ours, complete files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from mapper import cli
from mapper.errors import MappingError
from mapper.nest.model.problem import conv2d, matmul
from mapper.studies import mapspace, mapspace_report
from mapper.studies.mapspace import ISO_LAYERS, LAYERS, Distribution, Layer, Sampler
from simulator.views.style import NOTEBOOK, PAPER, drawn_at

PUBLISHED = [layer for layer in LAYERS if layer.published]


@pytest.fixture(scope="module")
def small() -> list[Distribution]:
    """Three samplers on the published operators, 1,500 mappings each."""
    return mapspace.run(PUBLISHED, samples=1500)


def test_operators_are_the_published_ones() -> None:
    """MACs by hand: 512 x 768 x 768 and so on; ResNet-50's convolutions at 7 x 7 pixels, conv1 at 112 x 112."""
    macs = {layer.name: layer.problem.macs for layer in LAYERS}
    assert macs["base-qkv"] == 512 * 768 * 768
    assert macs["large-w1"] == 512 * 1024 * 4096
    assert macs["conv1-7x7"] == 118_013_952
    assert macs["conv-3x3-512"] == 49 * 512 * 512 * 9
    assert macs["conv-1x1-512"] == macs["conv-1x1-2048"] == 49 * 512 * 2048
    assert [layer.problem.macs for layer in ISO_LAYERS] == [29_491_200, 29_491_200, 29_503_488]


def test_the_full_array_space_has_the_known_size() -> None:
    """512x768x768 on Timeloop's Gemmini: 24,057,000 mappings, 18,880,128 of them legal, counted by enumeration."""
    space = mapspace.space_of(LAYERS[0], mapspace.machine(), "full")
    assert (space.total, space.valid()) == (24_057_000, 18_880_128)


@pytest.mark.parametrize("sampler", ["rows", "free", "full"])
def test_samples_are_uniform_over_all_legal_nests(sampler: Sampler) -> None:
    """Quantiles of 20,000 draws against those of all legal nests of a small problem, within 3.5 standard errors."""
    layer = Layer("tiny", "MHA", matmul(8, 6, 20, "tiny"))
    place = mapspace.machine()
    space = mapspace.space_of(layer, place, sampler)
    every = np.concatenate([space.costs(rows).edp for rows in space.walk(100_000)])
    assert len(every) == space.valid()
    distribution = mapspace.sample(layer, place, sampler, samples=20_000)
    drawn = distribution.relative * distribution.best_edp
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        at = np.quantile(every, share)
        expected = (every <= at).mean()
        error = np.sqrt(expected * (1 - expected) / len(drawn))
        # Equal EDPs of many nests are summed in another order: a relative 1e-12 decides none of them.
        assert (drawn <= at * (1 + 1e-12)).mean() == pytest.approx(expected, abs=3.5 * error + 1e-3)


def test_draws_are_seeded_by_operator() -> None:
    """The same whatever else is drawn; others with another seed."""
    place = mapspace.machine()
    alone = mapspace.sample(LAYERS[0], place, "rows", 500, seed=7)
    among = mapspace.run(LAYERS[:2], ("rows",), 500, 7, hierarchy=place)[0]
    reseeded = mapspace.sample(LAYERS[0], place, "rows", 500, seed=8)
    assert np.array_equal(alone.relative, among.relative)
    assert not np.array_equal(alone.relative, reseeded.relative)


def test_statistics_by_hand() -> None:
    """EDPs 1, 2, 3, 4 times the least: a quarter up to 1; 3 is not under 3."""
    distribution = Distribution(LAYERS[0], "rows", 10, 8, np.array([1.0, 2.0, 3.0, 4.0]), 5.0)
    assert [distribution.quantile(share) for share in (0.25, 0.5, 0.75, 1.0)] == [1.0, 2.0, 3.0, 4.0]
    assert distribution.under_3x == 0.5
    assert distribution.spread == 4.0


def test_bands_of_the_published_figures(small: list[Distribution]) -> None:
    """Few samples, so wider bands than those of the full study below; the free array lies above, the full one below."""
    by = {(distribution.layer.name, distribution.sampler): distribution for distribution in small}
    for layer in PUBLISHED:
        rows, free, full = (by[layer.name, sampler] for sampler in ("rows", "free", "full"))
        assert 4.0 <= rows.quantile(0.1) <= 18.0
        assert full.quantile(0.1) < rows.quantile(0.1) < free.quantile(0.1)
        assert free.under_3x < rows.under_3x < full.under_3x
        assert free.spread > 1e3


@pytest.mark.slow
def test_the_whole_study_lies_in_the_bands() -> None:
    """100,000 mappings per operator with full rows: the published bands, and their order for the Transformer."""
    by_layer = {distribution.layer.name: distribution for distribution in mapspace.run(LAYERS, ("rows",))}
    for layer in PUBLISHED:
        assert 5.0 <= by_layer[layer.name].quantile(0.1) <= 15.0
        assert 0.01 <= by_layer[layer.name].under_3x <= 0.03
        assert by_layer[layer.name].spread > 1e3
    tenth = {name: distribution.quantile(0.1) for name, distribution in by_layer.items()}
    assert tenth["conv-3x3-512"] < tenth["base-qkv"] < tenth["large-w1"]
    assert tenth["base-qkv"] < tenth["base-w1"]
    assert tenth["large-qkv"] < tenth["large-w1"]


def test_the_table_shows_both(small: list[Distribution]) -> None:
    text = mapspace_report.text(small)
    for expected in ("9.42", "1.70%", "12.06", "2.62%", "without rejection", "paper"):
        assert expected in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_csv_files_hold_every_operator(small: list[Distribution]) -> None:
    rows = list(csv.DictReader(io.StringIO(mapspace_report.summary_csv(small))))
    assert [(row["operator"], row["array"]) for row in rows] == [
        (distribution.layer.name, distribution.sampler) for distribution in small
    ]
    assert float(rows[0]["relative_edp_quantile_0.1"]) == small[0].quantile(0.1)
    assert int(rows[0]["legal"]) == small[0].legal
    points = list(csv.DictReader(io.StringIO(mapspace_report.cdf_csv(small[:1]))))
    assert len(points) == 1001
    assert (float(points[0]["relative_edp"]), float(points[-1]["relative_edp"])) == (1.0, small[0].spread)


def test_the_picture_shows_the_numbers(small: list[Distribution]) -> None:
    """A curve and a histogram per operator, published points only where there are some; the bins cover all samples."""
    info = mapspace_report.curves(small)
    assert [len(panel.names) for panel in info] == [4, 4, 4]
    for panel in info:
        assert [float(shares.sum()) for shares in panel.histogram] == pytest.approx([1.0] * 4)
        assert dict(panel.published)["base-qkv"] == ((3.0, 0.017), (9.42, 0.1))
    on_paper = drawn_at(PAPER, lambda: mapspace_report.draw(info))
    assert (on_paper.get_figwidth(), on_paper.get_dpi()) == (PAPER.width_inches, PAPER.dots_per_inch)
    assert on_paper.axes[0].xaxis.label.get_fontsize() == PAPER.font_points
    figure = drawn_at(NOTEBOOK, lambda: mapspace_report.draw(info))
    left, right = figure.axes[:2]
    assert len(left.lines) == 4 + 4
    assert len(right.patches) == 4
    assert left.get_xscale() == left.get_yscale() == right.get_xscale() == "log"


def test_the_command_writes_complete_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["study", "mapspace", "--samples", "200", "--iso-macs", "--spatial", "rows", "--out", str(tmp_path)]
    assert cli.main(arguments) == 0
    assert "iso-conv1" in capsys.readouterr().out
    names = ["mapspace_iso_macs.csv", "mapspace_iso_macs.png", "mapspace_iso_macs_cdf.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert (tmp_path / names[1]).read_bytes().startswith(b"\x89PNG")


def test_an_interrupt_keeps_what_is_finished(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, calls = mapspace.sample, []

    def twice(*rest: object) -> Distribution:
        calls.append(rest)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return sample(*rest)  # type: ignore[arg-type]

    monkeypatch.setattr(mapspace, "sample", twice)
    assert cli.main(["study", "mapspace", "--samples", "100", "--spatial", "full"]) == 130
    assert "interrupted: 2 of 8 distributions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--samples", "1"], "samples=1"),
        (["--samples", "-4"], "samples=-4"),
        (["--seed", "-1"], "seed=-1"),
        (["--layers", "base-qkv,bse-w1"], "unknown layers 'bse-w1'"),
        (["--layers", ""], "unknown layers"),
        (["--iso-macs", "--layers", "base-qkv"], "use iso-qkv"),
    ],
)
def test_bad_input(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", "mapspace", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err


def test_a_space_without_legal_nests_is_refused() -> None:
    """An accumulator of 16 words holds no row of 32 outputs that all columns of the array make at once."""
    layer = Layer("wide", "MHA", conv2d(1, 32, 16, 4, 4, 1, 1, name="wide"))
    place = mapspace.machine()
    tiny = type(place)(
        place.name,
        tuple(
            type(memory)(memory.name, memory.keeps, 8, memory.word_bits) if memory.name == "accumulator" else memory
            for memory in place.memories
        ),
        place.rows,
        place.cols,
    )
    with pytest.raises(MappingError, match="no mapping of wide fits"):
        mapspace.sample(layer, tiny, "full", 10)
