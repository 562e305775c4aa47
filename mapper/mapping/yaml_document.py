"""Files of ours as YAML, read strictly into pydantic models: a line per problem, in words of the file."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from hwconfigs.errors import suggestion
from hwconfigs.key_names import wording
from hwconfigs.textfiles import strict_yaml
from hwconfigs.textfiles.reading import UnreadableFile, read_text
from mapper.errors import MappingError


class StrictModel(BaseModel):
    """A mapping of a file: no key but its fields, no value converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Model = TypeVar("Model", bound=StrictModel)


def read_document(source: Path | str, model: type[Model], what: str) -> Model:
    """Read a file (a `Path`) or YAML text (a string).

    Parameters
    ----------
    source
        Where it comes from.
    model
        What it has to hold.
    what
        What it is, for messages.

    Raises
    ------
    MappingError
        When it cannot be read or breaks the model; all problems of the file at once.
    """
    origin = str(source) if isinstance(source, Path) else what
    parsed = strict_yaml.parse(_text(source, what), origin)
    if parsed.problems:
        raise MappingError("\n".join(parsed.problems))
    try:
        return model.model_validate(parsed.data)
    except ValidationError as error:
        lines = (f"{origin}: {_explained(issue, model)}" for issue in error.errors())
        raise MappingError("\n".join(lines)) from error


def _text(source: Path | str, what: str) -> str:
    if isinstance(source, str):
        return source
    try:
        return read_text(source)
    except UnreadableFile as error:
        raise MappingError(f"{source}: cannot read the {what}: {error}") from error


def _explained(issue: ErrorDetails, model: type[StrictModel]) -> str:
    """Return one problem as the file's author would say it."""
    place, kind = issue["loc"], issue["type"]
    keys = [field.alias or name for name, field in model.model_fields.items()]
    if kind == "extra_forbidden":
        near = suggestion(str(place[-1]), keys) if len(place) == 1 else ""
        message = f"unknown key{near}"
    elif kind == "missing":
        message = "missing"
    elif kind in ("model_type", "model_attributes_type"):
        message = f"must be a mapping with the keys {', '.join(keys)}" if not place else "must be a mapping"
    elif kind == "too_short":
        message = "must not be empty"
    else:
        message = wording(issue)
    return ": ".join([".".join(map(str, place)), message] if place else [message])
