"""YAML traps: what PyYAML would read silently wrong, and files that are broken."""

from __future__ import annotations

import math

import pytest

from hwconfigs.textfiles.strict_yaml import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e3", 1000.0),
        ("1.5e-2", 0.015),
        (".5", 0.5),
        ("12", 12),
        ("-7", -7),
        ("017", 17),  # YAML 1.1 would read octal 15
        ("0o17", 15),
        ("0x1F", 31),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        (".inf", math.inf),
        ("no", "no"),  # YAML 1.1: False
        ("Yes", "Yes"),
        ("on", "on"),
        ("True", "True"),
        ("12:30", "12:30"),  # YAML 1.1: 750
        ("1:2:3", "1:2:3"),
        ("1_000", "1_000"),  # YAML 1.1: 1000
        ("2026-11-20", "2026-11-20"),  # YAML 1.1: a date
        ("256 KiB", "256 KiB"),
        ('"16"', "16"),
        ("!!str 16", "16"),
    ],
)
def test_scalars(text: str, expected: object) -> None:
    document = parse(f"key: {text}", "t.yaml")
    assert document.problems == []
    assert isinstance(document.data, dict)
    value = document.data["key"]
    assert value == expected
    assert type(value) is type(expected)


def test_repeated_key_names_both_lines() -> None:
    document = parse("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "t.yaml")
    assert document.problems == ["t.yaml:5: b.c: repeated key; it was already given in line 3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x 1\nb: *x\n", "t.yaml:1: b: anchors and aliases"),
        ("a: !!python/object/apply:os.system [ls]\n", "not allowed; configs are plain data"),
        ("a: !!binary aGk=\n", "not allowed"),
        ("a: !!int twelve\n", "'twelve' is not a int"),
        ("true: 1\n", "the key true is not a name"),
        ("8: 1\n", "the key 8 is not a name"),
        ("? [a, b]\n: 1\n", "the key a collection is not a name"),
        ("a: [1, 2\n", "is the file complete?"),
        ('a: "open\n', "is the file complete?"),
        ("a: 1\n b: 2\n", "t.yaml:2"),
        ("a: 1\n---\nb: 2\n", "not readable as YAML"),
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("a: \x00", "not readable as YAML"),
        ("a: " + "[" * 5000, "not readable as YAML"),
    ],
)
def test_refused(text: str, words: str) -> None:
    document = parse(text, "t.yaml")
    assert words in "\n".join(document.problems)


def test_merge_keys_are_refused() -> None:
    assert parse("<<: {a: 1}\n", "t.yaml").problems == ["t.yaml:1: merge keys are not allowed; write the values out"]


def test_all_problems_are_collected() -> None:
    document = parse("a: 1\na: 2\nb: 1\nb: 2\nc: !!set {}\n", "t.yaml")
    assert len(document.problems) == 3


def test_where_falls_back_to_the_enclosing_line() -> None:
    document = parse("a:\n  b: [1, 2]\n", "t.yaml")
    assert document.where("a.b[1]") == "t.yaml:2"
    assert document.where("a.missing") == "t.yaml:1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "a: 0x" + "f" * 5000 + "\n",
            "t.yaml:1: a: a number of 5,002 digits, 0xffffffffff..., is more",
        ),
        ("a: " + "9" * 5000 + "\n", "a number of 5,000 digits"),
        ('a:\n- "\\ud800"\n', "t.yaml:2: a[0]: holds half of a character"),
        ('"\\udc00": 1\n', "t.yaml:1: holds half of a character"),
        ("[" + "1," * 20_000 + "1]", "t.yaml: more than 20,000 values"),
        ("# only\n# comments\n", "t.yaml: the file is empty: it holds nothing but comments"),
        ("", "t.yaml: the file is empty: it holds nothing"),
    ],
)
def test_what_no_reader_could_use(text: str, says: str) -> None:
    (problem,) = parse(text, "t.yaml").problems
    assert says in problem
