"""How files make up a recording: an archive's folder, one merged file, a live capture with its snapshot, one
JSON document, PitWall's own objects. `open_layout` finds out which a path is.

What a line says is the formats' business; making messages out of records is `recording`'s.
"""

from __future__ import annotations

import codecs
import heapq
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from pitwall.karting import vocabulary
from pitwall.sources.apex.capture import EPOCH_FROM, FRAME, HEADER, ApexLines
from pitwall.sources.apex.translation import Translation
from pitwall.sources.dating import dated
from pitwall.sources.formats import LineFormat, ignore, line_format, read_records
from pitwall.sources.json_values import read_json_values
from pitwall.sources.lines import read_chunks, read_lines
from pitwall.sources.literals import loads
from pitwall.sources.offset_lines import ArchiveLines
from pitwall.sources.pitwall_format import BOARD, OwnLines, OwnRecord, parse_object_name, read_own, without_overlaps
from pitwall.sources.record import (
    Record,
    Reject,
    is_known_topic,
    looks_like_snapshot,
    session_key,
    topic_rank,
)
from pitwall.sources.rmonitor.capture import RMonitorCapture, RMonitorLines
from pitwall.sources.signalr_frames import SignalRFrames, frame_records
from pitwall.sources.timebase import TOPICS as TIME_BASE_TOPICS
from pitwall.sources.timebase import TimeBase
from pitwall.sources.type_json_lines import TypeJsonLines

_FOLDERS_DEEP = 6
_DAY_MS = 86_400_000
_LOOKED_AT = 100
"""Messages of our own objects that decide which feed they are of."""
_SUFFIXES = {".gz", ".txt", ".json", ".jsonl", ".jsonstream", ".ndjson", ".log", ".dat"}
_MAGIC = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"BZh": "bzip2: unpack it first",
    b"\xfd7zXZ": "xz: unpack it first",
}


class NotARecording(Exception):
    """A path that holds no recording PitWall can play; `reason` says why in words for a terminal."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{os.fspath(path)!r} is no recording: {reason}")
        self.path = path
        self.reason = reason


class Layout(Protocol):
    """A recording's files, opened.

    karts: whether its messages are those of a kart track (`karting.vocabulary`); known after `survey`.
    """

    format: str
    karts: bool

    def survey(self) -> str | None:
        """The first pass: the session's key, if a SessionInfo is anywhere; finds the time base on the way.

        Called once, before `records`.
        """
        ...

    def records(self, reject: Reject) -> Iterator[Record]:
        """All records in playing order, with instants since the epoch; what cannot be read is counted."""
        ...


def open_layout(path: Path) -> Layout:
    """What kind of recording a path is. Raises NotARecording, also for a path that cannot be read."""
    try:
        if path.is_dir():
            return _open_folder(path)
        if path.is_file():
            return _open_file(path)
        exists = path.exists()
    except OSError as error:
        raise NotARecording(path, error.strerror or str(error)) from error
    raise NotARecording(path, "it is neither a file nor a folder" if exists else "there is no such file or folder")


def stem(path: Path) -> str:
    """The name of a file or folder without the endings recordings have, safe as part of a Firestore id."""
    name = path.name if path.name not in ("", ".", "..") else path.resolve().name
    while True:
        bare, suffix = os.path.splitext(name)
        if not bare or suffix.lower() not in _SUFFIXES:
            break
        name = bare
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:200] or "unnamed"


class ArchiveFolder:
    """Files of F1's archive, one to a topic, merged by offset."""

    format = "archive"
    karts = False

    def __init__(
        self, files: dict[str, Path], keyframes: Mapping[str, Path] | None = None, at_once: Collection[str] = ()
    ) -> None:
        """keyframes: of topics without a file of their own, JSON with their state at the end. It comes after everything
        else, but that of the topics `at_once`, which comes first."""
        self._files = files
        self._keyframes = keyframes or {}
        self._at_once = at_once
        self._base = 0

    def survey(self) -> str | None:
        base, session = TimeBase(), None
        if "SessionInfo" in self._keyframes:
            for record in self._whole_states(["SessionInfo"], 0, ignore):
                base.observe("SessionInfo", record.data, 0)
                session = session_key(record.data)
        for topic in TIME_BASE_TOPICS:
            for record in self._file(topic, ignore) if topic in self._files else ():
                base.observe(topic, record.data, record.at or 0)
                session = session or (session_key(record.data) if topic == "SessionInfo" else None)
        base.observe_name(_whereabouts(next(chain(self._files.values(), self._keyframes.values()))))
        self._base = base.instant()
        return session

    def records(self, reject: Reject) -> Iterator[Record]:
        streams = [_ordered(self._file(topic, reject), (*topic_rank(topic), topic)) for topic in sorted(self._files)]
        merged = heapq.merge(*streams)
        first = next(merged, None)
        begins = ends = self._base + (first[0] if first else 0)
        yield from self._whole_states([topic for topic in self._keyframes if topic in self._at_once], begins, reject)
        for highest, _, _, record in chain((first,) if first else (), merged):
            ends = self._base + highest
            yield record._replace(at=self._base + (record.at or 0))
        yield from self._whole_states([topic for topic in self._keyframes if topic not in self._at_once], ends, reject)

    def _whole_states(self, topics: list[str], at: int, reject: Reject) -> Iterator[Record]:
        for topic in sorted(topics, key=topic_rank):
            content = b"".join(read_chunks(self._keyframes[topic], reject)).removeprefix(codecs.BOM_UTF8)
            try:
                yield Record(topic, loads(content), at, True)
            except ValueError:
                reject("bad-json")

    def _file(self, topic: str, reject: Reject) -> Iterator[Record]:
        return _sane_offsets(read_records(self._files[topic], ArchiveLines(topic), reject), reject)


class MergedFile:
    """All topics in one file of offset lines, in the file's order."""

    karts = False

    def __init__(self, path: Path, lines: LineFormat) -> None:
        self.format = lines.name
        self._path = path
        self._lines = lines
        self._base = 0

    def survey(self) -> str | None:
        base, session = TimeBase(), None
        wanted = [f'"{topic}"'.encode() for topic in TIME_BASE_TOPICS]
        for line in read_lines(self._path, ignore):
            if line.startswith(b"URL:"):
                base.observe_name(line.decode("utf-8", "replace"))
            if not any(topic in line for topic in wanted) or not self._lines.recognises(line):
                continue
            for record in self._lines.read(line, ignore):
                base.observe(record.topic, record.data, record.at or 0)
                session = session or (session_key(record.data) if record.topic == "SessionInfo" else None)
        base.observe_name(_whereabouts(self._path))
        self._base = base.instant()
        return session

    def records(self, reject: Reject) -> Iterator[Record]:
        for record in _sane_offsets(read_records(self._path, self._lines, reject), reject):
            yield record._replace(at=self._base + (record.at or 0))


class LiveCapture:
    """Files of a live format, with the snapshot beside them if there is one; several are merged by instant."""

    karts = False

    def __init__(self, files: list[Path], lines: LineFormat, snapshot: Path | None = None) -> None:
        self.format = lines.name
        self._files = files
        self._lines = lines
        self._snapshot = snapshot

    def survey(self) -> str | None:
        if self._snapshot is not None and (key := _first_key(_document_records(self._snapshot, ignore))):
            return key
        for path in self._files:
            mentions = (line for line in read_lines(path, ignore) if b"SessionInfo" in line)
            if key := _first_key(record for line in mentions for record in self._lines.read(line, ignore)):
                return key
        return None

    def records(self, reject: Reject) -> Iterator[Record]:
        first, *others = self._by_beginning()
        begin: Iterable[Record] = read_records(first, self._lines, reject)
        if self._snapshot is not None:
            begin = chain(_document_records(self._snapshot, reject), begin)
        if not others:
            yield from dated(begin, reject)
            return
        files = [begin, *(read_records(path, self._lines, reject) for path in others)]
        streams = [_ordered(dated(file, reject), (number, "", "")) for number, file in enumerate(files)]
        for _, _, _, record in heapq.merge(*streams):
            yield record

    def _by_beginning(self) -> list[Path]:
        """The files by their first instant: the snapshot beside them belongs to the earliest."""
        if len(self._files) == 1:
            return self._files

        def begins(path: Path) -> tuple[int, str]:
            first = next(dated(read_records(path, self._lines, ignore), ignore), None)
            return (first.at or 0 if first else 0, path.name)

        return sorted(self._files, key=begins)


class ApexCapture:
    """Frames of Apex Timing as they came over the socket, translated (`sources.apex`)."""

    format = "apex"
    karts = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._base = 0

    def survey(self) -> str | None:
        """Finds when the capture began. Sessions are named after the feed they are played as, not known here."""
        for record in read_records(self._path, ApexLines(), ignore):
            if record.topic == HEADER and record.at is not None:
                self._base = record.at
            break
        return None

    def records(self, reject: Reject) -> Iterator[Record]:
        translation = Translation(reject)
        last = self._base
        for record in read_records(self._path, ApexLines(), reject):
            if record.topic != FRAME:
                continue
            if record.at is None:
                reject("bad-time")
            else:
                last = record.at if record.at >= EPOCH_FROM else self._base + record.at
            for message in translation.frame(record.data, last):
                yield Record(message.topic, message.data, message.at, message.snapshot)


class Document:
    """One JSON document of frames, or a snapshot alone."""

    format = "frames"
    karts = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def survey(self) -> str | None:
        return _first_key(_document_records(self._path, ignore))

    def records(self, reject: Reject) -> Iterator[Record]:
        return dated(_document_records(self._path, reject), reject)


class OwnObjects:
    """PitWall's own objects in order of epoch and seq, overlaps removed."""

    format = "pitwall"

    def __init__(self, files: list[Path]) -> None:
        self._files = sorted(files, key=lambda path: (parse_object_name(path) or (0, 0), path.name))
        self.karts = False

    def survey(self) -> str | None:
        first = islice(self._lines(ignore), _LOOKED_AT)
        self.karts = any(own.record.topic in vocabulary.TOPICS for own in first)
        for path in self._files:
            mentions = (line for line in read_lines(path, ignore) if b'"SessionInfo"' in line)
            if key := _first_key(own.record for line in mentions if (own := read_own(line, 0, ignore))):
                return key
        return None

    def records(self, reject: Reject) -> Iterator[Record]:
        last = 0
        for record in without_overlaps(self._lines(reject)):
            if record.at is None:
                reject("bad-time")
                record = record._replace(at=last)
            last = record.at or 0
            yield record

    def _lines(self, reject: Reject) -> Iterator[OwnRecord]:
        for path in self._files:
            name = parse_object_name(path)
            for line in read_lines(path, reject):
                own = read_own(line, name.epoch if name else 0, reject)
                if own is not None and own.record.topic != BOARD:
                    yield own


def _open_file(path: Path) -> Layout:
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise NotARecording(path, "the file is empty")
    lines = line_format(path)
    if isinstance(lines, ArchiveLines):
        return ArchiveFolder({_topic_of(path): path})
    if isinstance(lines, OwnLines):
        return OwnObjects([path])
    if isinstance(lines, ApexLines):
        return ApexCapture(path)
    if isinstance(lines, RMonitorLines):
        return RMonitorCapture(path)
    if lines is not None and lines.relative:
        return MergedFile(path, lines)
    if lines is not None:
        return LiveCapture([path], lines, _snapshot_beside(path, lines))
    if _is_document(path):
        return Document(path)
    packed = next((reason for magic, reason in _MAGIC.items() if head.startswith(magic)), None)
    raise NotARecording(path, packed or "no line of it is in a format PitWall knows")


def _open_folder(folder: Path, deep: int = 0) -> Layout:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    archive: dict[str, Path] = {}
    archive_is_readable = False
    captures: dict[LineFormat, list[Path]] = {}
    snapshots: list[Path] = []
    documents: list[Path] = []
    files = [entry for entry in entries if entry.is_file()]
    for path in files:
        lines = line_format(path)
        if isinstance(lines, ArchiveLines) or (lines is None and _is_json_stream(path)):
            # A stream of a known name in which nothing can be read still is one: its lines are to be counted.
            archive_is_readable |= lines is not None
            topic = _topic_of(path)
            if topic not in archive or path.suffix.lower() != ".gz":
                archive[topic] = path
        elif lines is not None:
            captures.setdefault(lines, []).append(path)
        elif _is_snapshot(path):
            snapshots.append(path)
        elif _is_document(path):
            documents.append(path)
    if archive_is_readable:
        return ArchiveFolder(archive)
    if len(captures) == 1:
        ((lines, paths),) = captures.items()
        if isinstance(lines, OwnLines):
            return OwnObjects(paths)
        if isinstance(lines, ApexLines) and len(paths) == 1:
            return ApexCapture(paths[0])
        if isinstance(lines, RMonitorLines) and len(paths) == 1:
            return RMonitorCapture(paths[0])
        if lines.relative and len(paths) == 1:
            return MergedFile(paths[0], lines)
        if not isinstance(lines, ApexLines | RMonitorLines) and not lines.relative and _are_one_session(paths, lines):
            return LiveCapture(paths, lines, _subscribe_file(snapshots))
    if not captures and len(documents) + len(snapshots) == 1:
        return Document((documents + snapshots)[0])
    found = sorted(path.name for path in chain(*captures.values(), documents, snapshots))
    if found:
        raise NotARecording(folder, f"it holds several recordings ({', '.join(found[:5])}): name one of them")
    folders = [entry for entry in entries if entry.is_dir()]
    if len(folders) == 1 and deep < _FOLDERS_DEEP:
        return _open_folder(folders[0], deep + 1)
    if folders:
        raise NotARecording(folder, f"it holds {len(folders)} folders and no recording of its own: name one of them")
    raise NotARecording(folder, "nothing in it can be read" if files else "the folder is empty")


def _topic_of(path: Path) -> str:
    """The topic of an archive file: its name, or the topic its name ends in."""
    name = path.name
    for suffix in (".gz", ".jsonstream", ".txt", ".json", ".jsonl"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    if is_known_topic(name):
        return name
    match = re.search(r"([A-Za-z]+(?:\.z)?)$", name)
    return match[1] if match and is_known_topic(match[1]) else name or "unknown"


def _is_json_stream(path: Path) -> bool:
    return ".jsonstream" in path.name.lower() and is_known_topic(_topic_of(path))


def _document_records(path: Path, reject: Reject) -> Iterator[Record]:
    for value in read_json_values(read_chunks(path, reject), reject):
        yield from frame_records(value, reject)


def _is_document(path: Path) -> bool:
    return next(_document_records(path, ignore), None) is not None


def _is_snapshot(path: Path) -> bool:
    """True if the file is one JSON object `{topic: state}`, as a subscribe answer is saved."""
    return any(looks_like_snapshot(value) for value in read_json_values(read_chunks(path, ignore), ignore))


def _subscribe_file(snapshots: list[Path]) -> Path | None:
    if len(snapshots) == 1:
        return snapshots[0]
    return next((path for path in snapshots if "subscribe" in path.name.lower()), None)


def _snapshot_beside(path: Path, lines: LineFormat) -> Path | None:
    """The subscribe answer beside a live file: `subscribe.txt` or `.json`, `<prefix>subscribe...`, `.gz` or not."""
    if not isinstance(lines, TypeJsonLines | SignalRFrames):
        return None
    prefix = re.sub(r"live.*$", "", stem(path), flags=re.IGNORECASE).lower()
    named = (f"{prefix}subscribe", "subscribe")
    try:
        siblings = [entry for entry in path.resolve().parent.iterdir() if entry.name.lower().startswith(named)]
        siblings.sort(key=lambda entry: (not entry.name.lower().startswith(named[0]), entry.name))
        return next((entry for entry in siblings if entry.is_file() and _is_snapshot(entry)), None)
    except OSError:
        return None


def _are_one_session(paths: list[Path], lines: LineFormat) -> bool:
    keys = {LiveCapture([path], lines).survey() for path in paths} if len(paths) > 1 else set()
    return len(keys - {None}) <= 1


def _whereabouts(path: Path) -> str:
    """The part of a path that may hold the session's date."""
    return "/".join(path.resolve().parts[-4:])


_Keyed = tuple[int, tuple[int, str, str], int, Record]


def _ordered(records: Iterable[Record], tie: tuple[int, str, str]) -> Iterator[_Keyed]:
    """Records with the key they are merged by: the highest instant so far, so that a file keeps its own order where
    instants step back."""
    highest: int | None = None
    for number, record in enumerate(records):
        at = record.at or 0
        highest = at if highest is None or at > highest else highest
        yield highest, tie, number, record


def _sane_offsets(records: Iterable[Record], reject: Reject) -> Iterator[Record]:
    """Leaves out, counted, offsets a day from the ones before: one would hold the feed clock there for good."""
    last = 0
    for record in records:
        at = record.at or 0
        if abs(at - last) > _DAY_MS:
            reject("bad-time")
            continue
        last = at
        yield record


def _first_key(records: Iterable[Record]) -> str | None:
    keys = (session_key(record.data) for record in records if record.topic == "SessionInfo")
    return next((key for key in keys if key), None)
