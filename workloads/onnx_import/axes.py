"""Numbers for the axes that a file leaves open: batch, tokens, cached tokens, and whatever else it names.

Exporters name an axis as its user did (``sequence_length``), make a name up (``s70``), calculate
(``past_sequence_length + 1``), or write a fixed size as a text (``"64"``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workloads.errors import GraphError, nearest

if TYPE_CHECKING:
    import onnx

LARGEST = 2**31

KNOWN: Mapping[str, tuple[str, ...]] = {
    "batch": ("batch", "batch_size", "bs", "num_batch"),
    "seq": (
        "seq", "sequence", "sequence_length", "seq_length", "seq_len", "seqlen", "new", "tokens", "num_tokens",
        "query_length", "input_length", "decoder_sequence_length", "new_tokens",
    ),
    "context": (
        "past", "past_sequence_length", "past_seq_len", "past_seq_length", "past_length", "context", "cache",
        "past_decoder_sequence_length", "past_key_values_length", "cache_length", "kv_len",
    ),
    "source": ("encoder_sequence_length", "encoder_seq_len", "encoder_length", "source"),
    "total": ("total_sequence_length", "total_seq_len", "total_length", "attention_mask_sequence_length", "total"),
}  # fmt: skip
"""What exporters call the axes that options of ours set."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user says about sizes; None where nothing is said."""

    seq: int | None = None
    context: int | None = None
    batch: int = 1
    source: int | None = None
    decodes: bool = False
    """Whether one new token is meant where no number of them is given."""
    named: Mapping[str, int] = field(default_factory=dict)
    """Sizes of axes by the name that the file has for them."""

    @property
    def by_option(self) -> dict[str, int]:
        """Sizes that options set, by option."""
        seq = 1 if self.seq is None and self.decodes else self.seq
        given = {"batch": self.batch, "seq": seq, "context": self.context, "source": self.source}
        return {option: size for option, size in given.items() if size is not None}


def parse_dims(text: str) -> dict[str, int]:
    """Read sizes of axes, as in ``"batch=1,seq=128"``.

    Raises
    ------
    GraphError
        For what is no such list.
    """
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.rpartition("="))
        if not equals or not name or name in sizes:
            raise GraphError(f"dim {part.strip()!r:.60}: must be NAME=N, each name once, as in batch=1,seq=128")
        if not (number.isascii() and number.isdigit() and len(number) <= 10 and int(number) <= LARGEST):
            raise GraphError(f"dim {name:.40}={number!r:.40}: must be a whole number in 0..{LARGEST}")
        sizes[name] = int(number)
    return sizes


def input_sizes(model: onnx.ModelProto, asked: Asked, origin: str) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Return the shape of every input, and the size of every name of an axis.

    Raises
    ------
    GraphError
        For axes that nothing sets, one line each, and for sizes that set nothing.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    names = list(dict.fromkeys(name for value in inputs for dim in _dims(value) for name in _names(dim.dim_param)))
    known = _known_sizes(names, asked, origin)
    shapes: dict[str, tuple[int, ...]] = {}
    problems: list[str] = []
    unset: dict[str, str] = {}
    for value in inputs:
        sizes = []
        for axis, dim in enumerate(_dims(value)):
            if dim.HasField("dim_value") and dim.dim_value >= 0:
                sizes.append(dim.dim_value)
                continue
            size = evaluated(dim.dim_param, known)
            sizes.append(0 if size is None else size)
            where = f"{origin}: input {value.name!r:.60}: axis {axis} is"
            if not dim.dim_param:
                problems.append(f"{where} dynamic and has no name to set it by")
            elif size is None:
                missing = next((name for name in _names(dim.dim_param) if name not in known), dim.dim_param)
                unset.setdefault(missing, f"{where} {dim.dim_param!r:.60}; {_hint(missing)}")
        shapes[value.name] = tuple(sizes)
    if problems or unset:
        raise GraphError("\n".join((*problems, *unset.values())))
    return shapes, known


def _dims(value: onnx.ValueInfoProto) -> Iterable[onnx.TensorShapeProto.Dimension]:
    dims: Iterable[onnx.TensorShapeProto.Dimension] = value.type.tensor_type.shape.dim
    return dims


def _hint(missing: str) -> str:
    options = {"seq": "--seq N", "context": "--context N", "source": "--source N"}
    for option, words in KNOWN.items():
        if missing.lower() in words and option in options:
            return f"give {options[option]} or --dim {missing}=N"
    return f"give --dim {missing}=N"


def _known_sizes(names: list[str], asked: Asked, origin: str) -> dict[str, int]:
    """Return the size of each name as far as it is set; a size that sets nothing is an error."""
    sizes: dict[str, int] = {}
    for name in asked.named:
        if name not in names:
            listed = f" ({', '.join(names[:20])})" if names else "; all of its axes are fixed"
            raise GraphError(f"{origin}: dim {name!r:.60}: no axis has this name{nearest(name, names)}{listed}")
    options = asked.by_option
    for option, size in options.items():
        for name in names:
            if name.lower() in KNOWN[option] and name not in asked.named:
                sizes[name] = size
    free = {"batch": 1}
    for option in ("batch", "seq", "context", "source"):
        given = getattr(asked, option)
        named = any(name.lower() in KNOWN[option] for name in names)
        if given != free.get(option) and not named:
            open_ones = f"open are {', '.join(names[:20])}: set them with --dim NAME=N" if names else "all are fixed"
            raise GraphError(f"{origin}: {option}={given}: the file has no axis of that name; {open_ones}")
    if "context" in options:
        for name in names:
            if name.lower() in KNOWN["total"] and "seq" in options:
                sizes[name] = options["context"] + options["seq"]
    return {**sizes, **asked.named}


def _names(text: str) -> list[str]:
    """Return the names in the size of an axis; a text that cannot be calculated is one name."""
    if not text or text.isdigit():
        return []
    tree = _parsed(text)
    if tree is None:
        return [text]
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - calls, key=text.index)


def _parsed(text: str) -> ast.expr | None:
    """Return a sum, product, minimum or the like of names and numbers; None for any other text."""
    if len(text) > 200:
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None
    return tree if _is_sum(tree) else None


def _is_sum(tree: ast.expr) -> bool:
    match tree:
        case ast.Name():
            return True
        case ast.Constant(value=int()):
            return True
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.FloorDiv() | ast.Mod(), right=right):
            return _is_sum(left) and _is_sum(right)
        case ast.Call(func=ast.Name(id="Min" | "Max" | "min" | "max"), args=[_, *_] as parts, keywords=[]):
            return all(_is_sum(part) for part in parts)
    return False


def evaluated(text: str, known: Mapping[str, int]) -> int | None:
    """Return the size that a text stands for; None if a name in it has none."""
    if text.isdigit():
        return int(text)
    if text in known:
        return known[text]
    tree = _parsed(text)
    return None if tree is None else _value(tree, known)


def _value(tree: ast.expr, known: Mapping[str, int]) -> int | None:
    match tree:
        case ast.Name(id=name):
            return known.get(name)
        case ast.Constant(value=int(value)):
            return value
        case ast.Call(func=ast.Name(id=kind), args=parts):
            values = [_value(part, known) for part in parts]
            whole = [value for value in values if value is not None]
            return None if len(whole) < len(values) else (min if kind.lower() == "min" else max)(whole)
        case ast.BinOp(left=left, op=op, right=right):
            first, second = _value(left, known), _value(right, known)
            if first is None or second is None:
                return None
            match op:
                case ast.Add():
                    return first + second
                case ast.Sub():
                    return first - second
                case ast.Mult():
                    return first * second
            return None if second == 0 else first // second if isinstance(op, ast.FloorDiv) else first % second
    return None
