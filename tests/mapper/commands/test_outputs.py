"""Output files are complete or absent, and a place that cannot be written is found before the work."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from mapper.commands.outputs import open_outputs
from mapper.commands.problems import CommandError


def test_file_appears_only_when_finished(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    with ExitStack() as stack:
        output = open_outputs(stack, {"json": str(target), "plot": None})["json"]
        assert not target.exists()
        output.finish(lambda path: path.write_text("{}"))
        assert target.read_text() == "{}"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_a_failure(tmp_path: Path, problem: type[BaseException]) -> None:
    target = tmp_path / "report.json"
    with pytest.raises(problem), ExitStack() as stack:
        open_outputs(stack, {"json": str(target)})
        raise problem
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_survives_a_failed_write(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")

    def broken(path: Path) -> None:
        path.write_text("half")
        raise ValueError

    with pytest.raises(ValueError), ExitStack() as stack:
        open_outputs(stack, {"json": str(target)})["json"].finish(broken)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with ExitStack() as stack:
        open_outputs(stack, {"json": str(tmp_path / "link")})["json"].finish(lambda path: path.write_text("new"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_devices_are_written_directly() -> None:
    with ExitStack() as stack:
        open_outputs(stack, {"json": os.devnull})["json"].finish(lambda path: path.write_text("gone"))
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("missing/report.json", "no such file or directory"),
        (".", "is a directory"),
        ("file/report.json", "not a directory"),
    ],
)
def test_places_that_cannot_be_written(tmp_path: Path, path: str, says: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match=says), ExitStack() as stack:
        open_outputs(stack, {"json": str(tmp_path / path)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_second_output_that_fails_takes_the_first_with_it(tmp_path: Path) -> None:
    with pytest.raises(CommandError), ExitStack() as stack:
        open_outputs(stack, {"json": str(tmp_path / "a"), "trace": str(tmp_path / "no" / "b")})
    assert list(tmp_path.iterdir()) == []


def test_two_purposes_need_two_names(tmp_path: Path) -> None:
    same = str(tmp_path / "x.svg")
    with pytest.raises(CommandError, match="two names"), ExitStack() as stack:
        open_outputs(stack, {"json": same, "plot": same})


def test_formats_of_a_plot(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="must end with .png"), ExitStack() as stack:
        open_outputs(stack, {"plot": str(tmp_path / "plot.bmp")})


def test_a_pipe_is_written_under_the_name_given(tmp_path: Path) -> None:
    """/dev/fd/N resolves to "pipe:[123]", which is no path."""
    reader, writer = os.pipe()
    with ExitStack() as stack:
        open_outputs(stack, {"json": f"/dev/fd/{writer}"})["json"].finish(lambda path: path.write_text("through"))
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "through"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_full_disk_is_told_with_the_name() -> None:
    with pytest.raises(CommandError, match="/dev/full: cannot be written: no space left"), ExitStack() as stack:
        open_outputs(stack, {"json": "/dev/full"})["json"].finish(lambda path: path.write_text("x"))


def test_names_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, says in (("/", "directory"), ("", "needs the name"), (str(tmp_path / "loop"), "symbolic links")):
        with pytest.raises(CommandError, match=says), ExitStack() as stack:
            open_outputs(stack, {"json": name})


def test_inputs_survive(tmp_path: Path) -> None:
    """However the same file is named: by its path, by a link, by its folder."""
    model = tmp_path / "config.json"
    model.write_text("{}")
    (tmp_path / "link").symlink_to(model)
    for output, read in (("config.json", "config.json"), ("link", "config.json"), ("config.json", ".")):
        with pytest.raises(CommandError, match="is read by this command"), ExitStack() as stack:
            open_outputs(stack, {"json": str(tmp_path / output)}, [None, "gemmini", str(tmp_path / read)])
    assert model.read_text() == "{}"
