"""A list of matrix products as CSV: one line a layer, ``layer,M,N,K[,repeat]``, as SCALE-Sim writes them.

Names of columns may be written in any case, with blanks, and left out (the order is then the one above); lines may end
with a comma. Columns that are empty throughout are passed over.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from hwconfigs.textfiles.reading import UnreadableFile, read_text, spelt_out
from workloads.errors import GraphError, nearest
from workloads.graph import OpGraph
from workloads.ops import Matmul, matmul

COLUMNS = ("layer", "m", "n", "k", "repeat")
OTHER_WORDS = {
    "layer name": "layer", "name": "layer", "layername": "layer", "count": "repeat", "repeats": "repeat",
    "batch": "repeat",
}  # fmt: skip
"""What others call a column."""

CONVOLUTIONS = ("ifmap", "filter", "channels", "strides")
"""Words in the header of SCALE-Sim's other kind of list."""

MOST_LAYERS = 10_000
LARGEST = 2**31
"""Extent of a dimension."""

MOST_REPEATS = 10**6


def is_list(model: object) -> bool:
    """Return whether a model is named by the path of such a file."""
    return isinstance(model, str | Path) and str(model).lower().endswith(".csv")


def read_gemms(path: str | Path) -> OpGraph:
    """Return the products of a list as a graph, in the order of the file; none reads another's result.

    Raises
    ------
    GraphError
        With every problem of the file, one line each.
    """
    origin = spelt_out(path)
    try:
        text = read_text(path)
    except UnreadableFile as error:
        raise GraphError(f"{origin}: cannot read the list of products: {error}") from error
    rows = list(_rows(text, origin))
    if len(rows) > MOST_LAYERS + 1:
        raise GraphError(f"{origin}: more than {MOST_LAYERS:,} products")
    columns, products = _header(rows, origin)
    problems: list[str] = []
    found: dict[str, tuple[int, Matmul]] = {}
    for line, cells in products:
        try:
            product = _product(cells, columns)
            if product.name in found:
                raise GraphError(f"layer {product.name!r:.60} is there already, in line {found[product.name][0]}")
            found[product.name] = line, product
        except GraphError as problem:
            problems.append(f"{origin}:{line}: {problem}")
    if problems or not found:
        raise GraphError("\n".join(problems) or f"{origin}: no products; write lines of layer,M,N,K")
    name = Path(origin).stem
    return OpGraph(name, [product for _, product in found.values()], config={"model": name, "layers": len(found)})


def _rows(text: str, origin: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines with something in them, and their numbers."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#"):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise GraphError(f"{origin}:{reader.line_num}: not a CSV file ({error})") from error


def _header(rows: Sequence[tuple[int, list[str]]], origin: str) -> tuple[list[str], Sequence[tuple[int, list[str]]]]:
    """Return what each column means, and the rows behind the header."""
    if not rows:
        raise GraphError(f"{origin}: the file is empty; write lines of layer,M,N,K")
    line, first = rows[0]
    if len(first) > 1 and first[1].lstrip("+-").replace(".", "").isdigit():
        return list(COLUMNS), rows
    names = [OTHER_WORDS.get(cell.lower(), cell.lower()) for cell in first]
    if any(word in name for name in names for word in CONVOLUTIONS):
        raise GraphError(f"{origin}:{line}: is a list of convolutions; lists of products have layer,M,N,K[,repeat]")
    for at, name in enumerate(names):
        if name not in COLUMNS and any(at < len(cells) and cells[at] for _, cells in rows[1:]):
            hint = nearest(name, COLUMNS) or f"; known: {', '.join(COLUMNS)}"
            raise GraphError(f"{origin}:{line}: {first[at]!r:.60}: unknown column{hint}")
        if name in COLUMNS and names.count(name) > 1:
            raise GraphError(f"{origin}:{line}: column {name} is given twice")
    missing = [name for name in COLUMNS[:4] if name not in names]
    if missing:
        raise GraphError(f"{origin}:{line}: column {', '.join(missing)} is missing; write layer,M,N,K[,repeat]")
    return names, rows[1:]


def _product(cells: Sequence[str], columns: Sequence[str]) -> Matmul:
    """Return the product of one line; a `GraphError` says what is wrong with it."""
    if any(cells[len(columns) :]):
        raise GraphError(f"{len(cells)} cells; the columns are {', '.join(filter(None, columns))}")
    given = dict(zip(columns, cells, strict=False))
    name = given.get("layer", "")
    if not name or not name.isprintable() or len(name) > 100:
        raise GraphError(f"layer={name!r:.60}: must be a name of at most 100 letters")
    extents = [_number(column.upper(), given.get(column, ""), LARGEST) for column in ("m", "k", "n")]
    repeat = _number("repeat", given["repeat"], MOST_REPEATS) if given.get("repeat") else 1
    return matmul(name, *extents, repeat=repeat)


def _number(column: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and 1 <= int(text) <= largest):
        raise GraphError(f"{column}={text!r:.60}: must be a whole number in 1..{largest}")
    return int(text)
