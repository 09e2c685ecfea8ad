"""F1's archive on this machine: a real HTTP server that stands for `https://livetiming.formula1.com/static/`.

    with ArchiveServer([Path("../shared/web/static")]) as server:
        path = server.add("race.txt.gz")            # any recording, rendered as a session of the archive
        open_archive(Settings(f1_url=server.url), path)

Serves folders laid out as the archive is. What F1 has beside the streams and a folder lacks (indexes, keyframes,
`ArchiveStatus`) is made of them. Can be told to refuse, to break off, to ignore `Range`, to be still writing a session.
`python -m local.archive PATH...` serves until Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import fnmatch
import gzip
import hashlib
import os
import re
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self

import orjson
from aiohttp import web

from pitwall.message import FEED_GAP, Message
from pitwall.sources.instants import OFFSET, utc_ms
from pitwall.sources.recording import NotARecording, open_recording
from pitwall.timing.merge import merge

Status = Literal["Generating", "Complete"]

_COMPRESSED: Final = frozenset({"CarData", "Position"})
_BOM: Final = b"\xef\xbb\xbf"
_MODIFIED: Final = "Wed, 01 Jan 2025 00:00:00 GMT"
"""When every file was last changed: so long ago that the date tells one version from another."""
_CHUNK: Final = 64 * 1024
_KEYS: Final = orjson.OPT_NON_STR_KEYS


class Asked(NamedTuple):
    """A request and what was answered.

    path: under `static/`. headers: those of the request, names in small letters. port: the client's, one a
    connection. sent: bytes of the body.
    """

    path: str
    status: int
    headers: dict[str, str]
    port: int
    sent: int

    @property
    def range(self) -> str:
        return self.headers.get("range", "")


@dataclass(slots=True)
class _Fault:
    """What is to go wrong with requests whose path fits; times: how often, None for until `allow`."""

    kind: Literal["refuse", "drop", "stall"]
    fits: str
    times: int | None
    status: int = 0
    after_bytes: int = 0
    retry_after: str = ""


@dataclass(slots=True)
class Answering:
    """How the server answers. ranges, tags, dates: whether it knows `Range`, `ETag`, `Last-Modified`; gzip: whether it
    compresses for who takes it; absent: the status of what is not there (F1 answers 403 or 404)."""

    ranges: bool = True
    tags: bool = True
    dates: bool = True
    gzip: bool = True
    absent: int = 404
    statuses: dict[str, Status] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)


class ArchiveServer:
    """The server, on a port of its own of the loopback interface. A context manager.

    url: what PITWALL_F1_URL is set to. answering: how it answers; may be changed at any time. asked: every request.
    """

    ROUTE: ClassVar[str] = "/static/{path:.*}"

    def __init__(self, roots: Iterable[str | os.PathLike[str]] = (), *, port: int = 0) -> None:
        """roots: folders laid out as `static/` is. port: 0 for any that is free."""
        self.answering = Answering()
        self.asked: list[Asked] = []
        self.url = ""
        self._port = port
        self._own = tempfile.TemporaryDirectory(prefix="pitwall-static-")
        self._roots = [Path(self._own.name), *(Path(root) for root in roots)]
        self._faults: list[_Fault] = []
        self._made: dict[str, bytes] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="archive-server", daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
        self._own.cleanup()

    @classmethod
    def of(cls, paths: Iterable[str | os.PathLike[str]]) -> Self:
        """One that serves recordings, and folders laid out as the archive is. Raises NotARecording."""
        given = [Path(path) for path in paths]
        folders = [path for path in given if path.is_dir() and any(path.glob("20??/*/*/*.jsonStream"))]
        server = cls(folders)
        for path in given:
            if path not in folders:
                server.add(path)
        return server

    @property
    def static_url(self) -> str:
        """The root of the archive."""
        return f"{self.url}/static/"

    def add(self, recording: str | os.PathLike[str], path: str | None = None) -> str:
        """Renders a recording as a session of the archive and returns its path. Raises NotARecording."""
        self._made.clear()
        return render(recording, self._roots[0], path)

    def sessions(self) -> list[str]:
        """Paths of all sessions it has, under `static/`."""
        there = {file.parent.relative_to(root) for root in self._roots for file in root.glob("20??/*/*/*.jsonStream")}
        return sorted(f"{folder.as_posix()}/" for folder in there)

    def write(self, path: str, content: bytes) -> None:
        """Puts a file there, under `static/`."""
        file = self._roots[0] / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self._made.clear()

    def set_status(self, path: str, status: Status) -> None:
        """What the archive says of a session. Complete if not told otherwise."""
        self.answering.statuses[path] = status
        self._made.clear()

    def hide(self, fits: str) -> None:
        """Answers paths that fit (`*` and `?` as in file names) as if nothing were there."""
        self.answering.hidden.append(fits)
        self._made.clear()

    def show(self) -> None:
        """Nothing is hidden any more."""
        self.answering.hidden.clear()
        self._made.clear()

    def refuse(self, status: int, times: int | None = 1, *, fits: str = "*", retry_after: str = "") -> None:
        """Answers the next requests that fit with a status; times None: until `allow`."""
        self._faults.append(_Fault("refuse", fits, times, status=status, retry_after=retry_after))

    def drop(self, after_bytes: int, times: int | None = 1, *, fits: str = "*") -> None:
        """Closes the connection in the middle of the body of the next requests that fit, after so many bytes of it."""
        self._faults.append(_Fault("drop", fits, times, after_bytes=after_bytes))

    def stall(self, after_bytes: int, times: int | None = 1, *, fits: str = "*") -> None:
        """Sends so many bytes of the body and nothing more, the connection open until the other side closes it."""
        self._faults.append(_Fault("stall", fits, times, after_bytes=after_bytes))

    def allow(self) -> None:
        """All is well again."""
        self._faults.clear()

    def asked_for(self, fits: str) -> list[Asked]:
        """The requests whose path fits."""
        return [asked for asked in self.asked if fnmatch.fnmatchcase(asked.path, fits)]

    # -- inside ------------------------------------------------------------------------------

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_get(self.ROUTE, self._answer)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def _path(self, request: web.Request) -> str:
        """What is asked for, as `fits` and `asked` have it."""
        return request.match_info["path"]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = self._path(request)
        fault = self._fault(path)
        if fault is not None and fault.kind == "refuse":
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            self._note(request, path, fault.status, 0)
            return web.Response(status=fault.status, text="refused", headers=headers)
        content = await asyncio.to_thread(self._content, path)
        if content is None:
            self._note(request, path, self.answering.absent, 0)
            return web.Response(status=self.answering.absent, text="<Error><Code>NoSuchKey</Code></Error>")
        status, headers, body = self._body(request, content)
        response = web.StreamResponse(status=status, headers=headers)
        if body is None:
            self._note(request, path, status, 0)
            response.content_length = 0 if status != 304 else None
            await response.prepare(request)
            return response
        response.content_length = len(body)
        cut = body if fault is None else body[: fault.after_bytes]
        self._note(request, path, status, len(cut))
        await response.prepare(request)
        for start in range(0, len(cut), _CHUNK):
            await response.write(cut[start : start + _CHUNK])
        if fault is not None and fault.kind == "stall":
            while request.transport is not None and not request.transport.is_closing():
                await asyncio.sleep(0.02)
        elif fault is not None and request.transport is not None:
            request.transport.close()
        else:
            await response.write_eof()
        return response

    def _fault(self, path: str) -> _Fault | None:
        for fault in self._faults:
            if not fnmatch.fnmatchcase(path, fault.fits):
                continue
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
            return fault
        return None

    def _note(self, request: web.Request, path: str, status: int, sent: int) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        self.asked.append(Asked(path, status, headers, peer[1] if peer else 0, sent))

    def _body(self, request: web.Request, content: bytes) -> tuple[int, dict[str, str], bytes | None]:
        """Status, headers and body of what is there."""
        how = self.answering
        tag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        headers = {"Content-Type": "application/octet-stream"}
        if how.ranges:
            headers["Accept-Ranges"] = "bytes"
        if how.dates:
            headers["Last-Modified"] = _MODIFIED
        if how.tags:
            headers["ETag"] = tag
        asked = request.headers
        if how.tags and asked.get("If-None-Match", "").removeprefix("W/") == tag:
            return 304, headers, None
        if how.dates and "If-None-Match" not in asked and asked.get("If-Modified-Since") == _MODIFIED:
            return 304, headers, None
        span = re.fullmatch(r"bytes=(\d+)-", asked.get("Range", ""))
        same = asked.get("If-Range", tag) in ([tag] if how.tags else []) + ([_MODIFIED] if how.dates else [])
        if how.ranges and span is not None and (same or "If-Range" not in asked):
            first = int(span[1])
            if first >= len(content):
                return 416, headers | {"Content-Range": f"bytes */{len(content)}"}, None
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            return 206, headers, content[first:]
        if how.gzip and "gzip" in asked.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            if how.tags:
                headers["ETag"] = f"W/{tag}"
            return 200, headers, gzip.compress(content, 1, mtime=0)
        return 200, headers, content

    def _content(self, path: str) -> bytes | None:
        """What a path holds: a file, or what is made of others."""
        if any(fnmatch.fnmatchcase(path, fits) for fits in self.answering.hidden) or ".." in path.split("/"):
            return None
        if path in self._made:
            return self._made[path]
        made = self._make(path)
        if made is None:
            return next((file.read_bytes() for root in self._roots if (file := root / path).is_file()), None)
        self._made[path] = made
        return made

    def _make(self, path: str) -> bytes | None:
        folder, _, name = path.rpartition("/")
        if re.fullmatch(r"\d{4}/Index\.json", path):
            return self._season(int(folder))
        if any((root / path).is_file() for root in self._roots):
            return None
        there = self._files(folder)
        if not any(file.endswith(".jsonStream") for file in there):
            return None
        status = self.answering.statuses.get(f"{folder}/", "Complete")
        match name.removesuffix(".json"):
            case "Index":
                return _json({"Feeds": _feeds(file for file in there if not self._is_hidden(f"{folder}/{file}"))})
            case "ArchiveStatus":
                return _json({"Status": status})
            case "SessionInfo":
                # A piece of the archive without one still says whether it is complete.
                return _json(
                    {**self._keyframe(there.get("SessionInfo.jsonStream")), "ArchiveStatus": {"Status": status}}
                )
            case topic if name.endswith(".json") and f"{topic}.jsonStream" in there:
                return _json(self._keyframe(there[f"{topic}.jsonStream"]))
        return None

    def _is_hidden(self, path: str) -> bool:
        return any(fnmatch.fnmatchcase(path, fits) for fits in self.answering.hidden)

    def _files(self, folder: str) -> dict[str, Path]:
        there: dict[str, Path] = {}
        for root in reversed(self._roots):
            if (root / folder).is_dir():
                there |= {file.name: file for file in sorted((root / folder).iterdir()) if file.is_file()}
        return there

    @staticmethod
    def _keyframe(stream: Path | None) -> Any:
        """A topic's state at the end of its stream."""
        if stream is None:
            return {}
        state: Any = None
        for _, data in read_stream(stream.read_bytes()):
            state = merge(state, data)
        return {} if state is None else state

    def _season(self, year: int) -> bytes | None:
        """A season's index: the folder's own, with what it lacks of the sessions that are there."""
        meetings: list[dict[str, Any]] = []
        infos: list[Any] = []
        for root in self._roots:
            if not meetings and (index := root / f"{year}/Index.json").is_file():
                meetings = orjson.loads(index.read_bytes().removeprefix(_BOM)).get("Meetings", [])
            infos += (self._keyframe(file) for file in sorted(root.glob(f"{year}/*/*/SessionInfo.jsonStream")))
        listed = {session.get("Path") for meeting in meetings for session in meeting["Sessions"]}
        for info in infos:
            if info.get("Path") in listed or "Meeting" not in info:
                continue
            known = next((meeting for meeting in meetings if meeting.get("Key") == info["Meeting"].get("Key")), None)
            if known is None:
                known = {**info["Meeting"], "Sessions": []}
                meetings.append(known)
            names = ("Key", "Type", "Number", "Name", "StartDate", "EndDate", "GmtOffset", "Path")
            known["Sessions"].append({name: info[name] for name in names if name in info})
        return _json({"Year": year, "Meetings": meetings}) if meetings else None


def render(recording: str | os.PathLike[str], root: Path, path: str | None = None) -> str:
    """Writes a recording as a session of the archive under `root`; returns its path, with a slash at its end.

    A stream for each topic: offsets from the earliest instant of the recording, CRLF, a byte-order mark; `CarData` and
    `Position` compressed again; what the snapshot of a live capture tells of earlier statuses at their own instants. A
    capture that joined its session late makes a session that begins late, as none of F1's does. path: where, if not
    where its SessionInfo says. Raises NotARecording.
    """
    lines: dict[str, list[tuple[int, bytes]]] = {}
    for message in open_recording(recording).messages():
        if message.topic == FEED_GAP:
            continue
        if message.topic == "SessionInfo" and path is None and isinstance(message.data, dict):
            path = message.data.get("Path")
        told = (
            _as_it_came(message)
            if message.snapshot and message.topic == "SessionData"
            else [(message.at, message.data)]
        )
        lines.setdefault(message.topic, []).extend((at, orjson.dumps(data, option=_KEYS)) for at, data in told)
    begins = min(at for told in lines.values() for at, _ in told)
    if not path:
        day = time.strftime("%Y-%m-%d", time.gmtime(begins / 1000))
        path = f"{day[:4]}/{day}_Recording/{day}_Session/"
    path = f"{path.strip('/')}/"
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for topic, told in lines.items():
        compressed = topic in _COMPRESSED
        name = f"{topic}.z" if compressed else topic
        with (folder / f"{name}.jsonStream").open("wb") as out:
            out.write(_BOM)
            for at, data in told:
                out.write(_offset(at - begins) + (_deflated(data) if compressed else data) + b"\r\n")
    return path


def _as_it_came(message: Message) -> list[tuple[int, Any]]:
    """What a snapshot of SessionData tells, each item with its own instant: so F1's archive has it, which was there."""
    told: list[tuple[int, Any]] = []
    for series, listed in message.data.items() if isinstance(message.data, dict) else ():
        items = enumerate(listed) if isinstance(listed, list) else listed.items() if isinstance(listed, dict) else ()
        for index, item in items:
            at = utc_ms(item.get("Utc")) if isinstance(item, dict) else None
            told.append((min(at or message.at, message.at), {series: {str(index): item}}))
    told.sort(key=lambda line: line[0])
    empty = {series: [] for series in message.data} if isinstance(message.data, dict) else message.data
    return [(told[0][0] if told else message.at, empty), *told]


def read_stream(content: bytes) -> list[tuple[int, Any]]:
    """Offsets in ms and payloads of a `jsonStream`, compressed payloads as they are."""
    read = []
    for line in content.removeprefix(_BOM).splitlines():
        if (match := OFFSET.match(line)) is not None:
            hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups()[1:])
            at = ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds
            read.append((at, orjson.loads(line[match.end() :].removeprefix(_BOM))))
    return read


def _feeds(files: Iterable[str]) -> dict[str, dict[str, str]]:
    topics = [file.removesuffix(".jsonStream") for file in sorted(files) if file.endswith(".jsonStream")]
    return {topic: {"KeyFramePath": f"{topic}.json", "StreamPath": f"{topic}.jsonStream"} for topic in topics}


def _json(value: Any) -> bytes:
    return _BOM + orjson.dumps(value)


def _offset(ms: int) -> bytes:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}".encode()


def _deflated(payload: bytes) -> bytes:
    packer = zlib.compressobj(level=6, wbits=-zlib.MAX_WBITS)
    return b'"' + base64.b64encode(packer.compress(_BOM + payload) + packer.flush()) + b'"'


def main(arguments: Sequence[str]) -> int:
    """Serves folders and recordings until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m local.archive",
        description="Serves recordings as F1's archive over HTTP until Ctrl-C; prints its sessions and its URL.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a recording, or a folder like F1's archive")
    try:
        made = ArchiveServer.of(parser.parse_args(arguments).paths)
    except NotARecording as error:
        sys.stderr.write(f"python -m local.archive: {error}\n")
        return 2
    with made as server:
        sys.stdout.writelines(f"{path}\n" for path in server.sessions())
        sys.stdout.write(f"PITWALL_F1_URL={server.url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
