"""One name for every dimension of a group, whatever its operators call it.

A projection calls the rows of its result queries, and the scores that read them as keys call them attended positions.
Inside a group both mean one loop. Dimensions of two operators are the same if they index one tensor at one place; where
that makes two dimensions of a single operator the same, as between queries and keys of one input, the group has no
common loops and is left as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from mapper.fused.einsum import Access, Einsum, FusedGraph

Place: TypeAlias = tuple[str, str]
"""An operator and a dimension of it."""


def one_name_each(group: FusedGraph) -> FusedGraph:
    """Return a group in which each tensor is indexed by the same dimensions everywhere, if there is such a naming."""
    classes = _classes(group)
    if classes is None:
        return group
    names = _names(classes)
    operators = tuple(_renamed(operator, names) for operator in group.operators)
    sizes = {names[operator.name, dim]: group.sizes[dim] for operator in group.operators for dim in operator.dims}
    return replace(group, operators=operators, sizes=sizes)


def _classes(group: FusedGraph) -> list[list[Place]] | None:
    """Places that mean the same dimension, in the order of the group; None if one operator has a class twice."""
    together: dict[Place, list[Place]] = {
        (operator.name, dim): [(operator.name, dim)] for operator in group.operators for dim in operator.dims
    }
    first: dict[str, tuple[str, Access]] = {}
    for operator in group.operators:
        for access in operator.accesses:
            known, before = first.setdefault(access.tensor, (operator.name, access))
            if len(before.dims) != len(access.dims):
                return None
            for own, other in zip(access.dims, before.dims, strict=True):
                _join(together, (operator.name, own), (known, other))
    classes: list[list[Place]] = []
    for members in together.values():
        if all(members is not found for found in classes):
            classes.append(members)
    if any(len({name for name, _ in members}) < len(members) for members in classes):
        return None
    if any(len({group.sizes[dim] for _, dim in members}) > 1 for members in classes):
        return None
    return classes


def _join(together: dict[Place, list[Place]], one: Place, other: Place) -> None:
    if together[one] is together[other]:
        return
    members = together[one]
    members += together[other]
    for place in together[other]:
        together[place] = members


def _names(classes: list[list[Place]]) -> dict[Place, str]:
    """A name per place: of the names in use one that no other class needs."""
    names: dict[Place, str] = {}
    taken: set[str] = set()
    for members in sorted(classes, key=lambda members: len({dim for _, dim in members})):
        own = list(dict.fromkeys(dim for _, dim in members))
        free = [dim for dim in own if dim not in taken]
        name = free[0] if free else next(n for i in range(2, 99) if (n := f"{own[0]}_{i}") not in taken)
        taken.add(name)
        names.update(dict.fromkeys(members, name))
    return names


def _renamed(operator: Einsum, names: dict[Place, str]) -> Einsum:
    def access(item: Access) -> Access:
        return Access(item.tensor, tuple(names[operator.name, dim] for dim in item.dims))

    return Einsum(
        operator.name,
        tuple(access(item) for item in operator.inputs),
        access(operator.output),
        operator.is_product,
        frozenset(names[operator.name, dim] for dim in operator.complete),
    )
