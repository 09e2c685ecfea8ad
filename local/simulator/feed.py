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

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from local.simulator import opening
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
from local.simulator.tyres import TyreData
from local.simulator.wire import Wire
from local.simulator.wording import (
    GMT_OFFSET_MS,
    RACE_CLOCK_MS,
    TRACK_MESSAGES,
    FeedMessage,
    clock,
    lap_time,
    merge,
    seconds,
    utc,
)

# Bits of a car's Status, as far as the recordings tell.
_STOPPED, _RETIRED, _IN_PIT, _PIT_OUT, _RUNNING = 4, 8, 16, 32, 64
_OUT_LAP, _FINISHED, _GAINED, _LOST = 512, 1024, 4096, 8192

# Mini-sector colours.
_YELLOW, _GREEN, _PURPLE, _STOPPED_HERE, _PIT = 2048, 2049, 2051, 2052, 2064


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
        self.stops = 0
        self.pit_series = 0
        self.out_lap = False
        self.waited = False
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
        self._wire = Wire(Random(f"{seed}:feed"))
        self._tyres = TyreData(self._wire, lights_out)
        self._opens, self._lights_out, self._ends = opens, lights_out, ends
        self._total_laps = total_laps
        self._order: list[str] = []
        self._cars = {entry.number: _Told(entry, circuit.segments, lights_out) for entry in FIELD}
        self._leader_lap = 1
        self._clock_from: int | None = None
        self._clock_left = RACE_CLOCK_MS
        self._best_sector = [0, 0, 0]
        self._best_segment = [0] * circuit.segments
        self._best_lap = 0
        self._best_trap: dict[str, int] = {}
        self._previous: dict[str, dict[str, str]] = {}
        self._previous_at = 0
        self._session_status = "Inactive"

    # -- out -------------------------------------------------------------------------------------

    def messages(self) -> Iterator[FeedMessage]:
        """All messages in the order they are received. The first ones hold the state before the race."""
        self._open()
        for event in self._events:
            self._wire.run_until(event.at)
            self._tell(event)
        self._wire.run_until(self._ends)
        yield from self._wire.messages(self._opens, self._ends)

    # -- before the start ------------------------------------------------------------------------

    def _open(self) -> None:
        say, at = self._wire.say, self._opens
        self._order = list(next(event.order for event in self._events if isinstance(event, OrderChanged)))
        grid = [self._cars[number].entry for number in self._order]
        self._say_session_info(at, "Inactive")
        say(at + 20, "SessionStatus", {"Status": "Inactive", "Started": "Inactive"})
        say(at + 30, "TrackStatus", {"Status": "1", "Message": "AllClear"})
        self._wire.append(at + 60, "SessionData", "Series", {"Utc": utc(at), "Lap": 1})
        self._say_status_series(at, at + 61, {"TrackStatus": "AllClear"})
        remaining = {"Remaining": clock(RACE_CLOCK_MS), "Extrapolating": False}
        say(at + 80, "ExtrapolatedClock", {"Utc": utc(at - 120), **remaining})
        say(at + 90, "LapCount", {"CurrentLap": 1, "TotalLaps": self._total_laps})
        say(at + 110, "DriverList", opening.driver_list(grid))
        say(at + 130, "TimingData", opening.timing_data(grid, self._circuit))
        say(at + 140, "TimingAppData", opening.timing_app_data(grid))
        say(at + 150, "TimingStats", opening.timing_stats(grid))
        say(at + 160, "TopThree", opening.top_three(grid))
        say(at + 170, "TyreStintSeries", {"Stints": {number: [] for number in sorted(self._order, key=int)}})
        say(at + 180, "PitLaneTimeCollection", {"PitTimes": {}})
        say(at + 190, "PitStopSeries", {"PitTimes": {}})
        self._wire.after(at + 5_000, self._heartbeat)
        self._wire.after(at + 3_700, self._tyres.tick)
        self._wire.after(self._lights_out - 8_000, self._on_the_grid)

    def _say_session_info(self, at: int, status: str) -> None:
        self._wire.say(at, "SessionInfo", opening.session_info(self._circuit, self._lights_out, status))

    def _on_the_grid(self, at: int) -> None:
        leader = {"GapToLeader": "LAP 1", "IntervalToPositionAhead": {"Value": "LAP 1"}}
        lines: dict[str, Any] = {self._order[0]: leader}
        for number, car in self._cars.items():
            car.base = _RUNNING
            lines.setdefault(number, {}).update({"PitOut": False, "Status": _RUNNING})
        self._wire.lines(at, lines)
        self._wire.say(at + 30, "TopThree", {"Lines": {"0": {"DiffToAhead": "LAP 1", "DiffToLeader": "LAP 1"}}})

    # -- clocks ----------------------------------------------------------------------------------

    def _heartbeat(self, at: int) -> None:
        ahead = at + 2_000 + self._wire.jitter(-25, 25)
        text = utc(ahead).removesuffix("Z")
        self._wire.say(
            at, "Heartbeat", {"Utc": f"{text}{self._wire.jitter(1, 9999):04d}Z" if "." in text else f"{text}Z"}
        )
        self._wire.after(at + 15_000 + self._wire.jitter(-9, 30), self._heartbeat)

    def _say_clock(self, at: int, running: bool) -> None:
        """The session clock starts or stops at instant `at`."""
        if self._clock_from is not None:
            self._clock_left = max(0, self._clock_left - (at - self._clock_from))
        self._clock_from = at if running else None
        moment = at + self._wire.jitter(5, 60)
        payload = {"Utc": utc(moment), "Remaining": clock(self._clock_left), "Extrapolating": running}
        self._wire.say(moment + self._wire.jitter(150, 230), "ExtrapolatedClock", payload)

    # -- events ----------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        match event:
            case Crossing():
                self._tell_crossing(event)
            case OrderChanged():
                self._tell_order(event)
            case Fitted():
                self._tyres.fitted(event)
            case LeftGarage(at=at, number=number):
                self._cars[number].base = _RUNNING | _PIT_OUT
                status = {"InPit": False, "PitOut": True, "Status": _RUNNING | _PIT_OUT}
                self._wire.lines(at + self._wire.jitter(60, 200), {number: status})
            case PitEntered():
                self._tell_pit_entry(event)
            case PitLeft():
                self._tell_pit_exit(event)
            case Stopped():
                self._tell_stopped(event)
            case Retired():
                self._tell_retired(event)
            case TrackStatus(at=at, code=code):
                message = TRACK_MESSAGES[code]
                said = at + self._wire.jitter(60, 160)
                self._wire.say(said, "TrackStatus", {"Status": code, "Message": message})
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
                self._wire.lines(at + self._wire.jitter(40, 90), {number: {"Status": car.base}})
            case Radio():
                self._tell_radio(event)
            case Weather():
                self._tell_weather(event)

    def _say_race_control(self, at: int, category: str, fields: dict[str, Any], text: str) -> None:
        message = {"Utc": utc(at, 0), "Lap": self._leader_lap, "Category": category, **fields}
        message["Message"] = text
        self._wire.append(at + self._wire.jitter(90, 240), "RaceControlMessages", "Messages", message)

    def _say_status_series(self, at: int, said: int, status: dict[str, str]) -> None:
        said += self._wire.jitter(0, 12)
        self._wire.append(said, "SessionData", "StatusSeries", {"Utc": utc(at), **status})

    def _tell_session_status(self, event: SessionStatus) -> None:
        at, status = event.at, event.status
        if status == "Inactive":
            return
        self._session_status = status
        over = status in ("Finished", "Finalised", "Ends")
        said = at + self._wire.jitter(60, 140)
        started = "Finished" if over else "Started"
        self._wire.say(said, "SessionStatus", {"Status": status, "Started": started})
        self._say_status_series(at, said, {"SessionStatus": status})
        if status in ("Started", "Finalised"):
            self._say_session_info(said + 1, status)
        if status != "Finalised" and status != "Ends":
            self._say_clock(at, running=status == "Started")

    def _tell_leader_lap(self, at: int, lap: int) -> None:
        self._leader_lap = lap
        said = at + self._wire.jitter(40, 110)
        self._wire.say(said, "LapCount", {"CurrentLap": lap})
        self._wire.append(said + self._wire.jitter(20, 90), "SessionData", "Series", {"Utc": utc(at), "Lap": lap})
        if lap % 20 == 4:
            running = [number for number in self._order if not self._cars[number].gone]
            self._tyres.resend(self._wire.rng.choice(running))

    def _tell_radio(self, event: Radio) -> None:
        entry = self._cars[event.number].entry
        spoken = utc(event.spoken + GMT_OFFSET_MS, 0)
        stamp = spoken.replace("-", "").replace(":", "").replace("T", "_")
        capture = {
            "Utc": utc(event.at - 1_900),
            "RacingNumber": event.number,
            "Path": f"TeamRadio/{entry.reference}_{event.number}_{stamp}.mp3",
        }
        self._wire.append(event.at, "TeamRadio", "Captures", capture, behind=self._wire.jitter(900, 3_700))

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
        self._wire.say(event.at, "WeatherData", payload)

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
        elif event.segment == 1 and not event.in_lane and (event.lap > 1 or self._wire.rng.random() < 0.9):
            said = event.at + self._wire.jitter(150, 700)
            self._wire.lines(said, self._with_trap(event, car, "ST", {}))

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
        self._wire.lines(event.at + self._wire.jitter(15, 110), {event.number: delta, **others})

    def _segment_delta(self, index: int, colour: int) -> dict[str, Any]:
        sector, place = self._circuit.sector_of(index)
        return {"Sectors": {str(sector): {"Segments": {str(place): {"Status": colour}}}}}

    @staticmethod
    def _gap(gap: int | None, laps_down: int) -> str | None:
        if laps_down:
            return f"{laps_down}L"
        return None if gap is None else f"+{seconds(gap)}"

    def _tell_gaps(self, event: Crossing) -> None:
        said = event.at + self._wire.jitter(5, 70)
        if event.position == 1:
            if event.segment + 1 == self._circuit.segments and event.lap < self._total_laps:
                lap = f"LAP {event.lap + 1}"
                self._wire.lines(said, {event.number: self._leading(lap)})
                self._wire.say(said + 8, "TopThree", {"Lines": {"0": {"DiffToAhead": lap, "DiffToLeader": lap}}})
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
            self._wire.lines(said, {event.number: line})
        if event.position <= 3 and gap and interval:
            diff = {str(event.position - 1): {"DiffToAhead": interval, "DiffToLeader": gap}}
            self._wire.say(said + 8, "TopThree", {"Lines": diff})

    @staticmethod
    def _leading(lap: str) -> dict[str, Any]:
        return {"GapToLeader": lap, "IntervalToPositionAhead": {"Value": lap, "Catching": False}}

    def _with_trap(self, event: Crossing, car: _Told, trap: str, others: dict[str, Any]) -> dict[str, Any]:
        """Lines with the speed of the car in `trap`, and whose overall best that ends."""
        loop = {"ST": 2, "FL": self._circuit.segments}.get(trap, 0)
        if trap in ("I1", "I2"):
            loop = self._circuit.sector_ends[0 if trap == "I1" else 1]
        ideal = self._circuit.base_ms[event.segment]
        factor = min(1.03, max(0.35, ideal / max(event.duration, 1)) + self._wire.rng.gauss(0.0, 0.006))
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
            self._wire.lines(event.at + self._wire.jitter(300, 900), stats, "TimingStats")
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
                merge(others.setdefault(number, {}), delta)
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
            self._wire.lines(
                event.at + self._wire.jitter(300, 900), {event.number: {"BestSectors": best}}, "TimingStats"
            )
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
                merge(lines.setdefault(other, {}), {"Sectors": sectors})
        self._previous = {n: v for n, v in self._previous.items() if n == number}
        return lines

    def _tell_first_sector(self, event: Crossing, car: _Told) -> None:
        said = event.at + self._wire.jitter(60, 200)
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
            merge(lines.setdefault(number, {}), delta)
        self._wire.lines(said, self._with_previous(event.at, event.number, lines))

    def _tell_second_sector(self, event: Crossing, car: _Told) -> None:
        said = event.at + self._wire.jitter(50, 180)
        others: dict[str, Any] = {}
        lines = self._with_trap(event, car, "I2", others)
        lines[event.number]["Sectors"] = {"1": self._sector(event, car, 1, others)}
        car.mark = event.at
        for number, delta in others.items():
            merge(lines.setdefault(number, {}), delta)
        self._wire.lines(said, self._with_previous(event.at, event.number, lines))

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

        said = event.at + self._wire.jitter(90, 230)
        draw = self._wire.rng.random()
        lines = {number: {**counter, **values, **timed}}
        if draw < 0.86:
            pass
        elif draw < 0.96:
            self._wire.lines(said, {number: counter})
            said += self._wire.jitter(3, 120)
            lines = {number: {**values, **timed}}
        elif draw < 0.99:
            self._wire.lines(said, {number: timed} if timed else {})
            said += self._wire.jitter(60, 1_900)
            lines = {number: {**counter, **values}}
        else:
            self._wire.lines(said, {number: counter})
            said += self._wire.jitter(900, 4_300)
            lines = {number: {**values, **timed}}
        for other, delta in others.items():
            merge(lines.setdefault(other, {}), delta)
        self._wire.lines(said, self._with_previous(event.at, number, lines))
        self._tyres.lap_done(number)

    def _lap_time(self, event: Crossing, car: _Told, time: int, others: dict[str, Any]) -> dict[str, Any]:
        number, lap = event.number, event.lap
        car.lap_times[lap] = time
        last: dict[str, Any] = {"Value": lap_time(time), "OverallFastest": False, "PersonalFastest": False}
        told: dict[str, Any] = {"LastLapTime": last}
        if car.best is None or time < car.best[0]:
            car.best = (time, lap)
            last["PersonalFastest"] = True
            told["BestLapTime"] = {"Value": lap_time(time), "Lap": lap}
            self._say_best_laps(event.at + self._wire.jitter(300, 900))
        flags = 1 if last["PersonalFastest"] else 0
        if not self._best_lap or time < self._best_lap:
            self._best_lap = time
            last["OverallFastest"] = True
            flags = 3
            self._lose_purple("lap", car, others, {"LastLapTime": {"OverallFastest": False}})
        else:
            car.purple.discard("lap")
        self._tyres.best_lap(event.at + self._wire.jitter(250, 600), number, time, lap, flags)
        if event.position <= 3:
            top = {"LapTime": lap_time(time), "LapState": car.base}
            top |= {key: last[key] for key in ("OverallFastest", "PersonalFastest")}
            self._wire.say(
                event.at + self._wire.jitter(240, 420), "TopThree", {"Lines": {str(event.position - 1): top}}
            )
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
        self._wire.lines(at, lines, "TimingStats")

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
            self._wire.after(event.at + 5_000 + self._wire.jitter(0, 90), self._settle(number))
        said = event.at + self._wire.jitter(2, 30)
        self._wire.lines(said, lines)
        if event.at > self._lights_out + 25_000:
            self._wire.say(said + self._wire.jitter(60, 120), "DriverList", short)
            self._wire.lines(said + self._wire.jitter(60, 120), short, "TimingAppData")
        elif event.at > self._lights_out:
            self._wire.after(self._lights_out + 25_000, self._say_all_lines)
        top: dict[str, Any] = {}
        for index, number in enumerate(after[:3]):
            if before[index] != number:
                leader = f"LAP {self._leader_lap}" if not index else ""
                top[str(index)] = {
                    **opening.top_identity(self._cars[number].entry),
                    "DiffToAhead": leader,
                    "DiffToLeader": leader,
                }
        if top:
            self._wire.say(said + 4, "TopThree", {"Lines": top})

    def _settle(self, number: str) -> Callable[[int], None]:
        def settle(at: int) -> None:
            self._wire.lines(at, {number: {"Status": self._cars[number].base}})

        return settle

    def _say_all_lines(self, at: int) -> None:
        lines = {number: {"Line": index + 1} for index, number in enumerate(self._order)}
        self._wire.say(at, "DriverList", lines)
        self._wire.lines(at + 5, lines, "TimingAppData")

    # -- pit lane and tyres ----------------------------------------------------------------------

    def _tell_pit_entry(self, event: PitEntered) -> None:
        car = self._cars[event.number]
        car.base = (car.base & ~_OUT_LAP) | _IN_PIT
        line: dict[str, Any] = {"InPit": True, "Status": car.base}
        if event.stop:
            car.stops += 1
            line["NumberOfPitStops"] = car.stops
        self._wire.lines(event.at + self._wire.jitter(60, 190), {event.number: line})

    def _tell_pit_exit(self, event: PitLeft) -> None:
        number, car = event.number, self._cars[event.number]
        car.base = _RUNNING | _OUT_LAP | _PIT_OUT
        car.out_lap, car.waited = True, event.red_flag
        said = event.at + self._wire.jitter(60, 160)
        self._wire.lines(said - 40, {number: {"Status": _RUNNING | _OUT_LAP | _IN_PIT}})
        self._wire.lines(
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
        self._wire.say(said + 80, "PitLaneTimeCollection", {"PitTimes": {number: collected}})
        self._wire.after(said + self._wire.jitter(9_000, 15_000), self._forget_pit_time(number))
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
            said += self._wire.jitter(40, 300)
            self._wire.say(said, "PitStopSeries", {"PitTimes": {number: times}})

    def _forget_pit_time(self, number: str) -> Callable[[int], None]:
        return lambda at: self._wire.say(at, "PitLaneTimeCollection", {"PitTimes": {"_deleted": [number]}})

    # -- cars that stop, laps that do not count ---------------------------------------------------

    def _tell_stopped(self, event: Stopped) -> None:
        car = self._cars[event.number]
        car.gone = True
        car.base = _RUNNING | _STOPPED
        said = event.at + self._wire.jitter(100, 400)
        self._wire.lines(said, {event.number: self._segment_delta(event.segment, _STOPPED_HERE)})
        sector, _ = self._circuit.sector_of(event.segment)
        line: dict[str, Any] = {"Stopped": True, "Status": car.base, "GapToLeader": ""}
        line["Sectors"] = {str(sector): {"Stopped": True}}
        if sector < 2:
            line["Sectors"]["2"] = {"Value": ""}
        self._wire.after(
            event.at + self._wire.jitter(8_000, 12_000), lambda at: self._wire.lines(at, {event.number: line})
        )

    def _tell_retired(self, event: Retired) -> None:
        car = self._cars[event.number]
        car.gone = True
        line: dict[str, Any] = {"Retired": True, "Stopped": True}
        car.base = _RUNNING | _RETIRED | _STOPPED | (_IN_PIT if event.in_pit else 0)
        line["Status"] = car.base
        self._wire.lines(event.at + self._wire.jitter(60, 300), {event.number: line})

    def _tell_deleted(self, event: LapDeleted) -> None:
        car = self._cars[event.number]
        name = f"CAR {event.number} ({car.entry.tla})"
        when = utc(event.offence + GMT_OFFSET_MS, 0)[-8:]
        text = f"{name} TIME {lap_time(event.lap_time)} DELETED - TRACK LIMITS"
        self._say_race_control(event.at, "Other", {}, f"{text} AT TURN {event.turn} LAP {event.lap} {when}")
        car.lap_times.pop(event.lap, None)
        self._wire.after(event.at + self._wire.jitter(1_500, 9_000), self._say_best(event.number))

    def _tell_reinstated(self, event: LapReinstated) -> None:
        car = self._cars[event.number]
        name = f"CAR {event.number} ({car.entry.tla})"
        text = f"{name} TIME {lap_time(event.lap_time)} WILL BE REINSTATED"
        self._say_race_control(event.at, "Other", {}, text)
        car.lap_times[event.lap] = event.lap_time
        self._wire.after(event.at + self._wire.jitter(1_500, 6_000), self._say_best(event.number))

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
                self._wire.lines(at, {number: {"BestLapTime": {"Value": "", "_deleted": ["Lap"]}}})
                none = {"PersonalBestLapTime": {"Value": "", "_deleted": ["Lap", "Position"]}}
                self._wire.lines(at + 40, {number: none}, "TimingStats")
            else:
                self._wire.lines(at, {number: {"BestLapTime": {"Value": lap_time(best[0]), "Lap": best[1]}}})
            self._say_best_laps(at + self._wire.jitter(50, 400))

        return say
