"""Push requests: Pub/Sub's form is read, anything else is told from it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pitwall.pipeline.push import NotAPush, parse
from tests.pipeline.conftest import push_body


def test_data_attributes_and_id_are_read() -> None:
    push = parse(push_body(b"\x00\xff", session="1"))
    assert (push.data, push.attributes, push.attempt) == (b"\x00\xff", {"session": "1"}, 0)
    assert push.id


def test_a_message_may_have_no_data() -> None:
    assert parse(push_body(b"")).data == b""


def test_the_number_of_the_delivery_is_read_where_pubsub_gives_it() -> None:
    body = b'{"message":{"data":"","messageId":"1","message_id":"1"},"subscription":"s","deliveryAttempt":5}'
    assert parse(body).attempt == 5


def test_when_the_message_was_published_is_read_and_anything_else_is_unknown() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert parse(push_body(b"", at)).published == at
    assert parse(b'{"message":{"messageId":"1","publishTime":"2026-01-01T00:00:00.000000001Z"}}').published == at
    assert parse(b'{"message":{"messageId":"1","publishTime":"yesterday"}}').published is None
    assert parse(b'{"message":{"messageId":"1"}}').published is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"message":null}',
        b'{"message":{}}',
        b'{"message":{"messageId":7}}',
        b'{"message":{"messageId":"1","data":"%%%"}}',
        b'{"message":{"messageId":"1","data":"YQ"}}',
        b'{"message":{"messageId":"1","attributes":{"a":1}}}',
        b'{"message":{"messageId":"1"}',
        b"[" * 100_000,
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_anything_else_is_no_push(body: bytes) -> None:
    with pytest.raises(NotAPush):
        parse(body)
