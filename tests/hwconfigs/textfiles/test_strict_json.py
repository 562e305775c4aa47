"""JSON, read strictly: what is refused, and that the complaint says where."""

from __future__ import annotations

import pytest

from hwconfigs.textfiles.reading import UnreadableFile
from hwconfigs.textfiles.strict_json import parse_json


def test_plain_data() -> None:
    text = '{"a": [1, 2.5, -3e2, null, true], "\\ud83d\\ude00": {"Infinity": "NaN"}}'
    assert parse_json(text) == {"a": [1, 2.5, -300.0, None, True], "😀": {"Infinity": "NaN"}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{\n"a": 1,\n"theta"\n : Infinity}', "line 4: theta: Infinity is no number"),
        ('{"NaN": "Infinity \\" NaN", "b": [1, -Infinity]}', "line 1: b: -Infinity is no number"),
        ("NaN", "line 1: NaN is no number"),
        ('{"a": 1, "b": {"c": 2, "c": 3}}', "key 'c' is given twice"),
        ('{"a": ' + "9" * 5000 + "}", "a number of 5,000 digits, 999999999999..., is more than can be read"),
        ('{"a": 1e999}', "the number 1e999 is more than can be read"),
        ('{"a": {"name": ["x", "\\ud800"]}}', "a.name[1]: holds half of a character"),
        ('{"\\udc80": 1}', "'\\udc80': holds half of a character"),
        ('"\\ud800"', "the text: holds half of a character"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": {"hidden', "line 1: not valid JSON, perhaps truncated"),
        ("", "not valid JSON"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        parse_json(text)
    assert says in str(caught.value)
