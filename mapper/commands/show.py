"""``tilewright show``: a machine with the sources of its values, a model with its operators, a mapping as loops."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from pathlib import Path

import hwconfigs
import workloads
from hwconfigs import HardwareSpec
from hwconfigs.beyond_gemmini import beyond_gemmini
from mapper.commands.machine import overrides
from mapper.commands.problems import CommandError, nearest
from mapper.mapping.mapping_file import read_mapping
from mapper.reports.die import die_lines
from mapper.reports.quantities import area, quantity, size
from mapper.reports.text import WIDTH, columns
from workloads import OpGraph
from workloads.models import TransformerConfig

DEFAULT_SEQ = 512
"""Tokens, or cached tokens, of ``show model`` when none are given."""


def execute(options: argparse.Namespace) -> None:
    """Print the thing asked for."""
    if options.overrides and options.kind != "hw":
        raise CommandError(f"--set changes a machine; it has no meaning for 'show {options.kind}'")
    if options.kind == "hw":
        print(machine_text(hwconfigs.load(options.name, overrides(options.overrides))))
    elif options.kind == "model":
        print(model_text(_graph(options)))
    else:
        print(mapping_text(Path(options.name)))


def mapping_text(path: Path) -> str:
    """The loop nest of a mapping file; a remark if its machine is none of ours, which may be right."""
    mapping = read_mapping(path)
    preset, known = mapping.machine.partition(" + ")[0], hwconfigs.available()
    if preset in known:
        return mapping.loop_nest()
    return f"{mapping.loop_nest()}\n\nnote: machine {preset[:60]!r} is no preset{nearest(preset, known)}"


def machine_text(spec: HardwareSpec) -> str:
    """Every value with the number of its source, then the sources."""
    numbers: dict[str, int] = {}
    rows: list[tuple[str, str, str]] = [("key", "value", "source")]
    values = spec.model_dump(mode="json", exclude={"name", "description", "source", "sources"})
    unknown_to_gemmini = beyond_gemmini(spec)
    for path, value in _leaves("", values):
        text = _source(spec, path)
        mark = f"[{numbers.setdefault(text, len(numbers) + 1)}]" if text else ""
        rows.append((path, f"{value} (not in Gemmini)" if path in unknown_to_gemmini else value, mark))
    prices = hwconfigs.load_energy(spec.energy).bind(spec)
    for name, block in sorted(prices.silicon.blocks.items() if prices.silicon is not None else ()):
        number = numbers.setdefault(block.source, len(numbers) + 1)
        rows.append((f"die.{name}", f"{area(block.area_um2)}, {quantity(block.leakage_uw * 1e-6, 'W')}", f"[{number}]"))
    lines = [*_wrapped(f"{spec.name}: {spec.description}"), *_wrapped(f"source: {spec.source}"), ""]
    lines += [*columns(rows, rules=(1,)), "", *die_lines(prices), ""]
    for text, number in numbers.items():
        lines += _wrapped(f"[{number}] {text}")
    return "\n".join(lines)


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
            f"{graph.name}: {graph.repeat} x one block of",
            *columns(rows, rules=(1,), right=range(4, 8)),
            "",
            f"all {graph.repeat} blocks:" if graph.repeat > 1 else "all:",
            *columns(sums, rules=(1, len(sums) - 1), right=range(1, 5)),
        ]
    )


def _graph(options: argparse.Namespace) -> OpGraph:
    seq, context = options.seq, options.context
    if options.phase == "decode":
        context = DEFAULT_SEQ if context is None else context
    elif seq is None:
        seq = _default_seq(options.name)
    return workloads.build(options.name, seq=seq, phase=options.phase, context=context, batch=options.batch)


def _default_seq(name: str) -> int | None:
    """Image models fix their own sequence."""
    config = workloads.load_config(name)
    return DEFAULT_SEQ if isinstance(config, TransformerConfig) and config.tokens is None else None


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Dotted paths and the text of their values."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, part)
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    else:
        yield path, "-" if value is None else str(value)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def _source(spec: HardwareSpec, path: str) -> str:
    """The text that covers ``path``: its own, or that of the nearest section around it."""
    while path not in spec.sources and "." in path:
        path = path.rpartition(".")[0]
    return str(spec.sources.get(path, ""))
