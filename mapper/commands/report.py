"""``tilewright report``: a page of HTML about runs that were written."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from mapper.commands.outputs import open_outputs
from mapper.commands.problems import CommandError
from mapper.commands.report_options import MOST_RUNS
from mapper.pages.page import MissingTemplates, page
from mapper.reports.documents import DocumentError
from mapper.reports.saved_run import read_run


def execute(options: argparse.Namespace) -> int:
    """Read the runs, make the page and write it."""
    if len(options.runs) > MOST_RUNS:
        raise CommandError(f"{len(options.runs)} runs: a page shows {MOST_RUNS} at most")
    with ExitStack() as stack:
        output = open_outputs(stack, {"out": options.out}, options.runs)["out"]
        try:
            runs = [read_run(Path(name)) for name in options.runs]
            text = page(runs)
        except (DocumentError, MissingTemplates) as problem:
            raise CommandError(str(problem)) from None
        output.finish(lambda path: path.write_text(text, encoding="utf-8", errors="backslashreplace"))
    return 0
