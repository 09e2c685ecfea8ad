"""Pub/Sub's push requests: what a subscriber function receives, and how it answers.

Only the outer form is read here; what the data means is the subscriber's business.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import msgspec
from flask import Response
from msgspec import Meta, Struct, field

from pitwall.pipeline.log import log

_Zoned = Annotated[datetime, Meta(tz=True)]


class NotAPush(ValueError):
    """The request body is not Pub/Sub's push envelope."""


class _PushMessage(Struct, rename="camel"):
    message_id: str
    data: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    publish_time: str = ""
    ordering_key: str = ""


class _PushBody(Struct, rename="camel"):
    message: _PushMessage
    subscription: str = ""
    delivery_attempt: int = 0


class Push(Struct, frozen=True):
    """One delivered message.

    data: as published. id: given by Pub/Sub, the same at every redelivery.
    attempt: number of this delivery, 0 where Pub/Sub does not say (the emulator, or a
        subscription without a dead-letter policy).
    published: when Pub/Sub took the message; None where that cannot be read.
    """

    id: str
    data: bytes
    attributes: dict[str, str]
    attempt: int
    published: datetime | None = None


def parse(body: bytes) -> Push:
    """The message in a push request's body. Raises NotAPush with what is wrong."""
    try:
        envelope = msgspec.json.decode(body, type=_PushBody)
        data = base64.b64decode(envelope.message.data, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAPush(str(error)) from None
    except (binascii.Error, ValueError) as error:
        raise NotAPush(f"message.data is not base64: {error}") from None
    message = envelope.message
    return Push(message.message_id, data, message.attributes, envelope.delivery_attempt, _instant(message.publish_time))


def _instant(text: str) -> datetime | None:
    """RFC 3339 with a zone, as Pub/Sub writes it (up to nanoseconds); None for anything else."""
    try:
        return msgspec.convert(text, _Zoned)
    except msgspec.ValidationError:
        return None


def receive(body: bytes, deliver: Callable[[Push], None], again: tuple[type[Exception], ...]) -> Response:
    """The answer to a push request: 204 once `deliver` has returned, 400 if it is none, 503 to have it again.

    again: what `deliver` raises when the same message may succeed later.
    """
    try:
        delivered = parse(body)
    except NotAPush as error:
        log("WARNING", "not a push request", reason="not-a-push", detail=str(error)[:500])
        return problem(400, "not-a-push", str(error))
    try:
        deliver(delivered)
    except again as error:
        log("ERROR", "to be delivered again", messageId=delivered.id, detail=f"{type(error).__name__}: {error}"[:500])
        return problem(503, "try-again", "not stored yet")
    return Response(status=204)


def problem(status: int, kind: str, detail: str) -> Response:
    """An error as RFC 9457 problem+json; anything but 2xx makes Pub/Sub deliver again."""
    body = {"type": f"urn:pitwall:problem:{kind}", "title": kind, "status": status, "detail": detail}
    return Response(json.dumps(body), status=status, content_type="application/problem+json")
