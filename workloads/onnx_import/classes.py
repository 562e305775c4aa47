"""Which products are projections of attention, of the feed-forward part, or between activations."""

from __future__ import annotations

from collections.abc import Sequence

from workloads.onnx_import.records import Product, Record, Rows
from workloads.onnx_import.values import Base
from workloads.ops import Add, LayerNorm, Lookup, RmsNorm, Softmax


def classify(records: Sequence[Record]) -> None:
    """Set the class of every product by what it is connected to.

    Weights whose result becomes queries, keys or values, or whose input is attention's result, are projections of it.
    Weights with a nonlinearity or a gate between them and others belong to the feed-forward part.
    """
    makers = {id(record.out): record for record in records}
    readers: dict[int, list[Record]] = {}
    for record in records:
        for base in record.inputs:
            readers.setdefault(id(base), []).append(record)
            if base.follows is not None:
                readers.setdefault(id(base.follows), []).append(record)
    for record in records:
        if not isinstance(record, Product):
            continue
        if not record.by_weights:
            record.op_class = "act_to_act"
            continue
        ends = [*_onward(record, readers), *_back(record, makers)]
        if any(not end.by_weights for end in ends):
            record.op_class = "mha_projection"
        elif ends:
            record.op_class = "ffn_projection"


def _onward(record: Record, readers: dict[int, list[Record]]) -> list[Product]:
    """Return the products that an operator's result reaches through rotations, norms of heads and nonlinearities."""
    found: list[Product] = []
    left: list[Record] = [record]
    while left:
        at = left.pop()
        for reader in readers.get(id(at.out), []):
            if isinstance(reader, Product):
                found.append(reader)
            elif _passes(reader) or (isinstance(reader, Rows) and _of_heads(reader)):
                left.append(reader)
    return [end for end in found if at_distance(end, record)]


def at_distance(end: Product, record: Record) -> bool:
    """Whether a product does more than follow another directly: two weights in a row are no feed-forward part."""
    return not end.by_weights or record.out not in end.inputs


def _back(record: Product, makers: dict[int, Record]) -> list[Product]:
    """Return the products behind a product's input, through gates and nonlinearities."""
    found: list[Product] = []
    left: list[Base] = [record.a]
    while left:
        base = left.pop()
        maker = makers.get(id(base))
        if isinstance(maker, Product):
            if not maker.by_weights or base is not record.a:
                found.append(maker)
        elif maker is not None and _passes(maker):
            left += maker.inputs
    return found


def _passes(record: Record) -> bool:
    return isinstance(record, Rows) and record.kind not in (Add, LayerNorm, RmsNorm, Softmax, Lookup)


def _of_heads(record: Rows) -> bool:
    """Whether a normalisation runs over a part of the columns: the channels of each head."""
    return record.kind in (LayerNorm, RmsNorm) and record.cols != record.out.cols and len(record.cols) == 1
