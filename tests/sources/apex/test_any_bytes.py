"""Any frame is translated or counted, whatever bytes it is of; and the next one as if nothing had been."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from pitwall.documents.schema import validate
from pitwall.karting import vocabulary
from pitwall.karting.projection import project
from pitwall.karting.state import KartState
from pitwall.message import Message
from tests.documents.test_schema import exported
from tests.sources.apex.frames import AT, DRIVEN, Connection, grid, init, joined

PIECES = st.sampled_from(
    [
        "|", "||", "\n", "\r\n", "init|r|", "title1||", "dyn1|countdown|", "dyn1|text|Tour 1/2", "light|lg|",
        "grid||", "<tbody>", '<tr data-id="r1">', '<td data-id="r1c5">', "</td>", "com||<p><b>", "css|no7|", "r1",
        "c5", "r1c5|tn|", "r1|*|", "r1|*in|0", "r1|#|", "r99999999999c4|", "1:05.295", "00.", "2:48.", "Tour 3",
        "5 Tours", "1,2", "²", "٣", "\x00", "\ud800", "\x16\x03\x01", "GET / HTTP/1.1", "9" * 40, "gmt||-99",
        "&#x0;", "track||(5m)",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=6), max_size=14).map("".join)
BYTES = st.binary(max_size=60).map(lambda content: content.decode("utf-8", "surrogateescape"))


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


@settings(max_examples=600, deadline=None)
@given(TEXTS | BYTES)
def test_any_first_frame(text: str):
    check(Connection().frame(text))


@settings(max_examples=600, deadline=None)
@given(TEXTS | BYTES)
def test_any_later_frame_and_the_board_after_it(text: str):
    connection = joined()
    check(connection.frame(text))
    (_, board, _) = connection.frame(init(), grid({"r1": DRIVEN}), at=AT + 1)
    assert board.data["Lines"]["r1"]["LastLapMs"] == 65_295
