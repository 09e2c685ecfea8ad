"""The state of one session: merges the feed's messages and says what changed.

`SessionState` keeps two things: each topic as the feed has it (deep-merged), and what
PitWall makes of it: laps, stints, stops, bests, series. How they are stored is the business
of `pitwall.documents`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import field

from pitwall.message import FEED_GAP, Message
from pitwall.timing import bests, change, gaps, laps, stints
from pitwall.timing.change import Change
from pitwall.timing.deletions import ruling
from pitwall.timing.machine import Machine, SeriesItem, SessionData
from pitwall.timing.merge import items, merge
from pitwall.timing.records import Car, Gap, Lap
from pitwall.timing.session_status import FINAL, LIVE, OVER
from pitwall.timing.values import duration_ms, flag, gap, integer, text, utc_ms

KNOWN_TOPICS = frozenset(
    {
        "Heartbeat", "TopThree", "TimingStats", "RcmSeries", "AudioStreams", "ContentStreams", "ChampionshipPrediction",
        "DriverRaceInfo", "TyreStintSeries", "TlaRcm", "OvertakeSeries", "DriverScore", "SPFeed", "LapSeries",
        "TeamTimingData", "CurrentTyres", "ArchiveStatus", "WeatherDataSeries", "PitStop", "DriverTracker",
    }
)  # fmt: skip
"""Topics that exist and say nothing that is kept here, or nothing that another topic does not say."""

_NOT_IN_SNAPSHOTS = frozenset({FEED_GAP, "CarData", "Position"})
"""What a snapshot need not have: samples of a moment have no state."""
RED = "5"
TRACK_CODES = {"AllClear": "1", "Yellow": "2", "SCDeployed": "4", "Red": RED, "VSCDeployed": "6", "VSCEnding": "7"}
"""The track's status by the name SessionData has for it."""
_SESSION_KEY = re.compile(r"[0-9A-Za-z_-]{1,64}")
_RACING_NUMBER = re.compile(r"[0-9A-Za-z]{1,6}")
LOOK_MS = 1_000
LATE_CROSSING_MS = 5_000
"""A crossing may be told so long after it was."""
RECKONED_MS = 5_000
"""How far a reckoned end of a lap may be from the true one."""
SAME_CHANGE_MS = 1_000
"""A change of status told twice, by two topics, has instants this close."""
MAX_STATUS_DELAY_MS = 5_000
LATE_STATUS_MS = 10_000
"""How long after its own instant a status of the track was once told (São Paulo 2025: eight seconds)."""
MAX_CLOCK_MS = 24 * 3_600_000
"""The feed has been seen to count down 330 hours; no session has a day left."""


class Data(SessionData):
    """All that is kept of a session; what a checkpoint stores."""

    topics: dict[str, Any] = field(default_factory=dict)
    cars: dict[str, Car] = field(default_factory=dict)
    race_control: dict[int, SeriesItem] = field(default_factory=dict)
    weather: list[SeriesItem] = field(default_factory=list)
    team_radio: dict[int, SeriesItem] = field(default_factory=dict)
    position_samples: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    telemetry_samples: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    looked_at: int = 0
    """When laps still waiting for late values were last looked after."""
    heard: list[str] = field(default_factory=list)
    """Topics told so far that have a state: not samples of a moment."""
    gaps: list[Gap] = field(default_factory=list)
    away: int | None = None
    """Number of the gap whose snapshot is awaited, or being merged."""
    part_before: int | None = None
    """Part of qualifying when the connection was lost."""
    broken: bool = False
    """A red flag or a break fell into the gap that is being closed."""
    over: bool = False
    """So did the end of the session."""
    status_delay: int = 0
    """How long after their own instant changes of status are told, ms."""


class SessionState(Machine[Data]):
    """The state machine of one session of F1."""

    _kept = Data
    _ignored = KNOWN_TOPICS

    def __init__(self, session: str, feed: str = "f1") -> None:
        self.data = Data(session=session, feed=feed)
        self._begin()

    def _begin(self) -> None:
        self._changes: set[Change] = set()
        self._handlers: dict[str, Callable[[dict[str, Any], Message], None]] = {
            "SessionInfo": self._session_info,
            "SessionData": self._session_data,
            "SessionStatus": self._session_status,
            "TrackStatus": self._track_status,
            "DriverList": self._driver_list,
            "TimingData": self._timing_data,
            "TimingDataF1": self._timing_data,
            "TimingAppData": self._timing_app_data,
            "LapCount": self._lap_count,
            "ExtrapolatedClock": self._clock,
            "RaceControlMessages": self._race_control,
            "WeatherData": self._weather,
            "TeamRadio": self._team_radio,
            "PitLaneTimeCollection": self._pit_lane_times,
            "PitStopSeries": self._pit_stops,
            "CarData": self._car_data,
            "Position": self._positions,
            FEED_GAP: self._feed_gap,
        }
        self.rules = laps.LapRules()
        self._refresh_rules()

    # -- what others use -------------------------------------------------------------------

    @property
    def racing_numbers(self) -> list[str]:
        """Of every car."""
        return list(self.data.cars)

    def next_session(self, message: Message) -> str | None:
        """The key of the session this message begins, if it is the SessionInfo of another than this one."""
        if message.topic != "SessionInfo" or not isinstance(message.data, dict):
            return None
        known = self.data.topics.get("SessionInfo")
        key = text(message.data.get("Key"))
        if not isinstance(known, dict) or key is None or not _SESSION_KEY.fullmatch(key):
            return None
        return key if key != text(known.get("Key")) else None

    def apply(self, message: Message) -> set[Change]:
        """Merges one message; returns what it changed."""
        self._changes = set()
        data = self.data
        if message.topic != FEED_GAP:
            self._snapshot_after_gap(message)
        data.last_at = max(data.last_at, message.at)
        topic = message.topic
        if topic not in data.heard and topic in self._handlers and topic not in _NOT_IN_SNAPSHOTS:
            data.heard.append(topic)
        self._handle(message)
        self._settle_late(message.at)
        return self._stamp(message.at)

    def finish(self) -> set[Change]:
        """The session is over or its source has ended: nothing more is awaited."""
        self._changes = set()
        self._close_gap()
        self._settle_all()
        return self._stamp(self.data.last_at)

    # -- shared by the topics --------------------------------------------------------------

    def _merge(self, topic: str, payload: dict[str, Any], message: Message) -> dict[str, Any]:
        """Merges into the topic and returns what changed: the delta, or of a snapshot what differs."""
        before = self.data.topics.get(topic)
        if message.snapshot:
            self.data.topics[topic] = merge(None, payload)
            return payload if before is None else difference(before, self.data.topics[topic])
        self.data.topics[topic] = merge(before, payload)
        return payload

    def _refresh_rules(self) -> None:
        """What laps depend on, from the session."""
        data, rules = self.data, self.rules
        info = data.topics.get("SessionInfo")
        timing = data.topics.get("TimingData")
        kind = text(info.get("Type")) if isinstance(info, dict) else None
        if kind is not None:
            rules.race = kind == "Race"
        elif isinstance(timing, dict):
            # Without SessionInfo: only a race has gaps to a leader and no best-lap differences.
            lines = [line for line in _lines(timing).values() if isinstance(line, dict)]
            rules.race = bool(lines) and any("GapToLeader" in line for line in lines)
        status = text(data.session_status[-1].data.get("Status")) if data.session_status else None
        rules.running = status is None or data.started_at is not None or status in LIVE | OVER
        rules.started_at, rules.finished_at = data.started_at, data.finished_at
        count = data.topics.get("LapCount")
        rules.total_laps = integer(count.get("TotalLaps")) if isinstance(count, dict) else None
        rules.part = self.qualifying_part()

    def qualifying_part(self) -> int | None:
        """1, 2 or 3 in qualifying; None else."""
        timing = self.data.topics.get("TimingData")
        part = integer(timing.get("SessionPart")) if isinstance(timing, dict) else None
        if not part:
            series = self.data.topics.get("SessionData")
            parts = [
                integer(item.get("QualifyingPart"))
                for _, item in (items(series.get("Series")) if isinstance(series, dict) else ())
                if isinstance(item, dict)
            ]
            part = next((known for known in reversed(parts) if known), None)
        return part or None

    def _is_car(self, number: str, told: Any, null: str) -> bool:
        """Whether what is told under `number` is of a car; counts what is not. null: the reason of a null."""
        if number in ("_kf", "_deleted"):
            return False
        if not _RACING_NUMBER.fullmatch(number):
            self._reject("bad-racing-number")
            return False
        if not isinstance(told, dict):
            self._reject(null)
            return False
        return True

    def _car(self, number: str) -> Car:
        car = self.data.cars.get(number)
        if car is None:
            car = self.data.cars[number] = Car(number=number)
        return car

    def line(self, number: str) -> Mapping[str, Any]:
        """A car's line of TimingData as merged; empty if there is none."""
        line = _lines(self.data.topics.get("TimingData")).get(number)
        return line if isinstance(line, dict) else {}

    def _lap_changes(self, car: Car, touched: set[int]) -> None:
        for number in touched:
            self._note(change.LAP, number)
            self._complete_lap(car, number)
            for gap_number in car.laps[number].gaps:
                self._note(change.GAP, gap_number)
        if touched:
            self._note(change.DRIVER, car.number)
            self._note(change.TYRES)

    def _complete_lap(self, car: Car, number: int) -> None:
        """What a lap gets from the session around it, each time it is reported."""
        lap = car.laps[number]
        bests.apply_ruling(car, lap, self.rules.race)
        begun_in = self._gap_at(lap.started_at)
        if begun_in is not None:
            gaps.mark(lap, begun_in)  # its beginning was told late, and is reckoned to have been in the gap
        if lap.finished:
            before = car.laps.get(number - 1)
            reckoned = bool(lap.gaps) and ((before is not None and before.lost) or begun_in is not None)
            told_all = all("SessionData" in self.data.gaps[n].topics for n in lap.gaps)
            if lap.lost or reckoned or not told_all or self._status_uncertain(lap):
                lap.statuses = self._statuses_for_certain(lap)
                lap.doubtful = lap.doubtful or not lap.statuses
            else:
                lap.statuses = self._statuses_between(lap.started_at, lap.ended_at)
            lap.personal_best = bests.was_best(car, lap) and not (lap.lost and self._another_lost(car, lap))
        if self.rules.race:
            self._places(number)
        elif lap.position is None and not self._ended_unseen(lap):
            lap.position = integer(self.line(car.number).get("Position"))

    def _places(self, number: int) -> None:
        """Positions at the end of a lap of a race: the order in which the cars completed it.

        Cars that completed it in a gap are before those that did after it, in what order is not known.
        """
        over = [
            (car, lap) for car in self.data.cars.values() if (lap := car.laps.get(number)) is not None and lap.finished
        ]
        crossed = sorted(
            (lap.ended_at, integer(self.line(car.number).get("Position")) or 99, car.number, lap)
            for car, lap in over
            if lap.ended_at is not None and not lap.lost
        )
        unseen = [lap.found_at for _, lap in over if lap.found_at is not None]
        for place, (ended_at, _, _, lap) in enumerate(crossed, start=1):
            known: int | None = place + sum(1 for found_at in unseen if found_at <= ended_at)
            close = self._gap_at(ended_at) if unseen else None
            if unseen and close is None:
                close = self._gap_at(ended_at + LATE_CROSSING_MS)
            if lap.gaps and close is None:
                close = self._gap_at(ended_at - LATE_CROSSING_MS)
            if close is not None:
                known = None  # a crossing may be told late: one of those unseen may have been before it
                gaps.mark(lap, close)
                self._note(change.GAP, close)
            if lap.position != known:
                lap.position = known
                self._note(change.LAP, number)

    def _statuses_between(self, start: int | None, end: int | None) -> list[str]:
        """Codes of the track's status from the one at `start` to the last before `end`, repeats left out."""
        if start is None or end is None:
            return []
        codes: list[str] = []
        current: str | None = None
        for item in self.data.track_status:
            code = text(item.data.get("Status"))
            if code is None or item.at >= end:
                continue
            if item.at <= start:
                current = code
            elif not codes:
                codes = [current, code] if current is not None and current != code else [code]
            elif codes[-1] != code:
                codes.append(code)
        return codes or ([current] if current is not None else [])

    @staticmethod
    def _another_lost(car: Car, lap: Lap) -> bool:
        """Whether a lap before one that ended in a gap did so too and has no time: it may have been the better one."""
        if any(told.lap == lap.number for told in car.told_bests.values()):
            return False
        return any(
            other.lost and other.time is None and other.number < lap.number and other.part in (None, lap.part)
            for other in car.laps.values()
        )

    def _status_uncertain(self, lap: Lap) -> bool:
        """Whether a status that came in a gap, and may have been told later than it was, came close to a lap's ends."""
        if not lap.gaps:
            return False
        came = [item.at for item in self.data.track_status if self._gap_at(item.at) is not None]
        ends = [at for at in (lap.started_at, lap.ended_at) if at is not None]
        return any(at <= end <= at + LATE_STATUS_MS for at in came for end in ends)

    def _gap_at(self, at: int | None) -> int | None:
        """The gap an instant fell into."""
        if at is None:
            return None
        for number, gap_told in enumerate(self.data.gaps):
            if gap_told.started_at < at <= gap_told.ended_at:
                return number
        return None

    def _ended_unseen(self, lap: Lap) -> bool:
        """Whether the place of a lap of practice or qualifying was told in a gap: it is the car's a moment later."""
        if not lap.gaps:
            return False
        return lap.lost or lap.ended_at is None or lap.ended_at <= self.data.gaps[lap.gaps[-1]].ended_at

    def _statuses_for_certain(self, lap: Lap) -> list[str]:
        """The track's statuses on a lap of which an end fell into a gap; none if it matters when exactly that was."""
        gaps_told = [self.data.gaps[n] for n in lap.gaps]
        if not all("SessionData" in gap_told.topics for gap_told in gaps_told):
            return []
        since = lap.started_at if lap.started_at is not None else min(gap_told.started_at for gap_told in gaps_told)
        if lap.found_at is not None:
            until = lap.found_at + 1
        else:
            until = lap.ended_at if lap.ended_at is not None else gaps_told[-1].ended_at + 1
        codes = self._statuses_between(since - RECKONED_MS, until)
        within = self._statuses_between(since + RECKONED_MS, until)
        certain = (len(codes) == 1 or not (lap.lost or lap.started_at is None)) and not self._status_uncertain(lap)
        return codes if codes == within and certain else []

    def _settle_late(self, at: int) -> None:
        """Laps whose late values have not come in time are reported as they are; looked after once a second."""
        if 0 <= at - self.data.looked_at < LOOK_MS:
            return
        self.data.looked_at = at
        for car in self.data.cars.values():
            if car.waiting is not None:
                lap = car.laps.get(car.waiting)
                over = laps.over_since(lap) if lap is not None else None
                if lap is not None and lap.number not in car.told and at - (over or 0) > laps.LATE_MS:
                    touched: set[int] = set()
                    laps.settle(car, touched)
                    self._lap_changes(car, touched)

    # -- topics ----------------------------------------------------------------------------

    def _session_info(self, payload: dict[str, Any], message: Message) -> None:
        delta = self._merge("SessionInfo", payload, message)
        info = self.data.topics["SessionInfo"]
        key = text(info.get("Key"))
        if key is not None and not _SESSION_KEY.fullmatch(key):
            self._reject("bad-session-key")
        elif key is not None:
            self.data.session = key
        status = text(delta.get("SessionStatus"))
        if status is not None and not self.data.session_status and status in LIVE | OVER:
            self._new_status(status, message.at, told=False)
        self._refresh_rules()
        self._note(change.SESSION)

    def _session_data(self, payload: dict[str, Any], message: Message) -> None:
        delta = self._merge("SessionData", payload, message)
        topics, away = self.data.topics, self.data.away
        told = dict(items(topics["SessionData"].get("StatusSeries")))
        for index, _ in items(delta.get("StatusSeries")):
            item = told.get(index)
            if not isinstance(item, dict):
                continue
            since = utc_ms(item.get("Utc"))
            if not message.snapshot and since is not None:
                self.data.status_delay = max(0, min(message.at - since, MAX_STATUS_DELAY_MS))
            # A snapshot tells the statuses before it, each with its instant; else the topics of their own come too.
            at = since if since is not None and message.snapshot else message.at
            missed = None
            if since is not None and message.snapshot and away is not None:
                # Told after the last message before the gap.
                missed = max(since + self.data.status_delay, self.data.gaps[away].started_at + 1)
            status, track = text(item.get("SessionStatus")), text(item.get("TrackStatus"))
            if status is not None and "SessionStatus" not in topics:
                self._new_status(status, at, told=not message.snapshot or self.data.started_at is None)
            elif status is not None and missed is not None and _later(missed, self.data.session_status):
                self._new_status(status, missed, told=True)
            if track is not None and "TrackStatus" not in topics:
                self._new_track_status(TRACK_CODES.get(track, track), track, at)
            elif track is not None and missed is not None and _later(missed, self.data.track_status):
                self._new_track_status(TRACK_CODES.get(track, track), track, missed)
        self._refresh_rules()
        self._note(change.SESSION)

    def _session_status(self, payload: dict[str, Any], message: Message) -> None:
        self._merge("SessionStatus", payload, message)
        status = text(self.data.topics["SessionStatus"].get("Status"))
        if status is not None:
            self._new_status(status, message.at, told=not message.snapshot)

    def _new_status(self, status: str, at: int, told: bool) -> None:
        """A status of the session. told: `at` is when it came to be, and not only when this state came to know it."""
        data = self.data
        before = text(data.session_status[-1].data.get("Status")) if data.session_status else None
        if before == status:
            return
        data.session_status.append(SeriesItem(at, {"Status": status}))
        self._note(change.SESSION_STATUS, len(data.session_status) - 1)
        self._note(change.SESSION)
        if status == "Started":
            # One that fell into a gap is told by the snapshot: when it was is not known.
            unseen = not told and data.away is not None and before == "Inactive"
            if (told or unseen) and self._is_the_start(before):
                data.started_at = at if told else None
                for car in data.cars.values() if self.rules.race else ():
                    # Whatever was counted on the way to the grid was no lap.
                    car.counter = car.joined_at = car.ran_back = None
                    laps.begin(car, 1, data.started_at)
            data.finished_at = None
        elif status in OVER and data.finished_at is None:
            data.finished_at = at
        if status != "Started":
            self._break_laps()
        self._refresh_rules()
        if status in FINAL:
            if self.data.away is None:
                self._settle_all(over=True)
            self.data.over = self.data.away is not None

    def _is_the_start(self, before: str | None) -> bool:
        """Whether `Started` after the status `before` starts the session; a start called off in lap 1 was none."""
        cars = self.data.cars.values()
        if any(car.laps for car in cars):
            return False
        return before == "Inactive" or not any(car.joined_at is not None for car in cars)

    def _settle_all(self, over: bool = False) -> None:
        """Laps still waiting are reported as they are, and every driver as it stands.

        over: the session is, for certain: a car that did not take the flag ended its race on the lap it was on.
        """
        ends = [item.at for item in self.data.session_status if item.data.get("Status") == "Finished"]
        if over:
            self._note(change.TOWER)  # a lap that ended in the pits counts only now
        for car in self.data.cars.values():
            touched: set[int] = set()
            laps.settle(car, touched)
            if not self.rules.race:
                laps.end_in_pits(car, self.rules, min(ends, default=None), touched)
                if over and ends and any(flag(self.line(car.number).get(key)) for key in ("Stopped", "Retired")):
                    laps.end_early(car, self.rules, min(ends), touched)
            elif over and self.data.finished_at is not None and not gaps.took_flag(self.line(car.number)):
                laps.end_early(car, self.rules, self.data.finished_at, touched)
            for number in touched:
                if not car.laps[number].finished and self._gap_at(car.laps[number].ended_at) is not None:
                    car.laps[number].ended_at = None  # that it was over by then is all that is known
            self._lap_changes(car, touched)
            self._note(change.DRIVER, car.number)

    def _break_laps(self) -> None:
        """A red flag or a break: lap times across it are believed only if the sectors bear them out."""
        self.data.broken = self.data.away is not None
        for car in self.data.cars.values():
            if car.open is not None:
                car.open.aborted = True

    def _track_status(self, payload: dict[str, Any], message: Message) -> None:
        self._merge("TrackStatus", payload, message)
        status = self.data.topics["TrackStatus"]
        code = text(status.get("Status"))
        if code is not None:
            self._new_track_status(code, text(status.get("Message")), message.at)

    def _new_track_status(self, code: str, said: str | None, at: int) -> None:
        if self.data.track_status and self.data.track_status[-1].data.get("Status") == code:
            return
        self.data.track_status.append(SeriesItem(at, {"Status": code, "Message": said}))
        self._note(change.TRACK_STATUS, len(self.data.track_status) - 1)
        self._note(change.SESSION)
        if code == RED:
            self._break_laps()

    def _driver_list(self, payload: dict[str, Any], message: Message) -> None:
        delta = self._merge("DriverList", payload, message)
        for number, entry in delta.items():
            if not self._is_car(number, entry, "null-driver"):
                continue
            # The order of the list follows the tower's in every other message: no news.
            if set(entry) <= {"Line", "_deleted"}:
                continue
            self._note(change.DRIVER, number)
            self._note(change.ENTRIES)

    def _timing_data(self, payload: dict[str, Any], message: Message) -> None:
        data = self.data
        told = payload.get("Lines")
        known = _lines(data.topics.get("TimingData"))
        closes = message.snapshot and data.away is not None
        new = {number for number in told if number not in known} if isinstance(told, dict) else set()
        delta = self._merge("TimingData", payload, message)
        if "SessionPart" in delta or not known:
            before = self.rules.part
            self._refresh_rules()
            if before is not None and self.rules.part != before:
                self._new_part(closes)
        if any(key in delta for key in ("SessionPart", "NoEntries", "CutOffTime", "CutOffPercentage")):
            self._note(change.SESSION)
        lines = delta.get("Lines", {} if closes else None)
        if not isinstance(lines, dict):
            return
        if closes:
            lines = {**{number: {} for number in self._cars_away()}, **lines}
        for number, line in lines.items():
            if not self._is_car(number, line, "null-line"):
                continue
            self._timing_line(number, line, message, number in new, known.get(number, {}) if closes else None)
        if new:
            self._note(change.ENTRIES)

    def _new_part(self, unseen: bool) -> None:
        """Q2 or Q3 begins: what was waiting is settled, the laps the cars are on are broken.

        unseen: it began in a gap; else the feed takes back the best laps of the part before.
        """
        for car in self.data.cars.values():
            if unseen:
                car.told_bests.pop(0, None)
            touched: set[int] = set()
            laps.settle(car, touched)
            self._lap_changes(car, touched)
        self._break_laps()

    def _timing_line(
        self,
        number: str,
        line: Mapping[str, Any],
        message: Message,
        first: bool,
        before_gap: Mapping[str, Any] | None = None,
    ) -> None:
        """A delta of a car's line.

        before_gap: its line before a gap, where the delta is what the snapshot after it changes.
        """
        car = self._car(number)
        merged = self.line(number)
        away = self.data.away if before_gap is not None and not first else None
        closes = away is not None
        if _shows_in_tower(line):
            self._note(change.TOWER)
        if _shows_in_segments(line):
            self._note(change.SEGMENTS)
        self._gaps(car, line, merged)
        if closes:
            self._forget_gaps(car, merged)
        in_pit = flag(line.get("InPit"))
        if first and in_pit:
            car.in_pit = True
        elif in_pit is not None and in_pit != car.in_pit and not (message.snapshot and first) and not closes:
            if in_pit:
                stints.enter(car, message.at, self.rules.part)
            else:
                stints.leave(car, message.at)
        if away is not None:
            self._resume(car, line, before_gap or {}, merged, away, message.at)
        elif message.snapshot and car.open is None:
            laps.join(car, merged, message.at, self.rules)
            self._join_stint(car)
        else:
            self._lap_changes(car, laps.read(car, line, merged, message.at, self.rules, message.snapshot))
            self.data.finished_at = self.rules.finished_at
        if self.rules.race and (flag(line.get("Stopped")) or flag(line.get("Retired"))):
            touched: set[int] = set()
            laps.end_early(car, self.rules, message.at, touched)
            for ended in touched if closes else ():
                if not car.laps[ended].finished:
                    car.laps[ended].ended_at = None  # when it stopped was not told
            self._lap_changes(car, touched)
        if "Stopped" in line or "Retired" in line or "KnockedOut" in line:
            self._note(change.DRIVER, number)
        told, changed = bests.read(car, line, merged)
        if told:
            self._note(change.TYRES)
        self._lap_changes(car, changed & car.told)

    # -- gaps ------------------------------------------------------------------------------

    def _feed_gap(self, payload: dict[str, Any], message: Message) -> None:
        """The connection was lost for a while: laps under way may lack what was told in the meantime."""
        data = self.data
        if not data.topics:
            return  # nothing was known yet: nothing can have been missed of it
        since, until = integer(payload.get("From")), integer(payload.get("To"))
        until = until if until is not None else message.at
        since = min(since if since is not None else data.last_at, until)
        told = Gap(since, until, text(payload.get("Reason")) or "")
        if data.away is not None and not data.gaps[data.away].topics:
            # Lost once more before the snapshot came: one gap.
            told.started_at = data.gaps[data.away].started_at
            data.gaps[data.away] = told
        else:
            self._close_gap()
            data.away = len(data.gaps)
            data.gaps.append(told)
            data.part_before, data.broken, data.over = self.rules.part, False, False
            for car in data.cars.values():
                self._lap_changes(car, gaps.leave(car, data.away, self.rules))
        self._note(change.GAP, data.away)

    def _snapshot_after_gap(self, message: Message) -> None:
        """Keeps count of the snapshot after a gap; the first message that is none of it closes the gap."""
        data = self.data
        if data.away is None:
            return
        gap_now = data.gaps[data.away]
        if message.snapshot:
            gap_now.topics.append(message.topic)
            if not gap_now.merged:
                gap_now.merged = True
                self._note(change.GAP, data.away)
        elif gap_now.topics:
            self._close_gap()

    def _close_gap(self) -> None:
        data = self.data
        if data.away is None:
            return
        number, data.away = data.away, None
        topics = data.gaps[number].topics
        if topics:
            data.gaps[number].withheld = sorted(set(data.heard) - set(topics))
        if "TimingAppData" in topics and "TimingData" not in topics:
            for car in data.cars.values():
                line = _lines(data.topics.get("TimingAppData")).get(car.number)
                if isinstance(line, dict) and line.get("Stints"):
                    stints.take(car, line["Stints"], self.rules.race)
        if data.over:
            data.over = False
            self._settle_all(over=True)
        self._note(change.GAP, number)

    def _cars_away(self) -> list[str]:
        """Cars that were known when the connection was lost."""
        return [number for number in _lines(self.data.topics.get("TimingData")) if number in self.data.cars]

    def _resume(
        self, car: Car, line: Mapping[str, Any], before: Mapping[str, Any], merged: Mapping[str, Any], n: int, at: int
    ) -> None:
        """The first snapshot of a car after gap `n`."""
        data = self.data
        told_at = data.gaps[n]
        tyres = _lines(data.topics.get("TimingAppData")).get(car.number)
        told = tyres.get("Stints") if isinstance(tyres, dict) and "TimingAppData" in told_at.topics else None
        part_changed = data.part_before != self.rules.part
        # Without the list of statuses nobody knows what the track was like in the meantime.
        if "SessionData" not in told_at.topics and car.open is not None:
            gaps.doubt(car.open, n)
        away = gaps.Away(n, told_at.started_at, at, part_changed, data.broken)
        tyres_before = (car.stints, car.stint, len(car.visits))
        self._lap_changes(car, gaps.resume(car, line, before, merged, told, away, self.rules))
        data.finished_at = self.rules.finished_at
        if (car.stints, car.stint, len(car.visits)) != tyres_before:
            self._note(change.TYRES)
            self._note(change.DRIVER, car.number)

    def incomplete(self, lap: Lap) -> bool:
        """Whether a lap lacks something because of a gap, or has what is not certain."""
        return gaps.incomplete(lap, self.rules.race, self._gap_at(lap.started_at) is not None)

    def gap_laps(self, number: int) -> dict[str, list[int]]:
        """Laps that lack something the feed did not send again after gap `number`, by car."""
        found: dict[str, list[int]] = {}
        for car in self.data.cars.values():
            told = [
                lap.number
                for lap in car.laps.values()
                if number in lap.gaps and lap.number in car.told and self.incomplete(lap)
            ]
            under_way = car.open
            if under_way is not None and number in under_way.gaps and under_way.number not in car.laps:
                # Never heard of again; or stopped, and nobody knows whether before the flag, on a lap, or after it.
                stood = not self.rules.race and self.data.finished_at is not None and gaps.out(self.line(car.number))
                if not self.data.gaps[number].merged or (stood and under_way.started_at is None):
                    told.append(under_way.number)
            if told:
                found[car.number] = sorted(told)
        return found

    def _join_stint(self, car: Car) -> None:
        """The set a car runs on that was first seen in mid-session, once its line and its stints are both known."""
        if car.joined_at is not None and not car.laps:
            stints.join(car, integer(self.line(car.number).get("NumberOfPitStops")), self.rules.race)

    def _gaps(self, car: Car, line: Mapping[str, Any], merged: Mapping[str, Any]) -> None:
        """Gap and interval. Nothing between two values is no value: all gaps collapse for a moment at the line."""
        part = self.rules.part
        stats = dict(items(line.get("Stats"))).get(part - 1) if part else None
        sources = [stats if isinstance(stats, dict) else {}, line]
        interval = line.get("IntervalToPositionAhead")
        leads = merged.get("Position") == "1"
        for source in sources:
            for key in ("GapToLeader", "TimeDiffToFastest"):
                if key in source and ((told := gap(source[key])) is not None or leads):
                    car.gap_ms, car.gap_laps = told if told is not None else (None, None)
            for key in ("TimeDiffToPositionAhead", "TimeDifftoPositionAhead"):
                if key in source and ((told := gap(source[key])) is not None or leads):
                    car.interval_ms, car.interval_laps = told if told is not None else (None, None)
        if isinstance(interval, dict) and "Value" in interval:
            told = gap(interval["Value"])
            if told is not None or leads:
                car.interval_ms, car.interval_laps = told if told is not None else (None, None)
        if leads and "Position" in line:
            car.gap_ms = car.gap_laps = car.interval_ms = car.interval_laps = None

    def _forget_gaps(self, car: Car, merged: Mapping[str, Any]) -> None:
        """After a gap of the feed: what a car was told to be behind before it is too old where nothing is shown now."""
        stats = dict(items(merged.get("Stats"))).get((self.rules.part or 0) - 1)
        shown = [merged, stats if isinstance(stats, dict) else {}]
        if not any(gap(line.get(key)) for line in shown for key in ("GapToLeader", "TimeDiffToFastest")):
            car.gap_ms = car.gap_laps = None
        ahead = merged.get("IntervalToPositionAhead")
        keys = ("TimeDiffToPositionAhead", "TimeDifftoPositionAhead")
        told = [line.get(key) for line in shown for key in keys] + [
            ahead.get("Value") if isinstance(ahead, dict) else None
        ]
        if not any(map(gap, told)):
            car.interval_ms = car.interval_laps = None

    def _timing_app_data(self, payload: dict[str, Any], message: Message) -> None:
        delta = self._merge("TimingAppData", payload, message)
        lines = delta.get("Lines")
        if not isinstance(lines, dict):
            return
        merged = self.data.topics["TimingAppData"].get("Lines") or {}
        for number, line in lines.items():
            if not self._is_car(number, line, "null-line"):
                continue
            if "GridPos" in line:
                self._note(change.ENTRIES)
                self._note(change.DRIVER, number)
            if "Stints" in line and not (message.snapshot and self._awaits_lines()):
                car = self._car(number)
                told, touched = stints.read(
                    car, line["Stints"], merged[number].get("Stints"), message.at, self.rules.running, self.rules.race
                )
                if message.snapshot:
                    self._join_stint(car)
                if told:
                    self._note(change.TYRES)
                for lap in touched:
                    if lap in car.told:
                        self._note(change.LAP, lap)
                        self._note(change.DRIVER, number)

    def _awaits_lines(self) -> bool:
        """Whether the snapshot after a gap has not told of the cars' laps yet: stints are read with them."""
        return self.data.away is not None and "TimingData" not in self.data.gaps[self.data.away].topics

    def _lap_count(self, payload: dict[str, Any], message: Message) -> None:
        self._merge("LapCount", payload, message)
        self._refresh_rules()
        self._note(change.SESSION)

    def _clock(self, payload: dict[str, Any], message: Message) -> None:
        self._merge("ExtrapolatedClock", payload, message)
        told = self.data.topics["ExtrapolatedClock"]
        remaining = duration_ms(told.get("Remaining"))
        if remaining is None or remaining > MAX_CLOCK_MS:
            self.data.clock = None
            if remaining is not None:
                self._reject("clock-out-of-range")
        else:
            at = utc_ms(told.get("Utc"))
            self.data.clock = (remaining, bool(flag(told.get("Extrapolating"))), at if at is not None else message.at)
        self._note(change.SESSION)

    def _race_control(self, payload: dict[str, Any], message: Message) -> None:
        delta = self._merge("RaceControlMessages", payload, message)
        merged = dict(items(self.data.topics["RaceControlMessages"].get("Messages")))
        for index, _ in items(delta.get("Messages")):
            item = merged.get(index)
            if not isinstance(item, dict) or text(item.get("Message")) is None:
                self._reject("bad-race-control")
                continue
            told = index in self.data.race_control
            at = utc_ms(item.get("Utc"))
            self.data.race_control[index] = SeriesItem(at if at is not None else message.at, dict(item))
            self._note(change.RACE_CONTROL, index)
            if not told:
                self._ruling(str(item["Message"]))

    def _ruling(self, said: str) -> None:
        found = ruling(said)
        car = self.data.cars.get(found.racing_number) if found is not None else None
        if found is None or car is None:
            return
        changed = bests.apply_ruling(car, found, self.rules.race)
        for number in changed:
            if number in car.told:
                self._lap_changes(car, {number})
        if changed:
            self._note(change.DRIVER, car.number)
            self._note(change.TYRES)

    def _weather(self, payload: dict[str, Any], message: Message) -> None:
        self._merge("WeatherData", payload, message)
        now = dict(self.data.topics["WeatherData"])
        if self.data.weather and self.data.weather[-1].data == now:
            return
        self.data.weather.append(SeriesItem(message.at, now))
        self._note(change.WEATHER, len(self.data.weather) - 1)
        self._note(change.SESSION)

    def _team_radio(self, payload: dict[str, Any], message: Message) -> None:
        delta = self._merge("TeamRadio", payload, message)
        merged = dict(items(self.data.topics["TeamRadio"].get("Captures")))
        for index, _ in items(delta.get("Captures")):
            item = merged.get(index)
            if not isinstance(item, dict) or text(item.get("Path")) is None or text(item.get("RacingNumber")) is None:
                self._reject("bad-team-radio")
                continue
            at = utc_ms(item.get("Utc"))
            self.data.team_radio[index] = SeriesItem(at if at is not None else message.at, dict(item))
            self._note(change.TEAM_RADIO, index)

    def _pit_lane_times(self, payload: dict[str, Any], _message: Message) -> None:
        # Entries are deleted a minute after they were told: what matters is the moment they come.
        times = payload.get("PitTimes")
        for number, told in times.items() if isinstance(times, dict) else ():
            if isinstance(told, dict) and not number.startswith("_"):
                self._lane_time(number, integer(told.get("Lap")), duration_ms(told.get("Duration")), None)

    def _pit_stops(self, payload: dict[str, Any], _message: Message) -> None:
        times = payload.get("PitTimes")
        for number, stops in times.items() if isinstance(times, dict) else ():
            for _, item in items(stops):
                stop = item.get("PitStop") if isinstance(item, dict) else None
                if isinstance(stop, dict):
                    lane, still = duration_ms(stop.get("PitLaneTime")), duration_ms(stop.get("PitStopTime"))
                    self._lane_time(number, integer(stop.get("Lap")), lane, still)

    def _lane_time(self, number: str, lap: int | None, lane_ms: int | None, stop_ms: int | None) -> None:
        car = self.data.cars.get(number)
        if car is not None and stints.lane_time(car, lap, lane_ms, stop_ms):
            self._note(change.TYRES)

    def _car_data(self, payload: dict[str, Any], message: Message) -> None:
        for _, entry in items(payload.get("Entries")):
            cars = entry.get("Cars") if isinstance(entry, dict) else None
            if not isinstance(cars, dict):
                self._reject("bad-CarData")
                continue
            at = utc_ms(entry.get("Utc"))
            self.data.telemetry_samples.append((at if at is not None else message.at, cars))
            self._note(change.TELEMETRY)

    def _positions(self, payload: dict[str, Any], message: Message) -> None:
        for _, entry in items(payload.get("Position")):
            cars = entry.get("Entries") if isinstance(entry, dict) else None
            if not isinstance(cars, dict):
                self._reject("bad-Position")
                continue
            at = utc_ms(entry.get("Timestamp"))
            self.data.position_samples.append((at if at is not None else message.at, cars))
            self._note(change.POSITIONS)


def _lines(timing: Any) -> Mapping[str, Any]:
    """The cars' lines of TimingData."""
    lines = timing.get("Lines") if isinstance(timing, dict) else None
    return lines if isinstance(lines, dict) else {}


def difference(before: Any, after: Any) -> Any:
    """What of `after` is not so in `before`, as a delta: dicts are compared key by key, the rest as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        return {
            key: difference(before[key], value) if key in before else value
            for key, value in after.items()
            if key not in before or before[key] != value
        }
    if isinstance(before, list) and isinstance(after, list) and len(before) <= len(after):
        return {
            str(index): difference(before[index], value) if index < len(before) else value
            for index, value in enumerate(after)
            if index >= len(before) or before[index] != value
        }
    return after


def _later(at: int, series: list[SeriesItem]) -> bool:
    """Whether an instant is after the last item of a series, and not of the same change told twice."""
    return not series or at > series[-1].at + SAME_CHANGE_MS


_NOT_IN_TOWER = frozenset({"Status", "ShowPosition", "Speeds", "PreviousValue"})


def _shows_in_tower(line: Mapping[str, Any]) -> bool:
    """Whether a delta can change what the tower shows: not when it is only mini-sectors and speeds."""
    for key, value in line.items():
        if key == "Sectors":
            for _, sector in items(value):
                if isinstance(sector, dict) and not sector.keys() <= {"Segments", "PreviousValue", "Status", "Stopped"}:
                    return True
        elif key not in _NOT_IN_TOWER:
            return True
    return False


def _shows_in_segments(line: Mapping[str, Any]) -> bool:
    return any(isinstance(sector, dict) and "Segments" in sector for _, sector in items(line.get("Sectors")))
