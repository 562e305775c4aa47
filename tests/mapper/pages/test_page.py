"""The page of a run: complete, equal for equal input, honest about names, and as the report says."""

from __future__ import annotations

import json
import re
import shlex
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mapper import cli
from mapper.commands.requests import run_request
from mapper.pages.deviations import deviations
from mapper.pages.machine_sheet import machine_sheet
from mapper.pages.page import page, page_run
from mapper.pages.reproduce import command, remarks
from mapper.pages.timeline_data import timeline_data
from mapper.reports.run_json import run_dict
from mapper.reports.saved_run import SavedRun, read_run, saved_run
from mapper.result import RunResult
from mapper.settings import RunSettings
from tests import pages


class Ids(HTMLParser):
    """Collects identifiers, and what points to them."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: set[str] = set()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            text = value or ""
            if name == "id":
                self.ids.append(text)
            elif name in ("aria-labelledby", "aria-describedby"):
                self.targets.update(text.split())
            elif name == "href" and text.startswith("#"):
                self.targets.add(text[1:])
            elif name in ("href", "src", "srcset", "action") and not text.startswith("data:"):
                self.outside.append(text)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, bert_of_8_tokens: RunResult) -> tuple[Path, Path]:
    """A run, and what would be written of it with a smaller scratchpad if nothing else changed but its time."""
    folder = tmp_path_factory.mktemp("runs")
    first, second = folder / "first.json", folder / "second.json"
    document: Any = json.loads(json.dumps(run_dict(bert_of_8_tokens)))
    first.write_text(json.dumps(document))
    document["machine"]["scratchpad"]["capacity_bytes"] = 65536
    document["machine"]["name"] += " + scratchpad.capacity=64 KiB"
    document["settings"] |= {"overrides": {"scratchpad.capacity": "64 KiB"}, "objective": "energy"}
    document["simulation"]["latency_s"] *= 1.25
    second.write_text(json.dumps(document))
    return first, second


@pytest.fixture
def run(files: tuple[Path, Path]) -> SavedRun:
    return read_run(files[0])


def test_it_is_one_file_whose_parts_find_each_other(files: tuple[Path, Path]) -> None:
    text = page([read_run(file) for file in files])
    found = Ids()
    found.feed(text)
    assert found.outside == []
    assert len(found.ids) == len(set(found.ids))
    assert found.targets <= set(found.ids)
    assert not re.search(r"https?://|url\(|@import", text)
    assert text == page([read_run(file) for file in files])


def test_differences_stand_beside_the_values(files: tuple[Path, Path]) -> None:
    runs = [read_run(file) for file in files]
    text = page(runs)
    assert "<td>x1.25</td>" in text
    assert "scratchpad.capacity_bytes" in text and "<td>262144</td><td>65536</td>" in text


def test_names_of_files_and_operators_cannot_leave_their_place(run: SavedRun) -> None:
    document: Any = json.loads(json.dumps(run.document.values).replace("ffn_norm", "</script><b>x&"))
    text = page([saved_run("<i>&.json", document)])
    assert "</script><b>" not in text and "<i>&" not in text
    assert "\\u003c/script\\u003e" in text


def test_the_machine_stands_beside_its_preset(files: tuple[Path, Path]) -> None:
    assert machine_sheet(read_run(files[0])).changed == ()
    sheet = machine_sheet(read_run(files[1]))
    assert (sheet.preset, sheet.is_origin) == ("gemmini_ibert", True)
    assert [(row.path, row.value, row.preset) for row in sheet.changed] == [
        ("scratchpad.capacity_bytes", "65536", "262144")
    ]


def test_a_machine_of_one_s_own_has_the_nearest_preset(run: SavedRun) -> None:
    document: Any = json.loads(json.dumps(run.document.values))
    document["machine"]["name"] = "mine"
    sheet = machine_sheet(saved_run("own.json", document))
    assert (sheet.preset, sheet.is_origin) == ("gemmini_ibert", False)
    assert remarks(saved_run("own.json", document)) == ["mine came from a file: give its path in place of the name."]


def test_the_command_has_the_settings_of_the_run(files: tuple[Path, Path]) -> None:
    run = read_run(files[1])
    words = shlex.split(command(run))
    assert words[:3] == ["tilewright", "run", "bert-base"] and words[-2:] == ["--json", "run.json"]
    request = run_request(cli.parser().parse_args(words[1:]))
    assert (request.model, request.hw) == ("bert-base", "gemmini_ibert")
    assert request.settings == RunSettings.from_dict(run.document.section("settings").values)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"m": 8, "k": 16, "n": 24}, "tilewright map 8x16x24"),
        ({"repeat": 3, "m": 8, "k": 16, "n": 24}, "tilewright map 3x8x16x24"),
        ({"layers": 3}, ""),
    ],
)
def test_products_are_made_by_map(run: SavedRun, config: dict[str, int], words: str) -> None:
    document: Any = json.loads(json.dumps(run.document.values))
    document["workload"]["config"] = config
    assert command(saved_run("x.json", document)).startswith(words)
    del document["settings"]
    assert command(saved_run("x.json", document)) == ""
    assert "does not tell its settings" in page([saved_run("x.json", document)])


def test_deviations_have_the_numbers_of_their_page(run: SavedRun) -> None:
    found = deviations(run)
    listed = pages.page("simulator/DEVIATIONS.md").text
    assert [one.number for one in found] == re.findall(r"^\| (D\d+) \|", listed, re.MULTILINE)
    touched = {one.number for one in found if one.applies}
    assert touched == {"D2", "D3", "D4", "D8", "D10"}
    document: Any = json.loads(json.dumps(run.document.values))
    document["settings"]["spans"] = False
    document["workload"]["config"]["family"] = "gpt"
    document["host_constants"]["share_of_cycles"] = 0.5
    more = {one.number for one in deviations(saved_run("x.json", document)) if one.applies}
    assert more - touched == {"D1", "D5", "D9"}


def test_the_timeline_is_that_of_the_report(run: SavedRun) -> None:
    data: Any = timeline_data(run)
    rows = {row["name"]: row for row in data["rows"]}
    assert [span[2] for span in rows["operators"]["spans"]] == [
        part.name for part in run.simulation.by_op if part.cycles
    ]
    assert sum(len(row["spans"]) // 5 for row in data["rows"] if row["kind"] == "unit") == len(run.simulation.spans)
    assert {"scratchpad", "accumulator", "L2"} < set(rows)
    assert rows["scratchpad"]["capacity"] == 262144


def test_a_run_without_timeline_says_so(run: SavedRun) -> None:
    document: Any = dict(run.document.values)
    del document["timeline"]
    short = saved_run("x.json", document)
    assert not page_run(short).recorded
    assert "was written without <code>--timeline</code>" in page([short])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["first.json", "none.json"], "none.json: cannot be read"),
        (["first.json"] * 9, "9 runs: a page shows 8 at most"),
        (["text.json"], "text.json: is no JSON"),
        (["old.json"], "schema 'tilewright.report/0', not 'tilewright.report/1'"),
    ],
)
def test_bad_input_is_one_line(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str], words: str
) -> None:
    (files[0].parent / "text.json").write_text("no")
    (files[0].parent / "old.json").write_text('{"schema": "tilewright.report/0"}')
    target = tmp_path / "page.html"
    assert cli.main(["report", *(str(files[0].parent / name) for name in names), "-o", str(target)]) == 2
    assert words in (error := capsys.readouterr().err) and error.count("\n") == 1
    assert not target.exists()


def test_without_jinja_the_extra_is_named(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert cli.main(["report", str(files[0]), "-o", str(tmp_path / "page.html")]) == 2
    assert "tilewright[report]" in capsys.readouterr().err
    assert cli.main(["report", str(files[0]), "-o", str(tmp_path / "none" / "page.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err
