"""The loop nest of one operator (later: of one fusion group) on the levels of a machine.

As in Timeloop and ZigZag a nest has, per memory level, the temporal loops above the next level's tile, the spatial
loops, and the tensors with a copy there. Gemmini's hardware loop (`mapper.mapping.hardware_loop`) is one shape of it:

    dram         [input weight output]
      for m in steps of 128            tiles of the scratchpad, in any order: one LOOP_WS call each
        for n in steps of 64
          for k in steps of 768
    scratchpad   [input weight], double-buffered
    accumulator  [output], double-buffered
            for k, for n, for m in steps of the array
    array        [weight]
              for m in steps of 1, spatial k over the rows, n over the columns
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mapper.errors import MappingError
from workloads.ops.matrices import MATRIX_AXES, MATRIX_DIMS, MatrixAxes

Tensor: TypeAlias = Literal["input", "weight", "output"]
"""Roles of a matmul's operands: A, B and C."""

DIMS: tuple[str, str, str] = MATRIX_DIMS
"""Dimensions of a matmul C[m, n] = sum over k of A[m, k] B[k, n]."""

OPERAND_AXES: Mapping[str, MatrixAxes] = dict(zip(("input", "weight", "output"), MATRIX_AXES, strict=True))
"""Dimensions that index each operand of a matmul, by its role."""


@dataclass(frozen=True, slots=True)
class TemporalLoop:
    """Walk ``dim`` in steps of ``tile`` elements; the last step may be smaller."""

    dim: str
    tile: int


@dataclass(frozen=True, slots=True)
class SpatialLoop:
    """Spread ``dim`` in ``size`` consecutive parts over one axis of the array; single elements if no loop is inside."""

    dim: str
    size: int
    axis: Literal["rows", "cols"]


@dataclass(frozen=True, slots=True)
class LevelMapping:
    """What happens at one memory level; loops outer to inner."""

    memory: str
    kept: frozenset[str] = frozenset()
    """Tensors with a copy at this level."""
    temporal: tuple[TemporalLoop, ...] = ()
    spatial: tuple[SpatialLoop, ...] = ()
    double_buffered: frozenset[str] = frozenset()
    """Tensors with two copies, one in use while the other is filled or drained."""
    held: frozenset[str] = frozenset()
    """Tensors whose tiles stay for the whole run: loaded the first time only."""


@dataclass(frozen=True, slots=True)
class LoopNest:
    """A loop nest for a problem on a machine; levels outermost first."""

    ops: tuple[str, ...]
    """Names of the operators that run together; one for now."""
    problem: tuple[tuple[str, int], ...]
    """Size of each dimension [elements]."""
    machine: str
    levels: tuple[LevelMapping, ...]

    def __post_init__(self) -> None:
        problem = dict(self.problem)
        for level in self.levels:
            for dim, size in [(loop.dim, loop.tile) for loop in level.temporal] + [
                (loop.dim, loop.size) for loop in level.spatial
            ]:
                if dim not in problem:
                    raise MappingError(
                        f"{level.memory}: unknown dimension {dim!r}; the problem has {', '.join(problem)}"
                    )
                if size < 1:
                    raise MappingError(f"{level.memory}: loop over {dim} in steps of {size}; must be at least 1")
            unknown = sorted((level.kept | level.double_buffered | level.held) - OPERAND_AXES.keys())
            if unknown:
                raise MappingError(f"{level.memory}: unknown tensors {unknown}; use {', '.join(OPERAND_AXES)}")

    @property
    def dims(self) -> dict[str, int]:
        """Problem size by dimension [elements]."""
        return dict(self.problem)

    def level(self, memory: str) -> LevelMapping:
        """Return the level of one memory."""
        for level in self.levels:
            if level.memory == memory:
                return level
        raise MappingError(f"mapping has no level {memory!r}; it has {', '.join(lv.memory for lv in self.levels)}")

    def loop_nest(self) -> str:
        """Return the nest as text, one loop per line, as Timeloop and ZigZag print it.

        Examples
        --------
        >>> from mapper.mapping.hardware_loop import HardwareLoop
        >>> loop = HardwareLoop(8, 48, 4, order="mnk")
        >>> print(loop.nest(("q",), {"m": 512, "k": 768, "n": 768}, "gemmini", 16).loop_nest())
        dram         [ input weight output ]
        | for m in [0:4)      step 128
        |   for n in [0:12)     step 64
        |     for k in [0:1)      step 768
        scratchpad   [ input weight ] double-buffered
        accumulator  [ output ] double-buffered
        |       for k in [0:48)     step 16
        |         for n in [0:4)      step 16
        |           for m in [0:8)      step 16
        array        [ weight ]
        |             for m in [0:16)     step 1
        |               for k in [0:16)     spatial rows
        |               for n in [0:16)     spatial cols
        """
        lines: list[str] = []
        extent = self.dims
        depth = 0
        for level in self.levels:
            lines.append(_heading(level))
            for loop in level.temporal:
                trips = -(-extent[loop.dim] // loop.tile)
                lines.append(f"| {'  ' * depth}for {loop.dim} in {_range(trips)}step {loop.tile}")
                extent[loop.dim] = min(loop.tile, extent[loop.dim])
                depth += 1
            for spread in level.spatial:
                lines.append(f"| {'  ' * depth}for {spread.dim} in {_range(spread.size)}spatial {spread.axis}")
        return "\n".join(lines)


def _range(trips: int) -> str:
    return f"[0:{trips})".ljust(11)


def _heading(level: LevelMapping) -> str:
    names = " ".join(name for name in OPERAND_AXES if name in level.kept)
    text = f"{level.memory:<12} [ {names} ]"
    if level.double_buffered:
        text += " double-buffered"
        if level.double_buffered != level.kept:
            text += ": " + " ".join(name for name in OPERAND_AXES if name in level.double_buffered)
    if level.held:
        text += " held: " + " ".join(name for name in OPERAND_AXES if name in level.held)
    return text
