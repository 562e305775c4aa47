"""How many bits a stored number takes: its own, and its share of what its block keeps beside (scales, zero points).

    bits = own + beside / block        Q4_K: 4 + 128 / 256 = 4.5        MXFP4: 4 + 8 / 32 = 4.25

A format is a storage format: what it saves is memory and traffic. Which units take which widths, a machine says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from hwconfigs.textfiles.reading import UnreadableFile, read_text
from workloads.errors import GraphError, nearest
from workloads.reading import parse


@dataclass(frozen=True, slots=True)
class StorageFormat:
    """Numbers in blocks that share extra data."""

    name: str
    own: int
    """Bits of one number."""
    block: int = 1
    """Numbers that share the extra data."""
    beside: Fraction = Fraction(0)
    """Bits that a block keeps beside its numbers."""

    def __post_init__(self) -> None:
        if self.own < 1 or self.block < 1 or self.beside < 0:
            raise GraphError(f"storage format {self.name}: bits and block must be at least 1, extra bits at least 0")

    @property
    def bits(self) -> Fraction:
        """Bits per number, exactly."""
        return self.own + self.beside / self.block

    def bytes(self, count: int) -> int:
        """Return what ``count`` numbers fill, whole blocks and whole bytes. [bytes]"""
        blocks = -(-count // self.block)
        return math.ceil((blocks * self.block * self.own + blocks * self.beside) / 8)


def _formats() -> Mapping[str, StorageFormat]:
    rows = (
        ("q4_0", 4, 32, Fraction(16)), ("q4_1", 4, 32, Fraction(32)), ("q8_0", 8, 32, Fraction(16)),
        ("q2_k", 2, 256, Fraction(16 * 8 + 32)), ("q4_k", 4, 256, Fraction(8 * 12 + 32)),
        ("q6_k", 6, 256, Fraction(16 * 8 + 16)), ("mxfp4", 4, 32, Fraction(8)), ("nvfp4", 4, 16, Fraction(8)),
        ("nf4", 4, 64, Fraction(32)), ("nf4_double", 4, 64, 8 + Fraction(32, 256)),
        ("int4_g128", 4, 128, Fraction(16 + 4)), ("int4_g128_fp16_zero", 4, 128, Fraction(16 + 16)),
        ("int4_g64_fp16_zero", 4, 64, Fraction(16 + 16)), ("fp8_block", 8, 128 * 128, Fraction(32)),
    )  # fmt: skip
    whole = (StorageFormat(f"int{bits}", bits) for bits in (1, 2, 3, 4, 5, 6, 7, 8))
    floats = (StorageFormat("bf16", 16), StorageFormat("fp16", 16), StorageFormat("fp32", 32), StorageFormat("fp8", 8))
    return MappingProxyType({one.name: one for one in (*(StorageFormat(*row) for row in rows), *whole, *floats)})


FORMATS: Mapping[str, StorageFormat] = _formats()
"""Block layouts as llama.cpp, the OCP microscaling formats, bitsandbytes, AWQ and DeepSeek's fp8 files have them."""


def storage_format(name: str) -> StorageFormat:
    """Return a format by name, of plain numbers by their bits, as in ``"4"``, or from a YAML file of its fields.

    Raises
    ------
    GraphError
        For a name that no format has, and a file that cannot be read or has other keys than ``own``, ``block`` and
        ``beside``.
    """
    if name.endswith((".yaml", ".yml")):
        return _from_file(name)
    if name.isdigit() and 1 <= int(name) <= 64:
        return StorageFormat(f"{name} bits", int(name))
    if name not in FORMATS:
        raise GraphError(f"storage format {name!r:.40} is unknown{nearest(name, FORMATS)} ({', '.join(FORMATS)})")
    return FORMATS[name]


def _from_file(path: str) -> StorageFormat:
    try:
        raw = parse(read_text(path), path)
    except UnreadableFile as error:
        raise GraphError(f"{path}: {error}") from error
    for key, value in raw.items():
        if key not in ("own", "block", "beside"):
            raise GraphError(f"{path}: {key}: a storage format has own, block and beside")
        if isinstance(value, bool) or not isinstance(value, int):
            raise GraphError(f"{path}: {key}={value!r:.40} must be a whole number of bits or of numbers in a block")
    if "own" not in raw:
        raise GraphError(f"{path}: own is missing, the bits of one number")
    sizes = {key: int(value) for key, value in raw.items() if isinstance(value, int)}
    return StorageFormat(path, sizes["own"], sizes.get("block", 1), Fraction(sizes.get("beside", 0)))


def per_head(own: int, head_dim: int, beside: int = 32) -> StorageFormat:
    """Return a format of cached keys and values with data of its own for each head and token: scale and zero point."""
    return StorageFormat(f"int{own} per head of {head_dim}", own, head_dim, Fraction(beside))


@dataclass(frozen=True, slots=True)
class SparseFormat:
    """Numbers of which only some are kept, with marks where they stood; what is computed stays the same."""

    name: str
    bits: Fraction
    """Bits per number before pruning, exactly: kept ones and marks."""
    note: str = "multiply-accumulates are unchanged: an array that does not skip zeros computes them all"

    def bytes(self, count: int) -> int:
        """Return what ``count`` numbers fill, pruned ones counted, in whole bytes. [bytes]"""
        return math.ceil(count * self.bits / 8)


def n_of_m(kept: int, group: int, own: int) -> SparseFormat:
    """Return the format that keeps ``kept`` numbers of ``own`` bits in every ``group``, each with its place.

    Raises
    ------
    GraphError
        For groups that are no power of two, and more kept numbers than there are.
    """
    if group < 2 or group & (group - 1) or not 1 <= kept <= group or own < 1:
        raise GraphError(f"{kept}:{group} of {own} bits: a group is a power of two from 2 on and keeps 1 to all of it")
    place = group.bit_length() - 1
    return SparseFormat(f"{kept}:{group} of {own} bits", Fraction(kept, group) * (own + place))


def bitmask(own: int, density: float | Fraction) -> SparseFormat:
    """Return the format that keeps a share ``density`` of numbers of ``own`` bits, and one bit for every number.

    Raises
    ------
    GraphError
        For a share outside 0..1.
    """
    if not 0 <= density <= 1 or own < 1:
        raise GraphError(f"bitmask of {own} bits: density={density} must lie in 0..1")
    kept = Fraction(density).limit_denominator(10**6)
    return SparseFormat(f"bitmask of {own} bits, {float(kept):.3g} kept", own * kept + 1)
