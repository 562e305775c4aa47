"""The door of the command: it answers at once, in one line when something is wrong, and never with a traceback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hwconfigs
from mapper import cli
from mapper.commands.machine import overrides
from mapper.commands.problems import CommandError, explanation
from mapper.commands.requests import products
from mapper.version import __version__

HEAVY = {"numpy", "matplotlib", "simpy", "networkx", "pydantic", "yaml", "tqdm"}


def tilewright(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user would."""
    paths = os.pathsep.join([str(Path(cli.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "mapper.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": paths},
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["run"], ["run", "x", "--seq", "y"]]
)
def test_help_and_mistakes_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom mapper.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print('loaded', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded []\n")


def test_help_takes_little_cpu_time() -> None:
    """About 0.03 s were measured on a 2-core machine; the bound leaves room for a busy one. [s]"""
    code = "import resource; from mapper.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout.splitlines()[-1]) < 0.5


def test_help_shows_the_main_command() -> None:
    assert "tilewright run bert-base --hw gemmini_ibert --seq 512" in tilewright("--help").stdout


def test_version() -> None:
    assert tilewright("--version").stdout == f"tilewright {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: COMMAND"),
        (["rum"], "invalid choice: 'rum'"),
        (["run"], "required: MODEL"),
        (["run", "bert-base", "--seq", "many"], "invalid int value: 'many'"),
        (["run", "bert-base", "--objective", "speed"], "invalid choice: 'speed'"),
        (["run", "bert-base", "--phase", "training"], "invalid choice: 'training'"),
        (["run", "bert-base", "--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(arguments: list[str], says: str) -> None:
    done = tilewright(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert says in line


@pytest.mark.parametrize("arguments", [["run", "x" * 9000], ["run", "gpt2", "--seq", "y" * 9000], ["z" * 9000]])
def test_endless_texts_are_not_repeated_whole(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        cli.main(arguments)
    assert 0 < len(capsys.readouterr().err) < 800


def test_settings() -> None:
    assert overrides(["scratchpad.capacity=64 KiB", "l2 = null"]) == {"scratchpad.capacity": "64 KiB", "l2": "null"}
    assert overrides([]) is None


def test_settings_are_read_as_yaml_is() -> None:
    settings = ["array.size=8", "l2=null", "clock=1.5 GHz", "scratchpad.capacity=64 KiB"]
    spec = hwconfigs.load("gemmini", overrides(settings))
    assert (spec.array.rows, spec.l2, spec.clock_mhz, spec.scratchpad.capacity_bytes) == (8, None, 1500.0, 65536)


@pytest.mark.parametrize("settings", [["array.rows"], ["=8"], ["array.rows="], ["a=1", "a=2"]])
def test_settings_that_cannot_be_read(settings: list[str]) -> None:
    with pytest.raises(CommandError, match="--set"):
        overrides(settings)


def test_extents_of_a_matmul() -> None:
    assert products("512x768x64") == products("512X768×64") == (1, (512, 768, 64))
    assert products("12x512x64x512") == (12, (512, 64, 512))


@pytest.mark.parametrize(
    "shape", ["512x768", "0x1x1", "1x-2x3", "1x2x3x4x5", "0x1x2x3", "1x2x99999999999", "", "1.5x2x3"]
)
def test_impossible_extents(shape: str) -> None:
    with pytest.raises(CommandError, match="MxKxN"):
        products(shape)


def test_faults_of_the_program_are_not_explained_away() -> None:
    assert explanation(RuntimeError("a bug")) == []
    assert explanation(CommandError("one\ntwo")) == ["one", "two"]


def test_a_closed_pipe_is_no_error() -> None:
    root = Path(cli.__file__).parents[1]
    done = subprocess.run(
        f"{sys.executable} -m mapper.cli list | true",
        shell=True,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = line.replace("tilewright", f"{sys.executable} -m mapper.cli")
    root = Path(cli.__file__).parents[1]
    return subprocess.run(
        ["bash", "-c", command],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_closed_streams_swallow_what_is_printed() -> None:
    done = shell("tilewright list >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize("command", ["list", "--version"])
def test_a_full_disk_behind_the_screen(command: str) -> None:
    done = shell(f"tilewright {command} > /dev/full")
    assert (done.returncode, done.stderr) == (2, "tilewright: standard output: No space left on device\n")


def test_an_encoding_without_our_letters(tmp_path: Path) -> None:
    done = shell("tilewright map 64x64x64", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "?J" in done.stdout


@pytest.mark.parametrize("option", ["--json", "--energy", "--hw"])
def test_empty_names(option: str) -> None:
    done = tilewright("map", "16x16x16", option, "")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"{option}: must not be empty" in done.stderr
