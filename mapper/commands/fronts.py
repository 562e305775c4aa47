"""A Pareto front as the answer of ``tilewright map --objective pareto``."""

from __future__ import annotations

from hwconfigs import HardwareSpec
from mapper.commands.answers import Answer, json_file, picture_file
from mapper.commands.requests import MapRequest
from mapper.plots.pareto_front import draw_front, front_points
from mapper.reports.front_report import front_dict, front_text
from mapper.search.mapping_result import MappingResult


def front_answer(result: MappingResult, request: MapRequest, spec: HardwareSpec, mapspace: str) -> Answer:
    """A line per mapping; the same as JSON and as a picture."""
    title = f"matmul {'x'.join(map(str, request.shape))} on {spec.name}"
    files = {
        "plot": picture_file(lambda: draw_front(front_points(title, result.front), request.size)),
        "json": json_file(lambda: front_dict(result, spec, mapspace)),
    }
    return Answer(front_text(result, title, spec), files, result.interrupted)
