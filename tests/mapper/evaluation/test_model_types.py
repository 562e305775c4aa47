"""Default against exact on a small model of every type in the reference data: prefill, and a step if there is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hwconfigs
import workloads
from mapper import pipeline
from workloads import GraphError, OpGraph

DATA: dict[str, Any] = json.loads((Path(__file__).parents[2] / "reference" / "hf_blocks.json").read_text("utf-8"))
WIDEST = 300
"""Channels; larger models of the same types take minutes each in the exact mode."""

ALWAYS = ("bert-small", "deepseek_v2-small")
PREFILL: dict[str, Any] = {"seq": 48}
STEPS: tuple[dict[str, Any], ...] = tuple({"phase": "decode", "context": 70, **more} for more in ({}, {"source": 40}))
"""A step of a decoder, and of one that looks at an encoder's states."""


def small(config: dict[str, Any]) -> bool:
    widths = (config.get(key) for key in ("hidden_size", "d_model", "dim", "n_embd"))
    return max((width for width in widths if width), default=0) <= WIDEST


REFUSED = {"mobilebert", "deberta-v2", "swin", "diffllama"}
SMALL = {
    entry["name"]: entry["config"]
    for entry in DATA["entries"]
    if small(entry["config"]) and entry["config"]["model_type"] not in REFUSED
}


def graphs(config: dict[str, Any]) -> Iterator[OpGraph]:
    """Yield what can be asked of the model: encoders have no steps, and each decoder is of one kind."""
    yield workloads.build(config, **PREFILL)
    for step in STEPS:
        try:
            yield workloads.build(config, **step)
        except GraphError as problem:
            assert re.search("has no decode phase|decode needs source|source", str(problem)), problem


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in ALWAYS else [pytest.mark.slow]) for name in SMALL]
)
def test_every_operator_takes_as_long_as_in_the_exact_mode(name: str) -> None:
    spec = hwconfigs.load("gemmini_ibert")
    for graph in graphs(SMALL[name]):
        quick, exact = (pipeline.run_graph(graph, spec, finalists=0, exact=mode).simulation for mode in (False, True))
        for ours, expected in zip(quick.by_op, exact.by_op, strict=True):
            assert ours.counts == expected.counts, ours.name
            assert ours.cycles == pytest.approx(expected.cycles, rel=0.01), ours.name
