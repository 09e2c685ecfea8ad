"""Log lines as Cloud Logging reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from functions_framework import create_app
from werkzeug.datastructures import Headers

from pitwall.pipeline import recorder, writer
from pitwall.pipeline.invocation import configured
from pitwall.pipeline.log import about, follow, log, set_lowest

FUNCTIONS = Path(__file__).parents[2] / "functions"


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


def test_lines_say_what_they_are_about_while_that_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    with about(job="jobs/backfill-2023", year=2023):
        with about(round=4):
            log("INFO", "one", year=2018)
        log("INFO", "two")
    log("INFO", "three")
    told = [{name: value for name, value in line.items() if name != "severity"} for line in lines(capsys)]
    assert told == [
        {"message": "one", "job": "jobs/backfill-2023", "year": 2018, "round": 4},
        {"message": "two", "job": "jobs/backfill-2023", "year": 2023},
        {"message": "three"},
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


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "not-one"},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01x"},
        {"X-Cloud-Trace-Context": "someone@example.org/1;o=1"},
        {"X-Cloud-Trace-Context": f"{TRACE}/1;o=7"},
        {},
    ],
)
def test_what_is_no_trace_leaves_the_lines_without_one(
    headers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    follow(Headers({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}), "p")
    follow(Headers(headers), "p")
    log("INFO", "said")
    assert lines(capsys) == [{"severity": "INFO", "message": "said"}]


@pytest.mark.parametrize("span", ["", "/0", "/99999999999999999999"])
def test_googles_own_header_may_have_no_span_that_is_one(span: str, capsys: pytest.CaptureFixture[str]) -> None:
    follow(Headers({"X-Cloud-Trace-Context": TRACE + span}), "p")
    log("INFO", "said")
    follow(Headers(), "p")
    [line] = lines(capsys)
    assert line["logging.googleapis.com/trace"] == f"projects/p/traces/{TRACE}"
    assert "logging.googleapis.com/spanId" not in line


@pytest.mark.parametrize("entry", ["writer", "recorder"])
def test_the_lines_of_a_push_carry_its_trace(
    entry: str, project: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    for cached in (configured, writer._writer, recorder._recorder):
        cached.cache_clear()
    app = create_app(entry, str(FUNCTIONS / "main.py"))
    refused = app.test_client().post("/", data=b"no push", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    for cached in (configured, writer._writer, recorder._recorder):
        cached.cache_clear()
    follow(Headers(), project)
    assert refused.status_code == 400
    assert [line["logging.googleapis.com/trace"] for line in lines(capsys)] == [f"projects/{project}/traces/{TRACE}"]
