"""A report that was written is read again as the values that it was made of; what is wrong in it is named."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from mapper.reports.documents import DocumentError
from mapper.reports.run_json import run_dict
from mapper.reports.saved_run import read_run, saved_run
from mapper.result import RunResult


@pytest.fixture
def result(bert_of_8_tokens: RunResult) -> RunResult:
    return bert_of_8_tokens


@pytest.fixture
def document(result: RunResult) -> Any:
    return json.loads(json.dumps(run_dict(result)))


def test_reports_are_equal_after_writing_and_reading(result: RunResult, document: Any) -> None:
    run = saved_run("run.json", document)
    assert run.simulation == result.simulation
    assert run.estimate == result.estimate
    assert run.absorbed == {"ffn_activation": "ffn1"}
    assert run.capacities() == {"scratchpad": 262144, "accumulator": 131072, "l2": 524288}
    assert run.estimated == frozenset()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("schema",), "tilewright.report/2", "schema 'tilewright.report/2', not 'tilewright.report/1'"),
        (("machine", "clock_mhz"), 0, "clock_mhz and array must be positive"),
        (("machine", "array", "rows"), 1.5, "machine.array.rows: must be a whole number"),
        (("simulation", "cycles"), -1, "simulation.cycles: must be a whole number, not negative"),
        (("simulation", "cycles"), True, "simulation.cycles: must be a number"),
        (("simulation", "operators", 3, "bound"), None, "simulation.operators.3.bound: is 'None'"),
        (("simulation", "counts", "dram", "read_byte"), float("nan"), "dram.read_byte: must be a number"),
        (("simulation", "units"), [], "simulation.units: is '\\[\\]'"),
        (("timeline", "spans", 0), [0, 0, 1], "timeline.spans.0: must be 7 whole numbers"),
        (("timeline", "spans", 0, 0), 99, "timeline.units: has no number 99"),
    ],
)
def test_what_is_wrong_is_named(document: Any, path: tuple[Any, ...], value: object, words: str) -> None:
    damaged = copy.deepcopy(document)
    place = damaged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DocumentError, match=words):
        saved_run("run.json", damaged)


@pytest.mark.parametrize(("text", "words"), [("{", "is no JSON"), ("[1]", "is no report"), (None, "cannot be read")])
def test_files_that_are_none_say_so(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "run.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DocumentError, match=f"run.json: {words}"):
        read_run(file)
