"""Compiled code that cannot be read, or kept, costs a warning and the time to compile; the results are the same."""

from __future__ import annotations

import importlib.util
import resource
from pathlib import Path
from types import ModuleType

import pytest

from simulator.memory import code_cache
from simulator.memory.code_cache import CompiledCodeWarning
from simulator.memory.compiled import compile_functions

CODE = "def double(x):\n    return 2 * x\n\n\ndef total(x):\n    return double(x) + 1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the machine code of a module lies after its first use."""
    (tmp_path / "recurrence.py").write_text(CODE, encoding="utf-8")
    assert fresh(tmp_path, monkeypatch).total(20) == 41
    assert len(list((tmp_path / "__pycache__").glob("*.nb[ci]"))) == 4
    return tmp_path


def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as another process would find it."""
    monkeypatch.setattr(code_cache, "_warned", False)
    specification = importlib.util.spec_from_file_location("recurrence", folder / "recurrence.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    compile_functions(module)
    return module


def test_what_was_kept_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = fresh(folder, monkeypatch)
    assert module.total(20) == 41
    assert sum(module.total.stats.cache_hits.values()) == 1


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"\x80", b"not a pickle", bytes(3000)])
def test_damaged_code_is_compiled_again_and_replaced(
    folder: Path, ending: str, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (folder / "__pycache__").glob(f"*.{ending}"):
        file.write_bytes(damage)
    with pytest.warns(CompiledCodeWarning, match="compiled code cannot be read") as told:
        assert fresh(folder, monkeypatch).total(20) == 41
    assert len(told) == 1
    module = fresh(folder, monkeypatch)
    assert module.total(20) == 41
    assert sum(module.total.stats.cache_hits.values()) == 1


def test_a_file_cut_short(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (folder / "__pycache__").glob("*.nb[ci]"):
        file.write_bytes(file.read_bytes()[:-7])
    with pytest.warns(CompiledCodeWarning, match="cannot be read"):
        assert fresh(folder, monkeypatch).total(20) == 41


def test_a_changed_bit_in_the_machine_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as it is, such code may end the process or compute something else."""
    for file in (folder / "__pycache__").glob("*.nbc"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
    with pytest.warns(CompiledCodeWarning, match="cannot be read .DamagedCode."):
        assert fresh(folder, monkeypatch).total(20) == 41


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files must not grow beyond ten bytes, which refuses the code as a full disk does."""
    for file in (folder / "__pycache__").glob("*.nb[ci]"):
        file.unlink()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    module = fresh(folder, monkeypatch)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.warns(CompiledCodeWarning, match="cannot be kept .File too large.; going on without"):
            result = module.total(20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result == 41
    assert list((folder / "__pycache__").glob("*.nb[ci]")) == []


def test_no_folder_to_write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = fresh(folder, monkeypatch)
    for file in (folder / "__pycache__").iterdir():
        file.unlink()
    (folder / "__pycache__").rmdir()
    (folder / "__pycache__").write_text("a file in the place of the folder", encoding="utf-8")
    with pytest.warns(CompiledCodeWarning, match="compiled code cannot be"):
        assert module.total(20) == 41
    assert fresh(folder, monkeypatch).total(20) == 41  # no warning: there is nowhere to keep it from the start
