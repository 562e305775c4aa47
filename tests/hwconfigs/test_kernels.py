"""The table of kernels: its rows against brute force, and what machine files and energy tables may call a kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hwconfigs
from hwconfigs import SpecError, energy
from hwconfigs.kernel_arithmetic import identity
from hwconfigs.kernels import KERNELS, UNNAMED_HOST_CYCLES, Kernel, Site, Statistic, kernel_named

Row = list[float]
GEMMINI = (Path(hwconfigs.__file__).parent / "gemmini.yaml").read_text(encoding="utf-8")


def softmax(row: Row) -> Row:
    powers = [math.exp(x - max(row)) for x in row]
    return [power / sum(powers) for power in powers]


def layernorm(row: Row) -> Row:
    mean = sum(row) / len(row)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row))
    return [(x - mean) / deviation for x in row]


BRUTE_FORCE: dict[str, tuple[Callable[[Row], Row], float]] = {
    "softmax": (softmax, 0.003),
    "layernorm": (layernorm, 1e-12),
    "gelu": (lambda row: [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in row], 0.02),
    "relu": (lambda row: [max(x, 0.0) for x in row], 0.0),
    "silu": (lambda row: [x / (1.0 + math.exp(-x)) for x in row], 0.001),
}
"""What each kernel of a store means, and how far the unit's polynomials may be from it."""


@pytest.mark.parametrize(
    "kernel", [kernel for kernel in KERNELS if kernel.is_activation], ids=lambda kernel: kernel.name
)
def test_what_a_store_evaluates_is_what_the_kernel_means(kernel: Kernel) -> None:
    exact, tolerance = BRUTE_FORCE[kernel.name]
    rows = np.random.default_rng(5).normal(0.0, 3.0, (6, 40))
    assert kernel.reference is not None
    expected = np.array([exact(row.tolist()) for row in rows])
    assert np.abs(kernel.reference(rows) - expected).max() <= tolerance


def test_rows_say_what_the_machine_does() -> None:
    assert {kernel.name: kernel.passes for kernel in KERNELS if kernel.whole_rows} == {
        "softmax": 3, "layernorm": 3, "rmsnorm": 2,
    }  # fmt: skip
    assert {kernel.name for kernel in KERNELS if Site.EPILOGUE in kernel.sites} == {"gelu", "relu", "silu"}
    assert kernel_named("add").activation == "none"
    assert kernel_named("none").reference is identity
    assert len({kernel.name for kernel in KERNELS}) == len(KERNELS)


def test_a_kernel_without_a_row_runs_on_the_host_only() -> None:
    kernel = kernel_named("softcap")
    assert (kernel.sites, kernel.passes, kernel.activation, kernel.needs_unit) == (frozenset(), 1, "none", False)
    assert not hwconfigs.load("gemmini_ibert").evaluates(kernel)


@pytest.mark.parametrize(
    ("sites", "statistics", "words"),
    [
        ({Site.NORMALISER}, (), "if, and only if, it gathers statistics"),
        ({Site.ACCUMULATOR}, (Statistic.MEAN,), "if, and only if, it gathers statistics"),
        ({Site.EPILOGUE}, (), "it needs a reference"),
    ],
)
def test_rows_that_contradict_themselves(sites: set[Site], statistics: tuple[Statistic, ...], words: str) -> None:
    with pytest.raises(ValueError, match=f"kernel odd: .*{words}"):
        Kernel("odd", frozenset(sites), statistics=statistics)


def test_machines_evaluate_what_their_unit_lists_and_what_every_store_pipeline_has() -> None:
    names = ("softmax", "gelu", "rmsnorm", "relu", "add", "mul")
    lean, ibert = hwconfigs.load("gemmini"), hwconfigs.load("gemmini_ibert", {"vector.kernels": ["gelu", "rmsnorm"]})
    assert [name for name in names if lean.evaluates(kernel_named(name))] == ["relu", "add"]
    assert [name for name in names if ibert.evaluates(kernel_named(name))] == ["gelu", "relu", "add"]
    assert ibert.lists(kernel_named("rmsnorm"))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sofmax", "softmax"),
        ("softmaxx", "softmax"),
        ("Softmax", "softmax"),
        ("layer_norm", "layernorm"),
        ("layernrom", "layernorm"),
        ("quantize", "quantise"),
        ("gelo", "gelu"),
        ("softmacs", "softmax"),
        ("layermnrm", "layernorm"),
    ],
)
def test_misspelt_host_kernels_are_refused(tmp_path: Path, name: str, meant: str) -> None:
    with pytest.raises(SpecError, match=f"override: host.kernel_cycles.{name}: .* did you mean '{meant}'"):
        hwconfigs.load("gemmini", {f"host.kernel_cycles.{name}": 9})
    file = tmp_path / "mine.yaml"
    file.write_text(GEMMINI.replace("    rope: 20\n", f"    rope: 20\n    {name}: 9\n"), encoding="utf-8")
    line = next(n for n, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if f" {name}: 9" in text)
    with pytest.raises(SpecError, match=f"mine.yaml:{line}: host.kernel_cycles.{name}: '{name}' is not known"):
        hwconfigs.load(file)


@pytest.mark.parametrize("name", ["softcap", "softmin", "maxpool2d", "logsoftmax", "groupnorm", "gather", "arg_sort"])
def test_new_host_kernels_are_accepted(name: str) -> None:
    spec = hwconfigs.load("gemmini", {f"host.kernel_cycles.{name}": 9})
    assert spec.host.cycles_per_element(name) == 9
    assert spec.host.names(name)
    assert spec.fingerprint != hwconfigs.load("gemmini").fingerprint


def test_a_name_must_be_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GEMMINI.replace("    rope: 20\n", "    rope: 20\n    soft cap: 9\n"), encoding="utf-8")
    with pytest.raises(SpecError, match="'soft cap' is no name of a kernel"):
        hwconfigs.load(file)


def test_a_machine_need_not_name_every_kernel(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GEMMINI.replace("    rope: 20\n", ""), encoding="utf-8")
    spec = hwconfigs.load(file)
    assert not spec.host.names("rope")
    assert spec.host.cycles_per_element("rope") == UNNAMED_HOST_CYCLES
    assert spec.host.cycles_per_element("add") == 16


@pytest.mark.parametrize(
    ("name", "words"), [("sofmax", "did you mean 'softmax'"), ("rope", "allowed: gelu, layernorm")]
)
def test_units_have_kernels_of_the_table_only(name: str, words: str) -> None:
    with pytest.raises(SpecError, match=rf"vector.kernels\[0\]: '{name}' is not known; {words}"):
        hwconfigs.load("gemmini_ibert", {"vector.kernels": [name]})


def test_an_energy_table_need_not_name_a_kernel_whose_row_counts_its_operations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two multiplies and an addition, at the prices of the table and its scale for vector kernels."""
    monkeypatch.setattr(energy, "KERNELS", (*KERNELS, Kernel("swirl", needs_unit=True, operations=(2, 1))))
    table = hwconfigs.load_energy("cacti_22nm")
    model = table.bind(hwconfigs.load("gemmini"))
    once = 2 * table.arithmetic.int32_multiply.pj + table.arithmetic.int32_add.pj
    assert model.pj["vector", "swirl"] == pytest.approx(once * table.sfu_energy_scale.value)
    assert "row of hwconfigs.kernels" in model.source["vector", "swirl"]


def test_an_energy_table_must_name_the_other_kernels_of_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "KERNELS", (*KERNELS, Kernel("swirl", needs_unit=True)))
    with pytest.raises(SpecError, match="vector: missing: swirl"):
        hwconfigs.load_energy("cacti_22nm")
    file = tmp_path / "mine.yaml"
    text = "extends: cacti_22nm\ndescription: d\nsource: s\nvector:\n  requantize: "
    file.write_text(text + "{int32_multiplies: 1, int32_adds: 1, source: x, evidence: chosen}\n", encoding="utf-8")
    with pytest.raises(SpecError, match="vector.requantize: 'requantize' is not known; did you mean 'requantise'"):
        hwconfigs.load_energy(file)


@pytest.mark.parametrize("name", ["matmul", "conv2d"])
def test_a_host_kernel_that_would_have_no_effect_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=f"host.kernel_cycles.{name}: '{name}' runs on the array, never on the host"):
        hwconfigs.load("gemmini", {f"host.kernel_cycles.{name}": 9})
