"""DRAM ranges in each other's way, and the overlaps that are none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwconfigs import load
from simulator.checks.dram_hazards import Access
from simulator.machine import count, simulate
from simulator.program import (
    Fence,
    HostTask,
    Item,
    MatmulLoop,
    Matrix,
    Mvin,
    Mvout,
    Program,
    ProgramError,
    Region,
)

TINY = load("tiny_4x4")


def loop(a: int, b: int, c: int, stride: int = 8, m: int = 4, k: int = 4, n: int = 4) -> MatmulLoop:
    return MatmulLoop(m, k, n, Matrix(a, stride), Matrix(b, stride), Matrix(c, stride))


def host(reads: Region | None, writes: Region | None) -> HostTask:
    return HostTask("gelu", 1, 1, (reads,) if reads else (), (writes,) if writes else ())


def transfers(source: int, target: int, tiles: int, step: int = 16) -> tuple[Item, ...]:
    """Tiles through the accumulator, each loaded and then stored."""
    return tuple(
        item
        for tile in range(tiles)
        for item in (
            Mvin(Matrix(source + tile * step, 4), 4, 4, "accumulator", 4 * tile),
            Mvout(Matrix(target + tile * step, 4), 4, 4, "accumulator", 4 * tile),
        )
    )


IN, OUT, OTHER = Region("in", 0x1000, 0x100), Region("out", 0x10C0, 0x100), Region("other", 0x1140, 0x100)

CLASHES: list[tuple[str, Program, str]] = [
    (
        "C over A",
        Program("p", (loop(0x1000, 0x2000, 0x1010),)),
        "item 0 (MatmulLoop): writes C over its own A, bytes 0x1010..0x101b; give C its own memory",
    ),
    (
        "C over B",
        Program("p", (Fence(), loop(0x1000, 0x2000, 0x1FE0, stride=16))),
        "item 1 (MatmulLoop): writes C over its own B",
    ),
    (
        "int32 C reaches A",
        Program("p", (replace(loop(0x1010, 0x2000, 0x1000, stride=64), c_full=True, n=5),)),
        "item 0 (MatmulLoop): writes C over its own A",
    ),
    (
        "C over the A of a later tile",
        Program("p", (loop(0x1000, 0x2000, 0x3000), loop(0x1100, 0x2000, 0x1000), loop(0x1000, 0x2010, 0x3100))),
        "item 1 (MatmulLoop): writes C over the A that item 2 still loads, bytes 0x1000..0x101b",
    ),
    (
        "C over B that every row of tiles loads",
        Program(
            "p",
            tuple(loop(0x1000 + 32 * i, 0x2000, 0x1FC0 + 32 * i) for i in range(4)),
        ),
        "item 2 (MatmulLoop): writes C over its own B",
    ),
    (
        "output region over an input that is still read",
        Program("p", transfers(0x1000, 0x10C0, 16), (IN, OUT)),
        "regions in 0x1000..0x10ff and out 0x10c0..0x11bf overlap while both are in use",
    ),
    (
        "two outputs",
        Program("p", (*transfers(0x4000, 0x10C0, 16), *transfers(0x4000, 0x1140, 16)), (OUT, OTHER)),
        "item 33 (Mvout): regions out 0x10c0..0x11bf and other 0x1140..0x123f overlap while both are in use",
    ),
    (
        "host tasks",
        Program("p", (host(IN, Region("x", 0x9000, 64)), host(None, OUT), host(IN, Region("y", 0x9100, 64)))),
        "item 1 (HostTask): regions in 0x1000..0x10ff and out 0x10c0..0x11bf overlap while both are in use: it writes "
        "bytes 0x10c0..0x10ff, which item 0 uses too; place the regions apart",
    ),
]


@pytest.mark.parametrize(("program", "message"), [case[1:] for case in CLASHES], ids=[case[0] for case in CLASHES])
def test_clashes(program: Program, message: str) -> None:
    for run in (simulate, count):
        with pytest.raises(ProgramError) as caught:
            run(program, TINY)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


A, B, C = 0x1000, 0x2000, 0x3000
LEGAL: list[tuple[str, Program]] = [
    ("the same product again and again", Program("p", (loop(A, B, C),) * 5)),
    ("a sum over tiles of k", Program("p", (replace(loop(A, B, C), c=None), replace(loop(A, B, C), accumulate=True)))),
    ("partial sums in place", Program("p", (replace(loop(A, B, C, 16), c_full=True, d=Matrix(C, 16)),) * 3)),
    ("a result read by the next product", Program("p", (loop(A, B, C), Fence(), loop(C, B, 0x4000)))),
    ("a result read without a fence", Program("p", (loop(A, B, C), loop(C, B, 0x4000)))),
    ("a layer back and forth, fenced", Program("p", (loop(A, B, C), Fence(), loop(C, B, A), Fence(), loop(A, B, C)))),
    (
        "heads side by side in one tensor",
        Program(
            "p",
            tuple(loop(A + 4 * h, B + 4 * h, C + 4 * h, 16) for h in range(4)),
            tuple(Region(f"{name}{h}", base + 4 * h, 52) for name, base in (("a", A), ("c", C)) for h in range(4)),
        ),
    ),
    ("C beside A in the same rows", Program("p", (loop(A, B, A + 4, 16, m=8), loop(A, B, A + 8, 16, m=8)))),
    ("element-wise in place", Program("p", transfers(A, A, 16), (Region("x", A, 256), Region("y", A, 256)))),
    (
        "rows appended to a cache",
        Program(
            "p",
            (loop(A, B, C + 32), Fence(), MatmulLoop(4, 4, 8, Matrix(A, 8), Matrix(C, 8), Matrix(0x5000, 8),
             b_transposed=True)),
            (Region("cache", C, 128), Region("new", C + 32, 32)),
        ),
    ),
    (
        "memory reused after its last read",
        Program("p", (*transfers(0x1000, 0x4000, 16), *transfers(0x5000, 0x10C0, 16)), (IN, OUT)),
    ),
    ("an overlap that nothing touches", Program("p", transfers(0x1000, 0x1100, 12), (IN, OUT))),
    (
        "two inputs that overlap",
        Program("p", (*transfers(0x1000, 0x4000, 16), *transfers(0x10C0, 0x5000, 16)), (IN, OUT)),
    ),
    ("a host kernel in place", Program("p", (host(IN, replace(IN, name="out")), host(replace(IN, name="out"), None)))),
]  # fmt: skip


@pytest.mark.parametrize("program", [case[1] for case in LEGAL], ids=[case[0] for case in LEGAL])
def test_no_clash(program: Program) -> None:
    assert count(program, TINY) is not None
    assert simulate(program, TINY).cycles > 0


ACCESS = st.builds(
    Access, st.just(0), st.just("x"), st.integers(0, 40), st.integers(1, 5), st.integers(1, 20), st.integers(1, 9),
    st.just(False),
)  # fmt: skip


def bytes_of(access: Access) -> set[int]:
    return {
        access.address + row * access.stride + column for row in range(access.rows) for column in range(access.width)
    }


@given(ACCESS, ACCESS)
def test_meets_is_sharing_a_byte(first: Access, second: Access) -> None:
    assert first.meets(second) == bool(bytes_of(first) & bytes_of(second))


@given(ACCESS, st.integers(0, 60), st.integers(1, 60))
def test_places_are_bytes_between(access: Access, start: int, length: int) -> None:
    expected = {place - start for place in bytes_of(access) if start <= place < start + length}
    assert set(access.places(start, start + length).tolist()) == expected
