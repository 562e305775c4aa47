"""Extending's new host operator: one file and one line, and the report tells where its cost comes from."""

from __future__ import annotations

from collections.abc import Callable

from tests.extending.conftest import Block, Copy


def test_one_file_and_one_line(extending: Callable[[str], tuple[Block, ...]], packages: Copy) -> None:
    """8,192 elements: the difference between 125 and 90 cycles each is all that the machine file changes."""
    operator, registered, script = extending("A host operator")
    assert (operator.path, registered.path) == ("workloads/ops/softcap.py", "workloads/ops/__init__.py")
    assert registered.text.count("\n") == 1
    for block in (operator, registered, script):
        packages.add(block)
    unnamed, named = packages.run(script.path).splitlines()
    told, _, cycles = unnamed.rpartition(" ")
    note = "on the host: no unit of this machine runs it"
    assert told == f"{note}; gemmini_ibert names no host.kernel_cycles.softcap: 125 per element, an estimate"
    silent, _, dearer = named.rpartition(" ")
    assert silent == note
    assert int(cycles) - int(dearer) == 64 * 128 * (125 - 90)
