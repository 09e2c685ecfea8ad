"""Messages of the topic `jobs`: a turn of a job, which somebody is to work on.

A job is queued first in its document and then by a message, so a message tells of a turn that is stored. Turns count
from 1; each further one goes on where the one before it ended. Who works on them, is the business of `jobs`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from google.api_core.exceptions import GoogleAPIError
from msgspec import Meta, Struct
from msgspec.structs import replace

from pitwall.documents.encoding import without_nulls
from pitwall.settings import Settings

if TYPE_CHECKING:
    from google.cloud import pubsub_v1

PUBLISH_S = 10.0
"""Seconds that publishing may take."""


class NotQueued(Exception):
    """Pub/Sub has not acknowledged; the job's document says `queued`, so it can be published again."""


class UnreadableTurn(ValueError):
    """The message is none of the topic's; the text says why."""


class Turn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A turn of a job.

    kind, key: of the job, `jobs/{kind}-{key}`. request: what was asked for. turn: its number.
    """

    kind: Annotated[str, Meta(pattern=r"^[a-z]{1,16}(-[a-z]{1,16})?(?!\n)$")]
    key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,90}(?!\n)$")]
    request: dict[str, Any]
    turn: Annotated[int, Meta(ge=1)] = 1


def turn_of(data: bytes) -> Turn:
    """The turn a message tells of. Raises UnreadableTurn."""
    try:
        turn = msgspec.json.decode(data, type=Turn)
        return replace(turn, request=without_nulls(turn.request))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableTurn(str(error)) from None


class Queue:
    """The topic `jobs`. For several threads."""

    def __init__(self, settings: Settings) -> None:
        self._topic = f"projects/{settings.project}/topics/{settings.topic_jobs}"
        self._endpoint = settings.pubsub_endpoint

    @cached_property
    def _client(self) -> pubsub_v1.PublisherClient:
        """Loaded and opened for the first message: most instances never publish one."""
        from google.cloud import pubsub_v1

        options = {"client_options": {"api_endpoint": self._endpoint}} if self._endpoint else {}
        return pubsub_v1.PublisherClient(pubsub_v1.types.BatchSettings(max_messages=1), **options)

    def put(self, turn: Turn) -> None:
        """Publishes a turn; returns once it is acknowledged. Raises NotQueued."""
        try:
            self._client.publish(self._topic, msgspec.json.encode(turn), timeout=PUBLISH_S).result(PUBLISH_S)
        except (GoogleAPIError, TimeoutError) as error:
            raise NotQueued(f"{self._topic}: {type(error).__name__}: {error}") from None
