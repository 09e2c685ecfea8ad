"""Log lines as Cloud Logging reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pitwall.pipeline.log import log, set_lowest


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_one_json_object_with_its_severity(capsys: pytest.CaptureFixture[str]) -> None:
    log("WARNING", "two\nlines", rejected={"bad-json": 2}, by=ValueError("x"))
    assert lines(capsys) == [
        {
            "severity": "WARNING",
            "message": "two\nlines",
            "rejected": {"bad-json": 2},
            "by": "x",
        }
    ]


def test_lines_below_the_lowest_severity_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    set_lowest("WARNING")
    try:
        for severity in ("DEBUG", "INFO", "WARNING", "ERROR"):
            log(severity, "said")
    finally:
        set_lowest("INFO")
    assert [line["severity"] for line in lines(capsys)] == ["WARNING", "ERROR"]


def test_text_that_is_no_unicode_does_not_stop_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    log("ERROR", "bad \ud800 text", detail="\udcff")
    assert len(lines(capsys)) == 1
