"""What the hub plays: recordings, or parts of them, one after the other, as feed messages ready to be sent.

Reads with `pitwall.sources.recording`, so whatever PitWall reads can be played. When a message is due is `feed`'s
business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from local.hub import wire
from local.hub.redate import Redating, minutes_to
from local.hub.topics import COMPRESSED, wire_name
from pitwall.message import FEED_GAP, Message
from pitwall.sources.record import topic_rank
from pitwall.sources.recording import RecordingSource, open_recording
from pitwall.timing.merge import merge


@dataclass(frozen=True, slots=True)
class Playing:
    """A recording to be played, or a part of it.

    path: whatever `open_recording` opens. start_ms, end_ms: the part to play, in ms from the recording's first
    message; what comes before start_ms is in the snapshot as if it had been played. quiet_ms: feed time in which
    nothing comes before this one begins.
    """

    path: str | os.PathLike[str]
    start_ms: int | None = None
    end_ms: int | None = None
    quiet_ms: int = 0


class FeedRecord:
    """One message of the feed, ready to be sent to any number of connections.

    topic: without `.z`. at: ms since the epoch. offset: ms of feed time since the hub's first message. data: the
    payload, None for a compressed topic. payload: the payload as JSON. cursor: its ordinal in its recording, -1 for a
    topic's whole state where a part of a recording begins. begins: the session that begins with it. ordinal: among
    all messages the hub has played, given when it is played.
    """

    __slots__ = ("_text", "at", "begins", "cursor", "data", "got", "offset", "ordinal", "payload", "pending", "topic")

    def __init__(self, topic: str, at: int, offset: int, payload: bytes, data: Any, cursor: int) -> None:
        self.topic, self.at, self.offset = topic, at, offset
        self.payload, self.data, self.cursor = payload, data, cursor
        self.begins: str | None = None
        self.ordinal = -1
        # How many connections it is still to be sent to, and whether one has been sent it.
        self.pending = 0
        self.got = False
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The record as it goes over the wire; a compressed topic is deflated when somebody first asks for it."""
        if self._text is None:
            payload = f'"{wire.deflated(self.payload)}"' if self.topic in COMPRESSED else self.payload.decode()
            self._text = wire.feed(wire_name(self.topic), payload, self.at)
        return self._text


class Programme:
    """Everything a hub plays, in order. Opens all recordings at once; raises NotARecording.

    opening: topic to whole state before the first message, in the order of a snapshot.
    session: that of the first recording. Read in one thread.
    """

    def __init__(self, playings: Sequence[Playing], begin_at: int | None) -> None:
        """begin_at: ms since the epoch at which the first session is to begin, None to leave the instants alone."""
        self._playings = [(playing, open_recording(playing.path)) for playing in playings]
        if not self._playings:
            raise ValueError("a hub has to have something to play")
        self._begin_at = begin_at
        self.session = self._playings[0][1].session
        self._first = _Part(*self._playings[0], begin_at)
        self.opening = list(self._first.opening())

    def __iter__(self) -> Iterator[FeedRecord]:
        """The messages in order, offsets growing, each session's first marked."""
        session, end, last_at = self.session, 0, self._first.begin_at
        for index, (playing, source) in enumerate(self._playings):
            if index:
                begin = end + playing.quiet_ms
                part = _Part(
                    playing, source, None if self._begin_at is None else last_at + playing.quiet_ms, later=True
                )
                records: Iterator[FeedRecord] = chain(part.opening(), part.records())
            else:
                begin, part, records = 0, self._first, self._first.records()
            marked = source.session == session
            session = source.session
            for record in records:
                record.offset += begin
                end, last_at = record.offset, record.at
                if not marked:
                    marked, record.begins = True, session
                yield record


class _Part:
    """One recording's messages, cut to what is to be played."""

    def __init__(self, playing: Playing, source: RecordingSource, begin_at: int | None, later: bool = False) -> None:
        self._start, self._end = playing.start_ms or 0, playing.end_ms
        self._state: dict[str, Any] = {}
        self._messages = iter(source.messages())
        first = next(self._messages, None)
        self.begin_at = first.at if first else 0
        self._rest = self._open(first) if first else iter(())
        shift = 0 if begin_at is None else minutes_to(self.begin_at + self._start, begin_at, not_before=later)
        self._shift = shift
        self._redating = Redating(shift) if shift else None

    def _open(self, first: Message) -> Iterator[tuple[Message, int]]:
        """Merges what is there before the first message to be sent; gives the messages from there on."""
        timed = self._timed(chain((first,), self._messages))
        leading = True
        for message, offset in timed:
            leading = leading and message.snapshot
            if not leading and offset >= self._start:
                return chain(((message, offset),), timed)
            whole = message.topic in COMPRESSED or message.snapshot
            before = None if whole else self._state.get(message.topic)
            self._state[message.topic] = (
                message.data if whole and message.topic in COMPRESSED else merge(before, message.data)
            )
        return iter(())

    def _timed(self, messages: Iterator[Message]) -> Iterator[tuple[Message, int]]:
        """With their offsets from the first one, which never step back though instants do."""
        offset = 0
        for message in messages:
            # Our own note of a gap is in our own recordings; the feed has no such topic.
            if message.topic == FEED_GAP:
                continue
            offset = max(offset, message.at - self.begin_at)
            yield message, offset

    def opening(self) -> Iterator[FeedRecord]:
        """The whole state of each topic where the part begins, marked as keyframes."""
        for topic in sorted(self._state, key=topic_rank):
            state = self._state[topic]
            whole = {**state, "_kf": True} if isinstance(state, dict) and topic not in COMPRESSED else state
            yield self._record(topic, whole, self.begin_at + self._start, 0, -1)
        self._state.clear()

    def records(self) -> Iterator[FeedRecord]:
        for message, offset in self._rest:
            if self._end is not None and offset >= self._end:
                return
            begun = max(0, offset - self._start)
            yield self._record(message.topic, message.data, message.at, begun, message.cursor)

    def _record(self, topic: str, data: Any, at: int, offset: int, cursor: int) -> FeedRecord:
        payload = wire.to_json(data)
        if self._redating is not None:
            moved = self._redating(payload)
            if moved != payload:
                payload = moved
                data = None if topic in COMPRESSED else orjson.loads(payload)
        kept = None if topic in COMPRESSED else data
        return FeedRecord(topic, at + self._shift, offset, payload, kept, cursor)
