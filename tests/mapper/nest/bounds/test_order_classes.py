"""Order classes: the counts of the literature's hierarchies, and that no order does better than its class."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from mapper.nest.bounds.order_classes import OrderClass, level_classes, order_classes, signature_count

INPUT, WEIGHT, OUTPUT = 0, 1, 2
"""Groups, named by the tensor whose irrelevant dimension they are: n, m, k of a matmul."""

WS = ((INPUT, 1), (WEIGHT, 1), (OUTPUT, 2), (WEIGHT, 3))
OS = ((INPUT, 1), (WEIGHT, 1), (OUTPUT, 2), (OUTPUT, 3))
L2 = ((INPUT, 1), (WEIGHT, 1), (OUTPUT, 1), (INPUT, 2), (WEIGHT, 2), (OUTPUT, 3), (WEIGHT, 4))
L3 = tuple((t, 1) for t in range(3)) + tuple((t, c + 1) for t, c in L2)


@pytest.mark.parametrize(
    ("levels", "pairs", "signatures", "classes"),
    [(3, WS, 266, 6), (3, OS, 252, 6), (4, L2, 1862, 24), (5, L3, 13034, 96)],
)
def test_numbers(levels: int, pairs: tuple[tuple[int, int], ...], signatures: int, classes: int) -> None:
    """216 orders of three levels are 7^3 choices of states, 266 signatures and six classes."""
    assert signature_count(levels, pairs) == (7**levels, signatures)
    assert len(order_classes(levels, pairs)) == classes


def test_the_six_of_a_weight_stationary_array() -> None:
    """Outer levels that count for (inputs, weights, outputs, weights into the registers), as worked out by hand."""
    assert {entry.prefix for entry in order_classes(3, WS)} == {
        (1, 0, 1, 2),  # weights resident
        (0, 1, 1, 2),  # inputs resident
        (1, 1, 0, 1),  # outputs resident over all of k
        (1, 0, 2, 1),  # fewest register loads, outputs revisited
        (0, 1, 2, 1),  # the same, inputs resident
        (1, 0, 1, 0),  # every weight loaded once ever
    }


def counted(order: tuple[tuple[int, ...], ...], trips: tuple[tuple[int, ...], ...], group: int, child: int) -> int:
    """Product of the trips of a group's loops that count, by the scan itself."""
    loops = [(g, trips[level][g]) for level in range(child) for g in order[level]]
    while loops and (loops[-1][0] == group or loops[-1][1] == 1):
        loops.pop()
    result = 1
    for g, bound in loops:
        result *= bound if g == group else 1
    return result


def product_of(trips: tuple[tuple[int, ...], ...], group: int, prefix: int) -> int:
    result = 1
    for level in range(prefix):
        result *= trips[level][group]
    return result


def holds(entry: OrderClass, trips: tuple[tuple[int, ...], ...]) -> bool:
    return all(trips[level][g] == 1 for level, state in enumerate(entry.levels) for g in state.forced)


@pytest.mark.parametrize("pairs", [WS, OS, ((INPUT, 1), (WEIGHT, 1), (OUTPUT, 1), (INPUT, 2))])
def test_no_order_beats_every_class(pairs: tuple[tuple[int, int], ...]) -> None:
    """For all trip counts of two levels and all orders some class that holds counts no more in any pair."""
    pairs = tuple((group, min(child, 2)) for group, child in pairs)
    classes = order_classes(2, pairs)
    every = tuple(permutations(range(3)))
    for flat in product((1, 2, 3), repeat=6):
        trips = flat[:3], flat[3:]
        good = [entry for entry in classes if holds(entry, trips)]
        for order in product(every, repeat=2):
            counts = [counted(order, trips, group, child) for group, child in pairs]
            assert any(
                all(
                    product_of(trips, group, prefix) <= count
                    for (group, _), prefix, count in zip(pairs, entry.prefix, counts, strict=True)
                )
                for entry in good
            )


def test_fixed_orders_leave_their_own_states() -> None:
    """With one order the innermost loop with more than one trip follows from what is forced."""
    states = level_classes(3, ((1, 2, 0),))
    assert {(state.forced, state.inner) for state in states} == {
        ((), 0), ((0,), 2), ((1, 2), 0), ((0, 2), 1), ((0, 1), 2), ((0, 1, 2), -1)
    }  # fmt: skip


def test_dimensions_of_all_tensors_only_stop_scans() -> None:
    """A batch adds a fourth group and no class."""
    assert len(order_classes(3, WS, 4)) == 6
