"""Options of ``study``; nothing but the standard library, for ``--help`` must be quick."""

from __future__ import annotations

import argparse

from mapper.commands.plot_options import add_size
from mapper.commands.sweep_options import NameType

STUDY = "Repeat a published experiment and print its figures beside the published ones."

STUDIES = {
    "mapspace": "EDP of random mappings, relative to the best",
    "fusion": "a product and its normalisation, as one group and as two",
    "codesign": "from host kernels to units, a new split of the memories, fusion and our mapper",
    "roofline": "arithmetic intensities and analytic latencies of BERT and GPT-2",
    "nas": "networks between BERT and nothing, from a table of operators: quality against EDP",
    "peakmem": "bytes of activations that are alive at once, and what a budget costs",
    "partition": "a Transformer over several chips, by closed forms",
    "nonlinear": "softmax, LayerNorm and GELU on the host, on units, and fused",
}
"""What each study does."""

OPTIONS = {
    "mapspace": ("samples", "seed", "layers", "iso_macs", "spatial"),
    "fusion": ("tokens", "accumulator"),
    "codesign": ("tokens", "finalists"),
    "roofline": ("tokens",),
    "nas": ("seed", "rounds", "loss", "state"),
    "peakmem": ("tokens", "budget"),
    "partition": ("chips",),
    "nonlinear": ("tokens",),
}
"""Options that a study takes; the others it refuses."""


def add_study(study: argparse.ArgumentParser, name: NameType) -> None:
    """Add the options."""
    study.add_argument(
        "name", choices=tuple(STUDIES), help="; ".join(f"{key}: {text}" for key, text in STUDIES.items())
    )
    study.add_argument(
        "--tokens", metavar="N,N,..",
        help="of fusion; default: 512,4096; of roofline, simulated: 128,512; of nonlinear: 128 to 4096; of codesign "
        "and peakmem, one: 512",
    )  # fmt: skip
    study.add_argument("--accumulator", metavar="KIB,KIB,..", help="of fusion; default: 64,128,256")
    study.add_argument("--finalists", metavar="K", help="of codesign: as of run, for its last design")
    study.add_argument("--samples", type=int, metavar="N", help="of mapspace, per operator; default: 100000")
    study.add_argument("--seed", type=int, metavar="N", help="of mapspace and nas; default: 0")
    study.add_argument("--rounds", metavar="N", help="of nas; default: 40")
    study.add_argument("--loss", type=name, metavar="FILE.csv", help="of nas: loss of quality by choice, else weights")
    study.add_argument(
        "--state", type=name, metavar="FILE.json", help="of nas: keep the search there and go on from it"
    )
    study.add_argument("--budget", metavar="SIZE,..", help="of peakmem: bytes of activations, as in 2200 KiB")
    study.add_argument("--chips", metavar="X,Y,Z", help="of partition; default: 4,4,4")
    study.add_argument("--layers", metavar="A,B,..", help="only these operators; default: all")
    study.add_argument("--iso-macs", action="store_true", help="operators of equal size: 29.5 million MACs each")
    study.add_argument(
        "--spatial", choices=("rows", "free", "full"),
        help="how much of the array every mapping uses: full rows, any part, all it can; default: one after another",
    )  # fmt: skip
    study.add_argument("--out", type=name, metavar="DIR", help="write a picture and CSV files there")
    study.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of the picture; default: png")
    add_size(study)
