"""Runs measured rows: Verilator rows one after the other as they were measured, FireSim rows in any order.

A Verilator row finds the caches as the rows before it left them, so a file is replayed by one process. A FireSim row
depends on its own line and on the shapes listed before it, so those rows are spread over processes; the result does not
depend on how many there are. A row that makes no sense is named and the others run.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from mapper.validation import categories, firesim
from mapper.validation.outcome import Left, Outcome, Outcomes
from mapper.validation.rows import Table, ValidationError, whole
from mapper.validation.session import Session

Row = dict[str, str]
Progress = Callable[[str, int, int], None]
"""Called after each row with the file's kind, rows done and rows in all."""

FAULTS = (ValueError, OverflowError, KeyError, IndexError, ZeroDivisionError)
"""What a nonsense row can raise on its way into a program; ValidationError, SpecError and ProgramError are
ValueErrors."""
LARGEST = {"M": 65_536, "N": 65_536, "K": 65_536, "n_ops": 65_536, "dram_latency": 65_536, "stride_bytes": 2**24,
           "rows": 65_536, "cols": 65_536, "tile_i": 4_096, "tile_j": 4_096, "tile_k": 4_096}  # fmt: skip
"""Far beyond what was ever measured: such a cell is a slip, and the row would not end."""
MOST_MACS = 2**40
STATES = ("cold", "repeat", "l2warm", "no_dram")


def run_rtl(table: Table, progress: Progress) -> Outcomes:
    """Simulate the rows of a Verilator file, in its order."""
    session, sums = Session(), _Sums()
    cold = categories.cold_core_rows(table.rows)
    found: list[Outcome | Left] = []
    for index, row in enumerate(table.rows):
        found.append(_rtl_row(session, sums, row, index, index in cold))
        progress("rtl", index + 1, len(table.rows))
    return _sorted(found)


def _rtl_row(session: Session, sums: _Sums, row: Row, index: int, cold: bool) -> Outcome | Left:
    left = Left("rtl", line_of(index), _rtl_name(row), "", bad=False)
    reason = categories.why_not_run(row["test"])
    if reason:
        return replace(left, reason=reason)
    try:
        _check_rtl(row)
        measured = _measured(row, "cycles")
        simulated = sums.total(row) if row["test"].startswith("seq_total") else session.cycles(row)
        sums.add(row, simulated)
    except FAULTS as fault:
        return replace(left, reason=str(fault) or type(fault).__name__, bad=True)
    product = row["test"].startswith(("loop_ws", "seq_part"))
    tags = {"model shape"} if product and categories.is_model_shape(row) else set()
    columns = ("gemmini_config", "test", "M", "N", "K", "state", "dram_latency")
    return Outcome(
        source="rtl",
        line=left.line,
        name=left.name,
        category=categories.COLD_CORE if cold else categories.category(row),
        measured=measured,
        simulated=simulated,
        tags=frozenset(tags),
        group=" ".join(row[column] for column in columns) if row["test"].startswith("loop_ws_tile") else "",
    )


@dataclass(slots=True)
class _Sums:
    """Cycles of the parts of the sequence at hand; the row of its total comes after them."""

    parts: dict[tuple[str, ...], list[int]] = field(default_factory=dict)

    def add(self, row: Row, cycles: int) -> None:
        if row["test"].startswith("seq_part"):
            if whole(row, "part") == 1:
                self.parts[self._key(row)] = []
            self.parts.setdefault(self._key(row), []).append(cycles)

    def total(self, row: Row) -> int:
        parts = self.parts.pop(self._key(row), [])
        if not parts:
            raise ValidationError("the total of a sequence whose parts are not in the rows before it")
        return sum(parts)

    @staticmethod
    def _key(row: Row) -> tuple[str, ...]:
        return row["gemmini_config"], row.get("group", ""), row["state"], row["dram_latency"]


def _check_rtl(row: Row) -> None:
    """Refuse cells that cannot have been measured."""
    if not categories.is_known_call(row["test"]):
        raise ValidationError(f"test {row['test']!r} unknown")
    if row["state"] not in STATES:
        raise ValidationError(f"state={row['state']!r} is none of {', '.join(STATES)}")
    for column, most in LARGEST.items():
        if row[column]:
            least = 0 if column in ("stride_bytes", "dram_latency") else 1
            if not least <= whole(row, column) <= most:
                raise ValidationError(f"{column}={row[column]} outside {least}..{most}")
    if row["M"] and row["N"] and row["K"] and whole(row, "M") * whole(row, "N") * whole(row, "K") > MOST_MACS:
        raise ValidationError(f"{row['M']}x{row['N']}x{row['K']} is more than {MOST_MACS} multiplications")


def _rtl_name(row: Row) -> str:
    sizes = "x".join(row[column] for column in "MNK" if row[column])
    tile = "x".join(row[column] for column in ("tile_i", "tile_j", "tile_k") if row[column])
    command = f"{row['n_ops'] or 1} of {row['rows']}x{row['cols']}" if row["cols"] else ""
    machine = {"default_16x16_sp256K_acc64K": "", "chip_16x16_sp64K_acc32K": "chip"}.get(row["gemmini_config"], "norm")
    parts = (machine, row["test"], sizes or row.get("group", ""), f"tile {tile}" if tile and sizes else "", command)
    return " ".join(part for part in (*parts, row["state"], f"latency {row['dram_latency']}") if part)


def run_firesim(table: Table, progress: Progress, workers: int, patched: bool = True) -> Outcomes:
    """Simulate the rows of a FireSim file.

    Parameters
    ----------
    workers
        Processes; 1 runs them here. The outcome is the same for any number.
    patched
        Keep the phenomenological parameter of the 16x16 build.
    """
    jobs = [
        (index, row, history, patched)
        for index, (row, history) in enumerate(zip(table.rows, firesim.histories(table.rows), strict=True))
    ]
    # The longest rows first, so that no worker is left with one of them at the end.
    jobs.sort(key=lambda job: (-_loops(job[1]), job[0]))
    found: list[Outcome | Left] = []
    for outcome in _in_processes(jobs, workers):
        found.append(outcome)
        progress("firesim", len(found), len(jobs))
    return _sorted(found)


Job = tuple[int, Row, tuple[firesim.Shape, ...], bool]


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[Outcome | Left]:
    if workers <= 1:
        yield from map(_firesim_row, jobs)
        return
    # Workers start afresh ("spawn"): forking a process with threads, as drawing libraries keep, may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[Outcome | Left]] = deque(pool.submit(_firesim_row, job) for job in jobs)
        try:
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _firesim_row(job: Job) -> Outcome | Left:
    index, row, history, patched = job
    left = Left("firesim", line_of(index), _firesim_name(row), "", bad=False)
    kind = row["kind"]
    if kind in ("conv", "conv1x1"):
        return replace(left, reason=f"{kind}: convolutions are out of scope")
    try:
        if kind not in firesim.KINDS:
            raise ValidationError(f"kind={kind!r} is none of {', '.join(firesim.KINDS)}")
        measured = _measured(row, "measured_cycles")
        floor = whole(row, "compute_cycles", 0)
        simulated = firesim.cycles(row, history, patched)
    except FAULTS as fault:
        return replace(left, reason=str(fault) or type(fault).__name__, bad=True)
    mesh = kind == "array_microbench"
    tags = {f"array {row['pe_dim']}", "first" if row["cache_state"] == "first_of_shape" else "repeat", row["variant"]}
    return Outcome(
        source="firesim",
        line=left.line,
        name=left.name,
        category=categories.MESH if mesh else categories.FIRESIM,
        measured=measured,
        simulated=simulated,
        tags=frozenset(tags | set(row["network"].split("+"))) - {""},
        group="" if mesh or row["source"] != "dosa_train" else f"{row['pe_dim']} {row['M']}x{row['K']}x{row['N']}",
        floor=0 if mesh else floor,
    )


def _loops(row: Row) -> float:
    """Rough length of a run."""
    try:
        return float(row.get("ld_requests") or 0) + 30 * float(row.get("n_hw_loops") or 0)
    except ValueError:
        return 0.0


def _firesim_name(row: Row) -> str:
    if row["kind"] == "array_microbench":
        return f"{row['row_id']} {row['M']} rows, {row['q_tiles']} tiles"
    tile = "x".join(row[column] for column in ("exec_tile_P", "exec_tile_C", "exec_tile_Kout"))
    order = row["exec_trips_outer_to_inner"]
    return f"{row['row_id']} array {row['pe_dim']} {row['M']}x{row['K']}x{row['N']} tile {tile} {order}".rstrip()


def _measured(row: Row, column: str) -> int:
    cycles = whole(row, column)
    if cycles < 1:
        raise ValidationError(f"{column}={cycles} must be at least 1")
    return cycles


def line_of(index: int) -> int:
    """Line of a row in its file, whose first line is the header."""
    return index + 2


def _sorted(found: Sequence[Outcome | Left]) -> Outcomes:
    ordered = sorted(found, key=lambda row: row.line)
    return Outcomes(
        run=tuple(row for row in ordered if isinstance(row, Outcome)),
        left=tuple(row for row in ordered if isinstance(row, Left)),
    )
