"""Every capture without its headers and declared types: what fields do is enough, and nothing wrong is sure."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.detect import CORE, FORMS, Score, apex, frames, rmonitor
from pitwall.karting.detection.rows import Heard
from pitwall.sources.analysis import analyse
from tests.karting.test_real_captures import CAPTURES

pytestmark = pytest.mark.whole

LOGS = (
    "bradfier_2009_Sebring_ALMS_Session_4",
    pytest.param("redmist_TestMissingLaps", marks=pytest.mark.long),
)
UNSURE = {("mariembourg", "BestLapMs")}
"""One best lap was driven before a board was told anew."""


@pytest.mark.parametrize("capture", CAPTURES)
def test_no_confident_answer_is_wrong(capture: str, kart_captures: Path):
    score = Score()
    apex(kart_captures / f"apex-{capture}.jsonl.gz", score)
    assert score.confident_wrong == []
    for role in CORE:
        assert score.wrong[role] == 0
        if (capture, role) not in UNSURE:
            assert score.right[role] == score.there[role], role


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("log", LOGS)
def test_a_log_in_another_form_is_understood(log: str, form: str, kart_captures: Path):
    score = Score()
    assert rmonitor(kart_captures / f"{log}.txt.gz", form, score) == form
    assert score.confident_wrong == []
    assert all(score.right[role] == 1 for role in CORE)


def test_declared_columns_are_used(kart_captures: Path):
    heard = [Heard(at, text) for at, text in frames(kart_captures / "apex-los-santos-3h.jsonl.gz")]
    analysis = analyse(heard)
    used = {field.key: field.role for field in analysis.fields if field.verdict == "used"}
    assert used["c5"] == "LastLapMs"
    assert used["c9"] == "BestLapMs"
    assert {field.origin for field in analysis.fields} <= {"type", "header"}


@pytest.mark.parametrize(("capture", "role"), sorted(UNSURE))
def test_what_cannot_be_known_is_a_question(capture: str, role: str, kart_captures: Path):
    score = Score()
    apex(kart_captures / f"apex-{capture}.jsonl.gz", score)
    assert score.right[role] == score.there[role] - 1
