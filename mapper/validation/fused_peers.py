"""Points that a peer tool found for fused groups, and ours under the same rules on the same machine.

A point is gated if the machine could run it: rows whole where they are normalised, no partial sum outside the
accumulator. The others are compared under relaxed rules. AccelForge's files name tensors and dimensions by letters;
heads (``H``) of an attention core run one after another and multiply its costs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwconfigs.textfiles.reading import MOST_JSON_BYTES, UnreadableFile, read_text
from hwconfigs.textfiles.strict_json import parse_json
from mapper.cost.objective import OBJECTIVES
from mapper.errors import MappingError
from mapper.fused.cut import LARGEST_GROUP, Cut, FusedCutSearch
from mapper.fused.einsum import Access, Einsum, FusedGraph
from mapper.fused.flat_machine import FlatMachine
from mapper.fused.rules import Rules
from mapper.validation.peers import flat_machine

BLOCK = "encoder block"
"""Group of the points whose einsums are those of `block_graph`, whatever they list."""

PRINTED = 5e-5
"""Half of the last digit with which energies are printed. [uJ]"""

_PRODUCT = r"(\w+)\[([\w,]+)\]\s*=\s*(\w+)\[([\w,]+)\]\s*\*\s*(\w+)\[([\w,]+)\]"
_ROWWISE = r"(\w+)\[([\w,]+)\]\s*=\s*f\((\w+)\[([\w,]+)\]\)"


class PeerPoint(BaseModel):
    """One result of the peer; fields that are not needed are not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    group: str
    einsums: tuple[str, ...]
    dims: Mapping[str, Annotated[int, Field(ge=1)]]
    scratchpad_KiB: Annotated[float, Field(gt=0)]
    accumulator_KiB: Annotated[float, Field(gt=0)] = 64
    objective: str = "edp"
    fusion: str = ""
    energy_uJ: float | None = None
    cycles: int | None = None
    dram_bytes: int | None = None
    softmax_row_complete: bool | None = None
    int8_partial_sums: tuple[str, ...] | None = ()
    partial_sums_outside_accumulator: str = ""
    cpu_s: float | None = None
    error: str | None = None
    mapping: tuple[str, ...] = ()
    intermediates_never_in_dram: tuple[str, ...] = ()
    capacity_used: Mapping[str, float] = {}

    @property
    def gated(self) -> bool:
        """Whether the machine could run it."""
        return self.softmax_row_complete is not False and not self.int8_partial_sums

    @property
    def rules(self) -> Rules:
        """What its mapping may do."""
        if self.gated:
            return Rules()
        narrow = not self.partial_sums_outside_accumulator.startswith("forbidden")
        return Rules(rows_may_be_cut=True, narrow_sums=narrow)

    @property
    def largest_group(self) -> int:
        """Operators that may run fused."""
        return 1 if self.fusion.startswith("none") else max(LARGEST_GROUP, len(self.einsums))

    @property
    def heads(self) -> int:
        """Equal groups one after another; the einsums of a block have the heads themselves."""
        return 1 if self.group == BLOCK else self.dims.get("H", 1)

    def skipped(self) -> str | None:
        """Return why it cannot be compared; None if it can."""
        if self.error is not None or self.energy_uJ is None or self.cycles is None:
            return f"the peer has no result: {self.error or 'no figures'}"
        if self.objective not in OBJECTIVES:
            return f"unknown objective {self.objective!r}"
        try:
            self.graph()
        except MappingError as problem:
            return f"unknown kind: {problem}"
        return None

    def graph(self) -> FusedGraph:
        """Return what it computes; a `MappingError` for einsums of another form."""
        sizes = {name.lower(): size for name, size in self.dims.items()}
        if self.group == BLOCK:
            return block_graph(sizes)
        operators = tuple(_einsum(text) for text in self.einsums)
        return FusedGraph(self.id, sizes, operators)

    def machine(self) -> FlatMachine:
        """Return the peers' machine with the point's memories."""
        return peers_machine(self.scratchpad_KiB, self.accumulator_KiB)


@dataclass(frozen=True)
class PeerComparison:
    """A point and ours."""

    point: PeerPoint
    cut: Cut
    proved: bool
    cpu_s: float

    @property
    def energy_uj(self) -> float:
        """Of all heads."""
        return self.cut.energy_pj * 1e-6 * self.point.heads

    @property
    def cycles(self) -> int:
        return self.cut.cycles * self.point.heads

    @property
    def dram_bytes(self) -> int:
        return self.cut.dram_words * self.point.heads

    @property
    def edp_ratio(self) -> float:
        """EDP of ours over theirs."""
        assert self.point.energy_uJ is not None
        assert self.point.cycles is not None
        return self.energy_uj * self.cycles / (self.point.energy_uJ * self.point.cycles)

    @property
    def lost(self) -> bool:
        """Whether ours is worse in EDP than what their printed digits allow."""
        assert self.point.energy_uJ is not None
        assert self.point.cycles is not None
        return self.energy_uj * self.cycles > (self.point.energy_uJ + PRINTED) * self.point.cycles


def peers_machine(scratchpad_kib: float, accumulator_kib: float) -> FlatMachine:
    """Return the machine of the peers' measurements with other memories."""
    machine = FlatMachine.of(flat_machine())
    return machine.resized(scratchpad=int(scratchpad_kib * 1024), accumulator=int(accumulator_kib * 256))


def compare(point: PeerPoint) -> PeerComparison:
    """Search what a point computes under its rules."""
    start = time.process_time()
    (objective,) = (name for name in OBJECTIVES if name == point.objective)
    result = FusedCutSearch(point.graph(), point.machine(), point.rules).run(objective, point.largest_group)
    cpu_s = time.process_time() - start
    return PeerComparison(point, result.cuts[0], result.status == "optimal", cpu_s)


def read_points(path: Path) -> list[PeerPoint]:
    """Read a file of points.

    Raises
    ------
    MappingError
        When it cannot be read or has another form.
    """
    try:
        document = parse_json(read_text(path, MOST_JSON_BYTES))
    except UnreadableFile as error:
        raise MappingError(f"{path}: cannot read the points: {error}") from error
    entries = document.get("points") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise MappingError(f"{path}: points: missing")
    points = []
    for number, entry in enumerate(entries):
        try:
            points.append(PeerPoint.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, ("points", number, *first["loc"])))
            raise MappingError(f"{path}: {where}: {first['msg']}") from error
    return points


def _einsum(text: str) -> Einsum:
    """``QK[m,p]=Q[m,e]*K[p,e]``, or ``S[m,p]=f(QK[m,p])``: a softmax along its last dimension."""
    if match := re.fullmatch(_PRODUCT, text.strip()):
        output, moving, stationary = (_access(*match.groups()[at : at + 2]) for at in (0, 2, 4))
        return Einsum(output.tensor, (moving, stationary), output)
    if match := re.fullmatch(_ROWWISE, text.strip()):
        output, operand = _access(*match.groups()[:2]), _access(*match.groups()[2:])
        return Einsum(output.tensor, (operand,), output, False, frozenset(output.dims[-1:]))
    raise MappingError(f"einsum {text!r} is neither a product of two tensors nor a function of one")


def _access(tensor: str, dims: str) -> Access:
    return Access(tensor, tuple(dims.split(",")))


BLOCK_EINSUMS = (
    "Q[m,h,e]=I[m,d]*WQ[d,h,e]",
    "K[p,h,e]=I[p,d]*WK[d,h,e]",
    "V[p,h,f]=I[p,d]*WV[d,h,f]",
    "QK[h,m,p]=Q[m,h,e]*K[p,h,e]",
    "S[h,m,p]=f(QK[h,m,p])",
    "AV[m,h,f]=S[h,m,p]*V[p,h,f]",
    "Z[m,g]=AV[m,h,f]*WZ[h,f,g]",
    "FFA[m,c]=Z[m,g]*WA[g,c]",
    "FFB[m,j]=FFA[m,c]*WB[c,j]",
)
"""Einsums of the peers' encoder block: no residual additions, no layer norms, no activation."""


def block_graph(sizes: Mapping[str, int]) -> FusedGraph:
    """Return the peers' encoder block."""
    return FusedGraph("encoder block", dict(sizes), tuple(_einsum(text) for text in BLOCK_EINSUMS))
