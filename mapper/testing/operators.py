"""What every operator promises, as tests to subclass.

    from mapper.testing.operators import OperatorConformance

    class TestSwish(OperatorConformance):
        @pytest.fixture
        def operator(self) -> Operator:
            return Swish(...)

The tests evaluate `Operator.reference`, so an operator of a few thousand elements is large enough. Some of its
dimensions should be larger than one, and its windows, if it has any, should overlap and reach into the padding.
"""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from workloads import GraphError, Operator
from workloads.iteration_space import OperatorTile
from workloads.ops.operator import Array

PARTS = 3
"""Tiles that a dimension is cut into, if it has so many indices."""


class OperatorConformance:
    """Subclass it in a test file and give the fixture ``operator``."""

    @pytest.fixture
    def operator(self) -> Operator:
        """Return the operator to test."""
        raise NotImplementedError("give a fixture `operator` that returns the operator to test")

    @pytest.fixture
    def arrays(self, operator: Operator) -> tuple[Array, ...]:
        """Return random values for the inputs; give your own where only some values are allowed."""
        random = np.random.default_rng(0)
        return tuple(random.normal(size=tensor.shape) for tensor in operator.inputs)

    def test_the_reference_has_the_shape_of_the_output(self, operator: Operator, arrays: tuple[Array, ...]) -> None:
        """A reference leaves its inputs alone, too."""
        before = [array.copy() for array in arrays]
        assert operator.reference(*arrays).shape == operator.output.shape
        for array, copy in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(array, copy)

    def test_the_iteration_space_has_every_tensor(self, operator: Operator) -> None:
        """Operands are the operator's tensors in their order, and every index that is not padding lies inside."""
        space, whole = operator.iteration_space, operator.tile_for({})
        assert tuple(operand.tensor for operand in space.inputs) == operator.inputs
        assert space.output.tensor == operator.output
        assert whole.output.elements == operator.output.elements
        assert all(len(operand.axes) == len(operand.tensor.shape) for operand in (*space.inputs, space.output))
        assert set(space.complete) <= set(space.output.dims)
        assert space.sizes == {dim: len(indices) for dim, indices in whole.iterations.items()}

    def test_tiles_of_the_result_are_computed_from_their_operand_tiles(
        self, operator: Operator, arrays: tuple[Array, ...]
    ) -> None:
        """Every tile of a partition equals the whole result, when nothing but its operand tiles is known."""
        expected = operator.reference(*arrays)
        for result in partition(operator, PARTS):
            tile = operator.tile_for(result)
            computed = from_tile(operator, arrays, tile)
            np.testing.assert_allclose(computed, expected[np.ix_(*tile.output.indices)], rtol=1e-9, atol=1e-12)

    def test_tiles_of_the_result_cover_it_once(self, operator: Operator) -> None:
        """Tiles that share no index share no element."""
        covered = np.zeros(operator.output.shape, np.int64)
        for result in partition(operator, PARTS):
            covered[np.ix_(*operator.tile_for(result).output.indices)] += 1
        assert (covered == 1).all()

    def test_complete_dimensions_are_read_completely(self, operator: Operator) -> None:
        """A tile of one element runs over every complete and every reduced dimension."""
        space = operator.iteration_space
        tile = operator.tile_for({dim: range(1) for dim in space.output.dims})
        for dim in (*space.complete, *space.reduced):
            assert tile.iterations[dim] == range(space.sizes[dim])

    def test_tiles_outside_are_refused(self, operator: Operator) -> None:
        """Errors name the operator and the dimension."""
        dim = operator.iteration_space.output.dims[0]
        size = operator.iteration_space.sizes[dim]
        for wrong in (range(size + 1), range(-1, size), range(0), range(0, size + 1, 2)):
            with pytest.raises(GraphError, match=f"{operator.name}: tile {dim}="):
                operator.tile_for({dim: wrong})
        with pytest.raises(GraphError, match=f"{operator.name}: the result has no dimension 'no such dimension'"):
            operator.tile_for({"no such dimension": range(1)})

    def test_the_counts_are_plausible(self, operator: Operator) -> None:
        """Multiply-accumulates are two operations each; inputs are read at most once."""
        assert operator.flops >= 2 * operator.macs >= 0
        assert 0 < operator.bytes_read <= sum(tensor.bytes for tensor in operator.inputs)
        assert 0 < operator.bytes_written <= operator.output.bytes
        assert min(operator.dims.values()) >= 1 and operator.repeat >= 1

    def test_the_signature_ignores_the_name(self, operator: Operator) -> None:
        """Operators of equal cost share one mapping, whatever they are called."""
        assert hash(replace(operator, name="renamed").signature) == hash(operator.signature)
        assert replace(operator, name="renamed").signature == operator.signature

    def test_it_can_be_sent_to_another_process(self, operator: Operator) -> None:
        """Searches with several workers send operators."""
        copy: Operator = pickle.loads(pickle.dumps(operator))
        assert copy == operator
        assert copy.iteration_space == operator.iteration_space


def partition(operator: Operator, parts: int) -> Iterator[dict[str, range]]:
    """Yield tiles that together are the result, each dimension cut into up to ``parts`` ranges of about equal size."""
    space = operator.iteration_space
    cuts = {dim: _ranges(space.sizes[dim], parts) for dim in space.output.dims}
    for ranges in itertools.product(*cuts.values()):
        yield dict(zip(cuts, ranges, strict=True))


def from_tile(operator: Operator, arrays: Sequence[Array], tile: OperatorTile) -> Array:
    """Return the tile of the result, computed by the reference from arrays in which all else is not a number.

    The tile stays where it is in the whole, so that positions (of a mask, of a rotation) are those of the operator.
    """
    known = []
    for array, operand in zip(arrays, tile.inputs, strict=True):
        inside = np.ix_(*operand.indices)
        poisoned = np.full(array.shape, np.nan)
        poisoned[inside] = array[inside]
        known.append(poisoned)
    with np.errstate(all="ignore"):
        result: Array = operator.reference(*known)[np.ix_(*tile.output.indices)]
    return result


def _ranges(size: int, parts: int) -> list[range]:
    step = math.ceil(size / parts)
    return [range(start, min(start + step, size)) for start in range(0, size, step)]
