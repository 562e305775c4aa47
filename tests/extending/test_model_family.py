"""Extending's new model family: one file, its place among the families, and a preset of it."""

from __future__ import annotations

from collections.abc import Callable

from tests.extending.conftest import Block, Copy

LAYERS, CHANNELS, HIDDEN, SEQ = 28, 4096, 16384, 32


def test_one_file_is_a_family(extending: Callable[[str], tuple[Block, ...]], packages: Copy) -> None:
    """MACs of a prefill: four projections, two products of attention and two feed-forward layers."""
    family, entry, preset = extending("A model family")
    assert (family.path, preset.path) == ("workloads/models/gptj.py", "workloads/configs/gpt-j-6b.yaml")
    assert entry.text.count("\n") == 1
    for block in (family, entry, preset):
        packages.add(block)
    assert "gpt-j-6b" in packages.run("-m", "mapper.cli", "list")
    command = "import workloads; print(workloads.build('gpt-j-6b', seq={seq}, phase={phase!r}, context={context}).macs)"
    prefill = packages.run("-c", command.format(seq=SEQ, phase="prefill", context=None))
    weights = CHANNELS * (4 * CHANNELS + 2 * HIDDEN)
    assert int(prefill) == LAYERS * SEQ * (weights + 2 * SEQ * CHANNELS)
    decode = packages.run("-c", command.format(seq=None, phase="decode", context=SEQ - 1))
    assert int(decode) == LAYERS * (weights + 2 * SEQ * CHANNELS)
    report = packages.run(
        "-m", "mapper.cli", "run", "gpt-j-6b", "--phase", "decode", "--context", "7", "--finalists", "0"
    )
    assert "28 x 15 operators" in report
