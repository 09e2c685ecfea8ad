"""Structured log lines on standard output, one JSON object each, as Cloud Logging reads them.

A line that is written while a request is handled carries the request's trace, so that Cloud Logging shows it with the
others of that request. Nothing here looks into what is logged: what is told of a person or a key never gets here.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

_lock = threading.Lock()
_lines: deque[str] = deque()
"""Lines that are not written yet."""
_SEVERITIES = ("DEBUG", "INFO", "WARNING", "ERROR")
_lowest = "INFO"

_trace: ContextVar[dict[str, Any]] = ContextVar("trace", default={})  # noqa: B039 (never changed in place)
_about: ContextVar[dict[str, Any]] = ContextVar("about", default={})  # noqa: B039 (never changed in place)
_TRACEPARENT = re.compile(
    r"[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
_CLOUD_TRACE = re.compile(r"(?P<trace>(?!0{32})[0-9a-fA-F]{32})(/(?P<span>[0-9]{1,20}))?(;o=(?P<flags>[01]))?")


def set_lowest(severity: str) -> None:
    """Leaves out lines of a lower severity from now on: what the entry points take from the settings."""
    global _lowest
    _lowest = severity


def follow(headers: Headers, project: str) -> None:
    """Has the lines of this thread's request carry its trace from now on: that of `traceparent`, else of Google's own.

    Without one that can be read they carry none, whatever the request before had. project: the one of the traces.
    """
    _trace.set(_trace_of(headers, project))


def _trace_of(headers: Headers, project: str) -> dict[str, Any]:
    if found := _TRACEPARENT.fullmatch(headers.get("traceparent", "")):
        span, sampled = found["span"], bool(int(found["flags"], 16) & 1)
    elif found := _CLOUD_TRACE.fullmatch(headers.get("X-Cloud-Trace-Context", "")):
        number = int(found["span"] or 0)
        span, sampled = f"{number:016x}" if 0 < number < 2**64 else "", found["flags"] == "1"
    else:
        return {}
    trace = {"logging.googleapis.com/trace": f"projects/{project}/traces/{found['trace'].lower()}"}
    return {
        **trace,
        **({"logging.googleapis.com/spanId": span} if span else {}),
        "logging.googleapis.com/trace_sampled": sampled,
    }


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Has the lines of this thread carry these fields too while this lasts: which job they are about."""
    before = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(before)


def log(severity: str, message: str, **fields: Any) -> None:
    """Writes one line. severity: DEBUG, INFO, WARNING, ERROR, as Cloud Logging names them."""
    if _SEVERITIES.index(severity) < _SEVERITIES.index(_lowest):
        return
    # Not orjson: what a feed sends may hold text that is no Unicode, and a log line must not fail.
    said = {"severity": severity, "message": message, **_about.get(), **fields, **_trace.get()}
    line = json.dumps(said, default=str, separators=(",", ":"))
    _lines.append(line + "\n")
    # Nobody waits for another's line to be written: who is writing writes those that come meanwhile, too.
    while _lines and _lock.acquire(blocking=False):
        try:
            sys.stdout.write("".join(_lines.popleft() for _ in range(len(_lines))))
            sys.stdout.flush()
        finally:
            _lock.release()
