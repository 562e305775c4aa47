"""Inputs by kind: good texts to damage, and the command line that reads each."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tests.fuzz.damage import VALUES, damaged

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "mappings"
SMALL = ("--hw", "tiny_4x4", "--finalists", "0")


@dataclass(frozen=True, slots=True)
class Case:
    """One command line, and the files that it finds in its folder."""

    arguments: tuple[str, ...]
    files: dict[str, bytes]


def case(kind: str, seed: int) -> Case:
    """Return the input of a kind and a seed, the same everywhere."""
    return KINDS[kind](random.Random(f"{kind} {seed}"))


def _machine(draw: random.Random) -> Case:
    shipped = files("hwconfigs") / f"{draw.choice(('tiny_4x4', 'gemmini_ibert', 'gemmini_lean'))}.yaml"
    own = "extends: tiny_4x4\nscratchpad: {capacity: 4 KiB}\ndram:\n  latency: 30\n  source: a test\nl2: null\n"
    text = draw.choice((own, own, shipped.read_text("utf-8")))
    return Case(("map", "8x8x8", "--hw", "m.yaml", "--finalists", "0"), {"m.yaml": damaged(text, draw)})


def _energy(draw: random.Random) -> Case:
    shipped = (files("hwconfigs") / "energy" / "flat_peers.yaml").read_text("utf-8")
    return Case(("map", "8x8x8", *SMALL, "--energy", "e.yaml"), {"e.yaml": damaged(shipped, draw)})


MODEL = "name: mine\nsource: me\nfamily: gpt\nlayers: 2\nd_model: 16\nheads: 2\nd_ffn: 16\nmax_positions: 64\n"
CONFIG = (
    '{"_name_or_path": "x", "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1,\n'
    '"num_attention_heads": 2, "intermediate_size": 16, "hidden_act": "gelu", "max_position_embeddings": 64}\n'
)


def _model(draw: random.Random) -> Case:
    return Case(("run", "m.yaml", "--seq", "4", *SMALL), {"m.yaml": damaged(MODEL, draw)})


def _config(draw: random.Random) -> Case:
    return Case(("run", "config.json", "--seq", "4", *SMALL), {"config.json": damaged(CONFIG, draw)})


def _mapping(draw: random.Random) -> Case:
    text = (REFERENCE / "tiny.yaml").read_text(encoding="utf-8")
    read = draw.choice((("map", "32x128x64", "--hw", "tiny_4x4", "--mapping", "m.yaml"), ("show", "mapping", "m.yaml")))
    read = draw.choice((read, ("regress", "m.yaml")))
    return Case(read, {"m.yaml": damaged(text, draw)})


CONSTRAINTS = """levels:
  dram:
    tile: {m: 8, k: {min: 4, max: 16}, n: {not: [8]}}
    order: ["mk*", "*n"]
    keep: [input, weight, output]
  scratchpad:
    bypass: [output]
    double_buffer: {any: [[weight], []]}
spatial: {rows: {k: 4}, cols: n}
"""


def _constraints(draw: random.Random) -> Case:
    command = ("map", "8x8x8", "--hw", "tiny_4x4", "--mapspace", "loop-nest", "--constraints", "c.yaml")
    return Case(command, {"c.yaml": damaged(CONSTRAINTS, draw)})


FUSION = "model: bert-base\ngroups:\n  - [scores, softmax]\n  - [ffn1, ffn_activation]\n"


def _fusion(draw: random.Random) -> Case:
    """A damaged cut is refused before anything runs, or it is one; then four tokens are few."""
    text = FUSION.replace("bert-base", "mine")
    command = ("run", "m.yaml", "--seq", "4", "--finalists", "0", "--hw", "gemmini_ibert", "--fusion", "f.yaml")
    return Case(command, {"m.yaml": MODEL.encode(), "f.yaml": damaged(text, draw)})


GEMMS = "Layer, M, N, K, repeat,\nq, 8, 8, 8, 1,\nscores, 4, 4, 8, 3,\n"


def _gemms(draw: random.Random) -> Case:
    return Case(("run", "g.csv", *SMALL), {"g.csv": damaged(GEMMS, draw)})


ROWS = "gemmini_config,test,M,N,K,cycles,notes\ndefault16,mvin_spad,16,16,16,100,x\n"


def _measured(draw: random.Random) -> Case:
    option = draw.choice(("--rtl", "--firesim", "--normaliser"))
    return Case(("validate", option, "r.csv"), {"r.csv": damaged(ROWS, draw)})


SWEEP = """model: 8x8x8
machine: tiny_4x4
finalists: 0
axes:
  dram.latency: [20, 30]
  array.size: {from: 4, to: 4, step: 1}
filters:
  - dram.latency >= 20
timeout: 5s
"""


def _sweep(draw: random.Random) -> Case:
    """Most sweeps have no limit of time: the worker process that keeps it costs seconds."""
    text = SWEEP if draw.random() < 0.1 else SWEEP.replace("timeout: 5s\n", "")
    return Case(("sweep", "s.yaml", "--store", "s.sqlite", "--no-cache"), {"s.yaml": damaged(text, draw)})


OPTIONS = (
    "--seq", "--batch", "--context", "--phase", "--set", "--hw", "--energy", "--objective", "--search", "--budget",
    "--seed", "--finalists", "--mapping", "--mapspace", "--factors", "--units", "--constraints", "--json", "--quiet",
    "--exact", "--explain", "--check", "--check-step", "--fusion", "--allow-other-machine", "--nothing", "-h",
)  # fmt: skip
WORDS = (
    *VALUES, "1", "4", "decode", "edp", "pareto", "random", "2s", "dram.latency=20", "array.size=4", "l2=null", "-",
    "loop-nest", "m=1,k=4", "none", "auto", "gemmini_auto", "tiny_4x4", "bert-base", "8x8x8", "2x8x8x8",
)  # fmt: skip


def _command_line(draw: random.Random) -> Case:
    """Options and words in any order behind a command that would be quick."""
    begin = draw.choice(
        (("map", "8x8x8", *SMALL), ("map", "8x8x8", "--hw", "tiny_4x4"), ("run", "m.yaml", "--seq", "4"))
    )
    begin = draw.choice((begin, begin, ("show", "hw", "tiny_4x4"), ("show", "model", "m.yaml"), ("regress", ".")))
    words = [word for _ in range(draw.randrange(1, 4)) for word in (draw.choice(OPTIONS), draw.choice(WORDS))]
    # No argument of a process holds a zero byte.
    return Case((*begin, *(word.replace("\0", "") for word in words)), {"m.yaml": MODEL.encode()})


KINDS: dict[str, Callable[[random.Random], Case]] = {
    "machine": _machine, "energy": _energy, "model": _model, "config": _config, "mapping": _mapping,
    "constraints": _constraints, "fusion": _fusion, "gemms": _gemms, "measured": _measured, "sweep": _sweep,
    "command line": _command_line,
}  # fmt: skip
