"""F1's archive and FastF1's schedule files as they are on the web, from a server of the tests' own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SCHEDULE = "/f1schedule/schedule_{year}.json"
INDEX = "/static/{year}/Index.json"


class Web:
    """What is served, by path; anything else is looked for in a folder, else 404.

    files: bytes, or an HTTP status. asked: the paths that were asked for.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.files: dict[str, bytes | int] = {}
        self.asked: list[str] = []
        self.url = ""
        self._folder = folder

    def index(self, year: int, meetings: Sequence[dict[str, Any]]) -> None:
        """F1's index of a season, with the byte order mark it has."""
        text = json.dumps({"Year": year, "Meetings": list(meetings)})
        self.files[INDEX.format(year=year)] = text.encode("utf-8-sig")

    def schedule(self, year: int, events: Sequence[dict[str, Any]]) -> None:
        """FastF1's file of a season: a column for each key, a row for each event."""
        columns = {key: {str(n): event[key] for n, event in enumerate(events)} for key in events[0]}
        self.files[SCHEDULE.format(year=year)] = json.dumps(columns).encode()

    @property
    def schedules(self) -> str:
        """What PITWALL_F1SCHEDULE_URL is set to."""
        return f"{self.url}/f1schedule"

    def fails(self, path: str, year: int, status: int = 404) -> None:
        self.files[path.format(year=year)] = status

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        found = self.files.get(path)
        if found is None and self._folder is not None and (file := self._folder / path.lstrip("/")).is_file():
            found = file.read_bytes()
        return (200, found) if isinstance(found, bytes) else (found or 404, b"no")


@contextmanager
def serving_web(folder: Path | None = None) -> Iterator[Web]:
    web = Web(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = web.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        web.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield web
        finally:
            server.shutdown()


CONVENTIONAL = ("Practice 1", "Practice 2", "Practice 3", "Qualifying", "Race")


def fastf1_asks_at_once(patch: pytest.MonkeyPatch) -> None:
    """Has FastF1 ask as fast as it can."""
    import fastf1.req

    patch.setattr(fastf1.req._SessionWithRateLimiting, "_RATE_LIMITS", {})


def meeting(
    key: int,
    name: str,
    location: str,
    offset: str,
    sessions: Sequence[tuple[str, str]],
    *,
    number: int = 1,
    held: bool = True,
) -> dict[str, Any]:
    """A meeting of F1's index. sessions: name and local start. Each lasts an hour and three minutes, as none does."""
    return {
        "Key": key,
        "Name": name,
        "Number": number,
        "Location": location,
        "OfficialName": f"FORMULA 1 {name.upper()}",
        "Country": {"Key": 1, "Code": "XXX", "Name": "Somewhere"},
        "Circuit": {"Key": 1, "ShortName": location},
        "Sessions": [
            {
                "Key": key * 10 + n,
                "Type": _type(label),
                "Name": label,
                "StartDate": start,
                "EndDate": (datetime.fromisoformat(start) + timedelta(minutes=63)).isoformat(),
                "GmtOffset": offset,
                **({"Path": f"{start[:4]}/{key}/{n}/"} if held else {}),
            }
            for n, (label, start) in enumerate(sessions, start=1)
        ],
    }


def _type(label: str) -> str:
    return {"Sprint": "Race", "Race": "Race"}.get(label, "Practice" if "Practice" in label else "Qualifying")


def event(
    round_: int,
    name: str,
    location: str,
    offset: str | None,
    sessions: Sequence[tuple[str, str]],
    format_: str = "conventional",
) -> dict[str, Any]:
    """An event of FastF1's file. sessions: name and local start."""
    filled = [*sessions, *[(None, None)] * (5 - len(sessions))]
    return {
        "round_number": round_,
        "country": "Somewhere",
        "location": location,
        "official_event_name": f"FORMULA 1 {name.upper()}",
        "event_date": sessions[-1][1],
        "event_name": name,
        "gmt_offset": offset,
        "event_format": format_,
        **{f"session{n}": label for n, (label, _) in enumerate(filled, start=1)},
        **{f"session{n}_date": start for n, (_, start) in enumerate(filled, start=1)},
        "f1_api_support": True,
    }


def weekend(friday: str, names: Sequence[str] = CONVENTIONAL) -> list[tuple[str, str]]:
    """Local starts of a weekend's sessions. friday: its date."""
    day = datetime.fromisoformat(friday)
    hours = (13, 17, 24 + 12, 24 + 16, 48 + 15)
    return [(name, (day + timedelta(hours=at)).isoformat()) for name, at in zip(names, hours, strict=True)]
