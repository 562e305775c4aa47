"""``tilewright list``: what can be named on the command line, a line for each machine and model."""

from __future__ import annotations

import argparse
import textwrap

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from mapper.reports.quantities import size
from mapper.reports.text import columns
from workloads.models import ResNetConfig, TransformerConfig

USES = {
    "bert": "encoder, prefill only",
    "gpt": "decoder, prefill and decode",
    "llama": "decoder, prefill and decode",
    "vit": "image encoder",
    "resnet": "convolutions",
}
"""What models of a family are."""


def execute(options: argparse.Namespace) -> None:
    """Print machines, models and energy tables."""
    del options
    machines = [machine_row(hwconfigs.load(name)) for name in hwconfigs.available()]
    header = ("machine", "array", "scratchpad", "accum.", "L2", "normaliser", "what it is")
    print("\n".join(columns([header, *machines], rules=(1,), right=range(1, 5))))
    models = [model_row(name) for name in workloads.available()]
    heading = ("model", "family", "blocks", "channels", "heads", "FFN", "tokens", "what it is")
    print("\n".join(["", *columns([heading, *models], rules=(1,), right=range(2, 7))]))
    print("\nenergy tables  " + _wrapped(hwconfigs.available_energy()))


def machine_row(spec: HardwareSpec) -> tuple[str, ...]:
    """Return name, array, memories, normaliser, and what the machine is: its description up to the first comma."""
    normaliser = "-" if spec.vector is None else ", ".join(spec.vector.kernels)
    return (
        spec.name,
        f"{spec.array.rows}x{spec.array.cols}",
        _size(spec.scratchpad.capacity_bytes),
        _size(spec.accumulator.capacity_bytes),
        "-" if spec.l2 is None else _size(spec.l2.capacity_bytes),
        normaliser,
        spec.description.partition(", ")[0].partition(". ")[0].rstrip("."),
    )


def model_row(name: str) -> tuple[str, ...]:
    """Return name, family, shape, and what the model is; ``-`` where its family has no such number."""
    config = workloads.load_config(name)
    use = USES.get(config.family, config.family)
    if isinstance(config, ResNetConfig):
        return name, config.family, str(sum(config.blocks)), "-", "-", "-", "-", use
    assert isinstance(config, TransformerConfig), "what is shipped has keys of our own"
    shared = "" if config.kv_heads in (None, config.heads) else f"/{config.kv_heads}"
    tokens = config.tokens or config.max_positions
    shape = (config.layers, config.d_model, f"{config.heads}{shared}", config.d_ffn, tokens or "-")
    return name, config.family, *map(str, shape), use


def _size(count: int) -> str:
    return size(count).replace(".0 ", " ")


def _wrapped(names: tuple[str, ...]) -> str:
    return textwrap.fill(" ".join(names), width=104, break_on_hyphens=False).replace("\n", "\n" + " " * 15)
