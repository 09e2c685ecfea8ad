"""From the state of a session to its documents: which document a change means, and its whole value.

`project` reads the state and changes nothing, but for samples of positions and telemetry, which
are handed over once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from msgspec import UNSET, UnsetType

from pitwall.documents import drivers, live, paths
from pitwall.documents import session as documents
from pitwall.documents.base import SCHEMA_VERSION, Document, Fields
from pitwall.documents.encoding import instant
from pitwall.timing import change, stints
from pitwall.timing.bests import best
from pitwall.timing.change import Change
from pitwall.timing.laps import laps_completed
from pitwall.timing.merge import items
from pitwall.timing.records import Car, Lap, PitVisit
from pitwall.timing.state import SessionState
from pitwall.timing.values import decimal, duration_ms, flag, integer, offset_ms, text, utc_ms

T = TypeVar("T")
F = TypeVar("F", bound=Fields)
Projected = tuple[str, Document] | None

MPS_TO_KPH = 3.6
SEGMENT_LETTERS = {0: "-", 2048: "y", 2049: "g", 2051: "p", 2052: "x", 2064: "b", 2068: "x"}
"""Letters of mini-sectors by the feed's status."""
MAX_SAMPLES = 64
"""Samples a positions or telemetry document holds at the most: some ten seconds of a burst."""


def project(state: SessionState, what: Change) -> Projected:
    """The document a change means and where it is stored; None where there is nothing to store yet."""
    return _PROJECTIONS[what.what](state, what)


def _set(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _some(fields: F) -> F | UnsetType:
    """A map inside a document, unless there is nothing in it."""
    return fields if fields != type(fields)() else UNSET


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _topic(state: SessionState, name: str) -> Mapping[str, Any]:
    return _mapping(state.data.topics.get(name))


# -- the session ---------------------------------------------------------------------------


def _session(state: SessionState, what: Change) -> Projected:
    data = state.data
    info = _topic(state, "SessionInfo")
    gmt_offset = offset_ms(info.get("GmtOffset"))
    start = utc_ms(info.get("StartDate"))
    statuses, tracks = data.session_status, data.track_status
    number = integer(_mapping(info.get("Meeting")).get("Number"))
    local_start = text(info.get("StartDate"))
    return paths.session(state.session), documents.SessionDocument(
        at=instant(state.changed_at(what)),
        series="f1" if data.feed == "f1" else data.feed.partition("-")[0],
        feed_id=data.feed,
        year=_set(integer(local_start[:4]) if local_start else None),
        round=_set(number),
        meeting=_meeting(info),
        type=_set(text(info.get("Type"))),
        name=_set(text(info.get("Name"))),
        status=_set(text(statuses[-1].data.get("Status")) if statuses else text(info.get("SessionStatus"))),
        start_date=_utc(start, gmt_offset),
        end_date=_utc(utc_ms(info.get("EndDate")), gmt_offset),
        gmt_offset=_set(text(info.get("GmtOffset"))),
        archive_path=_set(text(info.get("Path"))),
        lap_count=_lap_count(state),
        track_status=_track(tracks[-1].data) if tracks else UNSET,
        clock=_clock(state),
        weather=_some(_weather(data.weather[-1].data)) if data.weather else UNSET,
        qualifying=_qualifying(state),
        final=False,
        schema_version=SCHEMA_VERSION,
    )


def _clock(state: SessionState) -> documents.Clock | UnsetType:
    """The session's clock. The feed leaves it running when a race ends early."""
    if state.data.clock is None:
        return UNSET
    remaining, running, at = state.data.clock
    return documents.Clock(remaining_ms=remaining, running=running and state.data.finished_at is None, at=instant(at))


def _utc(local: int | None, gmt_offset: int | None) -> Any:
    return UNSET if local is None or gmt_offset is None else instant(local - gmt_offset)


def _meeting(info: Mapping[str, Any]) -> documents.Meeting | UnsetType:
    meeting = _mapping(info.get("Meeting"))
    country, circuit = _mapping(meeting.get("Country")), _mapping(meeting.get("Circuit"))
    return _some(
        documents.Meeting(
            key=_set(text(meeting.get("Key"))),
            name=_set(text(meeting.get("Name"))),
            official_name=_set(text(meeting.get("OfficialName"))),
            location=_set(text(meeting.get("Location"))),
            country=_some(
                documents.Country(code=_set(text(country.get("Code"))), name=_set(text(country.get("Name"))))
            ),
            circuit=_some(
                documents.Circuit(key=_set(text(circuit.get("Key"))), short_name=_set(text(circuit.get("ShortName"))))
            ),
        )
    )


def _lap_count(state: SessionState) -> documents.LapCount | UnsetType:
    count = _topic(state, "LapCount")
    current, total = integer(count.get("CurrentLap")), integer(count.get("TotalLaps"))
    if current is None:
        # Captures without LapCount (São Paulo 2025): the leader's lap is in SessionData too.
        series = items(_topic(state, "SessionData").get("Series"))
        current = max((integer(_mapping(item).get("Lap")) or 0 for _, item in series), default=0) or None
    return UNSET if current is None and total is None else documents.LapCount(current=_set(current), total=_set(total))


def _track(data: Mapping[str, Any]) -> documents.TrackStatus:
    return documents.TrackStatus(code=str(data["Status"]), message=_set(text(data.get("Message"))))


def _weather(data: Mapping[str, Any]) -> documents.Weather:
    wind = decimal(data.get("WindSpeed"))
    return documents.Weather(
        air_temp=_set(decimal(data.get("AirTemp"))),
        track_temp=_set(decimal(data.get("TrackTemp"))),
        humidity=_set(decimal(data.get("Humidity"))),
        pressure=_set(decimal(data.get("Pressure"))),
        rainfall=_set(flag(data.get("Rainfall"))),
        wind_direction=_set(integer(data.get("WindDirection"))),
        wind_speed_kph=_set(round(wind * MPS_TO_KPH, 1) if wind is not None else None),
    )


def _qualifying(state: SessionState) -> documents.Qualifying | UnsetType:
    part = state.qualifying_part()
    timing = _topic(state, "TimingData")
    entries = [number for _, item in items(timing.get("NoEntries")) if (number := integer(item))]
    if part is None and not entries:
        return UNSET
    return documents.Qualifying(
        part=_set(part),
        entries=entries if entries else UNSET,
        cut_off_ms=_set(duration_ms(timing.get("CutOffTime"))),
    )


# -- live ----------------------------------------------------------------------------------


def _lines(state: SessionState) -> dict[str, Mapping[str, Any]]:
    lines = _mapping(_topic(state, "TimingData").get("Lines"))
    return {number: line for number, line in lines.items() if isinstance(line, dict) and number in state.data.cars}


def _best(value: Any) -> Literal["p", "o"] | UnsetType:
    timed = _mapping(value)
    if flag(timed.get("OverallFastest")):
        return "o"
    return "p" if flag(timed.get("PersonalFastest")) else UNSET


def _yes(value: Any) -> Literal[True] | UnsetType:
    return True if flag(value) else UNSET


def _tower(state: SessionState, what: Change) -> Projected:
    lines = {}
    for number, line in _lines(state).items():
        car = state.data.cars[number]
        sectors = dict(items(line.get("Sectors")))
        times = [_mapping(sectors.get(index)) for index in range(3)]
        values = [_set(duration_ms(sector.get("Value"))) for sector in times]
        bests = [_best(sector) if value is not UNSET else UNSET for sector, value in zip(times, values, strict=True)]
        last = _mapping(line.get("LastLapTime"))
        last_ms = duration_ms(last.get("Value"))
        leads = text(line.get("Position")) == "1"
        lines[number] = live.TowerLine(
            p=_set(integer(line.get("Position"))),
            g=UNSET if leads else _set(car.gap_ms),
            i=UNSET if leads else _set(car.interval_ms),
            ld=UNSET if leads else _set(car.gap_laps),
            il=UNSET if leads else _set(car.interval_laps),
            n=_set(laps_completed(car, state.rules.race)),
            l=_set(last_ms),
            lb=_best(last) if last_ms is not None else UNSET,
            s1=values[0],
            s2=values[1],
            s3=values[2],
            b1=bests[0],
            b2=bests[1],
            b3=bests[2],
            ip=_yes(line.get("InPit")),
            po=_yes(line.get("PitOut")),
            rt=_yes(line.get("Retired")),
            st=_yes(line.get("Stopped")),
            ko=_yes(line.get("KnockedOut")),
            dz=_yes(line.get("Cutoff")),
        )
    if not lines:
        return None
    return paths.live(state.session, "timing"), live.TowerDocument(at=instant(state.changed_at(what)), lines=lines)


def _entered(state: SessionState) -> dict[str, Mapping[str, Any]]:
    """Entries of the driver list that are in this session: a support race's drivers may be left in it."""
    entries: dict[str, Mapping[str, Any]] = {
        number: entry
        for number, entry in _topic(state, "DriverList").items()
        if isinstance(entry, dict) and (entry.get("RacingNumber") or entry.get("Tla"))
    }
    timed = _lines(state)
    return {number: entry for number, entry in entries.items() if number in timed} if timed else entries


def _colour(entry: Mapping[str, Any]) -> str | None:
    colour = text(entry.get("TeamColour"))
    return (colour.lstrip("#").upper() or None) if colour else None


def _grid(state: SessionState, number: str) -> int | None:
    line = _mapping(_mapping(_topic(state, "TimingAppData").get("Lines")).get(number))
    grid = integer(line.get("GridPos"))
    return grid if grid else None


def _entries(state: SessionState, what: Change) -> Projected:
    lines = {
        number: live.EntryLine(
            tla=_set(text(entry.get("Tla"))),
            broadcast_name=_set(text(entry.get("BroadcastName"))),
            full_name=_set(text(entry.get("FullName"))),
            team_name=_set(text(entry.get("TeamName"))),
            team_colour=_set(_colour(entry)),
            grid=_set(_grid(state, number)),
        )
        for number, entry in _entered(state).items()
    }
    if not lines:
        return None
    return paths.live(state.session, "entries"), live.EntriesDocument(at=instant(state.changed_at(what)), lines=lines)


def _tyres(state: SessionState, what: Change) -> Projected:
    lines = {}
    for number in _lines(state):
        car = state.data.cars[number]
        stint = car.stints[car.stint] if car.stint < len(car.stints) else None
        fastest = best(car)
        line = live.TyreLine(
            compound=_set(stint.compound if stint else None),
            age=_set(stint.total_laps if stint else None),
            new=_set(stint.new if stint else None),
            stint=_set(car.stint + 1 if stint else None),
            stops=sum(map(stints.is_stop, car.visits)),
            best_lap_ms=_set(fastest.time if fastest else None),
            best_lap=_set(fastest.lap if fastest else None),
        )
        lines[number] = line
    if not lines:
        return None
    return paths.live(state.session, "tyres"), live.TyresDocument(at=instant(state.changed_at(what)), lines=lines)


def _segments(state: SessionState, what: Change) -> Projected:
    lines = {}
    for number, line in _lines(state).items():
        letters: list[str | UnsetType] = [UNSET, UNSET, UNSET]
        for index, sector in items(line.get("Sectors")):
            told = items(_mapping(sector).get("Segments"))
            if told and index < 3:
                letters[index] = "".join(
                    SEGMENT_LETTERS.get(integer(_mapping(segment).get("Status")) or 0, "?") for _, segment in told
                )
        if any(sector is not UNSET for sector in letters):
            lines[number] = live.SegmentLine(s1=letters[0], s2=letters[1], s3=letters[2])
    if not lines:
        return None
    return paths.live(state.session, "segments"), live.SegmentsDocument(at=instant(state.changed_at(what)), lines=lines)


def _positions(state: SessionState, what: Change) -> Projected:
    taken, state.data.position_samples = state.data.position_samples[-MAX_SAMPLES:], []
    samples = []
    for at, cars in taken:
        lines = {}
        for number, car in cars.items():
            place = [integer(_mapping(car).get(axis)) for axis in ("X", "Y", "Z")]
            x, y, z = place
            if x is None or y is None or z is None:
                continue
            off_track: Literal[True] | UnsetType = True if _mapping(car).get("Status") == "OffTrack" else UNSET
            lines[number] = live.CarPosition(x=x, y=y, z=z, off_track=off_track)
        if lines:
            samples.append(live.PositionSample(at=instant(at), lines=lines))
    if not samples:
        return None
    document = live.PositionsDocument(at=instant(state.changed_at(what)), samples=samples)
    return paths.live(state.session, "positions"), document


def _telemetry(state: SessionState, what: Change) -> Projected:
    taken, state.data.telemetry_samples = state.data.telemetry_samples[-MAX_SAMPLES:], []
    samples = []
    for at, cars in taken:
        lines = {}
        for number, car in cars.items():
            channels = _mapping(_mapping(car).get("Channels"))
            told = live.CarChannels(
                rpm=_set(integer(channels.get("0"))),
                speed_kph=_set(integer(channels.get("2"))),
                gear=_set(integer(channels.get("3"))),
                throttle=_set(integer(channels.get("4"))),
                brake=_set(integer(channels.get("5"))),
                drs=_set(integer(channels.get("45"))),
            )
            if told != live.CarChannels():
                lines[number] = told
        if lines:
            samples.append(live.TelemetrySample(at=instant(at), lines=lines))
    if not samples:
        return None
    document = live.TelemetryDocument(at=instant(state.changed_at(what)), samples=samples)
    return paths.live(state.session, "telemetry"), document


# -- drivers and laps ----------------------------------------------------------------------


def _driver(state: SessionState, what: Change) -> Projected:
    number = str(what.key)
    entry, line = _entered(state).get(number), _lines(state).get(number)
    if entry is None and line is None:
        return None
    entry, line = entry or {}, line or {}
    car = state.data.cars.get(number) or Car(number=number)
    fastest = best(car)
    parts = {str(part): told for part in (1, 2, 3) if (told := best(car, part)) is not None}
    return paths.driver(state.session, number), drivers.DriverDocument(
        at=instant(state.changed_at(what)),
        racing_number=number,
        tla=_set(text(entry.get("Tla"))),
        broadcast_name=_set(text(entry.get("BroadcastName"))),
        full_name=_set(text(entry.get("FullName"))),
        first_name=_set(text(entry.get("FirstName"))),
        last_name=_set(text(entry.get("LastName"))),
        reference=_set(text(entry.get("Reference"))),
        country_code=_set(text(entry.get("CountryCode"))),
        team_name=_set(text(entry.get("TeamName"))),
        team_colour=_set(_colour(entry)),
        headshot_url=_set(text(entry.get("HeadshotUrl"))),
        grid=_set(_grid(state, number)),
        position=_set(integer(line.get("Position"))),
        laps=_set(laps_completed(car, state.rules.race)),
        best_lap_ms=_set(fastest.time if fastest else None),
        best_lap=_set(fastest.lap if fastest else None),
        best_by_part={part: drivers.PartBest(lap_time_ms=told.time, lap=_set(told.lap)) for part, told in parts.items()}
        if parts
        else UNSET,
        stints=_stints(car),
        pit_stops=[_pit_stop(visit) for visit in car.visits if visit.lap is not None],
        status=_status(line),
    )


def _status(line: Mapping[str, Any]) -> Literal["running", "stopped", "retired", "knockedOut"]:
    if flag(line.get("Retired")):
        return "retired"
    if flag(line.get("KnockedOut")):
        return "knockedOut"
    return "stopped" if flag(line.get("Stopped")) else "running"


def _stints(car: Car) -> list[drivers.Stint]:
    told = []
    for index, stint in enumerate(car.stints[: car.stint + 1]):
        numbers = [lap.number for lap in car.laps.values() if lap.stint == index]
        told.append(
            drivers.Stint(
                stint=index + 1,
                compound=_set(stint.compound),
                new=_set(stint.new),
                start_age=_set(stint.start_age),
                laps=len(numbers),
                start_lap=_set(min(numbers, default=None)),
                end_lap=_set(max(numbers, default=None)),
            )
        )
    return told


def _pit_stop(visit: PitVisit) -> drivers.PitStop:
    in_at = None if visit.in_unseen else visit.in_at
    out_at = None if visit.out_unseen else visit.out_at
    lane = visit.lane_time
    if lane is None and in_at is not None and out_at is not None:
        lane = out_at - in_at
    return drivers.PitStop(
        lap=_set(visit.lap),
        in_at=UNSET if in_at is None else instant(in_at),
        out_at=UNSET if out_at is None else instant(out_at),
        lane_time_ms=_set(lane),
        stop_time_ms=_set(visit.stop_time),
        stop=stints.is_stop(visit),
    )


def _lap(state: SessionState, what: Change) -> Projected:
    number = int(what.key)
    laps = {
        car.number: _lap_of(state, car, lap)
        for car in state.data.cars.values()
        if number in car.told and (lap := car.laps.get(number)) is not None
    }
    if not laps:
        return None
    document = drivers.LapDocument(at=instant(state.changed_at(what)), lap=number, drivers=laps)
    return paths.lap(state.session, number), document


def _lap_of(state: SessionState, car: Car, lap: Lap) -> drivers.Lap:
    stint = car.stints[lap.stint] if lap.stint is not None and lap.stint < len(car.stints) else None
    speeds = drivers.Speeds(
        i1_kph=_set(lap.speeds.get("I1")),
        i2_kph=_set(lap.speeds.get("I2")),
        fl_kph=_set(lap.speeds.get("FL")),
        st_kph=_set(lap.speeds.get("ST")),
    )
    return drivers.Lap(
        lap_time_ms=_set(lap.time),
        sector1_ms=_set(lap.sectors[0]),
        sector2_ms=_set(lap.sectors[1]),
        sector3_ms=_set(lap.sectors[2]),
        speeds=speeds if lap.speeds else UNSET,
        position=_set(lap.position),
        gap_to_leader_ms=UNSET if lap.position == 1 else _set(lap.gap_ms),
        laps_down=UNSET if lap.position == 1 else _set(lap.laps_down),
        stint=_set(lap.stint + 1 if lap.stint is not None and stint is not None else None),
        compound=_set(stint.compound if stint else None),
        tyre_age=_set(stints.age_at(car, lap)),
        tyre_new=_set(stint.new if stint else None),
        pit_in=True if lap.pit_in else UNSET,
        pit_out=True if lap.pit_out else UNSET,
        part=_set(lap.part),
        track_statuses=lap.statuses if lap.statuses else UNSET,
        personal_best=True if lap.personal_best and not lap.deleted else UNSET,
        deleted=True if lap.deleted else UNSET,
        deleted_reason=_set(lap.deleted_reason if lap.deleted else None),
        started_at=UNSET if lap.started_at is None else instant(lap.started_at),
        ended_at=UNSET if lap.ended_at is None else instant(lap.ended_at),
        missed=True if state.incomplete(lap) else UNSET,
        time_source=UNSET if lap.time is None else _source(lap),
    )


def _source(lap: Lap) -> Literal["feed", "derived"]:
    return "feed" if lap.time_source == "feed" else "derived"


# -- series --------------------------------------------------------------------------------


def _race_control(state: SessionState, what: Change) -> Projected:
    item = state.data.race_control[int(what.key)]
    data = item.data
    document = documents.RaceControlDocument(
        at=instant(item.at),
        n=int(what.key),
        message=str(data["Message"]),
        lap=_set(integer(data.get("Lap"))),
        category=_set(text(data.get("Category"))),
        flag=_set(text(data.get("Flag"))),
        scope=_set(text(data.get("Scope"))),
        sector=_set(integer(data.get("Sector"))),
        racing_number=_set(text(data.get("RacingNumber"))),
        status=_set(text(data.get("Status"))),
        mode=_set(text(data.get("Mode"))),
    )
    return paths.series(state.session, change.RACE_CONTROL, int(what.key)), document


def _weather_report(state: SessionState, what: Change) -> Projected:
    item = state.data.weather[int(what.key)]
    document = documents.WeatherDocument(at=instant(item.at), n=int(what.key), weather=_weather(item.data))
    return paths.series(state.session, change.WEATHER, int(what.key)), document


def _track_status(state: SessionState, what: Change) -> Projected:
    item = state.data.track_status[int(what.key)]
    status = _track(item.data)
    document = documents.TrackStatusDocument(
        at=instant(item.at), n=int(what.key), code=status.code, message=status.message
    )
    return paths.series(state.session, change.TRACK_STATUS, int(what.key)), document


def _session_status(state: SessionState, what: Change) -> Projected:
    item = state.data.session_status[int(what.key)]
    document = documents.SessionStatusDocument(at=instant(item.at), n=int(what.key), status=str(item.data["Status"]))
    return paths.series(state.session, change.SESSION_STATUS, int(what.key)), document


def _team_radio(state: SessionState, what: Change) -> Projected:
    item = state.data.team_radio[int(what.key)]
    document = documents.TeamRadioDocument(
        at=instant(item.at),
        n=int(what.key),
        racing_number=str(text(item.data.get("RacingNumber"))),
        path=str(text(item.data.get("Path"))),
    )
    return paths.series(state.session, change.TEAM_RADIO, int(what.key)), document


def _gap(state: SessionState, what: Change) -> Projected:
    number = int(what.key)
    told = state.data.gaps[number]
    series = [
        name
        for name, topic in _SERIES_TOPICS.items()
        if not told.merged or topic not in told.topics or name == change.WEATHER
    ]
    document = documents.GapDocument(
        at=instant(state.changed_at(what)),
        n=number,
        start_date=instant(told.started_at),
        end_date=instant(told.ended_at),
        reason=told.reason or UNSET,
        merged=told.merged,
        laps=state.gap_laps(number),
        series=series,
        withheld=told.withheld or UNSET,
    )
    return paths.series(state.session, change.GAP, number), document


_SERIES_TOPICS = {
    change.RACE_CONTROL: "RaceControlMessages",
    change.SESSION_STATUS: "SessionData",
    change.TEAM_RADIO: "TeamRadio",
    change.TRACK_STATUS: "SessionData",
    change.WEATHER: "WeatherData",
}
"""The topic whose snapshot has a series whole. Of the weather it has only the last report."""

_PROJECTIONS: dict[str, Callable[[SessionState, Change], Projected]] = {
    change.SESSION: _session,
    change.TOWER: _tower,
    change.ENTRIES: _entries,
    change.TYRES: _tyres,
    change.SEGMENTS: _segments,
    change.POSITIONS: _positions,
    change.TELEMETRY: _telemetry,
    change.DRIVER: _driver,
    change.LAP: _lap,
    change.RACE_CONTROL: _race_control,
    change.WEATHER: _weather_report,
    change.TRACK_STATUS: _track_status,
    change.SESSION_STATUS: _session_status,
    change.TEAM_RADIO: _team_radio,
    change.GAP: _gap,
}
