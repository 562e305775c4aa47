"""Tables: the printed numbers are those of the reports, in units for people, within 120 columns."""

from __future__ import annotations

from dataclasses import replace

from mapper.reports import run_tables
from mapper.reports.text import WIDTH
from simulator.report import Counts, Report, UnitTime

ENERGY = {("dram", "read_byte"): 3e6, ("array", "mac"): 1e6}


def part(name: str, cycles: int, *, macs: int = 0, dram: int = 2048, bound: str = "load", repeat: int = 1) -> Report:
    return Report(
        name,
        "simulate",
        "tiny",
        1000.0,
        cycles,
        Counts({("array", "mac"): macs, ("dram", "read_byte"): dram}),
        {"load": UnitTime(cycles // 2, {"dram": cycles // 4}, cycles // 4)},
        256,
        bound=bound,
        energy_pj_by_action=ENERGY,
        repeat=repeat,
    )


def whole(*parts: Report, blocks: int = 1) -> Report:
    cycles = blocks * sum(each.cycles for each in parts)
    return Report(
        "model", "simulate", "tiny", 1000.0, cycles, parts[0].counts * blocks, parts[0].units, 256, by_op=parts
    )


def test_row_of_an_operator() -> None:
    """4,000 cycles of 16,000 are 25 %; 512,000 MACs in 4,000 cycles of 256 are 50 %; 3,800 is 5 % below 4,000."""
    simulation = whole(part("query", 4000, macs=512_000, bound="compute"), part("softmax", 12_000, repeat=12))
    estimate = whole(part("softmax", 12_000), part("query", 3800))
    lines = run_tables.run_table(simulation, estimate, 1).splitlines()
    assert " ".join(lines[2].split()) == "query 1 4,000 25.0% 50.0% 2.0 KiB 4.0 µJ compute 3,800 -5.0%"
    assert " ".join(lines[3].split()) == "softmax 12 12,000 75.0% - 2.0 KiB 4.0 µJ load 12,000 +0.0%"


def test_total_is_that_of_all_blocks() -> None:
    total = whole(part("query", 4000, macs=512), blocks=12)
    assert run_tables.run_table(total, total, 12).splitlines()[-1].startswith("total of 12 blocks  ")
    assert "48,000" in run_tables.run_table(total, total, 12).splitlines()[-1]


def test_operators_of_an_epilogue_name_the_one_that_does_their_work() -> None:
    """Two columns of name and count, then five of nothing, the leading operator, and nothing again."""
    simulation = whole(part("ffn1", 4000), part("gelu", 0))
    line = run_tables.run_table(simulation, simulation, 1, {"gelu": "ffn1"}).splitlines()[3]
    assert line.split() == ["gelu", "1", "-", "-", "-", "-", "-", "in", "ffn1", "-", "-"]


def test_notes_are_told_once() -> None:
    notes = dict.fromkeys(["a", "b", "c", "d", "e"], "im2col") | {"f": ""}
    assert run_tables.note_lines(notes) == ["a, b, c and 2 more: im2col"]


def test_table_stays_within_its_width() -> None:
    long = part("cross_attention_probabilities", 10**11, macs=10**13, dram=10**14, bound="normaliser", repeat=999)
    assert max(map(len, run_tables.run_table(whole(long), whole(long), 96).splitlines())) <= WIDTH


def test_interrupted_run_shows_what_is_known() -> None:
    lines = run_tables.finished_table([part("query", 100), part("key", 300)]).splitlines()
    assert [line.split()[:4] for line in lines[2:]] == [["query", "1", "100", "25.0%"], ["key", "1", "300", "75.0%"]]


def test_energy_by_unit_largest_first() -> None:
    lines = run_tables.energy_lines(part("x", 1))
    assert [line.split() for line in (lines[0], lines[2], lines[3])] == [
        ["energy", "by", "unit", "dram", "array"],
        ["3.0", "µJ", "1.0", "µJ"],
        ["75.0%", "25.0%"],
    ]


def test_requantisation_is_named() -> None:
    report = replace(part("x", 1), energy_pj_by_action={("vector", "requantise"): 1e6})
    assert run_tables.energy_lines(report)[0].split() == ["energy", "by", "unit", "requantise"]


def test_time_of_units() -> None:
    assert run_tables.time_lines(part("x", 400))[2].split() == ["load", "50.0%", "25.0%", "dram", "25.0%"]


def test_totals() -> None:
    """1,000,000 cycles at 1 GHz are 1 ms; 4 µJ in 1 ms are 4e-9 J s."""
    assert run_tables.total_line(part("x", 1_000_000)) == "latency 1 ms at 1 GHz, energy 4 µJ, EDP 4 nJ s"
