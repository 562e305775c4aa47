"""``tilewright show``: a machine with the sources of its values, a model with its operators, a mapping as loops."""

from __future__ import annotations

import argparse
from pathlib import Path

import hwconfigs
import workloads
from mapper.commands.machine import overrides
from mapper.commands.problems import CommandError, nearest
from mapper.commands.reporting import blocks_of, model_notes
from mapper.commands.shape_options import dims_of
from mapper.commands.show_machines import machine_text, machines_text
from mapper.mapping.mapping_file import read_mapping
from mapper.reports.quantities import size
from mapper.reports.text import columns
from workloads import OpGraph
from workloads.models import TransformerConfig
from workloads.models.layers import Stack
from workloads.onnx_import import is_onnx

DEFAULT_SEQ = 512
"""Tokens, or cached tokens, of ``show model`` when none are given."""


def execute(options: argparse.Namespace) -> None:
    """Print the thing asked for."""
    if options.overrides and options.kind != "hw":
        raise CommandError(f"--set changes a machine; it has no meaning for 'show {options.kind}'")
    if options.kind == "hw":
        changes = overrides(options.overrides)
        specs = [hwconfigs.load(name, changes) for name in options.names]
        print(machine_text(*specs) if len(specs) == 1 else machines_text(specs))
        return
    if len(options.names) > 1:
        raise CommandError(f"show {options.kind} takes one name; 'tilewright compare' runs several models")
    (name,) = options.names
    print(model_text(_graph(options, name)) if options.kind == "model" else mapping_text(Path(name)))


def mapping_text(path: Path) -> str:
    """The loop nest of a mapping file; a remark if its machine is none of ours, which may be right."""
    mapping = read_mapping(path)
    preset, known = mapping.machine.partition(" + ")[0], hwconfigs.available()
    if preset in known:
        return mapping.loop_nest()
    return f"{mapping.loop_nest()}\n\nnote: machine {preset[:60]!r} is no preset{nearest(preset, known)}"


def model_text(graph: OpGraph) -> str:
    """Operators of one block, then totals by class of the whole model."""
    rows: list[tuple[str, ...]] = [("operator", "kind", "class", "dimensions", "x", "MACs", "read", "written")]
    for op in graph.operators:
        dims = " ".join(f"{name}={extent}" for name, extent in op.dims.items())
        moved = size(op.bytes_read), size(op.bytes_written)
        rows.append((op.name, op.kind, op.op_class, dims, str(op.repeat), f"{op.macs:,}", *moved))
    sums: list[tuple[str, ...]] = [("class", "MACs", "FLOPs", "bytes", "FLOPs/byte")]
    for name, part in graph.totals().items():
        sums.append((name, f"{part.macs:,}", f"{part.flops:,}", f"{part.bytes:,}", f"{part.intensity:.2f}"))
    return "\n".join(
        [
            _blocks(graph),
            *model_notes(graph),
            *columns(rows, rules=(1,), right=range(4, 8)),
            "",
            f"all {graph.repeat} blocks:" if graph.repeat > 1 else "all blocks:" if graph.kinds else "all:",
            *columns(sums, rules=(1, len(sums) - 1), right=range(1, 5)),
            *_stored(graph),
        ]
    )


def _stored(graph: OpGraph) -> list[str]:
    """Say what the whole model stores, if it is known."""
    keys = ("parameters", "active_parameters", "kv_elements_per_token")
    values = [graph.config.get(key) for key in keys]
    if None in values:
        return []
    stored, used, cached = (f"{value:,}" for value in values)
    return ["", f"stored: {stored} parameters, {used} used by a token; {cached} KV elements per token"]


def _blocks(graph: OpGraph) -> str:
    """Say how often the blocks below run."""
    if len(graph.kinds) < 2:
        return f"{graph.name}: {graph.repeat} x one block of"
    return f"{graph.name}: one block of each kind, {blocks_of(graph).removesuffix('; ')}"


def _graph(options: argparse.Namespace, name: str) -> OpGraph:
    seq, context = options.seq, options.context
    if is_onnx(name):
        pass  # the file says which axes are open
    elif options.phase == "decode":
        context = DEFAULT_SEQ if context is None else context
    elif seq is None:
        seq = _default_seq(name)
    return workloads.build(
        name, seq=seq, phase=options.phase, context=context, batch=options.batch, source=options.source,
        causal=options.causal, lm_head=options.lm_head, dims=dims_of(options), routing=options.routing,
        bits=None if options.bits is None else workloads.Bits.parse(options.bits),
    )  # fmt: skip


def _default_seq(name: str) -> int | None:
    """Image models fix their own sequence."""
    config = workloads.load_config(name)
    if isinstance(config, Stack):
        return DEFAULT_SEQ if config.tokens is None or config.generates else None
    return DEFAULT_SEQ if isinstance(config, TransformerConfig) and config.tokens is None else None
