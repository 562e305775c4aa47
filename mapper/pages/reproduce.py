"""The command that makes a run again, from what its report says of itself."""

from __future__ import annotations

import shlex

from hwconfigs import available
from mapper.reports.saved_run import SavedRun
from mapper.settings import RunSettings, SettingsError
from workloads import available as known_models

PLAIN = ("seq", "context", "source", "bits", "energy", "finalists")
"""Options of which the setting is the text."""

CHOICES = ("phase", "causal", "objective", "fusion", "search", "seed", "batch")
"""Options that are left out where they are the default."""


def machine_name(run: SavedRun) -> str:
    """Return the name of a machine without its changes."""
    return run.machine.text("name").split(" + ")[0]


def command(run: SavedRun) -> str:
    """Return the command line of a run; empty if the report is of a version that did not tell."""
    if "settings" not in run.document:
        return ""
    try:
        settings = RunSettings.from_dict(run.document.section("settings").values)
    except SettingsError:
        return ""
    config = run.document.section("workload").section("config").values
    if "model" in config:
        words = ["tilewright", "run", str(config["model"])]
    elif {"m", "k", "n"} <= set(config):
        count = f"{config['repeat']}x" if "repeat" in config else ""
        words = ["tilewright", "map", f"{count}{config['m']}x{config['k']}x{config['n']}"]
    else:
        return ""
    words += ["--hw", machine_name(run)]
    return shlex.join([*words, *_options(settings)])


def _options(settings: RunSettings) -> list[str]:
    default = RunSettings()
    words = [word for name in PLAIN if getattr(settings, name) is not None for word in _option(settings, name)]
    changed = [name for name in CHOICES if getattr(settings, name) != getattr(default, name)]
    words += [word for name in changed for word in _option(settings, name)]
    words += ["--lm-head"] if settings.lm_head else []
    if settings.budget is not None:
        budget = settings.budget
        words += ["--budget", str(budget.evaluations) if budget.seconds is None else f"{budget.seconds:g}s"]
    words += [word for key, value in (settings.overrides or {}).items() for word in ("--set", f"{key}={_plain(value)}")]
    words += ["--exact"] if settings.exact else []
    return [*words, *(["--timeline"] if settings.spans else []), "--json", "run.json"]


def _option(settings: RunSettings, name: str) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", str(getattr(settings, name))


def _plain(value: object) -> str:
    return "null" if value is None else str(value)


def remarks(run: SavedRun) -> list[str]:
    """Return what the command needs besides this program."""
    config = run.document.section("workload").section("config").values
    found = []
    if "model" in config and str(config["model"]) not in known_models():
        found.append(f"{config['model']} came from a file: give its path in place of the name.")
    if machine_name(run) not in available():
        found.append(f"{machine_name(run)} came from a file: give its path in place of the name.")
    return found
