"""What flows along the edges of a file: stored tensors, and ways to look at them.

Reshape, Transpose, Expand and their kin store nothing. They make an `AxisView`: the same tensor with its dimensions in
other axes, in another order, or repeated. So the tensor between two products is one tensor, as in the shipped
models, however many nodes stand between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from workloads.onnx_import.dimensions import Dims, atoms, size
from workloads.tensor import Role, Tensor


@dataclass(slots=True, eq=False)
class Base:
    """One tensor in memory."""

    name: str
    rows: Dims
    """Outer dimensions, in the order of memory."""
    cols: Dims
    """Inner dimensions, in the order of memory; the last one is contiguous."""
    role: Role = "activation"
    bits: int | None = None
    """Width that the file states; None: as asked for."""
    follows: Base | None = None
    """Tensor whose producer must run first, if this one is part of another or made of others without a computation."""
    inner: Dims | None = None
    """Dimensions that must stay innermost if the order is still open; None: it is settled."""
    used: bool = False
    """Whether an operator reads it."""
    axes: tuple[Dims, ...] | None = None
    """Axes that it has if they are more than rows and columns: of images, channels last, and of caches."""

    @property
    def dims(self) -> Dims:
        """All dimensions, outer to inner."""
        return atoms((*self.rows, *self.cols))


@dataclass(frozen=True, slots=True)
class AxisView:
    """A tensor as a node sees it."""

    base: Base
    axes: tuple[Dims, ...]
    """Per axis its dimensions, outer to inner; none for an axis of one index. Those that are not the tensor's repeat
    it."""

    @classmethod
    def of(cls, base: Base, axes: Sequence[Dims]) -> AxisView:
        """Return a view."""
        return cls(base, tuple(axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each axis."""
        return tuple(size(axis) for axis in self.axes)

    def settle(self) -> AxisView:
        """Mark the tensor as read; if its order is still open, it is stored in the order of this view."""
        base = self.base
        base.used = True
        if base.inner is None:
            return self
        inner, base.inner = atoms(base.inner), None
        own = set(base.dims)
        seen = [tuple(dim for dim in atoms(axis) if dim in own) for axis in self.axes]
        flat = [dim for axis in seen for dim in axis]
        if tuple(flat) == base.dims or len(flat) != len(own) or set(flat) != own:
            return self
        if tuple(flat[len(flat) - len(inner) :]) == inner:
            last = next((axis for axis in reversed(seen) if axis), ())
            base.rows, base.cols = tuple(flat[: len(flat) - len(last)]), last
        return self


@dataclass(slots=True)
class Names:
    """Names of dimensions, each once."""

    given: dict[int, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    kept: list[object] = field(default_factory=list)

    def of(self, dim: object, hint: str) -> str:
        """Return the name of a dimension."""
        if id(dim) not in self.given:
            self.given[id(dim)] = self.free(hint)
            self.kept.append(dim)
        return self.given[id(dim)]

    def free(self, hint: str) -> str:
        """Return a name that nothing has."""
        name, number = hint, 1
        while name in self.taken:
            number += 1
            name = f"{hint}{number}"
        self.taken.add(name)
        return name


def stored(base: Base, names: Names, bits: Callable[[str, Role], int]) -> Tensor:
    """Return a tensor of rows and columns, or of as many axes as it has."""
    parts: tuple[tuple[Dims, str], ...] = ((base.rows, "row"), (base.cols, "single"))
    if base.axes is not None:
        parts = tuple((dims, f"axis{number}") for number, dims in enumerate(base.axes))
    axes = [tuple((names.of(dim, dim.hint), dim.extent) for dim in atoms(dims)) or ((unit, 1),) for dims, unit in parts]
    shape = tuple(size(dims) for dims, _ in parts)
    return Tensor(base.name, shape, tuple(axes), base.bits or bits(base.name, base.role), base.role)
