"""Runs measured rows: Verilator rows one after the other as they were measured, FireSim rows in any order.

A Verilator row finds the caches as the rows before it left them, so a file is replayed by one process. A FireSim row
depends on its own line and on the shapes listed before it, so those rows are spread over processes; the result does not
depend on how many there are. A row that makes no sense is named, and the others run.
"""

from __future__ import annotations

import math
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from mapper.validation.measured import categories, firesim, measuring_programs, normaliser_rows, sanity
from mapper.validation.measured.results import RowResult, RowResults, SkippedRow
from mapper.validation.measured.rows import MeasuredTable, ValidationError, whole
from mapper.validation.measured.session import Session

Row = dict[str, str]
Progress = Callable[[str, int, int], None]
"""Called after each row with the file's kind, rows done and rows in all; a file may be gone through again."""

PASSES = 3
"""Times that a Verilator file is gone through at most. Another is needed if a row that failed had decided a series."""

FAULTS = (ValueError, OverflowError, KeyError, IndexError, ZeroDivisionError)
"""What a nonsense row can raise on its way into a program; ValidationError, SpecError and ProgramError are
ValueErrors."""


def run_rtl(table: MeasuredTable, progress: Progress, core_cycles: bool = True) -> RowResults:
    """Simulate the rows of a Verilator file, in its order; ``core_cycles`` as `Session` takes it.

    Rows that make no sense leave no trace: the others come out as if the file did not have them. Where a row that
    failed had decided to which series its neighbours belong, the file is run again and that row is not trusted.
    """
    wrong = {index: fault for index, row in enumerate(table.rows) if (fault := _rtl_fault(table, index, row))}
    sound = [index for index in range(len(table.rows)) if index not in wrong]
    failed: set[int] = set()
    results: list[RowResult | SkippedRow] = []
    second_series: list[bool] | None = None
    for _ in range(PASSES):
        before, second_series = (
            second_series,
            measuring_programs.in_second_series([table.rows[index] for index in sound], failed),
        )
        if second_series == before:
            break
        results = _rtl_rows(table, wrong, dict(zip(sound, second_series, strict=True)), progress, core_cycles)
        failed = {position for position, index in enumerate(sound) if _is_bad(results[index])}
    return _sorted(_with_cold_cores(table, results))


def _is_bad(result: RowResult | SkippedRow) -> bool:
    return isinstance(result, SkippedRow) and result.bad


def _with_cold_cores(table: MeasuredTable, results: list[RowResult | SkippedRow]) -> list[RowResult | SkippedRow]:
    """Put the rows that the core's cold instruction cache dominates into a category of their own."""
    sensible = [index for index, result in enumerate(results) if not _is_bad(result)]
    for position in categories.cold_core_rows([table.rows[index] for index in sensible]):
        result = results[sensible[position]]
        if isinstance(result, RowResult):
            results[sensible[position]] = replace(result, category=categories.COLD_CORE)
    return results


def _rtl_rows(
    table: MeasuredTable,
    wrong: Mapping[int, str],
    second_series: Mapping[int, bool],
    progress: Progress,
    core_cycles: bool,
) -> list[RowResult | SkippedRow]:
    """Results of all rows, in the order of the file."""
    names = [_rtl_name(row) for row in table.rows]
    session, sums = Session(core_cycles), _Sums()
    results: list[RowResult | SkippedRow] = []
    for index, row in enumerate(table.rows):
        skipped = SkippedRow("rtl", table.line(index), names[index], wrong.get(index, ""), bad=True)
        if index in wrong:
            sums.exclude(row)
            results.append(skipped)
        else:
            result, session = _rtl_row(session, sums, row, skipped, second_series[index])
            results.append(result)
        progress("rtl", index + 1, len(table.rows))
    return results


def _rtl_fault(table: MeasuredTable, index: int, row: Row) -> str:
    """What is wrong with a row as it stands; empty for sound ones and for kinds that are listed only."""
    if index in table.faults:
        return table.faults[index]
    if categories.why_not_run(row["test"]):
        return ""
    try:
        sanity.check_rtl(row)
        sanity.measured(row, "cycles")
    except FAULTS as fault:
        return _reason(fault)
    return ""


def _rtl_row(
    session: Session, sums: _Sums, row: Row, skipped: SkippedRow, second_series: bool
) -> tuple[RowResult | SkippedRow, Session]:
    """Run a row; return its result and the session after it."""
    reason = categories.why_not_run(row["test"])
    if reason:
        return replace(skipped, reason=reason, bad=False), session
    before = session.copy()
    measured = sanity.measured(row, "cycles")
    try:
        simulated = sums.total(row) if row["test"].startswith("seq_total") else session.cycles(row, second_series)
        sums.add(row, simulated)
    except FAULTS as fault:
        sums.exclude(row)
        return replace(skipped, reason=_reason(fault)), before
    return _rtl_result(row, skipped, measured, simulated), session


def _rtl_result(row: Row, skipped: SkippedRow, measured: int, simulated: int) -> RowResult:
    product = row["test"].startswith(("loop_ws", "seq_part"))
    tags = {"model shape"} if product and categories.is_model_shape(row) else set()
    if product and categories.has_many_loops(row):
        tags.add("many loops")
    columns = ("gemmini_config", "test", "M", "N", "K", "state", "dram_latency")
    return RowResult(
        source="rtl",
        line=skipped.line,
        name=skipped.name,
        category=categories.category(row),
        measured=measured,
        simulated=simulated,
        tags=frozenset(tags),
        group=" ".join(row[column] for column in columns) if row["test"].startswith("loop_ws_tile") else "",
    )


@dataclass(slots=True)
class _SequencePart:
    """One product of a sequence."""

    number: int
    measured: int
    simulated: int


@dataclass(slots=True)
class _Sums:
    """Parts of the sequences of products; the row of a sequence's total follows those of its parts."""

    parts: dict[tuple[str, ...], list[_SequencePart]] = field(default_factory=dict)
    incomplete: set[tuple[str, ...]] = field(default_factory=set)
    """Sequences of which a part could not be run."""
    untrusted: bool = False
    """A row was excluded that does not name its sequence: any one may lack a part."""

    def add(self, row: Row, simulated: int) -> None:
        if row["test"].startswith("seq_part"):
            number, key = whole(row, "part"), self._key(row)
            if number == 1:
                self.parts[key] = []
                self.incomplete.discard(key)
                self.untrusted = False
            self.parts.setdefault(key, []).append(_SequencePart(number, whole(row, "cycles"), simulated))

    def exclude(self, row: Row) -> None:
        """Note a row that could not be run, so that the sequence it belongs to gets no total."""
        self.incomplete.add(self._key(row))
        self.untrusted |= not row.get("group")

    def total(self, row: Row) -> int:
        key = self._key(row)
        parts = self.parts.pop(key, [])
        if key in self.incomplete:
            raise ValidationError("the total of a sequence of which a part cannot be run")
        if not parts:
            raise ValidationError("the total of a sequence whose parts are not in the rows before it")
        numbers = [part.number for part in parts]
        if numbers != list(range(1, len(parts) + 1)):
            raise ValidationError(f"the total of a sequence with the parts {', '.join(map(str, numbers))}")
        together = sum(part.measured for part in parts)
        if self.untrusted and together != whole(row, "cycles"):
            raise ValidationError(f"the total of a sequence whose parts took {together} cycles: one cannot be run")
        return sum(part.simulated for part in parts)

    @staticmethod
    def _key(row: Row) -> tuple[str, ...]:
        return row["gemmini_config"], row.get("group", ""), row["state"], row["dram_latency"]


def _reason(fault: Exception) -> str:
    """What a fault says, on one line."""
    text = " ".join(str(fault).split())
    return text if isinstance(fault, ValueError) and text else f"{type(fault).__name__} {text}".strip()


def _rtl_name(row: Row) -> str:
    sizes = "x".join(row[column] for column in "MNK" if row[column])
    tile = "x".join(row[column] for column in ("tile_i", "tile_j", "tile_k") if row[column])
    command = f"{row['n_ops'] or 1} of {row['rows']}x{row['cols']}" if row["cols"] else ""
    machine = {"default_16x16_sp256K_acc64K": "", "chip_16x16_sp64K_acc32K": "chip"}.get(row["gemmini_config"], "norm")
    parts = (machine, row["test"], sizes or row.get("group", ""), f"tile {tile}" if tile and sizes else "", command)
    return " ".join(part for part in (*parts, row["state"], f"latency {row['dram_latency']}") if part)


def run_normaliser(table: MeasuredTable, progress: Progress) -> RowResults:
    """Simulate the rows of a file of the normaliser, which do not depend on each other."""
    results: list[RowResult | SkippedRow] = []
    for index, row in enumerate(table.rows):
        results.append(_normaliser_row(table, index, row))
        progress("normaliser", index + 1, len(table.rows))
    return _sorted(results)


def _normaliser_row(table: MeasuredTable, index: int, row: Row) -> RowResult | SkippedRow:
    columns = ("gemmini", "kernel", "mode")
    interval = f"every {row['issue_interval']}" if row["mode"] == "issued" else ""
    name = " ".join((*(row[column] for column in columns), f"{row['rows']}x{row['cols']}", interval)).rstrip()
    skipped = SkippedRow("normaliser", table.line(index), name, table.faults.get(index, ""), bad=True)
    if skipped.reason:
        return skipped
    try:
        normaliser_rows.check(row)
        measured = sanity.measured(row, "cycles")
        simulated = normaliser_rows.cycles(row)
    except FAULTS as fault:
        return replace(skipped, reason=_reason(fault))
    alone = row["mode"] in normaliser_rows.UNIT_ALONE
    category = categories.UNIT_ALONE if alone else categories.normaliser(row["gemmini"], row["kernel"])
    return RowResult("normaliser", skipped.line, name, category, measured, simulated)


def run_firesim(table: MeasuredTable, progress: Progress, workers: int, patched: bool = True) -> RowResults:
    """Simulate the rows of a FireSim file.

    Parameters
    ----------
    workers
        Processes; 1 runs the rows in this one. The results are the same for any number.
    patched
        Keep the phenomenological parameter of the 16x16 build.
    """
    wrong = {index: fault for index, row in enumerate(table.rows) if (fault := _firesim_fault(table, index, row))}
    histories = firesim.histories(table.rows, left_out=wrong)
    jobs = [
        (table.line(index), row, wrong.get(index, ""), history, patched)
        for index, (row, history) in enumerate(zip(table.rows, histories, strict=True))
    ]
    # The longest rows first, so that no worker is left with one of them at the end.
    jobs.sort(key=lambda job: (-_loops(job[1]), job[0]))
    results: list[RowResult | SkippedRow] = []
    for result in _in_processes(jobs, workers):
        results.append(result)
        progress("firesim", len(results), len(jobs))
    return _sorted(results)


Job = tuple[int, Row, str, tuple[firesim.Shape, ...], bool]
"""Line, row, what is wrong with it, shapes that ran before, and whether the 16x16 build is patched."""


def _firesim_fault(table: MeasuredTable, index: int, row: Row) -> str:
    """What is wrong with a row as it stands; empty for sound ones and for kinds that are listed only."""
    if index in table.faults:
        return table.faults[index]
    if row["kind"] in firesim.NOT_RUN:
        return ""
    try:
        firesim.check_row(row)
    except FAULTS as fault:
        return _reason(fault)
    return ""


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[RowResult | SkippedRow]:
    if workers <= 1:
        yield from map(_firesim_row, jobs)
        return
    # Workers start afresh ("spawn"): forking a process with threads, as drawing libraries keep, may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[RowResult | SkippedRow]] = deque(pool.submit(_firesim_row, job) for job in jobs)
        try:
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _firesim_row(job: Job) -> RowResult | SkippedRow:
    line, row, wrong, history, patched = job
    kind = row["kind"]
    skipped = SkippedRow("firesim", line, _firesim_name(row), wrong, bad=True)
    if wrong:
        return skipped
    if kind in firesim.NOT_RUN:
        return replace(skipped, reason=f"{kind}: convolutions are out of scope", bad=False)
    try:
        simulated = firesim.cycles(row, history, patched)
    except FAULTS as fault:
        return replace(skipped, reason=_reason(fault))
    mesh = kind == "array_microbench"
    tags = {f"array {row['pe_dim']}", "first" if row["cache_state"] == "first_of_shape" else "repeat", row["variant"]}
    return RowResult(
        source="firesim",
        line=line,
        name=skipped.name,
        category=categories.MESH if mesh else categories.FIRESIM,
        measured=sanity.measured(row, "measured_cycles"),
        simulated=simulated,
        tags=frozenset(tags | set(row["network"].split("+"))) - {""},
        group="" if mesh or row["source"] != "dosa_train" else f"{row['pe_dim']} {row['M']}x{row['K']}x{row['N']}",
        floor=0 if mesh else whole(row, "compute_cycles", 0),
    )


def _loops(row: Row) -> float:
    """Rough length of a run."""
    try:
        length = float(row.get("ld_requests") or 0) + 30 * float(row.get("n_hw_loops") or 0)
    except ValueError:
        return 0.0
    return length if math.isfinite(length) else 0.0


def _firesim_name(row: Row) -> str:
    if row["kind"] == "array_microbench":
        return f"{row['row_id']} {row['M']} rows, {row['q_tiles']} tiles"
    tile = "x".join(row[column] for column in ("exec_tile_P", "exec_tile_C", "exec_tile_Kout"))
    order = row["exec_trips_outer_to_inner"]
    return f"{row['row_id']} array {row['pe_dim']} {row['M']}x{row['K']}x{row['N']} tile {tile} {order}".rstrip()


def _sorted(results: Sequence[RowResult | SkippedRow]) -> RowResults:
    ordered = sorted(results, key=lambda row: row.line)
    return RowResults(
        run=tuple(row for row in ordered if isinstance(row, RowResult)),
        skipped=tuple(row for row in ordered if isinstance(row, SkippedRow)),
    )
