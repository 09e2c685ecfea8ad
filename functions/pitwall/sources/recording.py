"""Opens any recording of F1's timing feed or of a kart track's, whatever its format, and yields its messages.

Formats are told apart by content, never by name (a `jsonStream`'s topic excepted, which nothing but its name tells).
Which files make up a recording is `layouts`' business; when a message is let through is `paced`'s.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pitwall.message import Message
from pitwall.sources.layouts import Layout, NotARecording, open_layout, stem
from pitwall.sources.record import plain_topic
from pitwall.sources.z import BadPayload, payload

__all__ = ["NotARecording", "RecordingSource", "open_recording"]

logger = logging.getLogger(__name__)

F1 = "f1"
_LONGEST_NAME = 48


def open_recording(path: str | os.PathLike[str]) -> RecordingSource:
    """Opens a recording: a file, or a folder of F1's archive, of a live capture or of PitWall's own objects.

    Reads as much of it as it takes to know its format, feed, session and time base: of a live format up to the first
    SessionInfo. Raises NotARecording for anything else, also an empty file and a folder in which nothing can be read.
    """
    location = Path(path)
    layout = open_layout(location)
    session = layout.survey()
    if layout.karts:
        return RecordingSource(location, layout, "", _kart_feed(stem(location)))
    return RecordingSource(location, layout, session or f"recording-{stem(location)}")


class RecordingSource:
    """A recording as a source of messages. `open_recording` makes them.

    format: the name of its format, for the log.
    feed: the id of the feed it is of: `f1`, or `kart-<file stem>` of a kart track's.
    session: the key of the first SessionInfo, else `recording-<file stem>`. Empty of a kart track's: its first message
        of a session tells.
    rejected: what could not be read, by reason, in the part `messages` has passed.
    """

    name = "recording"

    def __init__(self, path: Path, layout: Layout, session: str, feed: str = F1) -> None:
        self.path = path
        self.format = layout.format
        self.feed = feed
        self.session = session
        self.rejected: Counter[str] = Counter()
        self._layout = layout

    def messages(self, cursor: int = 0) -> Iterator[Message]:
        """Yields the messages from the ordinal `cursor` on, the same ones with the same ordinals every time.

        Damage before `cursor` is not counted: it was when those messages were read. Raises ValueError for a negative
        cursor.
        """
        if cursor < 0:
            raise ValueError(f"a cursor counts from 0, not {cursor}")
        return self._messages(cursor)

    def _messages(self, cursor: int) -> Iterator[Message]:
        self.rejected.clear()
        ordinal = 0

        def reject(reason: str) -> None:
            if ordinal < cursor:
                return
            if not self.rejected[reason]:
                logger.warning("%s: %s at message %d; more of these are only counted", self.path.name, reason, ordinal)
            self.rejected[reason] += 1

        for topic, data, at, snapshot in self._layout.records(reject):
            if type(data) is str or topic.endswith(".z"):
                try:
                    data = payload(topic, data)
                except BadPayload as bad:
                    reject(bad.reason)
                    continue
                topic = plain_topic(topic)
            if data is None and snapshot:
                continue
            if ordinal >= cursor:
                yield Message(topic, data, at or 0, snapshot, ordinal)
            ordinal += 1


def _kart_feed(name: str) -> str:
    """The id of a kart track's feed, after the file it is played from."""
    slug = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
    return f"kart-{slug[:_LONGEST_NAME].strip('-')}"
