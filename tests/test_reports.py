"""Recorded reports: what the command prints and writes must not change unless somebody says so.

Every case is a command line. What it prints is ``tests/golden/reports/NAME.txt``, each file it writes
``tests/golden/reports/NAME.json``, ``.yaml`` or ``.trace``; all are compared byte for byte. Refresh with
``python -m pytest tests/test_reports.py --update-golden``, which first shows what differs, and review the change like
code: a report that gained keys says so, any other difference is a different answer.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapper import cli

CONSTRAINTS = """\
levels:
  dram: {tile: {m: 64, k: {min: 32}}, order: "mk*"}
  scratchpad: {double_buffer: [weight]}
spatial: {rows: {k: 16}, cols: n}
"""
CONSTRAINTS_FILE = "constraints.yaml"

RUNS = {
    "run_bert_base_explain": "run bert-base --hw gemmini_ibert --seq 64 --explain --json {json}",
    "run_bert_base_codesign": "run bert-base --hw paper_codesign --seq 32 --objective edp --energy horowitz_45nm "
    "--json {json}",
    "run_bert_base_library": "run bert-base --hw gemmini_ibert --seq 48 --mapping gemmini_auto --json {json}",
    "run_bert_base_exact": "run bert-base --hw gemmini_ibert --seq 32 --exact --json {json}",
    "run_bert_base_no_normaliser": "run bert-base --hw gemmini --seq 32 --json {json}",
    "run_bert_base_finalists": "run bert-base --hw gemmini_lean --seq 16 --finalists 2 --json {json}",
    "run_bert_base_genetic": "run bert-base --hw gemmini_chip --seq 16 --search genetic --budget 60 --seed 1 "
    "--json {json}",
    "run_gpt2_prefill_batch": "run gpt2 --hw gemmini_ibert --seq 24 --batch 2 --energy cacti_22nm --json {json}",
    "run_gpt2_decode": "run gpt2 --phase decode --context 64 --hw gemmini_ibert --explain --json {json}",
    "run_llama_3_8b_decode": "run llama-3-8b --phase decode --context 32 --hw gemmini_ibert --json {json}",
    "run_vit_base_energy": "run vit-base --hw paper_baseline --objective energy --json {json}",
    "run_resnet50": "run resnet50 --hw gemmini --explain --json {json}",
}
MAPS = {
    "map_optimal_edp": "map 128x96x64 --hw gemmini --objective edp --explain --json {json} --yaml {yaml}",
    "map_ragged_overrides": "map 100x70x33 --set scratchpad.capacity='16 KiB' --set dram.latency=80 --json {json}",
    "map_tiny_trace": "map 24x16x20 --hw tiny_4x4 --json {json} --trace {trace}",
    "map_exhaustive": "map 64x64x64 --search exhaustive --json {json}",
    "map_random": "map 128x96x64 --search random --budget 200 --seed 3 --json {json}",
    "map_annealing": "map 128x96x64 --search annealing --budget 200 --seed 3 --objective energy --json {json}",
    "map_genetic": "map 128x96x64 --search genetic --budget 200 --seed 3 --json {json}",
    "map_budget": "map 256x512x256 --search optimal --budget 40 --json {json}",
    "map_finalists": "map 128x96x64 --finalists 4 --json {json}",
    "map_library": "map 128x96x64 --mapping gemmini_auto --json {json}",
    "map_front": "map 128x96x64 --objective pareto --json {json}",
    "map_front_random": "map 96x64x64 --objective pareto --search random --budget 300 --seed 2 --json {json}",
    "map_nest": "map 128x96x64 --mapspace loop-nest --objective edp --json {json} --yaml {yaml}",
    "map_nest_timeloop": "map 64x96x64 --mapspace loop-nest --accounting timeloop --factors perfect --json {json}",
    "map_nest_accelforge": "map 64x96x64 --mapspace loop-nest --accounting accelforge --objective energy --json {json}",
    "map_nest_constraints": "map 128x96x64 --mapspace loop-nest --constraints {constraints} --json {json}",
    "map_nest_front": "map 128x96x64 --mapspace loop-nest --objective pareto --json {json}",
    "map_nest_annealing": "map 128x96x64 --mapspace loop-nest --search annealing --budget 300 --seed 5 --json {json}",
}
SHOWN = {
    "list": "list",
    "show_hw_gemmini_ibert": "show hw gemmini_ibert --set accumulator.capacity='32 KiB'",
    "show_model_gpt2_decode": "show model gpt2 --phase decode --context 512",
    "show_model_vit_base": "show model vit-base",
    "study_mapspace": "study mapspace --samples 400 --spatial rows --layers base-qkv",
}
CASES = {**RUNS, **MAPS, **SHOWN}
DEAR = (
    "run_llama_3_8b_decode",
    "run_resnet50",
    "run_vit_base_energy",
    "run_bert_base_no_normaliser",
    "run_bert_base_finalists",
    "run_gpt2_prefill_batch",
)
"""Cases of many CPU seconds; refresh them with ``-m slow`` as well."""
WRITTEN = ("json", "yaml", "trace")


@pytest.fixture(scope="module")
def golden(repository: Path) -> Path:
    return repository / "tests" / "golden" / "reports"


TIMES = ((r"\b[0-9][0-9,]*/s\b", "N/s"), (r"\b[0-9]+\.[0-9]+\sCPU\ss\b", "T CPU s"))
"""How fast a search was, the one thing that differs from run to run."""


def steady(printed: str) -> str:
    """``printed`` without times; a paragraph that tells one becomes a line, for its breaks depend on their digits."""
    paragraphs = printed.split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        for pattern, name in TIMES:
            paragraph, changed = re.subn(pattern, name, paragraph)
            if changed:
                paragraphs[number] = paragraph = paragraph.replace("\n", " ")
    return "\n\n".join(paragraphs)


def outputs(command: str, folder: Path) -> dict[str, str]:
    """Content by ending of all that a command prints and writes."""
    paths = {kind: folder / f"output.{'json' if kind == 'trace' else kind}" for kind in WRITTEN}
    paths["trace"] = folder / "trace.json"
    paths["constraints"] = folder / CONSTRAINTS_FILE
    paths["constraints"].write_text(CONSTRAINTS, encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main([word.format(**paths) for word in shlex.split(command)]) == 0
    written = {kind: paths[kind].read_text(encoding="utf-8") for kind in WRITTEN if paths[kind].exists()}
    text = {"txt": printed.getvalue(), **written}
    return {kind: steady(content).replace(f"{folder}/", "") for kind, content in text.items()}


def changes(before: object, after: object, path: str = "") -> Iterator[str]:
    """One line for each value of a JSON document that was added, removed or changed."""
    if isinstance(before, dict) and isinstance(after, dict):
        yield from (f"added: {path}.{key}" for key in after if key not in before)
        yield from (f"removed: {path}.{key}" for key in before if key not in after)
        for key in before.keys() & after.keys():
            yield from changes(before[key], after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from changes(old, new, f"{path}[{index}]")
    elif before != after or type(before) is not type(after):
        yield f"changed: {path}: {str(before)[:60]} -> {str(after)[:60]}"


def difference(file: Path, content: str) -> str:
    """What differs from the recorded file, first for the eye, then as a verdict; empty if nothing does."""
    recorded = file.read_text(encoding="utf-8") if file.exists() else ""
    if recorded == content:
        return ""
    lines = list(difflib.unified_diff(recorded.splitlines(), content.splitlines(), "recorded", "now", lineterm="", n=1))
    if recorded and file.suffix == ".json":
        told = sorted(changes(json.loads(recorded), json.loads(content)))
        only_added = all(line.startswith("added: ") for line in told) and bool(told)
        lines = ["only keys were added:" if only_added else "values changed:", *told]
    return "\n".join(
        [f"{file.name}:", *lines[:60], *([f"... {len(lines) - 60} more lines"] if len(lines) > 60 else [])]
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in DEAR else name for name in CASES]
)
def test_report_is_the_recorded_one(
    name: str, golden: Path, tmp_path: Path, update_golden: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    now = {golden / f"{name}.{kind}": content for kind, content in outputs(CASES[name], tmp_path).items()}
    told = [text for file, content in now.items() if (text := difference(file, content))]
    if update_golden and told:
        golden.mkdir(parents=True, exist_ok=True)
        for file, content in now.items():
            file.write_text(content, encoding="utf-8")
        with capsys.disabled():
            print("", *told, sep="\n")  # noqa: T201 -- the one who refreshes is shown what changes
        pytest.skip(f"{name} was rewritten")
    assert not told, "\n\n".join([*told, "if this is meant, refresh with --update-golden and review the change"])


def test_no_recorded_report_is_left_over(golden: Path) -> None:
    assert {file.stem for file in golden.iterdir()} == set(CASES)


def test_changes_tells_added_keys_from_changed_values() -> None:
    before = {"a": 1, "b": [{"c": 2}]}
    assert list(changes(before, {"a": 1, "b": [{"c": 2, "d": 3}]})) == ["added: .b[0].d"]
    assert sorted(changes(before, {"a": 1.0, "b": []})) == ["changed: .a: 1 -> 1.0", "changed: .b: [{'c': 2}] -> []"]
    assert list(changes(before, {"a": 1})) == ["removed: .b"]
