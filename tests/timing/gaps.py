"""Cuts holes into a session and plays it with what a live source yields there: a gap, and the feed's snapshot."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from local.export import jsonable
from local.gaps import Documents, unexplained
from pitwall.documents.base import Document
from pitwall.documents.encoding import to_fields
from pitwall.documents.projection import project
from pitwall.message import Message, feed_gap
from pitwall.sources.record import topic_rank
from pitwall.timing.change import Change
from pitwall.timing.merge import merge
from pitwall.timing.state import SessionState

STREAMS = frozenset({"CarData", "Position"})
"""Topics without a state: a snapshot of them says nothing."""

Hole = tuple[int, int]
"""Indexes of the first message that is missed, and of the first after them."""


def hole(messages: Sequence[Message], since: int, seconds: float) -> Hole | None:
    """The hole of some seconds that begins at message `since`; None where the session is over before it ends."""
    until = messages[since].at + seconds * 1000
    back = next((i for i in range(since + 1, len(messages)) if messages[i].at >= until), None)
    return (since, back) if back is not None else None


def holes(
    messages: Sequence[Message], seed: int, count: int = 1, shortest: float = 20, longest: float = 600
) -> list[Hole]:
    """Holes of 20 seconds to 10 minutes at random places, in order, apart from each other."""
    random = Random(seed)
    found: list[Hole] = []
    while len(found) < count:
        since = random.randrange(len(messages) // 20, len(messages) - 1)
        one = hole(messages, since, random.uniform(shortest, longest))
        if one is not None and all(one[1] < other[0] or other[1] < one[0] for other in found):
            found.append(one)
    return sorted(found)


def with_holes(messages: Sequence[Message], missed: Iterable[Hole]) -> list[Message]:
    """The session as one hears it who is away for a while: the snapshot is all that was told, merged."""
    heard: list[Message] = []
    topics: dict[str, Any] = {}
    done = 0
    for since, back in sorted(missed):
        heard += messages[done:since]
        for message in messages[done:back]:
            if message.topic not in STREAMS:
                before = None if message.snapshot else topics.get(message.topic)
                topics[message.topic] = merge(before, message.data)
        at = messages[back].at
        heard.append(feed_gap(messages[since - 1].at, at, "the connection was lost"))
        heard += [
            Message(topic, copy.deepcopy(topics[topic]), at, snapshot=True) for topic in sorted(topics, key=topic_rank)
        ]
        done = back
    return heard + list(messages[done:])


def played(messages: Iterable[Message]) -> tuple[SessionState, Documents]:
    """The state after all messages, and every document as it would be exported."""
    state = SessionState("played")
    changes: set[Change] = set()
    stored: dict[str, Document] = {}
    for count, message in enumerate(messages):
        changes |= state.apply(message)
        if count % 500 == 0:  # as the pipeline does: what changed is stored once in a while, as it then is
            stored.update(_projected(state, changes))
            changes = set()
    stored.update(_projected(state, changes | state.finish()))
    return state, {path: jsonable(to_fields(document)) for path, document in stored.items()}


def _projected(state: SessionState, changes: Iterable[Change]) -> dict[str, Document]:
    return dict(made for change in changes if (made := project(state, change)) is not None)


def differences(clean: Documents, gapped: Documents) -> list[str]:
    """What differs and is not told by the gaps' own documents."""
    return unexplained(clean, gapped)
