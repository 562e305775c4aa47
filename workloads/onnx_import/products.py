"""Nodes that multiply: MatMul, Gemm, Einsum, Conv, and Attention as two products around a softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workloads.onnx_import.dimensions import Dim, Dims, UnevenSplit, atoms, copied, match, of_extent, size
from workloads.onnx_import.file import Node
from workloads.onnx_import.importer import Importer
from workloads.onnx_import.records import Convolution, Product
from workloads.onnx_import.values import AxisView, Base

Labels = Sequence[str]


def multiply(
    state: Importer, node: Node, name: str, a: AxisView, b: AxisView | str, labels: tuple[Labels, Labels, Labels],
    bits: int | None = None,
) -> AxisView:  # fmt: skip
    """Add the product of an activation with another, or with weights by their name.

    Parameters
    ----------
    labels
        For each axis of A, of B and of the result a letter, as in an einsum; what the result lacks is summed over.
    bits
        Width of the weights, if the node states it.
    """
    of_a = dict(zip(labels[0], a.axes, strict=True))
    if isinstance(b, str):
        b = _weights(state, node, f"{name}.weight", state.shape(b, node), labels[1], of_a, bits)
    of_b = dict(zip(labels[1], b.axes, strict=True))
    if len(of_a) < len(labels[0]) or len(of_b) < len(labels[1]):
        raise state.fail(node, "an operand has one index twice")
    pairs: list[tuple[Dims, Dims]] = []
    axes: dict[str, Dims] = {}
    try:
        for label in (*labels[0], *labels[1]):
            if of_a.get(label) and of_b.get(label) and label not in axes:
                match(of_a[label], of_b[label])
                pairs.append((of_b[label], of_a[label]))
                axes[label] = of_a[label]
    except UnevenSplit as problem:
        raise state.fail(node, f"its operands do not fit: {problem}") from None
    columns = []
    for label in labels[1]:
        if not of_a.get(label):
            axes[label] = of_b[label] if b.base.role == "weight" else copied(of_b[label], _seen(of_b[label]))
            pairs.append((of_b[label], axes[label]))
            columns.append(label)
    single = {label for label in of_a if not of_b.get(label)}
    if any(label not in labels[2] and size(of_a.get(label, of_b.get(label, ()))) > 1 for label in {*single, *columns}):
        raise state.fail(node, "it sums over an index of one operand alone")
    return _product(
        state,
        node,
        name,
        (a, b),
        pairs,
        [(label, axes.get(label, of_a.get(label, ()))) for label in labels[2]],
        columns,
    )


def _product(
    state: Importer, node: Node, name: str, operands: tuple[AxisView, AxisView], pairs: Sequence[tuple[Dims, Dims]],
    axes: Sequence[tuple[str, Dims]], columns: Sequence[str],
) -> AxisView:  # fmt: skip
    """Append a product; ``axes`` are those of the result, of which ``columns`` come from B."""
    a, b = operands
    stored = set(b.base.dims)
    own = [_own(pair, stored) for pair in pairs]
    cols = tuple(dim for label, dims in axes if label in columns for dim in dims)
    rows = tuple(dim for label, dims in axes if label not in columns for dim in dims)
    out = Base(name, rows, cols, inner=cols)
    record = Product(
        name=name, node=node, out=out, a=a.settle().base, b=b.settle().base, pairs=tuple(own), columns=cols
    )
    state.add(record)
    return AxisView.of(out, [dims for _, dims in axes])


def _own(pair: tuple[Dims, Dims], stored: set[Dim]) -> tuple[Dims, Dims]:
    """Return the part of a pair that B stores: heads of keys that a view repeats are not."""
    kept = [(b, a) for b, a in zip(atoms(pair[0]), atoms(pair[1]), strict=True) if b in stored]
    return tuple(b for b, _ in kept), tuple(a for _, a in kept)


def _seen(dims: Dims) -> str | None:
    return "attended" if any(dim.hint == "query" for dim in atoms(dims)) else None


def _weights(
    state: Importer, node: Node, name: str, shape: Sequence[int], labels: Labels, of_a: Mapping[str, Dims],
    bits: int | None,
) -> AxisView:  # fmt: skip
    """Return weights whose axes are labelled; they are cut as the activation is that they multiply."""
    if len(shape) != len(labels):
        raise state.fail(node, f"its weights {tuple(shape)} have not {len(labels)} axes")
    axes = []
    for extent, label in zip(shape, labels, strict=True):
        known = of_a.get(label, ())
        if known and size(known) != extent and extent != 1:
            raise state.fail(node, f"it multiplies {size(known)} with {extent} channels")
        axes.append(copied(known) if known and extent > 1 else of_extent(extent, "column"))
    return AxisView.of(Base(name, tuple(dim for axis in axes[:-1] for dim in axis), axes[-1], "weight", bits), axes)


def matmul(state: Importer, node: Node) -> None:
    """MatMul and its kin of integers: batched, with leading axes aligned from the right."""
    at = (0, 3) if node.op == "QLinearMatMul" else (0, 1)
    first, second = (node.input(number) for number in at)
    ranks = [len(state.shape(name, node)) for name in (first, second)]
    lead = [f"l{number}" for number in range(max(ranks) - 2)]
    of_a = [*lead[len(lead) - max(ranks[0] - 2, 0) :], "m", "k"] if ranks[0] > 1 else ["k"]
    of_b = [*lead[len(lead) - max(ranks[1] - 2, 0) :], "k", "n"] if ranks[1] > 1 else ["k"]
    if node.attributes.get("transA"):
        of_a[-2:] = of_a[:-3:-1]
    if node.attributes.get("transB"):
        of_b[-2:] = of_b[:-3:-1]
    out = [*lead, *(["m"] if ranks[0] > 1 else []), *(["n"] if ranks[1] > 1 else [])]
    times(state, node, (first, second), (of_a, of_b, out))


def times(state: Importer, node: Node, operands: tuple[str, str], labels: tuple[Labels, Labels, Labels]) -> None:
    """Multiply two values of which one at least is an activation; weights become the right operand."""
    first, second = operands
    if first not in state.views:
        first, second, labels = second, first, (labels[1], labels[0], labels[2])
    b = second if state.is_weight(second) else state.views.get(second)
    if b is None:
        raise state.fail(node, f"it multiplies with {second!r:.60}, which is made of positions or masks")
    state.views[node.outputs[0]] = multiply(state, node, state.named(node), state.view(first), b, labels)


def gemm(state: Importer, node: Node) -> None:
    """Gemm: each operand transposed or not, and a bias."""
    a = ["k", "m"] if node.attributes.get("transA") else ["m", "k"]
    b = ["n", "k"] if node.attributes.get("transB") else ["k", "n"]
    times(state, node, (node.input(0), node.input(1)), (a, b, ["m", "n"]))
    record = state.product_behind(state.views[node.outputs[0]])
    if record is not None and node.input(2) and state.is_weight(node.input(2)):
        record.biased = True


def matmul_n_bits(state: Importer, node: Node) -> None:
    """ONNX Runtime's product with weights of few bits, (out, in) in blocks."""
    view, columns = state.view(node.input(0)), int(node.attributes["N"])
    depth = int(node.attributes["K"])
    state.values.shapes[node.input(1)] = (columns, depth)
    labels = [f"m{number}" for number in range(len(view.axes) - 1)]
    state.views[node.outputs[0]] = multiply(
        state, node, state.named(node), view, node.input(1), ([*labels, "k"], ["n", "k"], [*labels, "n"]),
        int(node.attributes.get("bits", 4)),
    )  # fmt: skip


def einsum(state: Importer, node: Node) -> None:
    """Einsum of two operands."""
    equation = str(node.attributes["equation"]).replace(" ", "")
    left, arrow, right = equation.partition("->")
    operands = left.split(",")
    if len(operands) != 2 or not arrow or "." in equation:
        raise state.fail(node, f"equation {equation!r:.60}: two operands and a result without dots are read")
    times(state, node, (node.input(0), node.input(1)), (list(operands[0]), list(operands[1]), list(right)))


def part_of_columns(state: Importer, view: AxisView, axis: int, extent: int) -> AxisView | None:
    """Return a part of the columns of a product with weights, as a product of its own.

    None if the axis is not made of columns of such a product, or if the whole product is read as well.
    """
    record = state.product_behind(view)
    cut = atoms(view.axes[axis])
    columns = atoms(record.columns) if record is not None else ()
    if record is None or not record.by_weights or not cut or not set(cut) <= set(columns):
        return None
    place = columns.index(cut[0])
    if columns[place : place + len(cut)] != cut:
        return None
    kept = {dim: copied([dim]) for dim in columns if dim not in cut}
    new = of_extent(extent, cut[-1].hint)
    changed = tuple(
        part for number, dim in enumerate(columns) for part in (kept.get(dim) or (new if number == place else ()))
    )
    name = state.named(record.node)
    weights = _part_of_weights(record, changed, name)
    out = Base(name, record.out.rows, changed, inner=changed)
    piece = Product(
        name=name, node=record.node, out=out, a=record.a, b=weights.base, columns=changed, biased=record.biased,
        pairs=(*_reduced(record, weights), (changed, changed)),
    )  # fmt: skip
    record.parted = True
    state.add(piece)
    axes = [
        new if number == axis else tuple(part for dim in atoms(dims) for part in kept.get(dim, (dim,)))
        for number, dims in enumerate(view.axes)
    ]
    return AxisView.of(out, axes)


def _part_of_weights(record: Product, columns: Dims, name: str) -> AxisView:
    """Return weights with as many rows as those of a product, and other columns."""
    own = set(atoms(record.columns))
    rows = tuple(part for dim in record.b.dims if dim not in own for part in copied([dim]))
    return AxisView.of(Base(f"{name}.weight", rows, columns, "weight", record.b.bits), (rows, columns))


def _reduced(record: Product, weights: AxisView) -> list[tuple[Dims, Dims]]:
    """Return what the rows of new weights are called: as those of the old ones."""
    called = {own: dim for theirs, ours in record.pairs for own, dim in zip(atoms(theirs), atoms(ours), strict=True)}
    columns = set(atoms(record.columns))
    old = [dim for dim in record.b.dims if dim not in columns]
    return [((new,), (called[dim],)) for dim, new in zip(old, atoms(weights.axes[0]), strict=True)]


def conv(state: Importer, node: Node) -> None:
    """A convolution of images; its input and result lie channels last."""
    x, weights = state.view(node.input(0)), state.shape(node.input(1), node)
    given = node.attributes
    pads = set(given.get("pads") or [0])
    strides, dilations = set(given.get("strides") or [1]), set(given.get("dilations") or [1])
    if len(weights) != 4 or given.get("group", 1) != 1 or given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise state.fail(node, "convolutions of images are read, in one group and with pads that are stated")
    if not len(pads) == len(strides) == len(dilations) == 1:
        raise state.fail(node, "one stride, pad and dilation for both axes are read")
    base = x.base
    if base.axes is None:
        if state.made.get(id(base)) is not None or base.used:
            raise state.fail(node, "its input is no image: channels are not an axis of their own")
        n, c, h, w = x.axes
        base.rows, base.cols, base.axes = (*n, *h, *w), c, (n, h, w, c)
    x.settle()
    n, channels, height, width = (
        of_extent(extent, hint)
        for extent, hint in zip(
            state.shape(node.outputs[0], node), ("image", "channel", "height", "width"), strict=True
        )
    )
    name = state.named(node)
    out = Base(name, (*n, *height, *width), channels, axes=(n, height, width, channels))
    state.add(
        Convolution(
            name=name, node=node, out=out, x=base, window=(weights[2], weights[3]), channels=weights[1],
            stride=strides.pop(), pad=pads.pop(), dilation=dilations.pop(), biased=bool(node.input(2)),
        )
    )  # fmt: skip
    state.views[node.outputs[0]] = AxisView.of(out, (n, channels, height, width))
