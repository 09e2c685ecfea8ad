"""Writes a race's messages in the forms recordings of the feed are found in.

`merged`: lines `HH:MM:SS.mmm{"stream":...,"payload":...}`, all topics together;
`archive`: F1's own folder, one `{Topic}.jsonStream` a topic with BOM and CRLF;
`live`: what a listener wrote down, `<epoch ns>:<topic>:<json>`, first a snapshot named `init`.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias, get_args

from local.simulator.sent import SentState
from local.simulator.wording import WHOLE, FeedMessage

Form: TypeAlias = Literal["merged", "archive", "live"]
FORMS: tuple[Form, ...] = get_args(Form)

SNAPSHOT_MS = 2_000
"""A live listener connects this long after the recording opens."""


def write(messages: Iterable[FeedMessage], opens: int, path: Path, form: Form) -> int:
    """Writes the recording and returns how many messages it holds, the snapshot not counted.

    path: a file, gzipped if its name ends in `.gz`; for `archive` a folder, made if need be.
    """
    match form:
        case "merged":
            with _text(path) as out:
                return _write_merged(messages, opens, out)
        case "archive":
            return _write_archive(messages, opens, path)
        case "live":
            with _text(path) as out:
                return _write_live(messages, opens, out)
    raise ValueError(f"no such form of recording: {form}; there are {', '.join(FORMS)}")


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".gz":
        with path.open("w", encoding="utf-8", newline="") as out:
            yield out
        return
    # No name and no time in the gzip header: the same race gives the same bytes.
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as out,
    ):
        yield out


def _json(payload: Any) -> str:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


def _offset(at: int, opens: int) -> str:
    ms = at - opens
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def _write_merged(messages: Iterable[FeedMessage], opens: int, out: TextIO) -> int:
    count = 0
    for message in messages:
        count += 1
        body = f'{{"stream":"{message.topic}","payload":{_json(message.payload)}}}'
        out.write(f"{_offset(message.at, opens)}{body}\n")
    return count


def _write_archive(messages: Iterable[FeedMessage], opens: int, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    topics: dict[str, list[str]] = {}
    count = 0
    for message in messages:
        count += 1
        line = f"{_offset(message.at, opens)}{_json(message.payload)}\r\n"
        topics.setdefault(message.topic, []).append(line)
    for topic, lines in topics.items():
        with (folder / f"{topic}.jsonStream").open("w", encoding="utf-8-sig", newline="") as out:
            out.writelines(lines)
    feeds = {
        topic.removesuffix(".z"): {
            "KeyFramePath": f"{topic}.json",
            "StreamPath": f"{topic}.jsonStream",
        }
        for topic in topics
    }
    (folder / "Index.json").write_text(_json({"Feeds": feeds}), encoding="utf-8-sig")
    return count


def _write_live(messages: Iterable[FeedMessage], opens: int, out: TextIO) -> int:
    state = SentState()
    connected = False
    count = 0
    for message in messages:
        if not connected:
            if message.received < opens + SNAPSHOT_MS:
                if not message.topic.endswith(".z"):
                    state.reduce(message.topic, message.payload)
                continue
            connected = True
            snapshot = state.snapshot()
            for topic in sorted(WHOLE & snapshot.keys()):
                snapshot[topic]["_kf"] = True
            out.write(f"{(opens + SNAPSHOT_MS) * 1_000_000}:init:{_json(snapshot)}\n")
        payload = message.payload
        if message.topic in WHOLE:
            payload = {**payload, "_kf": True}
        count += 1
        nanoseconds = message.received * 1_000_000 + count % 1_000_000
        out.write(f"{nanoseconds}:{message.topic}:{_json(payload)}\n")
    return count
