"""ONNX files: read without their weights, with every axis a number.

Only here and in `shapes` is the onnx library imported, when a file is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwconfigs.textfiles.reading import spelt_out
from workloads.errors import GraphError

if TYPE_CHECKING:
    import onnx

LARGEST_FILE = 2**31 - 1
"""No file of protocol buffers is larger; larger models keep their weights in files beside. [bytes]"""

SMALL = 4096
"""Elements up to which a constant is read: lists of sizes and scalars, no weights."""

Constant = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a file."""

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    """Names of values; ``""`` for one that is left out."""
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def input(self, number: int) -> str:
        """Return the name of an input, ``""`` if it is left out."""
        return self.inputs[number] if number < len(self.inputs) else ""

    @property
    def described(self) -> str:
        """Name and operator, for messages."""
        return f"node {self.name!r:.80} ({self.op})"


def library() -> Any:
    """Return the onnx library.

    Raises
    ------
    GraphError
        If it is not installed.
    """
    try:
        import onnx
        import onnx.inliner
        import onnx.shape_inference
    except ImportError:
        raise GraphError("reading ONNX files needs the onnx library: pip install 'tilewright[onnx]'") from None
    return onnx


def read(path: Path) -> onnx.ModelProto:
    """Return a file's model with its functions inlined; weights in files beside it stay there.

    Raises
    ------
    GraphError
        For files that are none, that hold other graphs inside, or whose weights are missing.
    """
    onnx, origin = library(), spelt_out(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise GraphError(f"{origin}: is larger than 2 GiB, so it is no ONNX file; weights lie in files beside it")
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise GraphError(f"{origin}: cannot read the model: {error.strerror or error}") from error
    except GraphError:
        raise
    except Exception as error:  # the protocol buffer's own exceptions differ by its implementation
        raise GraphError(f"{origin}: is no ONNX file") from error
    if not model.graph.node:
        raise GraphError(f"{origin}: is no ONNX file, or has no nodes")
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    _check_weights(model, path, origin)
    for node in nodes_of(model):
        for name, value in node.attributes.items():
            if isinstance(value, onnx.GraphProto):
                raise GraphError(f"{origin}: {node.described}: its {name} is a graph of its own, which is not read")
    return model  # type: ignore[no-any-return]


def nodes_of(model: onnx.ModelProto) -> Iterator[Node]:
    """Yield the nodes in order; those without a name are called after their operator and place."""
    onnx = library()
    for number, proto in enumerate(model.graph.node):
        attributes = {item.name: _plain(onnx.helper.get_attribute_value(item)) for item in proto.attribute}
        name = proto.name or f"{proto.op_type}_{number}"
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        yield Node(name, proto.op_type, domain, tuple(proto.input), tuple(proto.output), attributes)


def _plain(value: Any) -> Any:
    """Return an attribute with texts as texts."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _check_weights(model: onnx.ModelProto, path: Path, origin: str) -> None:
    """Refuse a file whose weights lie in another one that is not there, or too short."""
    onnx = library()
    readers = {name: node.described for node in reversed(list(nodes_of(model))) for name in node.inputs}
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        told = {item.key: item.value for item in tensor.external_data}
        location = told.get("location", "")
        reader = readers.get(tensor.name, "no node")
        if Path(location).is_absolute() or ".." in Path(location).parts or not location:
            raise GraphError(f"{origin}: {tensor.name!r:.80}: external data at {location!r:.80} is outside its folder")
        beside = path.parent / location
        try:
            present = beside.stat().st_size
        except OSError:
            raise GraphError(
                f"{origin}: weights {tensor.name!r:.80} of {reader} lie in {location!r:.80}, which is missing"
            ) from None
        if _number(told, "offset") + _number(told, "length") > present:
            raise GraphError(
                f"{origin}: weights {tensor.name!r:.80} of {reader} reach past the end of {location!r:.80}"
            )


def _number(told: Mapping[str, str], key: str) -> int:
    text = told.get(key, "0")
    return int(text) if text.isdigit() else 0


def constant_of(tensor: onnx.TensorProto, folder: Path) -> Constant | None:
    """Return a small constant; None for weights."""
    onnx = library()
    count = 1
    for extent in tensor.dims:
        count *= extent
    if count > SMALL:
        return None
    return onnx.numpy_helper.to_array(tensor, base_dir=str(folder))  # type: ignore[no-any-return]
