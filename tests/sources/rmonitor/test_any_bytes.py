"""Any line is translated or counted, whatever bytes and fields it is of; and the next one as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitwall.documents.schema import validate
from pitwall.karting import vocabulary
from pitwall.karting.projection import project
from pitwall.karting.state import KartState
from pitwall.message import Message
from pitwall.sources.recording import NotARecording, open_recording
from pitwall.sources.rmonitor.protocol import TAGS
from tests.documents.test_schema import exported
from tests.sources.rmonitor.lines import AT, BOARD, DRIVEN, Connection, beat, joined

pytestmark = pytest.mark.whole

FIELDS = st.sampled_from(
    [
        "", "1001", "1002", "0", "1", "-34", "7", "9999", "999999999", "00:00:00", "00:01:00.000", "00:05:10.000",
        "00:59:59.999", "99:99:99.999", "Green ", "Finish", "      ", "race", "TRACKNAME", "27 Jan 09", "0/0/0000",
        "Race 1", "5", "6", "²", "٣", "\x00", "\ud800", 'a""b', "a,b", "$G,", "x" * 300,
    ]
) | st.text(max_size=6)  # fmt: skip
RECORDS = st.builds(
    lambda tag, fields, quote: f"${tag}," + ",".join(f"{quote}{field}{quote}" for field in fields),
    st.sampled_from(sorted(TAGS)),
    st.lists(FIELDS, max_size=8),
    st.sampled_from(["", '"', ' "']),
)
PIECES = st.sampled_from(
    ['"', ",", "$", "$J,", "$G,1", "\r", "GET / HTTP/1.1", "\x16\x03\x01", "##2030-01-01 12:00:00"]
)
LINES = st.lists(st.lists(RECORDS | PIECES | st.text(max_size=4), max_size=4).map("".join), max_size=12)
BYTES = st.binary(max_size=60).map(lambda content: [content.decode("utf-8", "surrogateescape")])


def check(messages: list[Message]) -> None:
    """They are of the vocabulary, can be stored, and the state machine takes them."""
    state = KartState("waiting", "kart-nowhere")
    for message in messages:
        assert message.topic in vocabulary.TOPICS
        json.dumps(message.data)
        for change in state.apply(message):
            if (projected := project(state, change)) is not None:
                validate(projected[0], exported(projected[1]))
    state.finish()
    assert not {reason for reason in state.rejected if reason.startswith("bad-Kart")}


@settings(max_examples=300, deadline=None)
@given(LINES | BYTES)
def test_any_first_lines(lines: list[str]):
    connection = Connection()
    check(connection.read(*lines) + connection.read(beat(1)))


@settings(max_examples=300, deadline=None)
@given(LINES | BYTES)
def test_any_later_lines_and_the_board_after_them(lines: list[str]):
    connection = joined()
    check(connection.read(*lines, at=AT + 1) + connection.read(beat(1), at=AT + 2))
    messages = connection.read("$I", *BOARD, *DRIVEN, beat(2), at=AT + 3)
    grid = next(message for message in messages if message.topic == vocabulary.GRID)
    assert grid.data["Lines"]["1001"]["TotalMs"] == 310_000


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS | PIECES | BYTES.map("".join), max_size=12))
def test_any_file(tmp_path: Path, lines: list[str]):
    path = tmp_path / "any"
    path.write_bytes("\n".join(["##2030-01-01 12:00:00.000", *lines]).encode("utf-8", "surrogatepass"))
    try:
        source = open_recording(path)
    except NotARecording:
        return
    for message in source.messages():
        assert message.topic
