"""What a kart track's hub plays: the frames of a capture, or the packets of lines, as they came.

When a message is due is `local.hub.feed`'s business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

from local.hub.playing import FeedRecord
from pitwall.sources.apex.capture import EPOCH_FROM, FRAME, ApexLines
from pitwall.sources.formats import ignore, read_records
from pitwall.sources.recording import NotARecording, open_recording
from pitwall.sources.rmonitor.capture import RMonitorCapture

Protocol: TypeAlias = Literal["apex", "rmonitor", "racemonitor"]

BOARD: Final = "board"
"""The one topic a kart track has."""
END: Final = "\r\n"


class KartRecord(FeedRecord):
    """A frame, or a packet of lines, as it goes over the wire."""

    __slots__ = ("_wire",)

    def __init__(self, text: str, at: int, offset: int, cursor: int) -> None:
        super().__init__(BOARD, at, offset, text.encode("utf-8", "replace"), None, cursor)
        self._wire = text

    @property
    def text(self) -> str:
        return self._wire


def protocol_of(path: str | os.PathLike[str]) -> Protocol:
    """The protocol of a capture: `apex` or `rmonitor`. Raises NotARecording for anything else."""
    location = Path(path)
    opened = open_recording(location)
    if not location.is_file() or opened.format not in ("apex", "rmonitor"):
        raise NotARecording(location, "it is no capture of a kart track's feed")
    return "apex" if opened.format == "apex" else "rmonitor"


class KartProgramme:
    """A capture, or a part of it, in order. Raises NotARecording.

    opening: what came before the part begins.
    """

    def __init__(self, path: str | os.PathLike[str], start_ms: int | None, end_ms: int | None) -> None:
        """start_ms, end_ms: the part to play, ms from the capture's first message."""
        self._path = Path(path)
        self._frames = protocol_of(path) == "apex"
        self._start, self._end = start_ms or 0, end_ms
        self.opening: list[FeedRecord] = [record for record in self._records() if record.offset < 0]

    def __iter__(self) -> Iterator[FeedRecord]:
        for record in self._records():
            if record.offset >= 0:
                yield record

    def _records(self) -> Iterator[KartRecord]:
        """Offsets count from where the part begins, and never step back though instants do."""
        offset, first = 0, None
        for cursor, (text, at) in enumerate(_frames(self._path) if self._frames else _packets(self._path)):
            first = at if first is None else first
            offset = max(offset, at - first)
            if self._end is not None and offset >= self._end:
                return
            yield KartRecord(text, at, offset - self._start, cursor)


def _frames(path: Path) -> Iterator[tuple[str, int]]:
    base = at = 0
    for record in read_records(path, ApexLines(), ignore):
        if record.topic != FRAME:
            base = at = record.at or 0
            continue
        if record.at is not None:
            at = record.at if record.at >= EPOCH_FROM else base + record.at
        yield record.data, at


def _packets(path: Path) -> Iterator[tuple[str, int]]:
    capture = RMonitorCapture(path)
    capture.survey()
    for lines, at in capture.packets(ignore):
        told = [line.strip("\ufeff\r\n") for line in lines]
        if text := "".join(line + END for line in told if line.strip()):
            yield text, at
