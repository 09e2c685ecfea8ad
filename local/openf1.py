"""A server that answers the way OpenF1 does, with the rows of any recording or simulated race of ours.

    with OpenF1Server(rows_of(open_recording(path))) as server:
        ...  # PITWALL_OPENF1_URL=server.url
        server.at(ms)            # the feed's clock: rows appear, and are amended, as the session goes on
        server.fail(429, retry_after=2)

`rows_of` plays the recording through the state machine and writes down what OpenF1 would have had of it when. The rest
is HTTP: filters in the query, the session `latest`, `/token`, and what goes wrong. What OpenF1 does is taken from its
documentation and its issue tracker (docs/openf1.md), not from what the client expects; it was never compared with
OpenF1's own servers.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote_plus

import orjson
from aiohttp import web

from pitwall.message import Message
from pitwall.timing.merge import items
from pitwall.timing.records import Car
from pitwall.timing.state import SessionState
from pitwall.timing.values import decimal, integer, offset_ms, utc_ms

Row = dict[str, Any]

LOOK_MS: Final = 1_000
"""How often the state is looked at for rows that are new or amended."""
INTERVALS_MS: Final = 4_000
"""OpenF1 has a car's intervals about every four seconds."""
SECRET: Final = "openf1-token"
RECORDINGS: Final = "https://livetiming.formula1.com/static/"
RECENT_LAPS: Final = 3
OUT_OF_SIGHT: Final = frozenset({"sessions", "meetings"})
"""Tables that are there before the session."""

_FILTER = re.compile(r"([a-z0-9_]+)(>=|<=|=|>|<)(.*)", re.DOTALL)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda a, b: a == b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}


class Played(Protocol):
    """Anything that yields a session's messages in order."""

    session: str

    def messages(self) -> Iterator[Message]: ...


@dataclass
class Rows:
    """The rows of one session and when each of their forms appeared.

    forms: by table and key, instants (ms) and the row as it was from then on.
    """

    session: str
    begins: int
    ends: int
    forms: dict[str, dict[tuple[Any, ...], list[tuple[int, Row]]]] = field(default_factory=dict)

    def put(self, table: str, key: tuple[Any, ...], at: int, row: Row) -> None:
        """The row is like this from `at` on; nothing if it was already."""
        forms = self.forms.setdefault(table, {}).setdefault(key, [])
        if not forms or forms[-1][1] != row:
            forms.append((at, row))

    def table(self, table: str, at: int) -> list[Row]:
        """A table as it is at an instant, in the order in which its rows appeared."""
        found = []
        for forms in self.forms.get(table, {}).values():
            index = bisect_right(forms, at, key=lambda form: form[0])
            if index:
                found.append((forms[0][0], forms[index - 1][1]))
        return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def iso(at: int) -> str:
    """An instant as OpenF1 writes it: microseconds unless they are zero, and the offset."""
    return datetime.fromtimestamp(at / 1000, UTC).replace(microsecond=at % 1000 * 1000).isoformat()


def rows_of(played: Played, *, telemetry: bool = False) -> Rows:
    """Plays a session and returns what OpenF1 would have of it. telemetry: also car data and positions."""
    return _Reading(played.session, telemetry).read(played.messages())


class _Reading:
    """One session on its way from messages to rows."""

    def __init__(self, session: str, telemetry: bool) -> None:
        self._state = SessionState(session)
        self._telemetry = telemetry
        self._rows = Rows(session, 0, 0)
        self._segments: dict[tuple[str, int], list[list[int | None]]] = defaultdict(lambda: [[], [], []])
        self._looked_at = 0
        self._touched: set[str] = set()
        self._intervals_at: dict[str, int] = {}
        self._places: dict[str, int] = {}

    def read(self, messages: Iterable[Message]) -> Rows:
        for message in messages:
            self._rows.begins = self._rows.begins or message.at
            self._rows.ends = max(self._rows.ends, message.at)
            self._state.apply(message)
            self._heard(message)
            if message.at - self._looked_at >= LOOK_MS:
                self._looked_at = message.at
                self._look(message.at)
        self._state.finish()
        self._look(self._rows.ends, whole=True)
        return self._rows

    def _heard(self, message: Message) -> None:
        at, data = message.at, message.data
        if not isinstance(data, dict):
            return
        if message.topic == "TimingData":
            for number, line in (data.get("Lines") or {}).items():
                if isinstance(line, dict) and number.isdecimal():
                    self._touched.add(number)
                    self._line(number, line, at)
        elif message.topic == "TimingAppData":
            self._touched.update(number for number in data.get("Lines") or {} if number.isdecimal())
        elif message.topic == "RaceControlMessages":
            for index, _ in items(data.get("Messages")):
                if (item := self._state.data.race_control.get(index)) is not None:
                    self._put("race_control", (index,), at, _race_control(item.at, item.data, self._part()))
        elif message.topic == "WeatherData" and self._state.data.weather:
            self._put("weather", (at,), at, _weather(at, self._state.data.weather[-1].data))
        elif message.topic == "TeamRadio":
            path = (self._state.data.topics.get("SessionInfo") or {}).get("Path") or ""
            for index, item in self._state.data.team_radio.items():
                number = integer(item.data.get("RacingNumber"))
                url = f"{RECORDINGS}{path}{item.data['Path']}"
                self._put(
                    "team_radio", (index,), at, {"date": iso(item.at), "driver_number": number, "recording_url": url}
                )
        elif message.topic == "DriverList":
            for number, entry in self._state.data.topics["DriverList"].items():
                if isinstance(entry, dict) and entry.get("Tla") and number.isdecimal():
                    self._put("drivers", (number,), at, _driver(number, entry))
        elif message.topic in ("CarData", "Position"):
            self._samples(message.topic, data)

    def _line(self, number: str, line: dict[str, Any], at: int) -> None:
        car = self._state.data.cars.get(number)
        if car is None:
            return
        place = integer(self._state.line(number).get("Position"))
        if place is not None and self._places.get(number) != place:
            self._places[number] = place
            row = {"date": iso(at), "driver_number": int(number), "position": place}
            self._put("position", (number, at), at, row)
        if car.open is None:
            return
        for index, sector in items(line.get("Sectors")):
            for place_in_sector, segment in items(sector.get("Segments") if isinstance(sector, dict) else None):
                status = integer(segment.get("Status")) if isinstance(segment, dict) else None
                if status and index < 3 and place_in_sector < 32:
                    told = self._segments[number, car.open.number][index]
                    told += [None] * (place_in_sector + 1 - len(told))
                    told[place_in_sector] = status

    def _samples(self, topic: str, data: dict[str, Any]) -> None:
        """Car data and positions; their instants are those of the samples."""
        self._state.data.telemetry_samples.clear()
        self._state.data.position_samples.clear()
        if not self._telemetry:
            return
        for _, entry in items(data.get("Entries" if topic == "CarData" else "Position")):
            at = utc_ms(entry.get("Utc" if topic == "CarData" else "Timestamp"))
            cars = entry.get("Cars" if topic == "CarData" else "Entries")
            if at is None or not isinstance(cars, dict):
                continue
            for number, car in cars.items():
                row: Row = {"date": iso(at), "driver_number": int(number)}
                if topic == "CarData":
                    names = {"0": "rpm", "2": "speed", "3": "n_gear", "4": "throttle", "5": "brake", "45": "drs"}
                    row |= {name: car["Channels"].get(channel) for channel, name in names.items()}
                else:
                    row |= {axis: car.get(axis.upper()) for axis in "xyz"}
                self._put("car_data" if topic == "CarData" else "location", (number, at), at, row)

    def _look(self, at: int, *, whole: bool = False) -> None:
        """Writes down what is new. whole: also of laps so far back that nothing is expected of them any more."""
        state = self._state
        info = state.data.topics.get("SessionInfo")
        if isinstance(info, dict):
            self._session(info)
        cars = state.data.cars
        touched, self._touched = self._touched, set()
        for number, car in cars.items() if whole else [(n, cars[n]) for n in touched if n in cars]:
            for lap in self._laps(car, 0 if whole else max(car.laps, default=0) - RECENT_LAPS):
                self._put("laps", (number, lap["lap_number"]), at, lap)
            for stint in _stints(car):
                self._put("stints", (number, stint["stint_number"]), at, stint)
            for visit in car.visits:
                if visit.lap is None or visit.out_at is None:
                    continue
                came_in = visit.in_at if visit.in_at is not None else visit.out_at
                lane = visit.lane_time if visit.lane_time is not None else visit.out_at - came_in
                row = {
                    "date": iso(visit.out_at),
                    "driver_number": int(number),
                    "lap_number": visit.lap,
                    "pit_duration": lane / 1000,
                    "lane_duration": lane / 1000,
                    "stop_duration": visit.stop_time / 1000 if visit.stop_time is not None else None,
                }
                self._put("pit", (number, visit.lap), at, row)
            if state.rules.race and at - self._intervals_at.get(number, 0) >= INTERVALS_MS:
                self._interval(number, car, at)

    def _interval(self, number: str, car: Car, at: int) -> None:
        leads = self._places.get(number) == 1
        to_leader = None if leads else _gap(car.gap_ms, car.gap_laps)
        interval = None if leads else _gap(car.interval_ms, car.interval_laps)
        if leads or to_leader is not None or interval is not None:
            self._intervals_at[number] = at
            row = {"date": iso(at), "driver_number": int(number), "gap_to_leader": to_leader, "interval": interval}
            self._put("intervals", (number, at), at, row)

    def _laps(self, car: Car, after: int) -> Iterator[Row]:
        for lap in car.laps.values():
            if lap.number <= after:
                continue
            time = lap.time if lap.time is not None else lap.refused
            if self._state.rules.race and lap.number == 1:
                time = None
            start = self._left_at(car, lap.started_at, lap.ended_at) if lap.pit_out else lap.started_at
            yield self._lap(car, lap.number, start, time, lap.sectors, lap.speeds, lap.pit_out)
        lap_open = car.open
        if lap_open is None or car.lap_in_lane or (lap_open.started_at is None and not any(lap_open.sectors)):
            return
        start = self._left_at(car, lap_open.started_at, None)
        out = start is not None and any(visit.out_at is not None and visit.out_at >= start for visit in car.visits)
        yield self._lap(car, lap_open.number, start, None, lap_open.sectors, lap_open.speeds, out)

    def _left_at(self, car: Car, start: int | None, end: int | None) -> int | None:
        """When a lap began, as OpenF1 has it: outside a race, one that began in the pits, when the car left them."""
        if self._state.rules.race or start is None:
            return start
        left = [visit.out_at for visit in car.visits if visit.out_at is not None and start - 2_000 <= visit.out_at]
        return next((out_at for out_at in left if end is None or out_at < end), start)

    def _lap(
        self,
        car: Car,
        number: int,
        start: int | None,
        time: int | None,
        sectors: list[int | None],
        speeds: dict[str, int],
        pit_out: bool,
    ) -> Row:
        segments = self._segments[car.number, number]
        return {
            "driver_number": int(car.number),
            "lap_number": number,
            "date_start": iso(start) if start is not None else None,
            "lap_duration": time / 1000 if time is not None else None,
            **{f"duration_sector_{n}": ms / 1000 if ms is not None else None for n, ms in enumerate(sectors, start=1)},
            "i1_speed": speeds.get("I1"),
            "i2_speed": speeds.get("I2"),
            "st_speed": speeds.get("ST"),
            "is_pit_out_lap": pit_out,
            **{f"segments_sector_{n}": list(told) for n, told in enumerate(segments, start=1)},
        }

    def _session(self, info: dict[str, Any]) -> None:
        meeting = info.get("Meeting") or {}
        country, circuit = meeting.get("Country") or {}, meeting.get("Circuit") or {}
        offset = offset_ms(info.get("GmtOffset")) or 0
        dates = {}
        for name, key in (("date_start", "StartDate"), ("date_end", "EndDate")):
            local = utc_ms(info.get(key))
            dates[name] = iso(local - offset) if local is not None else None
        row = {
            "session_type": info.get("Type"),
            "session_name": info.get("Name"),
            **dates,
            "circuit_key": circuit.get("Key"),
            "circuit_short_name": circuit.get("ShortName"),
            "country_key": country.get("Key"),
            "country_code": country.get("Code"),
            "country_name": country.get("Name"),
            "location": meeting.get("Location"),
            "gmt_offset": info.get("GmtOffset"),
            "year": int(str(info.get("StartDate", "0"))[:4]),
        }
        self._put("sessions", (), 0, row)
        names = {"meeting_name": meeting.get("Name"), "meeting_official_name": meeting.get("OfficialName")}
        self._put("meetings", (), 0, names)

    def _part(self) -> int | None:
        return self._state.qualifying_part()

    def _put(self, table: str, key: tuple[Any, ...], at: int, row: Row) -> None:
        info = self._state.data.topics.get("SessionInfo") or {}
        meeting = (info.get("Meeting") or {}).get("Key") or 0
        if table in OUT_OF_SIGHT:
            self._rows.forms.pop(table, None)
        keys = {
            "session_key": int(self._state.session) if self._state.session.isdecimal() else 1,
            "meeting_key": meeting,
        }
        self._rows.put(table, key, at, {**keys, **row})


def _gap(ms: int | None, laps: int | None) -> float | str | None:
    if laps is not None:
        return f"+{laps} LAP{'S' if laps > 1 else ''}"
    return ms / 1000 if ms is not None else None


def _stints(car: Car) -> Iterator[Row]:
    lap_start = 1
    for index, stint in enumerate(car.stints[: car.stint + 1]):
        numbers = [lap.number for lap in car.laps.values() if lap.stint == index]
        lap_start = min(numbers, default=max(car.laps, default=0) + 1 if index else 1)
        yield {
            "driver_number": int(car.number),
            "stint_number": index + 1,
            "lap_start": lap_start,
            "lap_end": max(numbers, default=lap_start),
            "compound": stint.compound,
            "tyre_age_at_start": stint.start_age,
        }


def _driver(number: str, entry: dict[str, Any]) -> Row:
    names = {
        "broadcast_name": "BroadcastName",
        "full_name": "FullName",
        "name_acronym": "Tla",
        "team_name": "TeamName",
        "team_colour": "TeamColour",
        "first_name": "FirstName",
        "last_name": "LastName",
        "headshot_url": "HeadshotUrl",
        "country_code": "CountryCode",
    }
    return {"driver_number": int(number), **{name: entry.get(key) for name, key in names.items()}}


def _race_control(at: int, item: dict[str, Any], part: int | None) -> Row:
    return {
        "date": iso(at),
        "driver_number": integer(item.get("RacingNumber")),
        "lap_number": integer(item.get("Lap")),
        "category": item.get("Category"),
        "flag": item.get("Flag"),
        "scope": item.get("Scope"),
        "sector": integer(item.get("Sector")),
        "qualifying_phase": part,
        "message": item.get("Message"),
    }


def _weather(at: int, report: dict[str, Any]) -> Row:
    return {
        "date": iso(at),
        "air_temperature": decimal(report.get("AirTemp")),
        "humidity": decimal(report.get("Humidity")),
        "pressure": decimal(report.get("Pressure")),
        "rainfall": integer(report.get("Rainfall")),
        "track_temperature": decimal(report.get("TrackTemp")),
        "wind_direction": integer(report.get("WindDirection")),
        "wind_speed": decimal(report.get("WindSpeed")),
    }


class Asked(NamedTuple):
    """One request as the server got it. at: seconds by the server's clock. path: with the query."""

    at: float
    path: str
    status: int
    with_token: bool


@dataclass
class _Fault:
    status: int
    times: int | None
    tables: frozenset[str] | None
    retry_after: float | None = None
    seconds: float = 0.0
    body: bytes | None = None


class OpenF1Server:
    """The server, in a thread of its own, on a port of its own."""

    def __init__(
        self,
        *sessions: Rows,
        account: tuple[str, str] | None = None,
        locked: bool = False,
        token_lives_s: float = 3600.0,
        limits: tuple[tuple[int, float], ...] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """sessions: in order; the last one whose first row has appeared is `latest`.

        account: user name and password for which `/token` gives a token. locked: as OpenF1 is while a session is on,
        it answers nobody without one. limits: requests in seconds (`(3, 1.0)`), beyond which it answers 429.
        monotonic: seconds, what requests are dated and limited by.
        """
        self._sessions = sessions
        self._account = account
        self.locked = locked
        self._token_lives_s = token_lives_s
        self._limits = limits
        self._monotonic = monotonic
        self._tokens: dict[str, float] = {}
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._now: Callable[[], int] = lambda: self._sessions[-1].ends
        self.asked: list[Asked] = []
        """Every request, in order."""
        self.url = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()

    # -- the feed's clock ------------------------------------------------------------------

    def at(self, ms: int) -> None:
        """It is this instant of the feed, until told otherwise."""
        self._now = lambda: ms

    def follow(self, now: Callable[[], int]) -> None:
        """The feed's instant is what `now` says, ms."""
        self._now = now

    def run(self, speed: float = 1.0, since: int | None = None) -> None:
        """The feed's clock runs from `since` (by default the first session's begin) at so many times real time."""
        began, start = time.monotonic(), self._sessions[0].begins if since is None else since
        self._now = lambda: start + int((time.monotonic() - began) * 1000 * speed)

    @property
    def now(self) -> int:
        return self._now()

    # -- what goes wrong -------------------------------------------------------------------

    def fail(
        self,
        status: int,
        *,
        times: int | None = 1,
        retry_after: float | None = None,
        tables: Iterable[str] | None = None,
    ) -> None:
        """Answers so many requests (None: all, until `allow`) with a status. tables: only those; `token` is one too."""
        self._fault(_Fault(status, times, frozenset(tables) if tables is not None else None, retry_after))

    def slow(self, seconds: float, *, times: int | None = 1) -> None:
        """Waits before so many answers."""
        self._fault(_Fault(0, times, None, seconds=seconds))

    def garble(self, body: bytes = b'[{"driver_number": 1, "da', *, times: int | None = 1) -> None:
        """Answers so many requests with 200 and this."""
        self._fault(_Fault(200, times, None, body=body))

    def allow(self) -> None:
        """Nothing more goes wrong."""
        with self._lock:
            self._faults.clear()

    def expire_tokens(self) -> None:
        """No token given so far is accepted any more."""
        with self._lock:
            self._tokens.clear()

    def _fault(self, fault: _Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    # -- the server ------------------------------------------------------------------------

    def __enter__(self) -> OpenF1Server:
        self._thread = threading.Thread(target=self._serve, name="openf1", daemon=True)
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("the OpenF1 server did not come up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(10)

    def _serve(self) -> None:
        loop = self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        app = web.Application()
        app.router.add_post("/token", self._token)
        app.router.add_get("/v1/{table}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(runner.cleanup())
            loop.close()

    async def _token(self, request: web.Request) -> web.Response:
        wrong = await self._wrong("token")
        if wrong is not None:
            return self._noted(request, wrong)
        form = await request.post()
        if self._account is None or (form.get("username"), form.get("password")) != self._account:
            return self._noted(request, _json({"detail": "Incorrect username or password"}, 401))
        token = f"{SECRET}-{len(self.asked)}"
        with self._lock:
            self._tokens[token] = self._monotonic() + self._token_lives_s
        told = {"access_token": token, "token_type": "bearer", "expires_in": str(int(self._token_lives_s))}
        return self._noted(request, _json(told))

    async def _answer(self, request: web.Request) -> web.Response:
        table = request.match_info["table"]
        wrong = await self._wrong(table)
        if wrong is not None:
            return self._noted(request, wrong)
        header = request.headers.get("Authorization", "")
        with self._lock:
            known = self._tokens.get(header.removeprefix("Bearer "), 0.0) > self._monotonic()
        if header and not known:
            return self._noted(request, _json({"detail": "Could not validate credentials"}, 401))
        if self.locked and not known:
            detail = "Session in progress, access is restricted to authenticated users."
            return self._noted(request, _json({"detail": detail}, 401))
        rows = self._selected(table, request.rel_url.raw_query_string)
        if not rows:
            return self._noted(request, _json({"detail": "No results found."}, 404))
        return self._noted(request, _json(rows))

    async def _wrong(self, table: str) -> web.Response | None:
        now = self._monotonic()
        for count, seconds in self._limits:
            if sum(1 for asked in self.asked[-count:] if now - asked.at < seconds) >= count:
                return _json({"error": "Rate limit exceeded"}, 429, retry_after=seconds)
        with self._lock:
            fault = next((f for f in self._faults if f.tables is None or table in f.tables), None)
            if fault is not None and fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
        if fault is None:
            return None
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
            return None
        if fault.body is not None:
            return web.Response(body=fault.body, content_type="application/json")
        return _json({"detail": "as the test wants it"}, fault.status, retry_after=fault.retry_after)

    def _noted(self, request: web.Request, response: web.Response) -> web.Response:
        with_token = "Authorization" in request.headers
        query = unquote_plus(request.rel_url.raw_query_string)
        path = f"{request.path}?{query}" if query else request.path
        self.asked.append(Asked(self._monotonic(), path, response.status, with_token))
        return response

    def _selected(self, table: str, query: str) -> list[Row]:
        """A table's rows that pass the query's filters, as they are now."""
        now = self.now
        rows: list[Row] = []
        for session in self._sessions:
            rows += session.table(table, now)
        latest = [session for session in self._sessions if session.begins <= now][-1:] or self._sessions[:1]
        for part in filter(None, query.split("&")):
            match = _FILTER.fullmatch(unquote_plus(part))
            if match is None:
                return []
            name, operator, value = match.groups()
            if name == "session_key" and value == "latest":
                value = latest[0].session
            rows = [row for row in rows if name in row and _passes(row[name], operator, value)]
        return rows


_instant = lru_cache(maxsize=100_000)(utc_ms)


def _passes(told: Any, operator: str, value: str) -> bool:
    """Whether a row's value passes a filter; null passes none."""
    if told is None:
        return False
    if isinstance(told, str):
        ours, theirs = _instant(told), _instant(value)
        if ours is not None and theirs is not None:
            return _COMPARE[operator](ours, theirs)
        return _COMPARE[operator](told, value)
    number = decimal(value)
    return number is not None and _COMPARE[operator](told, number)


def _json(body: Any, status: int = 200, retry_after: float | None = None) -> web.Response:
    headers = {"Retry-After": f"{retry_after:g}"} if retry_after is not None else None
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)
