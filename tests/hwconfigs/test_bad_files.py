"""Machine files with mistakes: every mistake in one message, with its line and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

import hwconfigs
from hwconfigs import SpecError
from hwconfigs.loader import LONGEST_CHAIN


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        hwconfigs.load(path)
    return tuple(line.replace(f"{tmp_path}/", "") for line in caught.value.problems)


HEAD = "extends: gemmini\ndescription: a test\nsource: a test\n"


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        HEAD + "scratchpad:\n  capacity: 1e5\n  row_bytes: 16\n  banks: 2\n  source: here\n", encoding="utf-8"
    )
    spec = hwconfigs.load(str(path))
    assert (spec.name, spec.scratchpad.capacity_bytes, spec.scratchpad.rows_per_bank) == ("mine", 100000, 3125)
    assert spec.sources["scratchpad.banks"] == "here"


def test_extending_ones_own_file(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(HEAD + "l2: null\n", encoding="utf-8")
    (tmp_path / "second.yaml").write_text("extends: first.yaml\n" + HEAD[17:], encoding="utf-8")
    spec = hwconfigs.load(tmp_path / "second.yaml")
    assert (spec.name, spec.l2) == ("second", None)
    assert problems(tmp_path, "extends: next.yml\n" + HEAD[17:]) == (
        "mine.yaml: extends: next.yml: cannot be read: No such file or directory",
    )


@pytest.mark.parametrize("name", ["mine.yaml", "deeper/../mine.yaml", "./deeper/.././mine.yaml", "link.yaml"])
def test_extending_itself_under_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "link.yaml").symlink_to(tmp_path / "mine.yaml")
    (line,) = problems(tmp_path, f"extends: {name}\n" + HEAD[17:])
    assert "extends itself: " in line


def test_a_chain_has_an_end(tmp_path: Path) -> None:
    for number in range(LONGEST_CHAIN + 2):
        text = f"extends: m{number + 1}.yaml\n" + HEAD[17:]
        (tmp_path / f"m{number}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=f"the chain of machines is longer than {LONGEST_CHAIN}"):
        hwconfigs.load(tmp_path / "m0.yaml")
    (tmp_path / f"m{LONGEST_CHAIN}.yaml").write_text(HEAD, encoding="utf-8")
    with pytest.raises(SpecError, match="longer than"):  # and gemmini is one more
        hwconfigs.load(tmp_path / "m0.yaml")
    assert hwconfigs.load(tmp_path / "m2.yaml").name == "m2"


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = HEAD + (
        "accumulator:\n  bank: 2\n  source: x\n"
        "scratchpad:\n  capacity: 256 MHz\n  source: x\n"
        "array:\n  size: -4\n  source: x\n"
        "dma:\n  max_in_flight: many\n  max_in_flight: 3\n  source: x\n"
        "dram:\n  latency: 40\n"
    )
    lines = problems(tmp_path, text)
    assert lines == (
        "mine.yaml:15: dma.max_in_flight: repeated key; it was already given in line 14",
        "mine.yaml:5: accumulator.bank: unknown key; did you mean 'banks'?",
        "mine.yaml:11: array.size: must be in 1 .. 65,536, got -4",
        "mine.yaml:8: scratchpad.capacity_bytes: '256 MHz' is not a size; write e.g. '256 KiB'"
        " (units: B, KiB, MiB, GiB)",
        "mine.yaml:14: dma.max_in_flight: 'many' is text, not a whole number",
    )


def test_contradictions_show_their_arithmetic(tmp_path: Path) -> None:
    text = HEAD + (
        "array:\n  size: 16\n  accumulator_bits: 8\n  source: x\n"
        "scratchpad:\n  capacity: 1000\n  row_bytes: 8\n  source: x\n"
        "dma:\n  max_request: 128\n  min_request: 48\n  source: x\n"
    )
    lines = problems(tmp_path, text)
    assert lines == (
        "mine.yaml:6: array.accumulator_bits=8 cannot hold one product of two integers, array.input_bits=8, which needs"
        " 2 x 8 = 16 bits (arrays of floating point are not modelled)",
        "mine.yaml:9: scratchpad.capacity_bytes=1,000 must be a multiple of banks x row_bytes = 4 x 8 = 32",
        "mine.yaml:10: scratchpad.row_bytes=8 must equal array.cols x bits / 8 = 16 x 8 / 8 = 16"
        " (one 8-bit row feeds the array per cycle); leave it out to derive it",
        "mine.yaml:14: dma.min_request_bytes=48 must be a power of two"
        " (requests and lines are aligned to their own size)",
        "mine.yaml:13: dma.max_request_bytes=128 must not exceed l2.line_bytes=64 (a request lies in one line)",
    )


def test_contradictions_are_found_beside_a_bad_section(tmp_path: Path) -> None:
    text = HEAD + "array:\n  rows: 8\n  source: x\ndram:\n  kind: 3\n  source: x\n"
    lines = problems(tmp_path, text)
    assert lines[0] == "mine.yaml:8: dram.kind: must be text, got 3"
    assert lines[1].startswith("mine.yaml:5: array.rows=8 must equal array.cols=16")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            "scratchpad:\n  capacity: 512\n",
            "needs 1,024 bytes (one A and one B block, 32 rows x 16 B, for each of 2 loops",
        ),
        ("accumulator:\n  capacity: 1 KiB\n", "needs 2,048 bytes (one C block, 16 rows x 64 B, for each of 2 loops"),
        ("scratchpad:\n  banks: 3\n", "=262,144 must be a multiple of banks x row_bytes = 3 x 16 = 48"),
        ("l2:\n  ways: 3\n", "=524,288 must be a multiple of ways x line_bytes = 3 x 64 = 192"),
        ("l2:\n  line: 48\n", "must be a power of two"),
        ("dma:\n  bus: 128\n", "dma.bus_bytes_per_cycle=128 must not exceed max_request_bytes=64"),
        ("dma:\n  min_request: 128\n", "dma.min_request_bytes=128 must not exceed max_request_bytes=64"),
        ("array:\n  input: 12\n", "array.input_bits=12 must be a multiple of 8"),
        ("array:\n  dataflows: [weight_stationary, weight_stationary]\n", "repeated: weight_stationary"),
        ("front_end:\n  execute_entries: 2\n", "front_end.execute_entries=2 must be at least 4"),
        (
            "llc:\n  {capacity: 1 MiB, ways: 8, line: 32, mshrs: 8, hit: 9",
            "llc.line_bytes=32 must not be less than l2.line_bytes=64",
        ),
        ("dma:\n  store_row_cycles: [1, 2, 3]\n", "dma.store_row_cycles[3]: missing"),
        ("dma:\n  scale_cycles_per_row: fast\n", "'fast' is not a number of cycles"),
        ("array: 16\n", "must be a section of 'key: value' lines, got 16"),
        ("front_end:\n  loops_in_flight:\n", "must be a whole number, got null"),
        ("array:\n  size: 8\n  rows: 8\n", "give either size or rows, not both"),
        ("array:\n  input: 8\n  input_bits: 8\n", "array.input_bits: given twice, also as array.input"),
        ("<<: gemmini\n", "merge keys are not allowed"),
        ("dram:\n  kind: lpddr4\n  source: {knd: x, rest: y}\n", "dram.source.knd: unknown key; did you mean 'kind'?"),
        ("energy: cacti_22\n", "no such energy table: 'cacti_22'; did you mean 'cacti_22nm'?"),
    ],
)
def test_impossible_machines(tmp_path: Path, section: str, words: str) -> None:
    if section.startswith("llc"):
        text = HEAD + section + ", source: x}\n"
    elif "source" in section or section[-1:] != "\n" or "\n  " not in section:
        text = HEAD + section
    else:
        text = HEAD + section + "  source: x\n"
    lines = problems(tmp_path, text)
    assert any(words in line for line in lines), lines
    assert all(line.startswith("mine.yaml") for line in lines), lines


def test_missing_sections(tmp_path: Path) -> None:
    host = "{command: 1, loop: 1, call: 1, line: 1, kernel_cycles: {softmax: 1}, source: x}"
    lines = problems(tmp_path, f"description: d\nsource: s\nhost: {host}\n")
    assert "mine.yaml: array: missing" in lines
    assert not any("kernel_cycles" in line for line in lines)
    told = problems(tmp_path, "dram: {latency: 1}\n")
    assert "mine.yaml: source: missing; every machine says it for itself" in told
    assert any("description: missing" in line and "a first line 'extends: gemmini' would" in line for line in told)
    assert any("dram: no source for latency_cycles" in line for line in problems(tmp_path, "dram: {latency: 1}\n"))


def test_a_what_if_needs_no_paperwork(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: gemmini\nscratchpad: {capacity: 64 KiB}\nl2: null\n", encoding="utf-8")
    spec = hwconfigs.load(path)
    assert (spec.source, spec.sources["scratchpad.capacity_bytes"]) == ("own", "own")
    assert spec.sources["scratchpad.banks"] != "own"
    assert spec.description == "gemmini with changes of one's own"


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("GemminiRocketConfig", "--hw gemmini"), ("LeanGemminiRocketConfig", "--hw gemmini_lean"),
        ("ibertInferenceConfig", "--hw gemmini_ibert"), ("DualGemminiRocketConfig", "the lean one gemmini_lean"),
    ],
)  # fmt: skip
def test_names_of_gemmini(name: str, ours: str) -> None:
    with pytest.raises(SpecError) as caught:
        hwconfigs.load(name)
    assert str(caught.value).startswith(f"{name}: no such machine; ")
    assert ours in str(caught.value)


@pytest.mark.parametrize(
    ("key", "ours"), [("array.tile_rows", "array.size"), ("array.meshColumns", "array.size"), ("dim", "array.size"),
    ("scratchpad.sp_capacity", "scratchpad.capacity"), ("dma.dma_maxbytes", "dma.max_request")],
)  # fmt: skip
def test_parameters_of_gemmini(key: str, ours: str) -> None:
    with pytest.raises(SpecError, match=f"unknown key; Gemmini's {key.rpartition('.')[2]} is {ours}"):
        hwconfigs.load("gemmini", {key: 4})


def test_files_of_other_tools(tmp_path: Path) -> None:
    header = tmp_path / "gemmini_params.h"
    header.write_text("#ifndef GEMMINI_PARAMS_H\n#define DIM 8\n#endif\n", encoding="utf-8")
    timeloop = tmp_path / "arch.yaml"
    timeloop.write_text("architecture:\n  version: 0.4\n  nodes:\n  - !Container\n", encoding="utf-8")
    with pytest.raises(SpecError, match="gemmini_params.h, no machine file; write 'extends: gemmini' with .*size: 8"):
        hwconfigs.load(header)
    with pytest.raises(SpecError, match="is an architecture of Timeloop, no machine file"):
        hwconfigs.load(timeloop)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "mine.yaml: the file is empty"),
        ("- a\n- b\n", "must consist of 'key: value' lines"),
        ("extends: gemmini\narray:\n  dataflows: [weight_sta", "not readable as YAML"),
        ("extends: gemini\ndescription: d\nsource: s\n", "extends: gemini: no such machine; did you mean 'gemmini'?"),
        (
            "inherits: gemmini\n",
            "mine.yaml:1: inherits: unknown key; to start from another machine write 'extends: gemmini'",
        ),
        ("extends: [a]\n", "extends: must be the name or path of a machine"),
        ("extends: mine.yaml\n", "extends itself"),
    ],
)
def test_unreadable_files(tmp_path: Path, text: str, words: str) -> None:
    assert any(words in line for line in problems(tmp_path, text))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="gemini: no such machine; did you mean 'gemmini'"):
        hwconfigs.load("gemini")
    with pytest.raises(SpecError, match=r"no such machine; allowed: firesim_dosa, gemmini"):
        hwconfigs.load("zzz")
    with pytest.raises(SpecError, match="no such machine"):
        hwconfigs.load("")
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        hwconfigs.load(tmp_path / "nothing.yaml")
    with pytest.raises(SpecError, match="cannot be read: is a directory"):
        hwconfigs.load(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(SpecError, match="not a UTF-8 text file"):
        hwconfigs.load(binary)
