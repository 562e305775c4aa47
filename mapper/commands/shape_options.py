"""Options that say which pass of a model is built; nothing but the standard library, for ``--help`` must be quick."""

from __future__ import annotations

import argparse


def add_shape(to: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options, and return their group."""
    return fill_shape(to.add_argument_group("what to compute"))


def fill_shape(group: argparse._ArgumentGroup) -> argparse._ArgumentGroup:
    """Add the options to a group, and return it."""
    group.add_argument("--seq", type=int, metavar="N", help="tokens per sequence (prefill)")
    group.add_argument("--phase", default="prefill", choices=("prefill", "decode"), help="default: %(default)s")
    group.add_argument("--context", type=int, metavar="N", help="tokens already in the KV cache (decode)")
    group.add_argument("--batch", type=int, default=1, metavar="N", help="sequences at once; default: %(default)s")
    group.add_argument("--source", type=int, metavar="N", help="states of the encoder, beside a decoder")
    group.add_argument(
        "--causal", default="full", choices=("full", "skip"),
        help="a prompt's masked keys: full multiplies them (default), skip leaves out blocks of them",
    )  # fmt: skip
    group.add_argument("--bits", metavar="ROLE=N,..", help="widths: weight=4,kv=8,activation=8,bias=32; default: int8")
    group.add_argument(
        "--dim", action="append", default=[], dest="dims", metavar="NAME=N",
        help="size of an axis that an ONNX file leaves open, by its name; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--routing", metavar="KIND",
        help="tokens per expert: balanced (default), uniform, zipf:S, or a file of counts; ,seed=N draws them",
    )  # fmt: skip
    group.add_argument("--lm-head", action="store_true", help="with embedding, final norm and LM head")
    return group


def dims_of(options: argparse.Namespace) -> str | None:
    """Return the sizes of ``--dim`` in one text, None if there are none."""
    return ",".join(options.dims) or None
