"""build: a model's name and a shape become an OpGraph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypedDict, Unpack

from workloads import gemm_list
from workloads.errors import GraphError, nearest
from workloads.graph import BlockKind, OpGraph
from workloads.models import TRANSFORMERS, BlockBuilder, ResNetConfig, Shape, TransformerConfig, resnet
from workloads.models.ends import Ends, build_ends
from workloads.models.layer_builder import NORMS
from workloads.models.layers import Layer, Stack
from workloads.models.parameters import active_parameters, kv_elements_per_token, total_parameters
from workloads.onnx_import import is_onnx
from workloads.ops import Operator
from workloads.routing import BALANCED, Routing
from workloads.sources import AnyConfig, load_config
from workloads.stacking import graph_of, source_states
from workloads.tensor import Bits

PHASES = ("prefill", "decode")

FULL, SKIP = CAUSAL = ("full", "skip")
"""What prompts do with pairs of query and key that the causal mask hides."""

MAX_TOKENS = 2**31
"""Largest sequence, context or batch accepted."""


class Further(TypedDict, total=False):
    """What is asked for more rarely; all may be left out."""

    source: int | None
    """States of the encoder per sequence, for models with an encoder and a decoder; in prefill ``seq`` if left out."""
    causal: str
    """``"full"``: a prompt's products run over all keys, masked or not, as Gemmini's library does.
    ``"skip"``: blocks of `workloads.models.layers.SKIPPED_BLOCK` queries leave out the keys that none of them sees."""
    lm_head: bool
    """Add embedding, final norm and LM head, which are no part of a block."""
    routing: str | None
    """How tokens are spread over experts, as `workloads.routing` reads it; balanced if left out."""
    dims: Mapping[str, int] | str | None
    """Sizes of the axes that an ONNX file leaves open, by its names for them; as text: ``"batch=1,seq=128"``."""


def build(
    model: str | Path | Mapping[str, object],
    *,
    seq: int | None = None,
    phase: str = "prefill",
    context: int | None = None,
    batch: int = 1,
    bits: Bits | None = None,
    heads: int | None = None,
    strict_positions: bool = False,
    overrides: Mapping[str, object] | None = None,
    **further: Unpack[Further],
) -> OpGraph:
    """Return the graph of a block of each kind of layers of ``model``, with their number (ResNet: the whole network).

    Parameters
    ----------
    model
        A name of `available`, a path (``config.json``, ONNX, `workloads.gemm_list`), or a mapping of such keys.
    seq
        New tokens per sequence. Needed for prefill of text models, fixed by the image for others, 1 in decode.
    phase
        ``"prefill"``, or ``"decode"``: one new token per sequence attends to ``context + 1`` positions.
    context
        Positions already in the KV cache. In prefill, the prompt then continues a cached prefix.
    batch
        Sequences or images processed together.
    bits
        Element widths; int8 with int32 biases by default.
    heads, overrides
        Configuration keys to replace, such as ``{"layers": 6, "head_dim": 64}``; key heads follow equally many heads.
    strict_positions
        Refuse more positions than the model was made for. Off, as in the paper, which runs BERT at 4096.
    **further: see `Further`.
    """
    if gemm_list.is_list(model) or is_onnx(model):
        return _operators_of(
            model, Asking(seq, phase, context, batch, bits, heads, overrides, strict_positions), further
        )
    config = load_config(model, {**(overrides or {}), **({} if heads is None else {"heads": heads})})
    bits = _widths(config, bits)
    _check_common(config, phase, batch, bits, further)
    if isinstance(config, ResNetConfig):
        return _convolutional(config, seq, phase, context, batch, bits)
    shape = _shape(config, seq, phase, context, batch, bits)
    if strict_positions and shape.attended > (config.max_positions or shape.attended):
        raise GraphError(f"{config.name}: {shape.attended} positions exceed max_positions={config.max_positions}")
    shape = replace(shape, skips_masked=further.get("causal", FULL) == SKIP, routing=_routing(config, further))
    ends = _ends(config) if further.get("lm_head", False) else None
    return _stacked(config, shape, further, ends) if isinstance(config, Stack) else _transformer(config, shape, ends)


class Asking(NamedTuple):
    """Sizes that `build` was asked for."""

    seq: int | None
    phase: str
    context: int | None
    batch: int
    bits: Bits | None
    heads: int | None
    overrides: Mapping[str, object] | None
    strict_positions: bool


def _operators_of(model: object, asking: Asking, further: Further) -> OpGraph:
    """Return the graph of a file that lists operators, not layers."""
    if gemm_list.is_list(model):
        return _products(model, asking.seq, asking.context, asking.batch)
    return _exported(str(model), asking, further)


def _products(model: object, seq: int | None, context: int | None, batch: int) -> OpGraph:
    """Return the graph of a list of products, whose extents are in its file."""
    for name, value, free in (("seq", seq, None), ("context", context, None), ("batch", batch, 1)):
        if value != free:
            raise GraphError(f"{model}: {name}={value} must be left out: a list of products has its sizes in the file")
    return gemm_list.read_gemms(str(model))


def _exported(path: str, asking: Asking, further: Further) -> OpGraph:
    """Return the graph of an ONNX file, whose layers and heads are what they are."""
    from workloads.onnx_import.axes import Asked, parse_dims
    from workloads.onnx_import.importing import read_onnx

    _check_phase(asking.phase)
    fixed = {name: getattr(asking, name) for name in ("heads", "overrides", "strict_positions")}
    fixed.update(
        lm_head=further.get("lm_head"), routing=further.get("routing"), causal=further.get("causal", FULL) != FULL
    )
    for name in (name for name, value in fixed.items() if value):
        raise GraphError(f"{path}: {name} must be left out: an ONNX file says what is computed")
    told: dict[str, object] = {"phase": asking.phase}
    for name, least in (("seq", 1), ("context", 0), ("batch", 1)):
        told[name] = getattr(asking, name)
        if told[name] is not None:
            _check_size(name, told[name], least)
    dims = further.get("dims") or {}
    named = parse_dims(dims) if isinstance(dims, str) else dims
    source = further.get("source")
    asked = Asked(asking.seq, asking.context, asking.batch, source, asking.phase == "decode", named)
    bits = Bits() if asking.bits is None else asking.bits
    return read_onnx(path, asked, bits, {**told, "bits": _bits_dict(bits)})


def _widths(config: AnyConfig, bits: Bits | None) -> Bits:
    """Return the widths asked for, those that the file states for its weights, or the usual ones."""
    if bits is not None or not isinstance(config, Stack) or config.weight_bits is None:
        return Bits() if bits is None else bits
    return Bits(weight=config.weight_bits)


def _routing(config: TransformerConfig | Stack, further: Further) -> Routing:
    """Return how tokens are spread over experts, for a model that has some."""
    asked = further.get("routing")
    if asked is None:
        return BALANCED
    if not isinstance(config, Stack) or all(layer.experts is None for group in config.groups for layer in group.layers):
        raise GraphError(f"{config.name}: routing={asked!r:.40} is for models with experts")
    return Routing.parse(asked)


def _check_phase(phase: str) -> None:
    if phase not in PHASES:
        raise GraphError(f"phase {phase!r} is unknown; choose from {', '.join(PHASES)}{nearest(str(phase), PHASES)}")


def _check_common(config: AnyConfig, phase: str, batch: int, bits: Bits, further: Further) -> None:
    """Check what every family is asked for."""
    source, causal = further.get("source"), further.get("causal", FULL)
    if causal not in CAUSAL:
        raise GraphError(f"causal {causal!r} is unknown; choose from {', '.join(CAUSAL)}{nearest(str(causal), CAUSAL)}")
    _check_phase(phase)
    if further.get("dims"):
        raise GraphError(f"{config.name}: dims are of ONNX files; it takes seq, context and batch")
    _check_size("batch", batch, 1)
    if source is not None:
        _check_size("source", source, 1)
        if not isinstance(config, Stack) or len(config.groups) == 1:
            raise GraphError(f"{config.name}: source={source} is for models with an encoder and a decoder")
    if not isinstance(bits, Bits):
        raise GraphError(f"bits must be a workloads.Bits, not {type(bits).__name__}")


def _shape(
    config: TransformerConfig | Stack, seq: int | None, phase: str, context: int | None, batch: int, bits: Bits
) -> Shape:
    """Return the checked shape, with what the model fixes filled in."""
    generates = _generates(config)
    if phase == "decode":
        if not generates:
            raise GraphError(f"{config.name}: {_kind(config)} has no decode phase; use phase='prefill'")
        if seq not in (None, 1):
            raise GraphError(f"decode makes one token per sequence, so seq={seq!r} must be left out; give context")
        if context is None:
            raise GraphError("decode needs context, the number of positions already cached (0 or more)")
        seq = 1
    elif seq is None:
        seq = None if generates else config.tokens
        if seq is None:
            raise GraphError(f"{config.name}: prefill needs seq, the number of tokens per sequence")
    _check_size("seq", seq, 1)
    if context is not None:
        _check_size("context", context, 0)
    if context and not generates:
        raise GraphError(f"{config.name}: {_kind(config)} keeps no cache; context={context} must be left out")
    return Shape(phase, seq, context or 0, batch, bits)


def _kind(config: TransformerConfig | Stack) -> str:
    return f"model_type {config.model_type}" if isinstance(config, Stack) else f"family {config.family}"


def _check_size(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_TOKENS:
        raise GraphError(f"{name}={value!r} must be a whole number in {least}..{MAX_TOKENS}")


def _ends(config: TransformerConfig | Stack | ResNetConfig) -> Ends:
    """Return embedding and LM head of a model that generates text."""
    if isinstance(config, ResNetConfig) or config.vocabulary is None or not _generates(config):
        raise GraphError(f"{config.name}: has no LM head: it generates no text, or its vocabulary is not known")
    if isinstance(config, Stack):
        layer = config.groups[-1].layers[0]
        return Ends(layer.d_model, config.vocabulary, NORMS[layer.norm], layer.epsilon)
    return Ends(config.d_model, config.vocabulary, TRANSFORMERS[config.family].norm, config.norm_epsilon)


def _generates(config: TransformerConfig | Stack) -> bool:
    return config.generates if isinstance(config, Stack) else TRANSFORMERS[config.family].is_decoder


def _transformer(config: TransformerConfig, shape: Shape, ends: Ends | None) -> OpGraph:
    family = TRANSFORMERS[config.family]
    builder = BlockBuilder(shape, family, config)
    family.add_block(builder)
    size = f"context {shape.context}" if shape.phase == "decode" else f"seq {shape.seq}"
    asked: dict[str, object] = {
        "model": config.name, "family": config.family, "phase": shape.phase, "seq": shape.seq,
        "context": shape.context, "batch": shape.batch, "layers": config.layers, "d_model": config.d_model,
        "heads": config.heads, "kv_heads": config.key_value_heads, "head_dim": config.head_size,
        "d_ffn": config.d_ffn, "max_positions": config.max_positions,
        "bits": _bits_dict(shape.bits),
    }  # fmt: skip
    added, kinds = _with_ends(builder, config.layers, ends)
    graph = OpGraph(
        f"{config.name} {shape.phase} {size}", (*builder.operators, *added), repeat=1 if kinds else config.layers,
        config=asked, appends=builder.appends, kinds=kinds,
    )  # fmt: skip
    _check_bits(graph, shape.bits)
    return graph


def _with_ends(
    builder: BlockBuilder, layers: int, ends: Ends | None
) -> tuple[tuple[Operator, ...], tuple[BlockKind, ...]]:
    """Return the operators of the ends and the kinds of blocks that the graph then has; none without ends."""
    if ends is None:
        return (), ()
    operators, kind = build_ends(ends, builder.shape)
    block = BlockKind("block", tuple(range(layers)), tuple(op.name for op in builder.operators))
    return operators, (block, kind)


def _stacked(stack: Stack, shape: Shape, further: Further, ends: Ends | None) -> OpGraph:
    states = source_states(stack, shape, further.get("source"))
    layer = stack.groups[-1].layers[0]
    asked: dict[str, object] = {
        "model": stack.name, "family": stack.family, "model_type": stack.model_type, "phase": shape.phase,
        "seq": shape.seq, "context": shape.context, "batch": shape.batch, **({"source": states} if states else {}),
        "layers": stack.layers, **_sizes(layer), "max_positions": stack.max_positions, **_stored(stack),
        "bits": _bits_dict(shape.bits), "notes": list(stack.notes),
    }  # fmt: skip
    if further.get("routing"):
        asked["routing"] = further["routing"]
    graph = graph_of(stack, shape, states, asked, ends)
    _check_bits(graph, shape.bits)
    return graph


def _stored(stack: Stack) -> dict[str, object]:
    """Return what a model that generates text stores, and what a token uses of it."""
    if not stack.generates or stack.vocabulary is None:
        return {}
    return {
        "parameters": total_parameters(stack), "active_parameters": active_parameters(stack),
        "kv_elements_per_token": kv_elements_per_token(stack),
    }  # fmt: skip


def _sizes(layer: Layer) -> dict[str, object]:
    """Return the sizes of a layer, for reports."""
    spec, part = layer.attention, layer.ffn or (layer.experts and layer.experts.each)
    return {
        "d_model": layer.d_model, "heads": spec.heads, "kv_heads": spec.kv_heads, "head_dim": spec.head_dim,
        "d_ffn": part.inner if part else None,
    }  # fmt: skip


def _convolutional(
    config: ResNetConfig, seq: int | None, phase: str, context: int | None, batch: int, bits: Bits
) -> OpGraph:
    if seq is not None or context is not None or phase != "prefill":
        raise GraphError(f"{config.name}: images have no sequence; leave out seq, context and phase (batch is allowed)")
    asked: dict[str, object] = {
        "model": config.name, "family": config.family, "phase": phase, "batch": batch, "layers": 1,
        "image_size": config.image_size, "bits": _bits_dict(bits),
    }  # fmt: skip
    operators = resnet.network(config, batch, bits)
    graph = OpGraph(f"{config.name} batch {batch}", operators, config=asked)
    _check_bits(graph, bits)
    return graph


def _bits_dict(bits: Bits) -> dict[str, object]:
    widths: dict[str, object] = {
        "weight": bits.weight, "activation": bits.activation, "kv": bits.kv, "bias": bits.bias
    }  # fmt: skip
    return {**widths, **({"tensors": dict(bits.tensors)} if bits.tensors else {})}


def _check_bits(graph: OpGraph, bits: Bits) -> None:
    """Refuse widths for tensors that the graph does not have."""
    for name in bits.tensors:
        if name not in graph.tensors:
            raise GraphError(f"bits: {graph.name} has no tensor {name!r}{nearest(name, graph.tensors)}")
