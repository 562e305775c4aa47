"""Names of Gemmini's own sources and files of other tools: an answer that points to the nearest of ours.

Configuration names are those of Gemmini's and Chipyard's repositories, parameters those of ``GemminiArrayConfig`` and
of the generated ``gemmini_params.h`` (recalled, not read again).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

MACHINES: Mapping[str, str] = MappingProxyType(
    {
        "gemminirocketconfig": "gemmini", "defaultgemminiconfig": "gemmini", "defaultconfig": "gemmini",
        "baselineinferenceconfig": "gemmini", "leangemminirocketconfig": "gemmini_lean",
        "leangemminiconfig": "gemmini_lean", "leanconfig": "gemmini_lean", "ibertinferenceconfig": "gemmini_ibert",
        "chipconfig": "gemmini_chip",
    }
)  # fmt: skip
"""Lower-case names of theirs to machines of ours."""

_ROWS, _COLUMNS = "array.size (meshRows x tileRows)", "array.size (meshColumns x tileColumns)"

KEYS: Mapping[str, str] = MappingProxyType(
    {
        "tilerows": _ROWS, "meshrows": _ROWS, "tilecolumns": _COLUMNS, "meshcolumns": _COLUMNS, "tilecols": _COLUMNS,
        "meshcols": _COLUMNS, "dim": "array.size", "spcapacity": "scratchpad.capacity",
        "acccapacity": "accumulator.capacity", "spbanks": "scratchpad.banks", "accbanks": "accumulator.banks",
        "banknum": "scratchpad.banks", "bankrows": "scratchpad.capacity", "accrows": "accumulator.capacity",
        "inputtype": "array.input_bits", "acctype": "array.accumulator_bits", "dmamaxbytes": "dma.max_request",
        "dmabuswidth": "dma.bus (in bytes)", "maxinflightmemreqs": "dma.max_in_flight",
        "reservationstationentriesex": "front_end.execute_entries",
        "reservationstationentriesld": "front_end.load_entries",
        "reservationstationentriesst": "front_end.store_entries",
    }
)  # fmt: skip
"""Their parameters, in lower case without underscores, to keys of ours."""


def machine_hint(name: str) -> str:
    """Return what to say of the name of a configuration of Gemmini, or of a file of another tool; or nothing."""
    plain = re.sub(r"[^a-z0-9]", "", name.rpartition("/")[2].lower())
    if plain in MACHINES:
        return f"; Gemmini's {name} is nearest to {MACHINES[plain]}: --hw {MACHINES[plain]}"
    if "gemmini" in plain and plain.endswith(("config", "configs")):
        return "; of Gemmini's configurations the default is gemmini, the lean one gemmini_lean, I-BERT's gemmini_ibert"
    return ""


def key_hint(key: str) -> str:
    """Return what to say of a parameter of Gemmini, or nothing."""
    ours = KEYS.get(re.sub(r"[^a-z0-9]", "", key.lower()))
    return f"; Gemmini's {key} is {ours} here" if ours else ""


def foreign_file(text: str) -> str:
    """Return what a file is if it is another tool's, with the way to a machine of ours; or nothing."""
    if "#ifndef GEMMINI_PARAMS_H" in text or re.search(r"^#define +(?:DIM|BANK_NUM|ACC_ROWS) +\d", text, re.MULTILINE):
        found = re.search(r"^#define +DIM +(\d{1,5})\b", text, re.MULTILINE)
        size = f" with 'array: {{size: {found[1]}}}'" if found else ""
        return f"is Gemmini's gemmini_params.h, no machine file; write 'extends: gemmini'{size} and what else differs"
    if re.search(r"^(?:architecture|arch) *:", text, re.MULTILINE) or re.search(r"!(?:Component|Container)\b", text):
        return (
            "is an architecture of Timeloop, no machine file; paper_codesign and gemmini are the nearest: write "
            "'extends: gemmini' and array, scratchpad, accumulator, dram"
        )
    return ""
