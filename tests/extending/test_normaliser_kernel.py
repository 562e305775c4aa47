"""Extending's new kernel on the normaliser: an operator's file and one row of the table of kernels."""

from __future__ import annotations

from collections.abc import Callable

from tests.extending.conftest import Block, Copy


def test_one_row_puts_an_operator_on_the_normaliser(
    extending: Callable[[str], tuple[Block, ...]], packages: Copy
) -> None:
    operator, row, script = extending("A kernel on the normaliser")
    assert (operator.path, row.path) == ("workloads/ops/l2norm.py", "hwconfigs/kernels.py")
    assert row.text.count("Kernel(") == 1
    for block in (operator, row, script):
        packages.add(block)
    host, unit = (line.split() for line in packages.run(script.path).splitlines())
    assert (host[0], unit[0]) == ("host", "normaliser")
    assert int(unit[1]) < int(host[1]) / 10
    assert (int(host[2]), int(unit[2])) == (0, 64 * 128)
