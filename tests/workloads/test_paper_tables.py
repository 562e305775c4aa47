"""Tables 3, 10 and 11 of arXiv:2302.14017 from the operators of the graphs (135 printed values).

Every value is one of

exact      rounds to the print (half to even: 63.625 is printed 63.62)
rounding   the ten values of `ROUNDING`: the print is the truncated value or off by at most two in its last digit,
           as when a ratio is taken of rounded numbers; all but one are ratios
misprint   listed with its reason in tests/reference/paper_tables.json; the corrected value is tested instead

so a change of any operator's count shows as a change of class. Run with ``-s`` to see the count.
"""

from __future__ import annotations

import functools
import json
import sys
from collections import Counter
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest

import workloads
from workloads.totals import Total

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "paper_tables.json").read_text("utf-8"))
TABLES = REFERENCE["tables"]
MISPRINTS = REFERENCE["misprints"]
UNIT = Decimal(10) ** 9

ENTRIES = [
    (table, length, row, quantity)
    for table, content in TABLES.items()
    for length, rows in content["rows"].items()
    for row, values in rows.items()
    for quantity in values
]

ROUNDING = {
    "table3/128/total/ai": "159.67, printed 159.68",
    "table3/512/ffn_projection/ai": "558.545, truncated",
    "table3/4096/other/ai": "2.1655, truncated",
    "table10/128/total/ai": "167.12, printed 167.14",
    "table10/512/ffn_projection/ai": "558.545, truncated",
    "table10/512/other/gmops": "0.105, truncated",
    "table10/512/total/ai": "303.577, printed 303.59",
    "table11/128/mha_projection/ai": "1.9948, printed 2.00",
    "table11/512/mha_projection/ai": "1.9948, printed 2.00",
    "table11/4096/mha_projection/ai": "1.9948, printed 2.00",
}


def key(entry: tuple[str, str, str, str]) -> str:
    return "/".join(entry)


@functools.cache
def computed(table: str, length: int) -> dict[str, Total]:
    model, heads = TABLES[table]["model"], TABLES[table]["heads"]
    if TABLES[table]["generation"]:
        return workloads.generation_totals(model, tokens=length, heads=heads, convention="paper")
    return workloads.build(model, seq=length, heads=heads).totals("paper")


def value(entry: tuple[str, str, str, str]) -> Decimal:
    table, length, row, quantity = entry
    total = computed(table, int(length))[row]
    if quantity == "ai":
        return Decimal(total.flops) / Decimal(total.bytes)
    return Decimal(total.flops if quantity == "gflops" else total.bytes) / UNIT


def classify(number: Decimal, printed: str) -> str:
    print_value = Decimal(printed)
    step = Decimal(1).scaleb(int(print_value.as_tuple().exponent))
    if number.quantize(step, ROUND_HALF_EVEN) == print_value:
        return "exact"
    off = abs(number.quantize(step, ROUND_HALF_EVEN) - print_value)
    return "rounding" if number.quantize(step, ROUND_DOWN) == print_value or off <= 2 * step else "differs"


def verdict(entry: tuple[str, str, str, str]) -> str:
    table, length, row, quantity = entry
    if key(entry) in MISPRINTS:
        assert classify(value(entry), MISPRINTS[key(entry)]["correct"]) == "exact"
        return "misprint"
    return classify(value(entry), TABLES[table]["rows"][length][row][quantity])


@pytest.mark.parametrize("entry", ENTRIES, ids=key)
def test_printed_value(entry: tuple[str, str, str, str]) -> None:
    expected = "misprint" if key(entry) in MISPRINTS else "rounding" if key(entry) in ROUNDING else "exact"
    assert verdict(entry) == expected, value(entry)


def test_count_of_entries() -> None:
    counts = Counter(verdict(entry) for entry in ENTRIES)
    sys.stdout.write(f"\npaper tables: {len(ENTRIES)} entries checked, {dict(counts)}\n")
    assert counts == {"exact": 122, "rounding": 10, "misprint": 3}


def test_matmul_and_attention_columns_are_exact() -> None:
    """GFLOPs and GMOPs of the three matmul classes: none of them needs the rounding exception."""
    rows = ("mha_projection", "act_to_act", "ffn_projection")
    exact = [e for e in ENTRIES if e[2] in rows and e[3] != "ai" and key(e) not in MISPRINTS]
    assert len(exact) == 52
    assert {verdict(entry) for entry in exact} == {"exact"}


@pytest.mark.parametrize("model", ["bert-base", "gpt2"])
@pytest.mark.parametrize("quantity", ["gflops", "gmops"])
def test_point_labels_of_figures_4_and_5(model: str, quantity: str) -> None:
    table = "table3" if model == "bert-base" else "table11"
    for length, printed in zip(REFERENCE["figures"]["lengths"], REFERENCE["figures"][model][quantity], strict=True):
        assert classify(value((table, str(length), "total", quantity)), printed) == "exact", length


@pytest.mark.parametrize("context", [0, 1, 127, 511, 4095])
def test_decode_step_matches_the_closed_form(context: int) -> None:
    """N (24 d^2 + 4 d t + 4 h t + 58 d) FLOPs for a step that attends to t = context + 1 positions."""
    layers, d, heads, t = 12, 768, 12, context + 1
    step = workloads.build("gpt2", phase="decode", context=context)
    assert step.totals("paper")["total"].flops == layers * (24 * d * d + 4 * d * t + 4 * heads * t + 58 * d)
    assert step.bytes_of("weight") == 84_934_656
    assert step.bytes_of("kv_cache") == 18_432 * t


@pytest.mark.parametrize("bits", [8, 4, 5])
def test_natural_generation_is_the_sum_of_its_steps(bits: int) -> None:
    width = workloads.Bits(kv=bits, activation=bits)
    steps = [workloads.build("gpt2", phase="decode", context=c, bits=width).totals() for c in range(21)]
    generated = workloads.generation_totals("gpt2", tokens=21, bits=width)
    for name, total in generated.items():
        assert total == sum((step[name] for step in steps), Total())


def test_convention_works_for_models_the_paper_does_not_have() -> None:
    """LLaMA in the paper's convention: matmuls as there, operators it lacks at one byte per element."""
    totals = workloads.build("llama-3-8b", seq=64).totals("paper")
    assert totals["mha_projection"].flops == 2 * totals["mha_projection"].macs
    scores_and_context = 32 * 32 * (64 * 64 * (2 * 128 - 1) + 64 * 128 * (2 * 64 - 1))
    assert totals["act_to_act"].flops == scores_and_context
