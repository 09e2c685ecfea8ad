"""PitWall's own recordings, as the recorder writes them and as they are read again.

A recording is a folder of gzip objects `{session}/{at:013d}-{epoch:06d}-{seq:08d}.jsonl.gz`, `at` the instant of the
first line, so that those of a stretch of time can be listed (older ones are named without it); a line is
`{"topic","data","at","snapshot"?,"cursor"}`, `at` in milliseconds since the epoch, `snapshot` only where it is true.
A poller that takes over sends again what the one before it had sent last, so epochs overlap; `without_overlaps` takes
the second copy out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from pitwall.message import Message
from pitwall.sources.literals import loads
from pitwall.sources.record import Record, Reject

OVERLAP_MS = 120_000
"""How far back, in feed time, a message without a cursor is looked for in earlier epochs."""

_LATEST = 4_102_444_800_000  # 2100-01-01
_START = re.compile(rb'\{\s*"(?:topic"\s*:\s*"|data"\s*:|at"\s*:\s*\d|cursor"\s*:)')
_NAME = re.compile(r"(?:\d{13}-)?(\d{1,12})-(\d{1,16})\.jsonl(?:\.gz)?")

BOARD = "KartBoard"
"""Topic of the line that begins an object of a kart track: `{"Numbers": {row: racing number}, "Lines": {row: Line}}`,
the board as it stood before, for who reads on from there. Played, a recording has it not: it is made of what came
earlier.
"""


class OwnRecord(NamedTuple):
    """A line of PitWall's own format.

    cursor: the ordinal it had in the source it was recorded from; -1 if that could not rewind.
    epoch: the lease epoch of the poller that published it, from the object's name.
    """

    record: Record
    cursor: int
    epoch: int


class ObjectName(NamedTuple):
    """What an object's name says: the order of a session's objects."""

    epoch: int
    seq: int


def object_name(session: str, epoch: int, seq: int, at: int) -> str:
    """The name of the object that holds batch `seq` of `epoch`, which begins with a message of the instant `at`, ms."""
    return f"{from_instant(session, at)}-{epoch:06d}-{seq:08d}.jsonl.gz"


def from_instant(session: str, at: int) -> str:
    """What names of objects of `session` that begin at `at` (ms) or later sort behind."""
    return f"{session}/{min(max(at, 0), _LATEST):013d}"


def parse_object_name(path: Path) -> ObjectName | None:
    """Epoch and seq of an object or file; None if its name has another form."""
    match = _NAME.fullmatch(path.name)
    return ObjectName(int(match[1]), int(match[2])) if match else None


def encode_line(message: Message) -> bytes:
    """One message as a line, line end included. `arrived` is not kept: it belongs to one run."""
    line: dict[str, Any] = {"topic": message.topic, "data": message.data, "at": message.at}
    if message.snapshot:
        line["snapshot"] = True
    line["cursor"] = message.cursor
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


def decode_line(line: bytes) -> Message:
    """The message of a line, with the cursor it was recorded with. Raises ValueError if it is none."""
    value = loads(line)
    record = own_record(value)
    if record is None or record.at is None:
        raise ValueError("not a line of PitWall's own format")
    return Message(record.topic, record.data, record.at, record.snapshot, _cursor(value))


class OwnLines:
    """`{"topic":"TimingData","data":{...},"at":1762608799801,"cursor":17}`"""

    name = "pitwall"
    relative = False

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning."""
        return _START.match(line) is not None

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The line's message; nothing, counted, if it cannot be read."""
        own = read_own(line, 0, reject)
        return [] if own is None else [own.record]


def read_own(line: bytes, epoch: int, reject: Reject) -> OwnRecord | None:
    """The line's message with what removing overlaps needs; None, counted, if it cannot be read."""
    try:
        value = loads(line)
    except ValueError:
        reject("bad-json")
        return None
    record = own_record(value)
    if record is None:
        reject("bad-line")
        return None
    return OwnRecord(record, _cursor(value), epoch)


def own_record(value: Any) -> Record | None:
    """The message of a `{"topic","data","at"}` object; None if it is none."""
    if not isinstance(value, dict) or "data" not in value or "at" not in value:
        return None
    topic, at = value.get("topic"), value["at"]
    if not isinstance(topic, str) or not topic:
        return None
    # A recording without any clock is played from the epoch on, so small instants are right.
    instant = at if isinstance(at, int) and not isinstance(at, bool) and abs(at) < _LATEST else None
    return Record(topic, value["data"], instant, value.get("snapshot") is True)


def _cursor(value: dict[str, Any]) -> int:
    cursor = value.get("cursor", -1)
    return cursor if isinstance(cursor, int) and not isinstance(cursor, bool) else -1


def without_overlaps(lines: Iterable[OwnRecord]) -> Iterator[Record]:
    """The messages of objects in order of epoch and seq, each once.

    With a cursor, a message is dropped when its cursor has been passed. Without one (a live feed), when a
    message of an earlier epoch not more than 120 s older was the same; twice within one epoch is the feed's own doing.
    """
    highest = -1
    epoch: int | None = None
    newest = 0
    recent: deque[tuple[int, bytes]] = deque()
    earlier: set[bytes] = set()
    for record, cursor, of_epoch in lines:
        if of_epoch != epoch:
            epoch = of_epoch
            earlier = {digest for _, digest in recent}
        at = record.at or 0
        if cursor >= 0:
            if cursor <= highest:
                continue
            highest = cursor
        else:
            digest = _digest(record)
            if digest in earlier:
                continue
            newest = max(newest, at)
            recent.append((at, digest))
            while recent[0][0] < newest - OVERLAP_MS:
                recent.popleft()
        yield record


def _digest(record: Record) -> bytes:
    content = orjson.dumps([record.topic, record.at, record.snapshot, record.data], option=orjson.OPT_SORT_KEYS)
    return blake2b(content, digest_size=16).digest()
