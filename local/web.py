"""The servers that the history asks, on this machine: one real HTTP server that plays a folder of frozen answers.

    with FrozenWeb(Path("../shared/web")) as web:
        settings = Settings(**web.settings)
        web.refuse(429, retry_after="1", fits="jolpica/*")
        web.garble("html", fits="jolpica/2018/4/results.json*")

| folder | stands for | as a setting |
|---|---|---|
| `static/` | F1's archive, as `local.archive` serves it | PITWALL_F1_URL |
| `jolpica/` | `https://api.jolpi.ca/ergast/f1/`, with pages by `limit` and `offset` | PITWALL_JOLPICA_URL |
| `f1schedule/` | FastF1's schedule files | PITWALL_F1SCHEDULE_URL |
| `multiviewer/` | MultiViewer's circuit maps | PITWALL_MULTIVIEWER_URL |

A path, in `asked` and for a fault, begins with the folder and ends with the query. What is not frozen is answered 404.
`python -m local.web FOLDER` serves until Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import fnmatch
import itertools
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal
from urllib.parse import parse_qs

import orjson
from aiohttp import web

from local.archive import ArchiveServer

Garbled = Literal["html", "truncated"]

_USUAL_ROWS: Final = 30
_NESTED: Final = (
    "Results",
    "SprintResults",
    "QualifyingResults",
    "PitStops",
    "Laps",
    "Timings",
    "DriverStandings",
    "ConstructorStandings",
)
"""Lists in the items of a table; their items are what `limit`, `offset` and `total` count."""
_HTML: Final = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"


@dataclass(slots=True)
class _Wrong:
    """What is to go wrong with the next `times` answers whose path fits; None: with all."""

    kind: Literal["html", "truncated", "slow"]
    fits: str
    times: int | None
    wait_s: float = 0.0


class FrozenWeb(ArchiveServer):
    """The server, on a port of its own of the loopback interface. A context manager.

    largest_page: rows of Jolpica's answers at most, whatever `limit` asks for. The rest is as with ArchiveServer.
    """

    ROUTE: ClassVar[str] = "/{path:.*}"

    def __init__(self, folder: Path, *, port: int = 0, largest_page: int = 100) -> None:
        """folder: laid out as the table says; what it lacks is not there. port: 0 for any that is free."""
        super().__init__([folder / "static"], port=port)
        self.largest_page = largest_page
        self._folder = folder
        self._wrong: list[_Wrong] = []

    @property
    def settings(self) -> dict[str, str]:
        """Fields of Settings that have the history ask here."""
        return {
            "f1_url": self.url,
            "jolpica_url": f"{self.url}/jolpica",
            "f1schedule_url": f"{self.url}/f1schedule",
            "multiviewer_url": f"{self.url}/multiviewer",
        }

    def garble(self, kind: Garbled, times: int | None = 1, *, fits: str = "*") -> None:
        """Answers the next requests that fit with status 200 and a page of HTML, or with half of what there is."""
        self._wrong.append(_Wrong(kind, fits, times))

    def delay(self, wait_s: float, times: int | None = 1, *, fits: str = "*") -> None:
        """Answers the next requests that fit only after so many seconds."""
        self._wrong.append(_Wrong("slow", fits, times, wait_s))

    def allow(self) -> None:
        """All is well again."""
        super().allow()
        self._wrong.clear()

    # -- inside ------------------------------------------------------------------------------

    def _path(self, request: web.Request) -> str:
        return f"{request.match_info['path']}{'?' if request.query_string else ''}{request.query_string}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = self._path(request)
        wrong = self._next_wrong(path)
        if wrong is None:
            return await super()._answer(request)
        if wrong.kind == "slow":
            ends = self._loop.time() + wrong.wait_s
            while self._loop.time() < ends:
                if request.transport is None:  # the other side has gone
                    return web.Response()
                await asyncio.sleep(0.02)
            return await super()._answer(request)
        content = await asyncio.to_thread(self._content, path) or b""
        body = _HTML.encode() if wrong.kind == "html" else content[: len(content) // 2]
        self._note(request, path, 200, len(body))
        return web.Response(body=body, content_type="text/html" if wrong.kind == "html" else "application/json")

    def _next_wrong(self, path: str) -> _Wrong | None:
        wrong = next((one for one in self._wrong if fnmatch.fnmatchcase(path, one.fits)), None)
        if wrong is not None and wrong.times is not None:
            wrong.times -= 1
            if not wrong.times:
                self._wrong.remove(wrong)
        return wrong

    def _content(self, path: str) -> bytes | None:
        name, _, query = path.partition("?")
        if name.startswith("static/"):
            return super()._content(name.removeprefix("static/"))
        if self._is_hidden(path) or ".." in name.split("/"):
            return None
        if name.startswith("jolpica/"):
            return self._page(name, query)
        file = self._folder / (f"{name}.json" if name.startswith("multiviewer/") else name)
        return file.read_bytes() if file.is_file() else None

    def _page(self, name: str, query: str) -> bytes | None:
        """The rows that are asked for, if all of them are frozen."""
        asked = parse_qs(query)
        offset = int(asked.get("offset", ["0"])[0])
        limit = min(int(asked.get("limit", [str(_USUAL_ROWS)])[0]), self.largest_page)
        file = self._folder / name
        for frozen in (file, *sorted(file.parent.glob(f"{file.name}_limit_*"))):
            if not frozen.is_file():
                continue
            answer = orjson.loads(frozen.read_bytes())["MRData"]
            table = next(value for value in answer.values() if isinstance(value, dict))
            listed = next(key for key, value in table.items() if isinstance(value, list))
            total = int(answer["total"])
            if sum(1 for _ in _rows(table[listed])) < min(offset + limit, total):
                continue
            table[listed] = _cut(table[listed], itertools.count(), range(offset, offset + limit))
            return orjson.dumps({"MRData": {**answer, "limit": str(limit), "offset": str(offset)}})
        return None


def _rows(items: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        nested = next((key for key in _NESTED if key in item), None)
        yield from [item] if nested is None else _rows(item[nested])


def _cut(items: Sequence[dict[str, Any]], numbers: Iterator[int], wanted: range) -> list[dict[str, Any]]:
    """The items with those of their rows whose numbers are wanted, without the items that have none."""
    left = []
    for item in items:
        nested = next((key for key in _NESTED if key in item), None)
        if nested is None:
            if next(numbers) in wanted:
                left.append(item)
        elif rows := _cut(item[nested], numbers, wanted):
            left.append({**item, nested: rows})
    return left


def main(arguments: Sequence[str]) -> int:
    """Serves a folder until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m local.web",
        description="Serves frozen answers of F1's archive, Jolpica, FastF1's schedule and MultiViewer over HTTP until "
        "Ctrl-C; prints the settings that have the history ask here.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="one with static, jolpica, f1schedule, multiviewer")
    parser.add_argument("--port", type=int, default=0, help="port of the loopback interface (default: any free one)")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is no folder")
    with FrozenWeb(given.folder, port=given.port) as server:
        sys.stdout.writelines(f"PITWALL_{name.upper()}={url}\n" for name, url in server.settings.items())
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
