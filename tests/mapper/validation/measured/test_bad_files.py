"""Files that are not what ``tilewright validate`` expects: refused in one line, or their bad rows named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mapper.cli import main
from mapper.validation.measured import programs, rows
from mapper.validation.measured.rows import ValidationError, read_table, shown, whole
from mapper.validation.measured.runner import run_firesim, run_rtl
from mapper.validation.scoreboard import ranges
from tests.mapper.validation.measured.made_rows import Row, firesim_row, product_row, rtl_row, write

HEADER = ",".join(rtl_row())
GOOD = ",".join(rtl_row().values())


def silent(source: str, done: int, total: int) -> None:
    """No progress."""


def bad_lines(tmp_path: Path, content: str | bytes) -> tuple[dict[int, str], list[int]]:
    """Reasons of the bad rows of a Verilator file by line, and the lines of those that ran."""
    file = tmp_path / "a.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    results = run_rtl(read_table(file, programs.REQUIRED), silent)
    return {row.line: row.reason for row in results.bad}, [row.line for row in results.run]


# Files that are refused as a whole.

REFUSED: list[tuple[str, bytes, str]] = [
    ("empty", b"", "empty; a header with these columns is needed: gemmini_config, test, M"),
    ("only a byte order mark", b"\xef\xbb\xbf", "empty; a header"),
    ("only blank lines", b"\n\r\n\n", "empty; a header"),
    ("header only", HEADER.encode() + b"\n", "no rows"),
    ("header and blank lines", HEADER.encode() + b"\n\n\r\n", "no rows"),
    ("no header", (GOOD + "\n" + GOOD + "\n").encode(), "columns missing: gemmini_config, test"),
    ("semicolons", HEADER.replace(",", ";").encode() + b"\n1;2\n", "columns missing"),
    ("upper case", HEADER.upper().encode() + b"\n", "columns missing: gemmini_config"),
    ("one column missing", HEADER.replace(",cycles", "").encode() + b"\n", "column missing: cycles"),
    ("a column twice", f"{HEADER},cycles\n{GOOD},1\n".encode(), "column given twice: cycles"),
    ("two columns twice", f"{HEADER},M,N\n{GOOD},1,1\n".encode(), "columns given twice: M, N"),
    ("UTF-16", f"{HEADER}\n{GOOD}\n".encode("utf-16"), "not a CSV file (line 1 is not UTF-8 text)"),
    ("an open quote in the header", f'"{HEADER}\n{GOOD}\n'.encode(), "not a CSV file (a quote that is not closed)"),
    ("an image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not a CSV file"),
]


@pytest.mark.parametrize(("content", "complaint"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
@pytest.mark.parametrize("option", ["--rtl", "--firesim"])
def test_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, complaint: str, option: str
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    assert main(["validate", option, str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tilewright: {file}: ")
    if option == "--rtl":
        assert complaint in line


@pytest.mark.parametrize("option", ["--rtl", "--firesim"])
def test_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    for name, reason in (("nowhere.csv", "No such file"), (".", "is a directory"), ("x" * 300, "name too long")):
        assert main(["validate", option, str(tmp_path / name)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("tilewright: ")
        assert f"cannot be read: {reason}" in line or reason in line


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    file = write(tmp_path / "a.csv", [rtl_row()])
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ValidationError, match=r"a\.csv: cannot be read: Permission denied"):
        read_table(file, programs.REQUIRED)


def test_a_file_without_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["validate", "--rtl", "/dev/zero"]) == 2
    assert "/dev/zero: cannot be read: is a device, not a regular file\n" in capsys.readouterr().err
    monkeypatch.setattr(rows, "MOST_BYTES", 1000)
    large = tmp_path / "a.csv"
    large.write_bytes(bytes(1001))
    assert main(["validate", "--rtl", str(large)]) == 2
    assert "larger than the 1,000 bytes" in capsys.readouterr().err


# Files that are read whatever their dress.

DRESSED: list[tuple[str, bytes, list[int]]] = [
    ("byte order mark", b"\xef\xbb\xbf" + f"{HEADER}\n{GOOD}\n".encode(), [2]),
    ("CRLF", f"{HEADER}\r\n{GOOD}\r\n{GOOD}\r\n".encode(), [2, 3]),
    ("CR", f"{HEADER}\r{GOOD}\r{GOOD}\r".encode(), [2, 3]),
    ("no last line end", f"{HEADER}\n{GOOD}".encode(), [2]),
    ("blank lines", f"\n{HEADER}\n\n{GOOD}\n\r\n\n{GOOD}\n".encode(), [4, 7]),
    ("quoted cells", ("\n".join('"' + line.replace(",", '","') + '"' for line in (HEADER, GOOD))).encode(), [2]),
    ("more columns", f"{HEADER},provenance,\n{GOOD},here,\n".encode(), [2]),
    ("a note of several lines", f'{HEADER},note\n{GOOD},"one\ntwo"\n{GOOD},three\n'.encode(), [2, 4]),
    ("another order", "\n".join(",".join(reversed(x.split(","))) for x in (HEADER, GOOD)).encode(), [2]),
    ("numbers with a point", f"{HEADER}\n{GOOD.replace(',64,64,', ',64.0,6.4e1,')}\n".encode(), [2]),
    ("a header's accents", f"{HEADER},durée\n{GOOD},1\n".encode(), [2]),
]


@pytest.mark.parametrize(("content", "lines"), [case[1:] for case in DRESSED], ids=[case[0] for case in DRESSED])
def test_dressed(tmp_path: Path, content: bytes, lines: list[int]) -> None:
    bad, run = bad_lines(tmp_path, content)
    assert not bad
    assert run == lines


# Lines that are no rows.

LINES: list[tuple[str, str | bytes, int, str]] = [
    ("too few cells", "default_16x16_sp256K_acc64K,mvin_spad", 3, "2 cells; the header has 18"),
    ("a blank cell", " ", 3, "1 cells; the header has 18"),
    ("too many cells", GOOD + ",7", 3, "19 cells; the header has 18"),
    ("all empty", "," * 17, 3, "gemmini_config '' unknown"),
    ("not UTF-8", GOOD.encode().replace(b"mvin_spad", b"mvin_\xe9"), 3, "test='mvin_\ufffd' is not UTF-8 text"),
    ("a quote that is not closed", GOOD.replace("mvin_spad", '"mvin_spad'), 3, "a quote that is not closed"),
    ("text behind a quote", GOOD.replace("mvin_spad", '"mvin"_spad'), 3, "',' expected after '\"'"),
    ("a cell beyond all bounds", GOOD.replace("mvin_spad", "x" * 200_000), 3, "field larger than field limit"),
    ("a line end in a needed cell", GOOD.replace("mvin_spad", '"mvin\n_spad"'), 3, "a quote that is not closed"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "at", "complaint"), [case[1:] for case in LINES], ids=[case[0] for case in LINES])
def test_a_line_that_is_no_row_is_named_and_the_others_run(
    tmp_path: Path, line: str | bytes, at: int, complaint: str
) -> None:
    middle = line if isinstance(line, bytes) else line.encode()
    bad, run = bad_lines(tmp_path, b"\n".join([HEADER.encode(), GOOD.encode(), middle, GOOD.encode(), GOOD.encode()]))
    assert complaint in bad[at]
    last = 5 + middle.count(b"\n")
    assert {2, last - 1, last} <= set(run)
    assert set(bad) | set(run) == set(range(2, last + 1)), "no line is dropped"


def test_two_open_quotes_swallow_nothing(tmp_path: Path) -> None:
    """Together they would make one cell of the lines between them."""
    opened = GOOD.replace("mvin_spad", '"mvin_spad')
    bad, run = bad_lines(tmp_path, "\n".join([HEADER, opened, GOOD, GOOD, opened, GOOD]))
    assert sorted(bad) == [2, 5]
    assert run == [3, 4, 6]


# Rows that cannot have been measured.

RTL: list[tuple[str, Row, str]] = [
    ("wrong SoC", {"gemmini_config": "chip_32x32"}, "gemmini_config 'chip_32x32' unknown; known: default_16x16"),
    ("no SoC", {"gemmini_config": ""}, "gemmini_config '' unknown"),
    ("unknown test", {"test": "frobnicate"}, "'frobnicate'"),
    ("no test", {"test": ""}, "test ''"),
    ("unknown suffix", {"test": "loop_ws_auto_diagonal"}, "test 'loop_ws_auto_diagonal' unknown"),
    ("unknown state", {"state": "tepid"}, "state='tepid' is none of cold, repeat, l2warm, no_dram"),
    ("no latency", {"dram_latency": ""}, "dram_latency='' is not a whole number"),
    ("latency below zero", {"dram_latency": "-1"}, "dram_latency=-1 outside 0..65536"),
    ("infinite", {"cycles": "inf"}, "cycles='inf' is not a whole number"),
    ("minus infinite", {"rows": "-inf"}, "rows='-inf' is not a whole number"),
    ("not a number", {"cycles": "NaN"}, "cycles='NaN' is not a whole number"),
    ("overflows a float", {"cycles": "1e400"}, "cycles='1e400' is not a whole number"),
    ("a fraction", {"rows": "3.5"}, "rows='3.5' is not a whole number"),
    ("hexadecimal", {"cols": "0x40"}, "cols='0x40' is not a whole number"),
    ("underscores", {"cols": "6_4"}, "cols='6_4' is not a whole number"),
    ("other digits", {"cols": "６４"}, "cols='６４' is not a whole number"),
    ("thousands", {"cycles": "1 000"}, "cycles='1 000' is not a whole number"),
    ("five thousand digits", {"cycles": "9" * 5000}, "cycles='999"),
    ("a year of cycles", {"cycles": "1e300"}, "cycles=1e300 is more than 1000000000000000"),
    ("no cycles", {"cycles": "0"}, "cycles=0 must be at least 1"),
    ("fewer", {"cycles": "-7"}, "cycles=-7 must be at least 1"),
    ("no rows", {"rows": "0"}, "rows=0 outside 1..65536"),
    ("more rows than the array", {"rows": "17"}, "17 rows > 16, the array height"),
    ("wider than an mvin", {"cols": "4096"}, "4096 columns > 64"),
    ("no commands", {"n_ops": "0"}, "n_ops=0 outside 1..65536"),
    ("a million commands", {"n_ops": "1000000"}, "n_ops=1000000 outside 1..65536"),
    ("a stride of the whole memory", {"stride_bytes": "1e12"}, "stride_bytes=1e12 outside 0..16777216"),
    ("offset", {"offset_bytes": "-64"}, "offset_bytes=-64 outside 0..16777216"),
    ("a number in the name", {"test": "mix_99999999xpair"}, "no number in it may exceed 65536"),
    ("a mix of too much", {"test": "mix_9999xpair+mvin64", "n_ops": "999"}, "more than 262144 commands"),
    ("a mix of nothing known", {"test": "mix_mvin64+bogus"}, "unknown command 'bogus' in a mixed stream"),
    ("weights every none", {"test": "ws_chain_Bevery0"}, "new weights every 0 pairs"),
]
PRODUCTS: list[tuple[str, Row, str]] = [
    ("empty dimension", {"K": ""}, "K='' is not a whole number"),
    ("zero dimension", {"M": "0"}, "M=0 outside 1..65536"),
    ("negative dimension", {"N": "-64"}, "N=-64 outside 1..65536"),
    ("larger than patience", {"M": "65536", "N": "65536", "K": "65536"}, "is more than 34359738368 multiplications"),
    (
        "tile larger than the scratchpad",
        {"test": "loop_ws_tile", "K": "4096", "tile_k": "256"},
        "scratchpad: tile 64x4096x64 needs 32768 rows > 8192",
    ),
    (
        "tile larger than the accumulator",
        {"test": "loop_ws_tile", "M": "960", "N": "960", "tile_i": "60", "tile_j": "60"},
        "accumulator: tile",
    ),
    ("zero tile", {"test": "loop_ws_tile", "tile_i": "0"}, "tile_i=0 outside 1..4096"),
    ("tile as text", {"test": "loop_ws_tile", "tile_i": "four"}, "tile_i='four' is not a whole number"),
    (
        "tiles without end",
        {"test": "loop_ws_tile", "M": "4096", "N": "4096", "K": "2048", "tile_i": "1", "tile_j": "1", "tile_k": "1"},
        "8388608 hardware loops, more than 65536",
    ),
    ("overlapping rows of A", {"test": "loop_ws_auto_sA48"}, "rows of A overlap, K=64"),
    ("a stride of 10^20", {"test": "loop_ws_auto_sC99999999999999999999"}, "no number in it may exceed 65536"),
    ("a residual of gigabytes", {"test": "resadd_auto", "M": "65536", "N": "65536", "K": ""}, "16777216 elements"),
    ("a part without number", {"test": "seq_part", "group": "qkv"}, "part='' is not a whole number"),
    ("a part that is none", {"test": "seq_part", "group": "qkv", "part": "second"}, "part='second'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "complaint"),
    [(rtl_row(**case[1]), case[2]) for case in RTL] + [(product_row(**case[1]), case[2]) for case in PRODUCTS],
    ids=[case[0] for case in (*RTL, *PRODUCTS)],
)
def test_bad_rtl_rows_leave_no_trace(tmp_path: Path, row: Row, complaint: str) -> None:
    """The bad row is named; those around it take the cycles they take without it."""
    good = [product_row(state="cold"), rtl_row(state="cold"), product_row(state="repeat"), rtl_row(n_ops="4")]
    clean = run_rtl(read_table(write(tmp_path / "clean.csv", good), programs.REQUIRED), silent)
    mixed = [*good[:2], row, *good[2:]]
    results = run_rtl(read_table(write(tmp_path / "mixed.csv", mixed), programs.REQUIRED), silent)
    (bad,) = results.bad
    assert bad.line == 4
    assert complaint in bad.reason
    assert "\n" not in bad.reason
    assert [(row.simulated, row.category) for row in results.run] == [
        (row.simulated, row.category) for row in clean.run
    ]
    assert [row.line for row in results.run] == [2, 3, 5, 6]


SEQUENCE = [product_row(test="seq_part", group="qkv", part=str(part), cycles="100") for part in (1, 2, 3)]
TOTAL = product_row(test="seq_total", group="qkv", part="0", M="", N="", K="", cycles="300")


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([SEQUENCE[0], SEQUENCE[2]], "with the parts 1, 3"),
        ([SEQUENCE[1], SEQUENCE[2]], "with the parts 2, 3"),
        ([SEQUENCE[0], SEQUENCE[1] | {"M": "none"}, SEQUENCE[2]], "of which a part cannot be run"),
        ([SEQUENCE[0], SEQUENCE[1] | {"test": "seq_part_odd"}, SEQUENCE[2]], "of which a part cannot be run"),
        ([SEQUENCE[0], SEQUENCE[1], SEQUENCE[2] | {"group": "", "state": "x"}], "whose parts took 200 cycles"),
    ],
)
def test_a_total_lacks_a_part(tmp_path: Path, parts: list[Row], complaint: str) -> None:
    results = run_rtl(read_table(write(tmp_path / "a.csv", [*parts, TOTAL]), programs.REQUIRED), silent)
    assert complaint in results.bad[-1].reason
    assert results.bad[-1].line == len(parts) + 2


def test_a_sequence_after_a_broken_one_has_its_total(tmp_path: Path) -> None:
    broken = [SEQUENCE[0], SEQUENCE[1] | {"M": "none"}, SEQUENCE[2], TOTAL]
    rows = [*broken, *SEQUENCE, TOTAL]
    results = run_rtl(read_table(write(tmp_path / "a.csv", rows), programs.REQUIRED), silent)
    assert [row.line for row in results.bad] == [3, 5]
    assert results.run[-1].simulated == sum(row.simulated for row in results.run[-4:-1])


def test_an_unknown_soc_does_not_end_the_first_series(tmp_path: Path) -> None:
    """Rows are told apart by what stands before them; a row that makes no sense does not count."""
    cold = [rtl_row(state="cold"), rtl_row(state="cold", test="mvin_acc32", cols="16")]
    alone = run_rtl(read_table(write(tmp_path / "a.csv", cold), programs.REQUIRED), silent)
    mixed = [cold[0], rtl_row(gemmini_config="other"), cold[1]]
    results = run_rtl(read_table(write(tmp_path / "b.csv", mixed), programs.REQUIRED), silent)
    assert [row.category for row in results.run] == [row.category for row in alone.run]


FIRESIM: list[tuple[str, Row, str]] = [
    ("unknown kind", {"kind": "pooling"}, "kind='pooling' is none of matmul, array_microbench, conv1x1, conv"),
    ("no kind", {"kind": ""}, "kind='' is none of"),
    ("unknown array", {"pe_dim": "24"}, "pe_dim=24: arrays of 4, 8, 16, 32, 64 are known"),
    ("infinite", {"measured_cycles": "inf"}, "measured_cycles='inf' is not a whole number"),
    ("below the array", {"measured_cycles": "2047"}, "compute_cycles=2048 outside 0..2047, the measured cycles"),
    ("a bound below zero", {"compute_cycles": "-1"}, "compute_cycles=-1 outside 0..4000"),
    ("zero dimension", {"K": "0"}, "K=0 must be at least 1"),
    ("not a number", {"N": "nan"}, "N='nan' is not a whole number"),
    ("zero tile", {"exec_tile_P": "0"}, "exec_tile_P=0 must be at least 1"),
    ("trips of another tile", {"exec_trips_outer_to_inner": "C3"}, "128 in tiles of 64 takes 2 trips of C"),
    ("an axis twice", {"exec_trips_outer_to_inner": "C2>C2"}, "is not like 'P2>C8>K4'"),
    ("other digits", {"exec_trips_outer_to_inner": "C²"}, "is not like 'P2>C8>K4'"),
    ("digits without end", {"exec_trips_outer_to_inner": "C" + "9" * 5000}, "is not like 'P2>C8>K4'"),
    (
        "operands without end",
        {"M": "65536", "K": "65536", "N": "65536", "exec_tile_P": "65536", "exec_tile_C": "65536",
         "exec_tile_Kout": "65536", "exec_trips_outer_to_inner": ""},
        "65536x65536x65536: operands of more than 268435456 bytes",
    ),
    (
        "loops without end",
        {"M": "16777216", "exec_tile_P": "4", "exec_trips_outer_to_inner": "P4194304>C2"},
        "8388608 hardware loops, more than 2000000",
    ),
    (
        "tile larger than the memories",
        {"M": "8192", "K": "8192", "exec_tile_P": "8192", "exec_tile_C": "8192", "exec_trips_outer_to_inner": ""},
        "scratchpad: tile 8192x8192x32 needs",
    ),
    ("unknown cache state", {"cache_state": "chilly"}, "cache_state='chilly' is none of first_of_shape"),
    ("micro-benchmark without tiles", {"kind": "array_microbench"}, "q_tiles='' is not a whole number"),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "complaint"), [case[1:] for case in FIRESIM], ids=[case[0] for case in FIRESIM])
def test_bad_firesim_rows_leave_no_trace(tmp_path: Path, cells: Row, complaint: str) -> None:
    """Also not in the caches that later first rows of a shape find."""
    from mapper.validation.measured import firesim

    shape = {"M": "64", "exec_tile_P": "64", "cache_state": "first_of_shape", "compute_cycles": "1024"}
    good = [firesim_row(), firesim_row(**shape), firesim_row(kind="conv")]
    clean = run_firesim(read_table(write(tmp_path / "clean.csv", good), firesim.REQUIRED), silent, 1)
    mixed = [firesim_row(**cells), *good]
    results = run_firesim(read_table(write(tmp_path / "mixed.csv", mixed), firesim.REQUIRED), silent, 1)
    (bad,) = results.bad
    assert bad.line == 2
    assert complaint in bad.reason
    assert "\n" not in bad.reason
    assert [row.simulated for row in results.run] == [row.simulated for row in clean.run]
    assert [row.line for row in results.skipped if not row.bad] == [5]


# What is printed and written about them.


def test_every_bad_row_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first twenty with their reason, the others by line; all of them in the JSON file; exit code 2."""
    rows = [rtl_row(), *[rtl_row(rows="0")] * 30, rtl_row(), rtl_row(cols="x"), rtl_row()]
    target = tmp_path / "out.json"
    assert main(["validate", "--rtl", str(write(tmp_path / "a.csv", rows)), "--json", str(target)]) == 2
    printed = capsys.readouterr().out
    assert "31 rows cannot be run:" in printed
    assert "and 11 more of rtl: lines 23-32, 34" in printed
    left = json.loads(target.read_text())["not_run"]
    assert [row["line"] for row in left] == [*range(3, 33), 34]
    assert all(row["bad"] and row["reason"] for row in left)


def test_lines_are_those_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"{HEADER}\n\n\n{GOOD}\n\n{GOOD.replace('mvin_spad', 'frobnicate')}\n")
    assert main(["validate", "--rtl", str(file)]) == 2
    assert "rtl line 6 (frobnicate" in capsys.readouterr().out


def test_nothing_but_bad_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.json"
    file = write(tmp_path / "a.csv", [rtl_row(cycles="")])
    assert main(["validate", "--rtl", str(file), "--json", str(target)]) == 2
    assert capsys.readouterr().out.startswith("1 row cannot be run:")
    assert json.loads(target.read_text())["scores"] == []


def test_cells_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = rtl_row(test="\x1b[2J\x07evil" + "x" * 500, gemmini_config="\x1b[31m")
    assert main(["validate", "--rtl", str(write(tmp_path / "a.csv", [row]))]) == 2
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert max(map(len, printed.splitlines())) < 300


def test_ranges() -> None:
    assert ranges([3]) == "3"
    assert ranges([2, 3, 4, 7, 9, 10]) == "2-4, 7, 9-10"


def test_whole() -> None:
    assert whole({"x": " 64 "}, "x") == 64
    assert whole({"x": "9007199254740993"}, "x") == 9007199254740993, "not by way of a float"
    assert whole({"x": "-1.0"}, "x") == -1
    assert whole({"x": ""}, "x", 7) == 7
    assert whole({}, "x", 7) == 7


def test_shown_is_short() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert len(shown("x" * 10_000)) < 50
