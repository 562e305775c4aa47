"""What a check on numbers found, as lines."""

from __future__ import annotations

from mapper.evaluation.number_reports import NumbersCheck
from mapper.reports.text import wrapped


def number_lines(check: NumbersCheck) -> list[str]:
    """Return the verdict, what is wrong, and how near each kernel is to its float definition."""
    equal = "differ from" if check.wrong else "are equal, integer for integer, to"
    lines = [
        f"checked on numbers: {check.programs} programs wrote {check.elements:,} results, which {equal} what their "
        "operators make of the same operands"
    ]
    lines += [f"wrong: {wrong}" for wrong in check.wrong]
    lines += [f"{'' if numbers.is_near else 'too far off: '}{numbers}" for numbers in check.kernels]
    if check.not_executed:
        names = ", ".join(check.not_executed)
        lines.append(f"not checked, for their results depend on positions or on a router's choice: {names}")
    if check.on_host:
        lines.append(f"not checked, for the host runs them: {', '.join(check.on_host)}")
    return [line for text in lines for line in wrapped(text)]
