"""What the job function can be asked to do: the kinds of jobs, and what a job's work is called with.

A kind's module is loaded by the first job of that kind: this one loads nothing, so that whoever asks for work needs
none of what it is done with. How jobs are started, told of, stopped and taken up again, is the business of `jobs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pitwall.pipeline.database import Database
    from pitwall.settings import Settings

Progress = Callable[[float, str], None]
"""Says how much is done, 0 to 1, and in plain words what is being done. To be called every few seconds. Raises Stopped,
which a work lets pass once what it has stored fits together."""

Work = Callable[["Settings", "Database", Mapping[str, Any], Progress], dict[str, Any]]
"""Does what a request asks for; its result is what JSON holds. Called again with the same request after it was stopped
or killed, it goes on from what is stored. Raises BadRequest, Stopped, and OSError or Unavailable for what passes by
itself: it is then called again."""

EXPORT_PERSON, ERASE_PERSON = "export-person", "erase-person"
"""The kinds of jobs that look for a private driver's name, to show it or to take it out."""

ANALYSIS: Final = "analyze-format"
"""The kind of job that finds out what a kart track's feed says."""
SHORTEST_S, DEFAULT_S, LONGEST_S = 10, 120, 420
"""Seconds for which it listens: within one invocation (PITWALL_JOB_S)."""
CAPTURE: Final = r"^captures/[A-Za-z0-9._/-]{1,200}(?!\n)$"
"""Names of the objects in the recorder's bucket that it can read: captures somebody has put there."""

WORK: dict[str, str] = {
    ANALYSIS: "pitwall.history.format_analysis:work",
    "backfill": "pitwall.history.backfill:work",
    EXPORT_PERSON: "pitwall.history.persons:export",
    ERASE_PERSON: "pitwall.history.persons:erase",
    "telemetry": "pitwall.history.telemetry.processing:work",
}
"""Where the work of each kind is: `module:function`."""


class Stopped(Exception):
    """The work is to stop where it is: the job was cancelled or is another's, or this invocation's time is over."""


class BadRequest(ValueError):
    """What is asked for cannot be done, however often it is tried; the text says why."""


class UnknownKind(BadRequest):
    """No job of this kind exists."""


def work_of(kind: str) -> Work:
    """The work of a kind of job. Raises UnknownKind."""
    if kind not in WORK:
        raise UnknownKind(f"there is no job of kind {kind}; there is {', '.join(sorted(WORK))}")
    module, _, function = WORK[kind].partition(":")
    work: Work = getattr(import_module(module), function)
    return work
