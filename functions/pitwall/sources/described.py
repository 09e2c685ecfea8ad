"""The source `described`: a feed nobody wrote a source for, read by its description (`karting/description`)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pitwall.karting import vocabulary
from pitwall.karting.described import Described
from pitwall.karting.description import MOST_BYTES, Description, decode
from pitwall.message import Message
from pitwall.settings import Settings
from pitwall.sources import LiveSource
from pitwall.sources.record import Reject
from pitwall.sources.track.channel import place
from pitwall.sources.track.opening import open_channel
from pitwall.sources.track.source import TrackSource


def open_described(url: str, description: Description, settings: Settings) -> LiveSource:
    """A feed at a WebSocket, an address that is polled (http, https) or one with lines (`tcp://host:port`).

    Raises ValueError for what is none of these.
    """
    lines = place(url).scheme == "tcp" and description.kind != "html-table"
    if lines:
        # Packets are cut anywhere and mean nothing, so what is told at once is a line.
        description = msgspec.structs.replace(description, whole=False)
    return TrackSource(
        "described",
        settings,
        lambda reject: open_channel(url, settings, reject),
        lambda reject: DescribedReading(description, reject, lines=lines),
    )


def read_description(path: str) -> Description:
    """A description in a file. Raises ValueError for what is none."""
    try:
        with Path(path).open("rb") as file:
            return decode(file.read(MOST_BYTES + 1))
    except OSError:
        raise ValueError("the description cannot be read") from None


class DescribedReading:
    """The frames of one connection."""

    beats = False

    def __init__(self, description: Description, reject: Reject, *, lines: bool) -> None:
        """lines: each line is a frame."""
        self._described = Described(description, reject)
        self._lines = lines
        self._told = 0

    def read(self, texts: list[str], at: int) -> list[Message]:
        messages: list[Message] = []
        for text in texts:
            for frame in text.split("\n") if self._lines else [text]:
                messages += self._described.frame(frame, at)
        notices = self._described.notices[self._told :]
        self._told += len(notices)
        for notice in notices:
            told = vocabulary.Notice(Kind=notice.kind, Key=notice.key, Role=notice.role, Message=notice.message)
            messages.append(vocabulary.message(vocabulary.NOTICE, told, at))
        return messages
