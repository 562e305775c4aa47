"""The wheel holds the packages with their data, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

PACKAGES = ("simulator", "mapper", "workloads", "hwconfigs")
DATA = {".yaml", ".yml", ".json", ".csv", ".html", ".css", ".js"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("wheel")
    # hatchling is called as the build front ends call it, in this environment: no network, no isolated environment.
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(target)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = target.glob("*.whl")
    return zipfile.ZipFile(path)


def sources(repository: Path, suffixes: set[str]) -> set[str]:
    return {
        path.relative_to(repository).as_posix()
        for package in PACKAGES
        for path in (repository / package).rglob("*")
        if path.suffix in suffixes and "__pycache__" not in path.parts
    }


def test_every_module_and_data_file_is_in_it(wheel: zipfile.ZipFile, repository: Path) -> None:
    missing = sources(repository, {".py", *DATA}) - set(wheel.namelist())
    assert missing == set()
    assert any(name.startswith("hwconfigs/energy/") and name.endswith(".yaml") for name in wheel.namelist())


def test_it_is_marked_as_typed(wheel: zipfile.ZipFile) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel.namelist())


def test_nothing_else_is_in_it(wheel: zipfile.ZipFile) -> None:
    tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    (info,) = {name for name in tops if name.endswith(".dist-info")}
    assert tops == {*PACKAGES, info}
    kinds = {PurePosixPath(name).suffix for name in wheel.namelist() if not name.startswith(info)}
    assert kinds <= {".py", ".typed", *DATA}


def test_metadata_licence_and_command(wheel: zipfile.ZipFile) -> None:
    (info,) = {PurePosixPath(name).parts[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["Name"] == "tilewright"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Apache License" in wheel.read(f"{info}/licenses/LICENSE").decode()
    assert "tilewright = mapper.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
