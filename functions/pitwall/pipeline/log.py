"""Structured log lines on standard output, one JSON object each, as Cloud Logging reads them."""

from __future__ import annotations

import sys
import threading
from typing import Any

import orjson

_lock = threading.Lock()


def log(severity: str, message: str, **fields: Any) -> None:
    """Writes one line. severity: DEBUG, INFO, WARNING, ERROR, as Cloud Logging names them."""
    line = orjson.dumps(
        {"severity": severity, "message": message, **fields},
        default=str,
        option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z,
    ).decode("utf-8", "replace")
    with _lock:
        sys.stdout.write(line)
        sys.stdout.flush()
