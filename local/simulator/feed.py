"""How F1's feed would tell a race: topics, shapes, order, lateness and oddities of its messages.

Learned from recordings of whole sessions (2018 Baku, 2025 Qatar and São Paulo sprints):

- a mini-sector is told some hundredths of a second after it is done, gaps in a message of their own;
- the line brings lap counter, third sector, speed and lap time in one message, now and then in two,
  rarely the time only seconds after the counter;
- a first sector clears the two others, so only first sectors and lap times can repeat unsaid;
- lap 1 has no lap time and no first sector, neither has the first sector of a lap begun under red;
- tyre data come on a grid of five seconds, at times with an unknown or wrong compound first;
- team radio and car data carry instants that lie behind their neighbours'.

What is told comes from the events of `local.simulator.race`; nothing here changes the race.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

from local.simulator.circuit import Circuit
from local.simulator.entries import FIELD, Entry
from local.simulator.events import (
    Crossing,
    Event,
    Finished,
    Fitted,
    LapDeleted,
    LapReinstated,
    LeaderLap,
    LeftGarage,
    OrderChanged,
    PitEntered,
    PitLeft,
    RaceControl,
    Radio,
    Retired,
    SectorFlag,
    SessionStatus,
    Stopped,
    TrackStatus,
    Weather,
)
from local.simulator.sent import SentState

SESSION_KEY = 9907
GMT_OFFSET_MS = 2 * 3_600_000
PATH = "2026/2026-07-12_Ardenmoor_Grand_Prix/2026-07-12_Race/"
RACE_CLOCK_MS = 2 * 3_600_000
"""A race lasts two hours at most; so long does its clock run."""

_TRACK_MESSAGES = {
    "1": "AllClear",
    "2": "Yellow",
    "4": "SCDeployed",
    "5": "Red",
    "6": "VSCDeployed",
    "7": "VSCEnding",
}
_WHOLE = frozenset({"Heartbeat", "SessionInfo", "SessionStatus", "TrackStatus", "WeatherData"})
"""Topics sent whole every time; all others send only what changed."""

# Bits of a car's Status, as far as the recordings tell.
_STOPPED, _RETIRED, _IN_PIT, _PIT_OUT, _RUNNING = 4, 8, 16, 32, 64
_OUT_LAP, _FINISHED, _GAINED, _LOST = 512, 1024, 4096, 8192

# Mini-sector colours.
_YELLOW, _GREEN, _PURPLE, _STOPPED_HERE, _PIT = 2048, 2049, 2051, 2052, 2064

_TYRE_GRID_MS = 5_000


class FeedMessage(NamedTuple):
    """One message. at: its own instant; received: when a listener gets it. Both ms since the epoch, UTC."""

    at: int
    topic: str
    payload: Any
    received: int


def utc(at: int, digits: int = 3) -> str:
    """RFC 3339 as the feed writes it: trailing zeros of the fraction dropped."""
    text = datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not digits:
        return text
    fraction = f"{at % 1000:03d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def lap_time(ms: int) -> str:
    """`1:27.123`."""
    return f"{ms // 60_000}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def seconds(ms: int) -> str:
    """`31.501`, also beyond a minute."""
    return f"{ms // 1000}.{ms % 1000:03d}"


def clock(ms: int) -> str:
    """`01:59:59`."""
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}"


class _Told:
    """What the feed keeps in mind about one car."""

    def __init__(self, entry: Entry, segments: int, started_at: int) -> None:
        self.entry = entry
        self.mark = started_at
        self.lap_start = started_at
        self.base = _RUNNING | _IN_PIT
        self.best_sectors: list[int] = [0, 0, 0]
        self.best_segments = [0] * segments
        self.shown = [0] * segments
        self.best_traps: dict[str, int] = {}
        self.lap_times: dict[int, int] = {}
        self.best: tuple[int, int] | None = None
        """Time and lap."""
        self.purple: set[str] = set()
        """Values now shown as overall best: "0", "1", "2", "lap" and the traps."""
        self.stints: list[dict[str, Any]] = []
        self.stops = 0
        self.pit_series = 0
        self.out_lap = False
        self.waited = False
        self.stint_best = 0
        self.gone = False


class Feed:
    """Turns the events of one race into messages. Use once: `messages()`."""

    def __init__(
        self,
        events: list[Event],
        circuit: Circuit,
        *,
        seed: int,
        opens: int,
        lights_out: int,
        ends: int,
        total_laps: int,
    ) -> None:
        self._events = events
        self._circuit = circuit
        self._rng = Random(f"{seed}:feed")
        self._opens, self._lights_out, self._ends = opens, lights_out, ends
        self._total_laps = total_laps
        self._said: list[tuple[int, int, str, dict[str, Any], int]] = []
        self._later: list[tuple[int, int, Callable[[int], None]]] = []
        self._planned = 0
        self._order: list[str] = []
        self._cars = {entry.number: _Told(entry, circuit.segments, lights_out) for entry in FIELD}
        self._leader_lap = 1
        self._messages = 0
        self._captures = 0
        self._series = 1
        self._status_series = 0
        self._clock_from: int | None = None
        self._clock_left = RACE_CLOCK_MS
        self._best_sector = [0, 0, 0]
        self._best_segment = [0] * circuit.segments
        self._best_lap = 0
        self._best_trap: dict[str, int] = {}
        self._previous: dict[str, dict[str, str]] = {}
        self._previous_at = 0
        self._tyres: dict[str, dict[str, dict[str, Any]]] = {}
        self._whole_stints: list[str] = []
        self._session_status = "Inactive"

    # -- out -------------------------------------------------------------------------------------

    def messages(self) -> Iterator[FeedMessage]:
        """All messages in the order they are received. The first ones hold the state before the race."""
        self._open()
        for event in self._events:
            self._run_until(event.at)
            self._tell(event)
        self._run_until(self._ends)
        self._said.sort(key=lambda said: said[:2])
        state = SentState()
        received = 0
        for at, _, topic, payload, behind in self._said:
            if at > self._ends:
                break
            change = payload if topic in _WHOLE else state.reduce(topic, payload)
            if change:
                received = max(received, at)
                yield FeedMessage(max(at - behind, self._opens), topic, change, received)

    def _say(self, at: int, topic: str, payload: dict[str, Any], behind: int = 0) -> None:
        if topic == "TimingData" and not behind and self._rng.random() < 0.003:
            behind = round(self._rng.expovariate(1 / 90.0))
        self._said.append((at, len(self._said), topic, payload, behind))

    def _lines(self, at: int, lines: dict[str, Any], topic: str = "TimingData") -> None:
        if lines:
            self._say(at, topic, {"Lines": lines})

    def _after(self, at: int, action: Callable[[int], None]) -> None:
        self._planned += 1
        heapq.heappush(self._later, (at, self._planned, action))

    def _run_until(self, at: int) -> None:
        while self._later and self._later[0][0] <= at:
            due, _, action = heapq.heappop(self._later)
            action(due)

    def _jitter(self, low: int, high: int) -> int:
        return self._rng.randint(low, high)

    # -- before the start ------------------------------------------------------------------------

    def _open(self) -> None:
        at = self._opens
        grid = next(event.order for event in self._events if isinstance(event, OrderChanged))
        self._order = list(grid)
        self._say_session_info(at, "Inactive")
        self._say(at + 20, "SessionStatus", {"Status": "Inactive", "Started": "Inactive"})
        self._say(at + 30, "TrackStatus", {"Status": "1", "Message": "AllClear"})
        self._say(
            at + 60,
            "SessionData",
            {
                "Series": [{"Utc": utc(at), "Lap": 1}],
                "StatusSeries": [{"Utc": utc(at), "TrackStatus": "AllClear"}],
            },
        )
        self._status_series = 1
        self._say(
            at + 80,
            "ExtrapolatedClock",
            {"Utc": utc(at - 120), "Remaining": clock(RACE_CLOCK_MS), "Extrapolating": False},
        )
        self._say(at + 90, "LapCount", {"CurrentLap": 1, "TotalLaps": self._total_laps})
        self._say(at + 110, "DriverList", {n: self._driver(n, i + 1) for i, n in enumerate(grid)})
        self._lines(at + 130, {n: self._timing_line(n, i + 1) for i, n in enumerate(grid)})
        self._lines(
            at + 140,
            {n: {"RacingNumber": n, "Line": i + 1, "GridPos": str(i + 1)} for i, n in enumerate(grid)},
            "TimingAppData",
        )
        self._say(
            at + 150,
            "TimingStats",
            {
                "Withheld": False,
                "Lines": {n: self._stats_line(n, i + 1) for i, n in enumerate(sorted(grid, key=int))},
            },
        )
        self._say(
            at + 160,
            "TopThree",
            {"Withheld": False, "Lines": [self._top_line(n, i) for i, n in enumerate(grid[:3])]},
        )
        self._say(at + 170, "TyreStintSeries", {"Stints": {n: [] for n in sorted(grid, key=int)}})
        self._say(at + 180, "PitLaneTimeCollection", {"PitTimes": {}})
        self._say(at + 190, "PitStopSeries", {"PitTimes": {}})
        self._after(at + 5_000, self._heartbeat)
        self._after(at + 3_700, self._tyre_tick)
        self._after(self._lights_out - 8_000, self._on_the_grid)

    def _say_session_info(self, at: int, status: str) -> None:
        start = self._lights_out + GMT_OFFSET_MS
        start -= start % 900_000
        name, country = self._circuit.meeting_name, self._circuit.country
        self._say(
            at,
            "SessionInfo",
            {
                "Meeting": {
                    "Key": 1299,
                    "Name": name,
                    "OfficialName": f"FORMULA 1 {name.upper()} 2026",
                    "Location": self._circuit.location,
                    "Number": 12,
                    "Country": {"Key": 990, "Code": country[0], "Name": country[1]},
                    "Circuit": {"Key": 990, "ShortName": self._circuit.name},
                },
                "SessionStatus": status,
                "ArchiveStatus": {"Status": "Generating"},
                "Key": SESSION_KEY,
                "Type": "Race",
                "Name": "Race",
                "StartDate": utc(start, 0),
                "EndDate": utc(start + RACE_CLOCK_MS, 0),
                "GmtOffset": clock(GMT_OFFSET_MS),
                "Path": PATH,
            },
        )

    def _driver(self, number: str, line: int) -> dict[str, Any]:
        entry = self._cars[number].entry
        return {
            "RacingNumber": number,
            "BroadcastName": entry.broadcast_name,
            "FullName": entry.full_name,
            "Tla": entry.tla,
            "Line": line,
            "TeamName": entry.team.name,
            "TeamColour": entry.team.colour,
            "FirstName": entry.first_name,
            "LastName": entry.last_name,
            "Reference": entry.reference,
            "HeadshotUrl": f"https://example.com/headshots/{entry.reference.lower()}.png",
            "CountryCode": entry.country,
        }

    def _timing_line(self, number: str, line: int) -> dict[str, Any]:
        def empty() -> dict[str, Any]:
            return {"Value": "", "Status": 0, "OverallFastest": False, "PersonalFastest": False}

        return {
            "GapToLeader": "",
            "IntervalToPositionAhead": {"Value": "", "Catching": False},
            "Line": line,
            "Position": str(line),
            "ShowPosition": True,
            "RacingNumber": number,
            "Retired": False,
            "InPit": True,
            "PitOut": False,
            "Stopped": False,
            "Status": _RUNNING | _IN_PIT,
            "Sectors": [
                {"Stopped": False, "Segments": [{"Status": 0} for _ in range(count)], **empty()}
                for count in self._circuit.segments_per_sector
            ],
            "Speeds": {trap: empty() for trap in ("I1", "I2", "FL", "ST")},
            "BestLapTime": {"Value": ""},
            "LastLapTime": empty(),
        }

    def _stats_line(self, number: str, line: int) -> dict[str, Any]:
        return {
            "Line": line,
            "RacingNumber": number,
            "PersonalBestLapTime": {"Value": ""},
            "BestSectors": [{"Value": ""}, {"Value": ""}, {"Value": ""}],
            "BestSpeeds": {trap: {"Value": ""} for trap in ("I1", "I2", "FL", "ST")},
        }

    def _top_identity(self, number: str) -> dict[str, Any]:
        entry = self._cars[number].entry
        return {
            "RacingNumber": number,
            "Tla": entry.tla,
            "BroadcastName": entry.broadcast_name,
            "FullName": entry.full_name,
            "FirstName": entry.first_name,
            "LastName": entry.last_name,
            "Reference": entry.reference,
            "Team": entry.team.name,
            "TeamColour": entry.team.colour,
        }

    def _top_line(self, number: str, index: int) -> dict[str, Any]:
        return {
            "Position": str(index + 1),
            "ShowPosition": True,
            **self._top_identity(number),
            "LapTime": "",
            "LapState": _RUNNING | _IN_PIT,
            "DiffToAhead": "",
            "DiffToLeader": "",
            "OverallFastest": False,
            "PersonalFastest": False,
        }

    def _on_the_grid(self, at: int) -> None:
        leader = {"GapToLeader": "LAP 1", "IntervalToPositionAhead": {"Value": "LAP 1"}}
        lines: dict[str, Any] = {self._order[0]: leader}
        for number, car in self._cars.items():
            car.base = _RUNNING
            lines.setdefault(number, {}).update({"PitOut": False, "Status": _RUNNING})
        self._lines(at, lines)
        self._say(at + 30, "TopThree", {"Lines": {"0": {"DiffToAhead": "LAP 1", "DiffToLeader": "LAP 1"}}})

    # -- clocks ----------------------------------------------------------------------------------

    def _heartbeat(self, at: int) -> None:
        ahead = at + 2_000 + self._jitter(-25, 25)
        text = utc(ahead).removesuffix("Z")
        self._say(at, "Heartbeat", {"Utc": f"{text}{self._jitter(1, 9999):04d}Z" if "." in text else f"{text}Z"})
        self._after(at + 15_000 + self._jitter(-9, 30), self._heartbeat)

    def _say_clock(self, at: int, running: bool) -> None:
        """The session clock starts or stops at instant `at`."""
        if self._clock_from is not None:
            self._clock_left = max(0, self._clock_left - (at - self._clock_from))
        self._clock_from = at if running else None
        moment = at + self._jitter(5, 60)
        payload = {"Utc": utc(moment), "Remaining": clock(self._clock_left), "Extrapolating": running}
        self._say(moment + self._jitter(150, 230), "ExtrapolatedClock", payload)

    # -- events ----------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        match event:
            case Crossing():
                self._tell_crossing(event)
            case OrderChanged():
                self._tell_order(event)
            case Fitted():
                self._tell_tyres(event)
            case LeftGarage(at=at, number=number):
                self._cars[number].base = _RUNNING | _PIT_OUT
                status = {"InPit": False, "PitOut": True, "Status": _RUNNING | _PIT_OUT}
                self._lines(at + self._jitter(60, 200), {number: status})
            case PitEntered():
                self._tell_pit_entry(event)
            case PitLeft():
                self._tell_pit_exit(event)
            case Stopped():
                self._tell_stopped(event)
            case Retired():
                self._tell_retired(event)
            case TrackStatus(at=at, code=code):
                message = _TRACK_MESSAGES[code]
                said = at + self._jitter(60, 160)
                self._say(said, "TrackStatus", {"Status": code, "Message": message})
                self._say_status_series(at, said, {"TrackStatus": message})
            case SessionStatus():
                self._tell_session_status(event)
            case SectorFlag(at=at, flag=flag, sector=sector):
                fields = {"Flag": flag, "Scope": "Sector", "Sector": sector}
                text = f"{flag} IN TRACK SECTOR {sector}"
                self._say_race_control(at, "Flag", fields, text)
            case RaceControl(at=at, text=text, category=category, fields=fields_given):
                self._say_race_control(at, category, dict(fields_given), text)
            case LapDeleted():
                self._tell_deleted(event)
            case LapReinstated():
                self._tell_reinstated(event)
            case LeaderLap(at=at, lap=lap):
                self._tell_leader_lap(at, lap)
            case Finished(at=at, number=number):
                car = self._cars[number]
                car.base = _RUNNING | _FINISHED
                self._lines(at + self._jitter(40, 90), {number: {"Status": car.base}})
            case Radio():
                self._tell_radio(event)
            case Weather():
                self._tell_weather(event)

    def _say_race_control(self, at: int, category: str, fields: dict[str, Any], text: str) -> None:
        message = {"Utc": utc(at, 0), "Lap": self._leader_lap, "Category": category, **fields}
        message["Message"] = text
        index, self._messages = self._messages, self._messages + 1
        payload = [message] if not index else {str(index): message}
        self._say(at + self._jitter(90, 200) + 40 * (index % 3), "RaceControlMessages", {"Messages": payload})

    def _say_status_series(self, at: int, said: int, status: dict[str, str]) -> None:
        entry = {str(self._status_series): {"Utc": utc(at), **status}}
        self._status_series += 1
        self._say(said + self._jitter(0, 12), "SessionData", {"StatusSeries": entry})

    def _tell_session_status(self, event: SessionStatus) -> None:
        at, status = event.at, event.status
        if status == "Inactive":
            return
        self._session_status = status
        over = status in ("Finished", "Finalised", "Ends")
        said = at + self._jitter(60, 140)
        started = "Finished" if over else "Started"
        self._say(said, "SessionStatus", {"Status": status, "Started": started})
        self._say_status_series(at, said, {"SessionStatus": status})
        if status in ("Started", "Finalised"):
            self._say_session_info(said + 1, status)
        if status != "Finalised" and status != "Ends":
            self._say_clock(at, running=status == "Started")

    def _tell_leader_lap(self, at: int, lap: int) -> None:
        self._leader_lap = lap
        said = at + self._jitter(40, 110)
        self._say(said, "LapCount", {"CurrentLap": lap})
        series = {str(self._series): {"Utc": utc(at), "Lap": lap}}
        self._series += 1
        self._say(said + self._jitter(20, 90), "SessionData", {"Series": series})
        if lap % 20 == 4:
            running = [number for number in self._order if not self._cars[number].gone]
            self._whole_stints.append(self._rng.choice(running))

    def _tell_radio(self, event: Radio) -> None:
        entry = self._cars[event.number].entry
        local = datetime.fromtimestamp((event.spoken + GMT_OFFSET_MS) // 1000, UTC)
        stamp = local.strftime("%Y%m%d_%H%M%S")
        capture = {
            "Utc": f"{utc(event.at - 1_900).removesuffix('Z')}Z",
            "RacingNumber": event.number,
            "Path": f"TeamRadio/{entry.reference}_{event.number}_{stamp}.mp3",
        }
        index, self._captures = self._captures, self._captures + 1
        captures = [capture] if not index else {str(index): capture}
        self._say(event.at, "TeamRadio", {"Captures": captures}, behind=self._jitter(900, 3_700))

    def _tell_weather(self, event: Weather) -> None:
        payload = {
            "AirTemp": f"{event.air:.1f}",
            "Humidity": f"{event.humidity:.1f}",
            "Pressure": f"{event.pressure:.1f}",
            "Rainfall": "1" if event.rain else "0",
            "TrackTemp": f"{event.track:.1f}",
            "WindDirection": str(event.wind_direction),
            "WindSpeed": f"{event.wind_speed:.1f}",
        }
        self._say(event.at, "WeatherData", payload)

    # -- crossings -------------------------------------------------------------------------------

    def _tell_crossing(self, event: Crossing) -> None:
        car = self._cars[event.number]
        self._tell_segment(event, car)
        if event.cool_down:
            return
        if not event.in_lane and event.segment + 1 != self._circuit.pit_entry:
            self._tell_gaps(event)
        end = event.segment + 1
        if end == self._circuit.sector_ends[0]:
            self._tell_first_sector(event, car)
        elif end == self._circuit.sector_ends[1]:
            self._tell_second_sector(event, car)
        elif end == self._circuit.segments:
            self._tell_line(event, car)
        elif event.segment == 1 and not event.in_lane and (event.lap > 1 or self._rng.random() < 0.9):
            said = event.at + self._jitter(150, 700)
            self._lines(said, self._with_trap(event, car, "ST", {}))

    def _tell_segment(self, event: Crossing, car: _Told) -> None:
        index = event.segment
        colour = _YELLOW
        others: dict[str, Any] = {}
        if event.in_lane:
            colour = _PIT
        elif not event.cool_down:
            if not self._best_segment[index] or event.duration < self._best_segment[index]:
                colour = _PURPLE
                self._best_segment[index] = event.duration
                for number, other in self._cars.items():
                    if other.shown[index] == _PURPLE and other is not car:
                        other.shown[index] = _GREEN
                        others[number] = self._segment_delta(index, _GREEN)
            elif event.duration < car.best_segments[index]:
                colour = _GREEN
            if not car.best_segments[index] or event.duration < car.best_segments[index]:
                car.best_segments[index] = event.duration
        delta = self._segment_delta(index, colour)
        if index == 0:
            for other_index in range(1, self._circuit.segments):
                sector, place = self._circuit.sector_of(other_index)
                segments = delta["Sectors"].setdefault(str(sector), {"Segments": {}})["Segments"]
                segments[str(place)] = {"Status": 0}
            car.shown = [0] * self._circuit.segments
        car.shown[index] = colour
        self._lines(event.at + self._jitter(15, 110), {event.number: delta, **others})

    def _segment_delta(self, index: int, colour: int) -> dict[str, Any]:
        sector, place = self._circuit.sector_of(index)
        return {"Sectors": {str(sector): {"Segments": {str(place): {"Status": colour}}}}}

    @staticmethod
    def _gap(gap: int | None, laps_down: int) -> str | None:
        if laps_down:
            return f"{laps_down}L"
        return None if gap is None else f"+{seconds(gap)}"

    def _tell_gaps(self, event: Crossing) -> None:
        said = event.at + self._jitter(5, 70)
        if event.position == 1:
            if event.segment + 1 == self._circuit.segments and event.lap < self._total_laps:
                lap = f"LAP {event.lap + 1}"
                self._lines(said, {event.number: self._leading(lap)})
                self._say(said + 8, "TopThree", {"Lines": {"0": {"DiffToAhead": lap, "DiffToLeader": lap}}})
            return
        line: dict[str, Any] = {}
        gap = self._gap(event.gap, event.laps_down)
        if gap is not None:
            line["GapToLeader"] = gap
        if event.interval is not None:
            interval = f"+{seconds(event.interval)}"
            line["IntervalToPositionAhead"] = {"Value": interval, "Catching": event.interval < 1_000}
        elif event.laps_down:
            interval = "1L"
            line["IntervalToPositionAhead"] = {"Value": interval, "Catching": False}
        else:
            interval = ""
        if line:
            self._lines(said, {event.number: line})
        if event.position <= 3 and gap and interval:
            diff = {str(event.position - 1): {"DiffToAhead": interval, "DiffToLeader": gap}}
            self._say(said + 8, "TopThree", {"Lines": diff})

    @staticmethod
    def _leading(lap: str) -> dict[str, Any]:
        return {"GapToLeader": lap, "IntervalToPositionAhead": {"Value": lap, "Catching": False}}

    def _with_trap(self, event: Crossing, car: _Told, trap: str, others: dict[str, Any]) -> dict[str, Any]:
        """Lines with the speed of the car in `trap`, and whose overall best that ends."""
        loop = {"ST": 2, "FL": self._circuit.segments}.get(trap, 0)
        if trap in ("I1", "I2"):
            loop = self._circuit.sector_ends[0 if trap == "I1" else 1]
        ideal = self._circuit.base_ms[event.segment]
        factor = min(1.03, max(0.35, ideal / max(event.duration, 1)) + self._rng.gauss(0.0, 0.006))
        kph = max(60, round(self._circuit.boundary_speed(loop) * 3.6 * factor))
        value: dict[str, Any] = {"Value": str(kph), "OverallFastest": False, "PersonalFastest": False}
        if kph > car.best_traps.get(trap, 0):
            car.best_traps[trap] = kph
            value["PersonalFastest"] = True
            stats: dict[str, Any] = {event.number: {"BestSpeeds": {trap: {"Value": str(kph)}}}}
            ranks = sorted(
                (n for n in self._cars if trap in self._cars[n].best_traps),
                key=lambda n: (-self._cars[n].best_traps[trap], int(n)),
            )
            for place, number in enumerate(ranks):
                speeds = stats.setdefault(number, {"BestSpeeds": {trap: {}}})["BestSpeeds"]
                speeds[trap]["Position"] = place + 1
            self._lines(event.at + self._jitter(300, 900), stats, "TimingStats")
        if kph > self._best_trap.get(trap, 0):
            self._best_trap[trap] = kph
            value["OverallFastest"] = True
            self._lose_purple(trap, car, others, {"Speeds": {trap: {"OverallFastest": False}}})
        lines = {event.number: {"Speeds": {trap: value}}}
        return {**lines, **others}

    def _lose_purple(self, what: str, winner: _Told, others: dict[str, Any], delta: dict[str, Any]) -> None:
        for number, other in self._cars.items():
            if what in other.purple and other is not winner:
                other.purple.discard(what)
                _merge(others.setdefault(number, {}), delta)
        winner.purple.add(what)

    def _sector(self, event: Crossing, car: _Told, index: int, others: dict[str, Any]) -> dict[str, Any]:
        """The sector's value with its colours; notes the time and the bests."""
        time = event.at - car.mark
        value: dict[str, Any] = {"Value": seconds(time), "OverallFastest": False, "PersonalFastest": False}
        if not car.best_sectors[index] or time < car.best_sectors[index]:
            car.best_sectors[index] = time
            value["PersonalFastest"] = True
            ranks = sorted(
                (n for n in self._cars if self._cars[n].best_sectors[index]),
                key=lambda n: (self._cars[n].best_sectors[index], int(n)),
            )
            place = ranks.index(event.number) + 1
            best = {str(index): {"Value": seconds(time), "Position": place}}
            self._lines(event.at + self._jitter(300, 900), {event.number: {"BestSectors": best}}, "TimingStats")
        if not self._best_sector[index] or time < self._best_sector[index]:
            self._best_sector[index] = time
            value["OverallFastest"] = True
            self._lose_purple(str(index), car, others, {"Sectors": {str(index): {"OverallFastest": False}}})
        self._previous.setdefault(event.number, {})[str(index)] = seconds(time)
        return value

    def _with_previous(self, at: int, number: str, lines: dict[str, Any]) -> dict[str, Any]:
        """Adds other cars' PreviousValues, which ride along on some later message."""
        if at - self._previous_at < 1_300 or len(self._previous) < 2:
            return lines
        self._previous_at = at
        for other, values in self._previous.items():
            if other != number:
                sectors = {index: {"PreviousValue": value} for index, value in values.items()}
                _merge(lines.setdefault(other, {}), {"Sectors": sectors})
        self._previous = {n: v for n, v in self._previous.items() if n == number}
        return lines

    def _tell_first_sector(self, event: Crossing, car: _Told) -> None:
        said = event.at + self._jitter(60, 200)
        others: dict[str, Any] = {}
        lines = self._with_trap(event, car, "I1", others)
        line = lines[event.number]
        cleared = {"Value": "", "OverallFastest": False, "PersonalFastest": False}
        if event.lap > 1 and not car.waited:
            value = self._sector(event, car, 0, others)
            line["Sectors"] = {"0": value, "1": dict(cleared), "2": dict(cleared)}
            line["Speeds"].update({"I2": dict(cleared), "FL": dict(cleared)})
            car.purple -= {"1", "2", "I2", "FL"}
        car.mark = event.at
        if car.out_lap:
            car.base = _RUNNING | _OUT_LAP
            line |= {"PitOut": False, "Status": car.base}
            car.out_lap = car.waited = False
        for number, delta in others.items():
            _merge(lines.setdefault(number, {}), delta)
        self._lines(said, self._with_previous(event.at, event.number, lines))

    def _tell_second_sector(self, event: Crossing, car: _Told) -> None:
        said = event.at + self._jitter(50, 180)
        others: dict[str, Any] = {}
        lines = self._with_trap(event, car, "I2", others)
        lines[event.number]["Sectors"] = {"1": self._sector(event, car, 1, others)}
        car.mark = event.at
        for number, delta in others.items():
            _merge(lines.setdefault(number, {}), delta)
        self._lines(said, self._with_previous(event.at, event.number, lines))

    def _tell_line(self, event: Crossing, car: _Told) -> None:
        """Lap counter, third sector, speed at the line and lap time: together, apart, or late."""
        number, lap = event.number, event.lap
        others: dict[str, Any] = {}
        counter: dict[str, Any] = {"NumberOfLaps": lap}
        if car.base & _OUT_LAP and not car.base & _IN_PIT:
            car.base = _RUNNING
            counter["Status"] = _RUNNING
        values: dict[str, Any] = {"Sectors": {"2": self._sector(event, car, 2, others)}}
        if not event.in_lane:
            values |= self._with_trap(event, car, "FL", others)[number]
        time = event.at - car.lap_start
        car.lap_start = car.mark = event.at
        timed: dict[str, Any] = {}
        if lap > 1:
            timed = self._lap_time(event, car, time, others)

        said = event.at + self._jitter(90, 230)
        draw = self._rng.random()
        lines = {number: {**counter, **values, **timed}}
        if draw < 0.86:
            pass
        elif draw < 0.96:
            self._lines(said, {number: counter})
            said += self._jitter(3, 120)
            lines = {number: {**values, **timed}}
        elif draw < 0.99:
            self._lines(said, {number: timed} if timed else {})
            said += self._jitter(60, 1_900)
            lines = {number: {**counter, **values}}
        else:
            self._lines(said, {number: counter})
            said += self._jitter(900, 4_300)
            lines = {number: {**values, **timed}}
        for other, delta in others.items():
            _merge(lines.setdefault(other, {}), delta)
        self._lines(said, self._with_previous(event.at, number, lines))
        stint = car.stints[-1]
        stint["TotalLaps"] += 1
        self._note_tyres(number, {"TotalLaps": stint["TotalLaps"]})

    def _lap_time(self, event: Crossing, car: _Told, time: int, others: dict[str, Any]) -> dict[str, Any]:
        number, lap = event.number, event.lap
        car.lap_times[lap] = time
        last: dict[str, Any] = {"Value": lap_time(time), "OverallFastest": False, "PersonalFastest": False}
        told: dict[str, Any] = {"LastLapTime": last}
        if car.best is None or time < car.best[0]:
            car.best = (time, lap)
            last["PersonalFastest"] = True
            told["BestLapTime"] = {"Value": lap_time(time), "Lap": lap}
            self._say_best_laps(event.at + self._jitter(300, 900))
        flags = 1 if last["PersonalFastest"] else 0
        if not self._best_lap or time < self._best_lap:
            self._best_lap = time
            last["OverallFastest"] = True
            flags = 3
            self._lose_purple("lap", car, others, {"LastLapTime": {"OverallFastest": False}})
        else:
            car.purple.discard("lap")
        stint_laps = car.stints[-1]["TotalLaps"] - car.stints[-1]["StartLaps"]
        if stint_laps and (not car.stint_best or time < car.stint_best):
            car.stint_best = time
            stint = {"LapTime": lap_time(time), "LapNumber": lap, "LapFlags": flags}
            car.stints[-1] |= stint
            index = str(len(car.stints) - 1)
            self._lines(event.at + self._jitter(250, 600), {number: {"Stints": {index: stint}}}, "TimingAppData")
        if event.position <= 3:
            top = {"LapTime": lap_time(time), "LapState": car.base}
            top |= {key: last[key] for key in ("OverallFastest", "PersonalFastest")}
            self._say(event.at + self._jitter(240, 420), "TopThree", {"Lines": {str(event.position - 1): top}})
        return told

    def _say_best_laps(self, at: int) -> None:
        bests = sorted(
            ((car.best, number) for number, car in self._cars.items() if car.best is not None),
            key=lambda item: (item[0], int(item[1])),
        )
        lines = {
            number: {"PersonalBestLapTime": {"Value": lap_time(best[0]), "Lap": best[1], "Position": place + 1}}
            for place, (best, number) in enumerate(bests)
        }
        self._lines(at, lines, "TimingStats")

    # -- order -----------------------------------------------------------------------------------

    def _tell_order(self, event: OrderChanged) -> None:
        before, after = self._order, list(event.order)
        self._order = after
        if event.at <= self._opens:
            return
        lines: dict[str, Any] = {}
        short: dict[str, Any] = {}
        for index, number in enumerate(after):
            old = before.index(number)
            if old == index:
                continue
            car = self._cars[number]
            line: dict[str, Any] = {"Line": index + 1, "Position": str(index + 1)}
            line["IntervalToPositionAhead"] = {"Value": "", "Catching": False}
            if index == 0 and self._session_status == "Started":
                line |= self._leading(f"LAP {self._leader_lap}")
            elif old == 0:
                line["GapToLeader"] = ""
            line["Status"] = car.base | (_GAINED if index < old else _LOST)
            lines[number] = line
            short[number] = {"Line": index + 1}
            self._after(event.at + 5_000 + self._jitter(0, 90), self._settle(number))
        said = event.at + self._jitter(2, 30)
        self._lines(said, lines)
        if event.at > self._lights_out + 25_000:
            self._say(said + self._jitter(60, 120), "DriverList", short)
            self._lines(said + self._jitter(60, 120), short, "TimingAppData")
        elif event.at > self._lights_out:
            self._after(self._lights_out + 25_000, self._say_all_lines)
        top: dict[str, Any] = {}
        for index, number in enumerate(after[:3]):
            if before[index] != number:
                leader = f"LAP {self._leader_lap}" if not index else ""
                top[str(index)] = {
                    **self._top_identity(number),
                    "DiffToAhead": leader,
                    "DiffToLeader": leader,
                }
        if top:
            self._say(said + 4, "TopThree", {"Lines": top})

    def _settle(self, number: str) -> Callable[[int], None]:
        def settle(at: int) -> None:
            self._lines(at, {number: {"Status": self._cars[number].base}})

        return settle

    def _say_all_lines(self, at: int) -> None:
        lines = {number: {"Line": index + 1} for index, number in enumerate(self._order)}
        self._say(at, "DriverList", lines)
        self._lines(at + 5, lines, "TimingAppData")

    # -- pit lane and tyres ----------------------------------------------------------------------

    def _tell_pit_entry(self, event: PitEntered) -> None:
        car = self._cars[event.number]
        car.base = (car.base & ~_OUT_LAP) | _IN_PIT
        line: dict[str, Any] = {"InPit": True, "Status": car.base}
        if event.stop:
            car.stops += 1
            line["NumberOfPitStops"] = car.stops
        self._lines(event.at + self._jitter(60, 190), {event.number: line})

    def _tell_pit_exit(self, event: PitLeft) -> None:
        number, car = event.number, self._cars[event.number]
        car.base = _RUNNING | _OUT_LAP | _PIT_OUT
        car.out_lap, car.waited = True, event.red_flag
        said = event.at + self._jitter(60, 160)
        self._lines(said - 40, {number: {"Status": _RUNNING | _OUT_LAP | _IN_PIT}})
        self._lines(
            said,
            {
                number: {
                    "InPit": False,
                    "PitOut": True,
                    "Status": car.base,
                    "Sectors": {str(index): {"Value": ""} for index in range(3)},
                    "Speeds": {trap: {"Value": ""} for trap in ("I1", "I2", "ST")},
                }
            },
        )
        lane = event.at - event.entered
        lap = str(event.lap - 1)
        collected = {"RacingNumber": number, "Duration": f"{lane / 1000:.1f}", "Lap": lap}
        self._say(said + 80, "PitLaneTimeCollection", {"PitTimes": {number: collected}})
        self._after(said + self._jitter(9_000, 15_000), self._forget_pit_time(number))
        if event.red_flag:
            return
        stop = {
            "RacingNumber": number,
            "PitStopTime": f"{event.stationary / 1000:.1f}",
            "PitLaneTime": seconds(lane),
            "Lap": lap,
        }
        for repeat in range(2):
            entry = {"Timestamp": utc(event.at + 100 * repeat), "PitStop": stop}
            index, car.pit_series = car.pit_series, car.pit_series + 1
            times = [entry] if not index else {str(index): entry}
            said += self._jitter(40, 300)
            self._say(said, "PitStopSeries", {"PitTimes": {number: times}})

    def _forget_pit_time(self, number: str) -> Callable[[int], None]:
        return lambda at: self._say(at, "PitLaneTimeCollection", {"PitTimes": {"_deleted": [number]}})

    def _tell_tyres(self, event: Fitted) -> None:
        car, tyres = self._cars[event.number], event.tyres
        right: dict[str, Any] = {
            "LapFlags": 0,
            "Compound": tyres.compound,
            "New": "true" if tyres.new else "false",
            "TyresNotChanged": "0" if tyres.changed else "1",
            "TotalLaps": tyres.age,
            "StartLaps": tyres.age,
        }
        car.stints.append(dict(right))
        car.stint_best = 0
        index = str(len(car.stints) - 1)
        number = event.number
        if event.stint == 1:
            self._note_tyres(number, dict(right), index)
            return
        draw = self._rng.random()
        if draw < 0.10:
            unknown = {**right, "Compound": "UNKNOWN", "New": "false", "TyresNotChanged": "1"}
            self._note_tyres(number, {**unknown, "TotalLaps": 0, "StartLaps": 0}, index)
            self._correct_tyres(event.at + 5_100, number, index, right)
        elif draw < 0.15:
            wrong = {"SOFT": "MEDIUM", "MEDIUM": "HARD", "HARD": "SOFT"}[tyres.compound]
            self._note_tyres(number, {**right, "Compound": wrong}, index)
            self._correct_tyres(event.at + self._jitter(15_000, 30_000), number, index, right)
        elif draw < 0.20:
            self._after(
                event.at + self._jitter(12_000, 25_000),
                lambda _: self._note_tyres(number, dict(right), index),
            )
        else:
            self._note_tyres(number, dict(right), index)

    def _correct_tyres(self, at: int, number: str, index: str, right: dict[str, Any]) -> None:
        fields = {key: right[key] for key in ("Compound", "New", "TyresNotChanged", "TotalLaps", "StartLaps")}
        self._after(at, lambda _: self._note_tyres(number, fields, index))

    def _note_tyres(self, number: str, fields: dict[str, Any], index: str | None = None) -> None:
        """Something to send about a stint at the next tick of the tyre data."""
        if index is None:
            index = str(len(self._cars[number].stints) - 1)
        self._tyres.setdefault(number, {}).setdefault(index, {}).update(fields)

    def _tyre_tick(self, at: int) -> None:
        noted, self._tyres = {n: s for n, s in self._tyres.items() if s}, {}
        lines: dict[str, Any] = {}
        series: dict[str, Any] = {}
        first = at < self._lights_out
        for number, stints in noted.items():
            lines[number] = {"Stints": [stints["0"]] if first else stints}
            series[number] = {index: dict(fields) for index, fields in stints.items()}
            for fields in series[number].values():
                fields.pop("LapFlags", None)
        for number in self._whole_stints:
            lines[number] = {"Stints": [dict(stint) for stint in self._cars[number].stints]}
        self._whole_stints = []
        self._lines(at, lines, "TimingAppData")
        if series:
            self._say(at, "TyreStintSeries", {"Stints": series})
        self._after(at + _TYRE_GRID_MS + self._jitter(-8, 8), self._tyre_tick)

    # -- cars that stop, laps that do not count ---------------------------------------------------

    def _tell_stopped(self, event: Stopped) -> None:
        car = self._cars[event.number]
        car.gone = True
        car.base = _RUNNING | _STOPPED
        said = event.at + self._jitter(100, 400)
        self._lines(said, {event.number: self._segment_delta(event.segment, _STOPPED_HERE)})
        sector, _ = self._circuit.sector_of(event.segment)
        line: dict[str, Any] = {"Stopped": True, "Status": car.base, "GapToLeader": ""}
        line["Sectors"] = {str(sector): {"Stopped": True}}
        if sector < 2:
            line["Sectors"]["2"] = {"Value": ""}
        self._after(event.at + self._jitter(8_000, 12_000), lambda at: self._lines(at, {event.number: line}))

    def _tell_retired(self, event: Retired) -> None:
        car = self._cars[event.number]
        car.gone = True
        line: dict[str, Any] = {"Retired": True, "Stopped": True}
        car.base = _RUNNING | _RETIRED | _STOPPED | (_IN_PIT if event.in_pit else 0)
        line["Status"] = car.base
        self._lines(event.at + self._jitter(60, 300), {event.number: line})

    def _tell_deleted(self, event: LapDeleted) -> None:
        car = self._cars[event.number]
        name = f"CAR {event.number} ({car.entry.tla})"
        when = utc(event.offence + GMT_OFFSET_MS, 0)[-8:]
        text = f"{name} TIME {lap_time(event.lap_time)} DELETED - TRACK LIMITS"
        self._say_race_control(event.at, "Other", {}, f"{text} AT TURN {event.turn} LAP {event.lap} {when}")
        car.lap_times.pop(event.lap, None)
        self._after(event.at + self._jitter(1_500, 9_000), self._say_best(event.number))

    def _tell_reinstated(self, event: LapReinstated) -> None:
        car = self._cars[event.number]
        name = f"CAR {event.number} ({car.entry.tla})"
        text = f"{name} TIME {lap_time(event.lap_time)} WILL BE REINSTATED"
        self._say_race_control(event.at, "Other", {}, text)
        car.lap_times[event.lap] = event.lap_time
        self._after(event.at + self._jitter(1_500, 6_000), self._say_best(event.number))

    def _say_best(self, number: str) -> Callable[[int], None]:
        """Sends the car's best lap again if it is another one now."""

        def say(at: int) -> None:
            car = self._cars[number]
            times = sorted((time, lap) for lap, time in car.lap_times.items())
            best = times[0] if times else None
            if best == car.best:
                return
            car.best = best
            if best is None:
                self._lines(at, {number: {"BestLapTime": {"Value": "", "_deleted": ["Lap"]}}})
            else:
                self._lines(at, {number: {"BestLapTime": {"Value": lap_time(best[0]), "Lap": best[1]}}})
            self._say_best_laps(at + self._jitter(50, 400))

        return say


def _merge(into: dict[str, Any], delta: dict[str, Any]) -> None:
    for key, value in delta.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
