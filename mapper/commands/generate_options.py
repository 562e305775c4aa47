"""Options of ``generate``; nothing but the standard library, for ``--help`` must be quick."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mapper.commands.machines import RUN_MACHINE
from mapper.commands.sweep_options import AnyParser, NameType

GENERATE = "Time, tokens per second and joules per token of a whole generation."


def add_generate(commands: argparse._SubParsersAction[AnyParser], name: NameType, objectives: Sequence[str]) -> None:
    """Add ``generate``."""
    generate = commands.add_parser("generate", help="a prompt and the tokens behind it", description=GENERATE)
    generate.add_argument(
        "model", type=name, metavar="MODEL", help="a preset, or the path of a Hugging Face config.json"
    )
    group = generate.add_argument_group("what to compute")
    group.add_argument("--prompt", type=int, required=True, metavar="N", help="tokens of the prompt")
    group.add_argument("--tokens", type=int, required=True, metavar="N", help="tokens that are made")
    group.add_argument("--batch", type=int, default=1, metavar="N", help="sequences at once; default: %(default)s")
    group.add_argument(
        "--causal", default="full", choices=("full", "skip"),
        help="a prompt's masked keys: full multiplies them (default), skip leaves out blocks of them",
    )  # fmt: skip
    group.add_argument("--blocks-only", action="store_true", help="without embedding, final norm and LM head")
    machine = generate.add_argument_group("on which machine")
    machine.add_argument(
        "--hw", type=name, default=RUN_MACHINE, metavar="NAME", help="a preset or a YAML file; default: %(default)s"
    )
    machine.add_argument("--energy", type=name, metavar="PRESET", help="energy table; default: the machine's own")
    machine.add_argument("--exact", action="store_true", help="simulate every loop and repetition, pass none over")
    machine.add_argument("--objective", default="latency", choices=objectives, help="default: %(default)s")
    machine.add_argument(
        "--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE",
        help="change one value of the machine; may be repeated",
    )  # fmt: skip
    generate.add_argument("--json", type=name, metavar="FILE", help="all figures, as JSON")
