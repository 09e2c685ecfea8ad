"""One session: OpenF1's rows in, the messages F1's feed would have sent out. No network, no clock of its own.

`take` keeps rows, `messages` tells what has become certain since it was last asked. So a session that is still on is
told as it comes, and one that is over in one go; the state machine makes the same documents of both.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from pitwall.message import Message
from pitwall.sources.instants import gmt_offset_ms
from pitwall.sources.openf1.laps import Around, CarLaps, Fact, lap_of, pit_of, stint_of
from pitwall.sources.openf1.rows import gap, instant, racing_number, text, utc, whole
from pitwall.sources.openf1.statuses import Statuses, Told

Row = dict[str, Any]
Reject = Callable[[str], None]

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "sessions": ("session_key",),
    "meetings": ("meeting_key",),
    "drivers": ("driver_number",),
    "laps": ("driver_number", "lap_number"),
    "stints": ("driver_number", "stint_number"),
    "pit": ("driver_number", "lap_number"),
    "position": ("driver_number", "date"),
    "intervals": ("driver_number", "date"),
    "race_control": ("date", "driver_number", "lap_number", "category", "flag", "scope", "sector", "message"),
    "weather": ("date",),
    "team_radio": ("driver_number", "date"),
    "car_data": ("driver_number", "date"),
    "location": ("driver_number", "date"),
}
"""Tables, and what tells their rows apart: a row that is like another in these is a newer form of it."""

ONCE: Final = frozenset({"position", "intervals", "weather", "car_data", "location"})
"""Tables whose rows are of an instant and stay as they are."""
KEPT_MS: Final = 600_000
"""So long the rows of these tables are remembered, to know them when they are answered again."""

WEATHER: Final = {
    "AirTemp": "air_temperature",
    "Humidity": "humidity",
    "Pressure": "pressure",
    "Rainfall": "rainfall",
    "TrackTemp": "track_temperature",
    "WindDirection": "wind_direction",
    "WindSpeed": "wind_speed",
}
DRIVER: Final = {
    "BroadcastName": "broadcast_name",
    "FullName": "full_name",
    "Tla": "name_acronym",
    "TeamName": "team_name",
    "TeamColour": "team_colour",
    "FirstName": "first_name",
    "LastName": "last_name",
    "HeadshotUrl": "headshot_url",
    "CountryCode": "country_code",
}
CHANNELS: Final = {"0": "rpm", "2": "speed", "3": "n_gear", "4": "throttle", "5": "brake", "45": "drs"}
LED_BY_MS: Final = 2_000
"""Race control dates the chequered flag to the second, cut off: the winner crosses the line this soon after."""


class Session:
    """What is known of one session, and what of it has been told.

    key: F1's own session key, as OpenF1 has it too.
    """

    def __init__(self, row: Row, reject: Reject) -> None:
        """row: the session's row of `sessions`, which has a `session_key`."""
        self.key = str(whole(row["session_key"]))
        self.row = row
        self.race = text(row.get("session_type")) == "Race"
        self.newest = 0
        """Newest instant of any row, ms; 0 without one."""
        self.newest_of: dict[str, int] = {}
        """The same by table; of `laps`, the newest start."""
        self.furthest = 0
        """The highest lap number of any row."""
        self._reject = reject
        self._rows: dict[str, dict[tuple[Any, ...], Row]] = defaultdict(dict)
        self._fresh: dict[str, list[Row]] = defaultdict(list)
        self._cars: dict[str, CarLaps] = {}
        self._statuses = Statuses(self.race, text(row.get("session_type")) == "Qualifying")
        self._opened = False
        self._gridded = False
        self._before_start: list[tuple[int, str, int]] = []
        self._meeting: Row = {}
        self._flag_at: int | None = None
        self._gaps: dict[str, list[tuple[int, str | None, str | None]]] = defaultdict(list)
        self._gaps_told: dict[str, int] = {}
        self._placed: dict[str, tuple[int, int]] = {}
        self._race_control = 0
        self._radio: dict[tuple[Any, ...], int] = {}
        self._path = ""
        self._lap = 1
        self._lap_begun: int | None = None
        self._bests: dict[tuple[str, str], int] = {}
        self._holders: dict[str, str] = {}
        self._lost: list[tuple[str, dict[str, Any]]] = []

    @property
    def flagged(self) -> bool:
        """Whether the session's last chequered flag has fallen: of qualifying, that of its third part."""
        if self._statuses.session not in ("Finished", "Finalised"):
            return False
        return text(self.row.get("session_type")) != "Qualifying" or self._statuses.part >= 3

    @property
    def over(self) -> bool:
        return self._statuses.session == "Finalised"

    def take(self, table: str, rows: Iterable[Row]) -> int:
        """Keeps rows of a table; returns how many were new, or new in what they hold. Unusable ones are counted."""
        known = self._rows[table]
        fresh = 0
        for row in rows:
            key = tuple(row.get(name) for name in KEYS[table])
            try:
                if known.get(key) == row:
                    continue
                if not self._usable(table, row):
                    self._reject(f"bad-{table}")
                    continue
            except TypeError:  # a list or an object where a number or a word should be
                self._reject(f"bad-{table}")
                continue
            if table in ONCE and key in known:
                known[key] = row
                continue
            known[key] = row
            fresh += 1
            self._keep(table, row)
        if table in ONCE and fresh:
            oldest = self.newest_of.get(table, 0) - KEPT_MS
            for key in [key for key, row in known.items() if (instant(row) or 0) < oldest]:
                del known[key]
        return fresh

    def messages(self, now: int = 0, *, final: bool = False) -> list[Message]:
        """What is known now and was not told yet, in order of its instants.

        now: the feed's instant, ms; the newest row's if it is later. final: the session is over and all of it taken.
        """
        now = max(now, self.newest)
        out: list[Message] = []
        met = bool(self._fresh["meetings"])
        if met:
            self._meeting = self._fresh["meetings"][-1]
        opens = not self._opened
        if opens:
            self._opened = True
            out += self._opening()
        elif met or self._fresh["sessions"]:
            self.row = self._fresh["sessions"][-1] if self._fresh["sessions"] else self.row
            out.append(Message("SessionInfo", self._session_info(), self.newest))
        out += self._entries(self._opens() if opens else self.newest)
        out += self._said(now)
        out += self._grid()
        out += self._intervals()
        out += self._positions()
        around = Around(
            race=self.race,
            now=now,
            final=final,
            started_at=self._statuses.started_at,
            flag_at=self._flag_at if self.race else None,
            resumed_at=None if self._statuses.session == "Aborted" else self._statuses.resumed_at,
            gap_at=self._gap_at,
        )
        facts: list[Fact | Message] = []
        numbers: list[str] = []
        for number, car in self._cars.items():
            for fact in car.facts(around):
                facts.append(fact)
                numbers.append(number)
        out += self._told_of_cars(facts, numbers)
        out += self._lap_counts(around)
        out += self._weather()
        out += self._team_radio()
        out += self._telemetry()
        if final:
            at = max([now, *(message.at for message in out)])
            out += _messages(self._statuses.over(at))
        self._fresh.clear()
        out.sort(key=lambda message: message.at)
        return out

    # -- keeping rows ----------------------------------------------------------------------

    def _usable(self, table: str, row: Row) -> bool:
        if table in ("drivers", "laps", "position", "intervals", "stints", "pit", "team_radio", "car_data", "location"):
            number = racing_number(row)
            if number is None:
                return False
            if table == "laps":
                return lap_of(row) is not None
            if table == "pit":
                return pit_of(row) is not None
            if table == "stints":
                return stint_of(row) is not None
            if table == "position" and whole(row.get("position")) is None:
                return False
            if table == "team_radio" and text(row.get("recording_url")) is None:
                return False
        if table == "race_control" and text(row.get("message")) is None:
            return False
        if table in ("sessions", "meetings", "drivers"):
            return True
        return instant(row) is not None

    def _keep(self, table: str, row: Row) -> None:
        at = instant(row, "date_start") if table == "laps" else instant(row)
        if at is not None and table not in ("sessions", "meetings", "drivers", "stints"):
            self.newest_of[table] = max(at, self.newest_of.get(table, 0))
            self.newest = max(at, self.newest)
        if table == "laps" and (lap := lap_of(row)) is not None:
            self._car(row).laps[lap.number] = lap
            self.furthest = max(self.furthest, lap.number)
        elif table == "pit" and (pit := pit_of(row)) is not None:
            self._car(row).pits[pit.lap] = pit
        elif table == "stints" and (stint := stint_of(row)) is not None:
            self._car(row).stints[stint.number] = stint
        else:
            self._fresh[table].append(row)
            if table == "position":
                self._car(row)
                if not self._gridded:
                    self._before_start.append((at or 0, racing_number(row) or "", whole(row.get("position")) or 0))

    def _car(self, row: Row) -> CarLaps:
        number = racing_number(row) or ""
        if number not in self._cars:
            self._cars[number] = CarLaps(number, self._reject)
            if self._opened:
                self._fresh["cars"].append({"number": number})
        return self._cars[number]

    # -- who and what ----------------------------------------------------------------------

    def _opening(self) -> list[Message]:
        """What stands before anything has happened."""
        at = self._opens()
        out = [Message("SessionInfo", self._session_info(), at)]
        out += _messages([self._statuses.opening(at)])
        if self.race:
            out.append(Message("LapCount", {"CurrentLap": 1}, at))
        lines = {number: self._first_line(number) for number in self._cars}
        out.append(Message("TimingData", {"Lines": lines}, at))
        tyres = {number: tyres for number, car in self._cars.items() if (tyres := car.first_stint()) is not None}
        if tyres:
            out.append(Message("TimingAppData", {"Lines": tyres}, at))
        return out

    def _first_line(self, number: str) -> dict[str, Any]:
        """A car's line before the session: outside a race it is in its garage."""
        return {"RacingNumber": number} if self.race else {"RacingNumber": number, "InPit": True}

    def _opens(self) -> int:
        dated = [
            at
            for table, rows in self._rows.items()
            if table not in ("sessions", "meetings", "drivers", "stints")
            for row in rows.values()
            if (at := instant(row, "date_start" if table == "laps" else "date")) is not None
        ]
        return min(dated, default=instant(self.row, "date_start") or self.newest)

    def _entries(self, at: int) -> list[Message]:
        """Who drives, and cars first heard of now."""
        out = []
        entries = {
            number: {"RacingNumber": number}
            | {name: value for name, key in DRIVER.items() if (value := text(row.get(key))) is not None}
            for row in self._fresh["drivers"]
            if (number := racing_number(row)) is not None
        }
        if entries:
            out.append(Message("DriverList", entries, at))
        if self._fresh["cars"]:
            lines = {row["number"]: self._first_line(row["number"]) for row in self._fresh["cars"]}
            out.append(Message("TimingData", {"Lines": lines}, at))
        return out

    def _session_info(self) -> dict[str, Any]:
        row, meeting = self.row, self._meeting
        offset = gmt_offset_ms(row.get("gmt_offset"))
        info: dict[str, Any] = {
            "Key": whole(row.get("session_key")) or self.key,
            "Type": row.get("session_type"),
            "Name": row.get("session_name"),
            "GmtOffset": row.get("gmt_offset"),
            "Meeting": _some(
                Key=row.get("meeting_key"),
                Name=meeting.get("meeting_name"),
                OfficialName=meeting.get("meeting_official_name"),
                Location=row.get("location"),
                Country=_some(Key=row.get("country_key"), Code=row.get("country_code"), Name=row.get("country_name")),
                Circuit=_some(Key=row.get("circuit_key"), ShortName=row.get("circuit_short_name")),
            ),
        }
        for name, key in (("StartDate", "date_start"), ("EndDate", "date_end")):
            at = instant(row, key)
            if at is not None and offset is not None:
                info[name] = utc(at + offset)
        if self._path:
            info["Path"] = self._path
        return _some(**info)

    # -- race control and the statuses -----------------------------------------------------

    def _said(self, now: int) -> list[Message]:
        """Race control's new messages, and what they change; a race's start, where lap 1 tells it."""
        out: list[Message] = []
        start = self._lap_1()
        waiting = start is not None and self._statuses.session == "Inactive"
        for row in sorted(self._fresh["race_control"], key=lambda row: instant(row) or 0):
            at = instant(row) or now
            if waiting and start is not None and at > start:
                out += _messages(self._statuses.start(start))
                waiting = False
            said = _message(row, at)
            out.append(Message("RaceControlMessages", {"Messages": {str(self._race_control): _told(said)}}, at))
            self._race_control += 1
            finished_at = at
            if said.get("Flag") == "CHEQUERED":
                finished_at = self._winner_at(at) if self.race else at
                if self._flag_at is None:
                    self._flag_at = finished_at
            out += _messages(self._statuses.heard(said, at, finished_at, start is not None))
        if waiting and start is not None:
            out += _messages(self._statuses.start(start))
        return out

    def _grid(self) -> list[Message]:
        """The order in which the cars stand when a race starts."""
        start = self._statuses.started_at
        if not self.race or start is None or self._gridded:
            return []
        self._gridded = True
        standing: dict[str, tuple[int, int]] = {}
        for at, number, place in self._before_start:
            if standing.get(number, (0, 0))[0] <= at <= start:
                standing[number] = (at, place)
        self._before_start.clear()
        lines = {number: {"GridPos": str(place)} for number, (_, place) in standing.items()}
        return [Message("TimingAppData", {"Lines": lines}, start)] if lines else []

    def _lap_1(self) -> int | None:
        """When lap 1 of a race began; None where no row says so."""
        if not self.race:
            return None
        starts = [lap.start for car in self._cars.values() if (lap := car.laps.get(1)) is not None]
        return min((start for start in starts if start is not None), default=None)

    def _winner_at(self, flag_at: int) -> int:
        """When the first car crossed the line for the last time: the flag falls then, told to the second."""
        ends: list[tuple[int, int]] = []
        for car in self._cars.values():
            for lap in car.laps.values():
                if lap.start is not None:
                    ends.append((lap.number - 1, lap.start))
                    if (lasted := lap.lasted) is not None and lap.number + 1 not in car.laps:
                        ends.append((lap.number, lap.start + lasted))
        about = [(number, at) for number, at in ends if flag_at <= at < flag_at + LED_BY_MS]
        furthest = max((number for number, _ in about), default=None)
        return min((at for number, at in about if number == furthest), default=flag_at)

    # -- the cars --------------------------------------------------------------------------

    def _told_of_cars(self, facts: list[Any], numbers: list[str]) -> list[Message]:
        """The facts as messages, each time marked as the best of its car or of all."""
        out: list[Message] = []
        for fact, number in sorted(zip(facts, numbers, strict=True), key=lambda pair: pair[0].at):
            if fact.topic == "PitStopSeries":
                out.append(Message("PitStopSeries", {"PitTimes": {number: fact.payload}}, fact.at))
                continue
            payload = fact.payload
            if fact.topic == "TimingData":
                payload = self._marked(number, payload)
                for holder, lost in self._lost:
                    out.append(Message("TimingData", {"Lines": {holder: lost}}, fact.at))
            out.append(Message(fact.topic, {"Lines": {number: payload}}, fact.at))
            if fact.kind == "cross" and self.race:
                out += self._gap_since(number, fact.at)
        return out

    def _marked(self, number: str, payload: dict[str, Any]) -> dict[str, Any]:
        self._lost = []
        marked = dict(payload)
        if "Value" in payload.get("LastLapTime", {}):
            marked["LastLapTime"] = self._mark(number, "lap", payload["LastLapTime"])
        if "Sectors" in payload:
            marked["Sectors"] = {
                index: self._mark(number, index, sector) if sector.get("Value") else sector
                for index, sector in payload["Sectors"].items()
            }
        return marked

    def _mark(self, number: str, what: str, timed: dict[str, Any]) -> dict[str, Any]:
        minutes, _, rest = timed["Value"].rpartition(":")
        ms = int(minutes or 0) * 60_000 + round(float(rest) * 1000)
        own = self._bests.get((what, number))
        best = self._bests.get((what, ""))
        personal, overall = own is None or ms < own, best is None or ms < best
        if personal:
            self._bests[what, number] = ms
        if overall:
            self._bests[what, ""] = ms
            holder = self._holders.get(what)
            self._holders[what] = number
            if holder is not None and holder != number:
                flags = {"OverallFastest": False}
                self._lost.append((holder, {"LastLapTime": flags} if what == "lap" else {"Sectors": {what: flags}}))
        return {**timed, "PersonalFastest": personal, "OverallFastest": overall}

    def _lap_counts(self, around: Around) -> list[Message]:
        """The lap the leader is on: the highest any car has begun."""
        out: list[Message] = []
        if self._flag_at is not None and self._lap_begun is not None and self._lap_begun >= self._flag_at and self.race:
            # The winner's lap after the flag, which was not known to have fallen.
            self._lap, self._lap_begun = self._lap - 1, None
            out.append(Message("LapCount", {"CurrentLap": self._lap}, self._flag_at))
        while self.race:
            starts = [lap.start for car in self._cars.values() if (lap := car.laps.get(self._lap + 1)) is not None]
            begun = min((start for start in starts if start is not None), default=None)
            if begun is None or (around.flag_at is not None and begun >= around.flag_at):
                break
            self._lap, self._lap_begun = self._lap + 1, begun
            out.append(Message("LapCount", {"CurrentLap": self._lap}, begun))
        return out

    def _positions(self) -> list[Message]:
        out = []
        for row in sorted(self._fresh["position"], key=lambda row: instant(row) or 0):
            at, number, place = instant(row) or 0, racing_number(row) or "", whole(row.get("position"))
            since, before = self._placed.get(number, (0, 0))
            if place is None or at < since or place == before:
                continue
            self._placed[number] = (at, place)
            out.append(Message("TimingData", {"Lines": {number: {"Position": str(place)}}}, at))
        return out

    def _intervals(self) -> list[Message]:
        out = []
        for row in sorted(self._fresh["intervals"], key=lambda row: instant(row) or 0):
            at, number = instant(row) or 0, racing_number(row) or ""
            sample = (at, gap(row.get("gap_to_leader")), gap(row.get("interval")))
            insort(self._gaps[number], sample, key=lambda sample: sample[0])
            if at < self._gaps_told.get(number, 0):
                continue
            self._gaps_told[number] = at
            out.append(Message("TimingData", {"Lines": {number: _gap_delta(sample)}}, at))
        for number, samples in self._gaps.items():
            del samples[: bisect_right(samples, self._gaps_told.get(number, 0) - KEPT_MS, key=lambda sample: sample[0])]
        return out

    def _gap_at(self, number: str, at: int) -> dict[str, Any]:
        """A car's gap and interval at an instant: the lap that ended then is told later, and has them of then."""
        samples = self._gaps.get(number, [])
        index = bisect_right(samples, at, key=lambda sample: sample[0])
        return _gap_delta(samples[index - 1]) if index else {}

    def _gap_since(self, number: str, at: int) -> list[Message]:
        """The gap that was told before a lap that ended earlier: it is the car's gap now."""
        samples = self._gaps.get(number, [])
        if not samples or samples[-1][0] <= at:
            return []
        return [Message("TimingData", {"Lines": {number: _gap_delta(samples[-1])}}, at)]

    # -- what accompanies them -------------------------------------------------------------

    def _weather(self) -> list[Message]:
        return [
            Message(
                "WeatherData", {name: str(row[key]) for name, key in WEATHER.items() if row.get(key) is not None}, at
            )
            for row in sorted(self._fresh["weather"], key=lambda row: instant(row) or 0)
            if (at := instant(row)) is not None
        ]

    def _team_radio(self) -> list[Message]:
        out = []
        for row in sorted(self._fresh["team_radio"], key=lambda row: instant(row) or 0):
            url, at = str(row["recording_url"]), instant(row) or 0
            before, found, file = url.partition("TeamRadio/")
            key = (row.get("date"), row.get("driver_number"))
            index = self._radio.setdefault(key, len(self._radio))
            _, static, path = before.partition("/static/")
            if found and static and path and not self._path:
                self._path = path
                out.append(Message("SessionInfo", {"Path": path}, at))
            capture = {"Utc": utc(at), "RacingNumber": racing_number(row), "Path": f"{found}{file}" if found else url}
            out.append(Message("TeamRadio", {"Captures": {str(index): capture}}, at))
        return out

    def _telemetry(self) -> list[Message]:
        by_instant: dict[int, dict[str, Any]] = defaultdict(dict)
        for row in self._fresh["car_data"]:
            channels = {channel: row[key] for channel, key in CHANNELS.items() if row.get(key) is not None}
            by_instant[instant(row) or 0][racing_number(row) or ""] = {"Channels": channels}
        out = [
            Message("CarData", {"Entries": [{"Utc": utc(at), "Cars": by_instant[at]}]}, at) for at in sorted(by_instant)
        ]
        places: dict[int, dict[str, Any]] = defaultdict(dict)
        for row in self._fresh["location"]:
            place = {axis.upper(): row[axis] for axis in "xyz" if row.get(axis) is not None}
            places[instant(row) or 0][racing_number(row) or ""] = place
        return out + [
            Message("Position", {"Position": [{"Timestamp": utc(at), "Entries": places[at]}]}, at)
            for at in sorted(places)
        ]


def _messages(told: list[Told]) -> list[Message]:
    return [Message(topic, payload, change.at) for change in told for topic, payload in change.payloads.items()]


def _message(row: Row, at: int) -> dict[str, Any]:
    """A row of `race_control` in the feed's words. What OpenF1 leaves out and the text says is put back."""
    said = str(row["message"])
    message = _some(
        Utc=utc(at),
        Lap=whole(row.get("lap_number")),
        Category=text(row.get("category")),
        Flag=text(row.get("flag")),
        Scope=text(row.get("scope")),
        Sector=whole(row.get("sector")),
        RacingNumber=racing_number(row),
        Message=said,
        QualifyingPhase=whole(row.get("qualifying_phase")),
    )
    if message.get("Category") == "Drs" and said in ("DRS ENABLED", "DRS DISABLED"):
        message["Status"] = said.removeprefix("DRS ")
    for mode in ("VIRTUAL SAFETY CAR", "SAFETY CAR"):
        if message.get("Category") == "SafetyCar" and said.startswith(f"{mode} "):
            message |= {"Mode": mode, "Status": said.removeprefix(f"{mode} ")}
            break
    return message


def _told(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "QualifyingPhase"}


def _gap_delta(sample: tuple[int, str | None, str | None]) -> dict[str, Any]:
    _, to_leader, interval = sample
    return {"GapToLeader": to_leader or "", "IntervalToPositionAhead": {"Value": interval or ""}}


def _some(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != {}}
