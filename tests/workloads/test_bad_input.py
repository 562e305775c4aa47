"""Every wrong request is a GraphError of one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import workloads
from workloads import Bits, GraphError, OpGraph, Tensor, matmul
from workloads.ops import Relu

TINY = {"family": "gpt", "layers": 2, "d_model": 12, "heads": 3, "d_ffn": 20}
DECODE = {"phase": "decode"}


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("bert-bse", {"seq": 8}, "unknown model 'bert-bse'; did you mean 'bert-base'"),
        ("", {"seq": 8}, "unknown model ''"),
        ("8x8x8", {}, "'8x8x8' is no model but a product: map takes those"),
        ("qqqq", {"seq": 8}, r"unknown model 'qqqq' \(available: bert-base, "),
        (17, {"seq": 8}, "must be a name, a path or a mapping, not int"),
        ("bert-base", {}, "prefill needs seq"),
        ("bert-base", {"seq": 0}, "seq=0 must be a whole number in 1"),
        ("bert-base", {"seq": -4}, "seq=-4"),
        ("bert-base", {"seq": 12.5}, "seq=12.5"),
        ("bert-base", {"seq": "128"}, "seq='128'"),
        ("bert-base", {"seq": True}, "seq=True"),
        ("bert-base", {"seq": 2**40}, "seq=1099511627776"),
        ("bert-base", {"seq": 8, "batch": 0}, "batch=0"),
        ("bert-base", {"seq": 8, "heads": 7}, "d_model=768 is not a multiple of heads=7; give head_dim"),
        ("bert-base", {"seq": 8, "heads": 0}, "heads=0"),
        ("llama-3-8b", {"seq": 8, "heads": 12}, "heads=12 must be a multiple of kv_heads=8"),
        ("bert-base", {"seq": 8, "phase": "decod"}, "phase 'decod' is unknown; .*did you mean 'decode'"),
        ("bert-base", {**DECODE, "context": 8}, "family bert has no decode phase"),
        ("bert-base", {"seq": 8, "context": 8}, "keeps no cache"),
        ("gpt2", DECODE, "decode needs context"),
        ("gpt2", {**DECODE, "context": -1}, "context=-1"),
        ("gpt2", {**DECODE, "context": 8, "seq": 512}, "seq=512 must be left out"),
        ("resnet50", {"seq": 8}, "images have no sequence"),
        ("resnet50", {"heads": 8}, "heads: unknown key"),
        ("gpt2", {"seq": 1025, "strict_positions": True}, "1025 positions exceed max_positions=1024"),
        ("gpt2", {**DECODE, "context": 1024, "strict_positions": True}, "1025 positions exceed"),
        ("gpt2", {"seq": 8, "overrides": {"layer": 3}}, "layer: unknown key; did you mean 'layers'"),
        ("gpt2", {"seq": 8, "overrides": {"layers": "3"}}, "layers='3': input should be a valid integer"),
        ("gpt2", {"seq": 8, "overrides": {"activation": "tanh"}}, "activation='tanh'"),
        ("gpt2", {"seq": 8, "overrides": {"family": "gpd"}}, "family 'gpd' is unknown .*did you mean 'gpt'"),
        ("gpt2", {"seq": 8, "bits": 8}, "bits must be a workloads.Bits, not int"),
        ("gpt2", {"seq": 8, "bits": Bits(tensors={"score": 4})}, "no tensor 'score'; did you mean 'scores'"),
        ({**TINY, "d_ffn": None}, {"seq": 8}, "d_ffn=None"),
        ({"family": "gpt"}, {"seq": 8}, "layers: missing\n.*d_model: missing\n.*heads: missing\n.*d_ffn: missing"),
        ({"layers": 3}, {"seq": 8}, "model: family: missing; one of bert, gpt"),
    ],
)
def test_bad_request(model: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        workloads.build(model, **arguments)
    assert str(caught.value).count("\n") == message.count("\n")


def test_longer_than_the_model_is_allowed_unless_strict() -> None:
    graph = workloads.build("bert-base", seq=4096)
    assert graph.config["max_positions"] == 512


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", '{"model_type": "bert", "hidden_si', "line 1: not valid JSON, perhaps truncated"),
        ("config.json", "", "not valid JSON"),
        ("config.json", "[1, 2]", "must hold one object with text keys, not list"),
        ("config.json", '{"a": ' + "9" * 5000 + "}", "a number of 5,000 digits"),
        ("config.json", "[" * 100_000, "nested too deeply"),
        ("model.yaml", "family: gpt\nlayers: [2", "model.yaml:2: not readable as YAML"),
        (
            "model.yaml",
            "family: gpt\nfamily: bert",
            "family: repeated key; it was already given in line 1",
        ),
        ("model.yaml", "!!python/object/apply:os.system ['true']", "the tag .* is not allowed; configs are plain data"),
        ("model.yaml", "family: &x gpt\nname: *x", "model.yaml:1: name: anchors and aliases are not allowed"),
        ("model.yaml", "family: gpt\n<<: {layers: 2}", "model.yaml:2: merge keys are not allowed"),
        ("model.yaml", "family: no", "family 'no' is unknown"),
        ("model.yaml", "family: 2024-01-01", "family '2024-01-01' is unknown"),
        ("model.yaml", "family: {a: 1, a: 2}", "family.a: repeated key"),
        ("config.json", '{"a": 1, "a": 2}', "config.json: key 'a' is given twice"),
        ("config.json", '{"b": {"a": 1, "a": 2}}', "config.json: key 'a' is given twice"),
        (
            "config.json",
            '{"model_type": "llama", "hidden_size": NaN}',
            "hidden_size=nan must be a positive whole number",
        ),
        ("config.json", '{"model_type": "' + "x" * 5000 + '"}', "model_type 'xxxxx.{60} is not supported"),
        ("model.yaml", "", "the file is empty: it holds nothing"),
        ("model.yaml", "1: 2", "the key 1 is not a name"),
    ],
)
def test_bad_file(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    with pytest.raises(GraphError, match=message) as caught:
        workloads.build(path, seq=8)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="cannot read the model: No such file"):
        workloads.build("missing.json", seq=8)
    with pytest.raises(GraphError, match=r"config\.json: cannot read the model"):
        workloads.build(tmp_path, seq=8)
    with pytest.raises(GraphError, match="cannot read the model"):
        workloads.build("a\0b.json", seq=8)
    binary = tmp_path / "config.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GraphError, match="not a UTF-8 text file"):
        workloads.build(binary, seq=8)


def test_own_keys_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nsource: me\nfamily: gpt\nlayers: 2\nd_model: 12\nheads: 3\nd_ffn: 20\n", "utf-8")
    assert workloads.build(path, seq=8).operators == workloads.build(TINY, seq=8).operators


@pytest.mark.parametrize("wrong", [0, 65, 8.0, True, "8"])
def test_bad_width(wrong: Any) -> None:
    with pytest.raises(GraphError, match="weight="):
        Bits(weight=wrong)
    with pytest.raises(GraphError, match="tensors"):
        Bits(tensors={"q": wrong})


@pytest.mark.parametrize("tokens", [0, -1, 1.5, True])
def test_bad_generation_length(tokens: Any) -> None:
    with pytest.raises(GraphError, match="tokens="):
        workloads.generation_totals("gpt2", tokens=tokens)


def test_unknown_convention_and_operator() -> None:
    graph = workloads.build("bert-base", seq=8)
    with pytest.raises(GraphError, match="convention 'papers' is unknown"):
        graph.totals("papers")  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="no operator 'score'; did you mean 'scores'"):
        graph.operator("score")


def test_impossible_graphs() -> None:
    x, y = (Tensor(name, (2, 2), ("r", "c")) for name in "xy")
    forth = Relu(name="forth", inputs=(x,), output=y, rows=2, cols=2)
    back = Relu(name="back", inputs=(y,), output=x, rows=2, cols=2)
    with pytest.raises(GraphError, match="form a cycle"):
        OpGraph("loop", (forth, back))
    with pytest.raises(GraphError, match="two operators are called 'forth'"):
        OpGraph("twice", (forth, forth))
    with pytest.raises(GraphError, match="'forth' and 'again' both write 'y'"):
        OpGraph("writers", (forth, Relu(name="again", inputs=(x,), output=y, rows=2, cols=2)))
    with pytest.raises(GraphError, match="tensor 'y' is"):
        OpGraph("shapes", (forth, matmul("z", 4, 1, 1, a=Tensor("y", (4,), ("r",)))))
    with pytest.raises(GraphError, match="nothing writes 'new'"):
        OpGraph("append", (forth,), appends={"x": "new"})


@pytest.mark.parametrize(
    ("extents", "says"),
    [
        ((1.5, 1, 1), "m=1.5 must be a whole number in 1"),
        ((1, "4", 1), "k='4' must be"),
        ((1, 1, None), "n=None must be"),
        ((True, 1, 1), "m=True must be"),
        ((2**63, 1, 1), "m=9223372036854775808 must be"),
        ((1, 0, 1), "k=0 must be"),
    ],
)
def test_impossible_matmuls(extents: tuple[Any, Any, Any], says: str) -> None:
    with pytest.raises(GraphError, match=says):
        matmul("x", *extents)
