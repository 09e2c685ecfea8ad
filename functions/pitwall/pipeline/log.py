"""Structured log lines on standard output, one JSON object each, as Cloud Logging reads them."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

_lock = threading.Lock()
_SEVERITIES = ("DEBUG", "INFO", "WARNING", "ERROR")
_lowest = "INFO"


def set_lowest(severity: str) -> None:
    """Leaves out lines of a lower severity from now on: what the entry points take from the settings."""
    global _lowest
    _lowest = severity


def log(severity: str, message: str, **fields: Any) -> None:
    """Writes one line. severity: DEBUG, INFO, WARNING, ERROR, as Cloud Logging names them."""
    if _SEVERITIES.index(severity) < _SEVERITIES.index(_lowest):
        return
    # Not orjson: what a feed sends may hold text that is no Unicode, and a log line must not fail.
    line = json.dumps({"severity": severity, "message": message, **fields}, default=str, separators=(",", ":"))
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
