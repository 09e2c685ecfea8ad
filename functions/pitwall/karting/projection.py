"""From the state of a kart session to its documents: the same ones as F1's, of the series `kart`.

`project` reads the state and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from msgspec import UNSET, UnsetType

from pitwall.documents import circuits, drivers, live, paths
from pitwall.documents import session as documents
from pitwall.documents.base import SCHEMA_VERSION, Document
from pitwall.documents.encoding import instant
from pitwall.karting import app, endurance
from pitwall.karting.records import Kart, Lap, Visit
from pitwall.karting.state import KartState, best_lap, laps_completed, laps_down, stops_made
from pitwall.message import FeedStatus
from pitwall.timing import change
from pitwall.timing.change import Change

T = TypeVar("T")
Projected = tuple[str, Document] | None

TAKEN_BACK = "taken off the board by the timekeeper"
CATEGORIES = {"penalty": "Penalty", "warning": "Warning"}
"""Categories of race control's messages by the flag they are shown with; other flags are flags."""
FLAGS = {"green", "yellow", "red", "chequered", "blue", "black", "white"}


def project(state: KartState, what: Change) -> Projected:
    """The document a change means and where it is stored; None where there is nothing to store (yet)."""
    projection = _PROJECTIONS.get(what.what)
    return projection(state, what) if projection is not None else None


def _set(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _instant(at: int | None) -> Any:
    return UNSET if at is None else instant(at)


# -- the session ---------------------------------------------------------------------------


def _session(state: KartState, what: Change) -> Projected:
    data = state.data
    info, count = data.info, data.lap_count
    begun = instant(data.session_status[0].at) if data.session_status else None
    clock = data.clock
    return paths.session(state.session), documents.SessionDocument(
        at=instant(state.changed_at(what)),
        series="kart",
        feed_id=data.feed,
        year=_set(begun.year if begun is not None else None),
        meeting=_meeting(info),
        type=info.get("Type") or UNSET,
        name=info.get("Name") or info.get("Title") or UNSET,
        status=data.session_status[-1].data["Status"] if data.session_status else UNSET,
        gmt_offset=info.get("GmtOffset") or UNSET,
        lap_count=documents.LapCount(current=_set(count.get("Current")), total=_set(count.get("Total")))
        if count
        else UNSET,
        track_status=_track(data.track_status[-1].data) if data.track_status else UNSET,
        clock=UNSET
        if clock is None
        else documents.Clock(
            remaining_ms=clock[0], running=clock[1] and data.finished_at is None, at=instant(clock[2])
        ),
        final=False,
        schema_version=SCHEMA_VERSION,
    )


def _meeting(info: dict[str, Any]) -> documents.Meeting | UnsetType:
    circuit = documents.Circuit(short_name=info.get("Track") or UNSET)
    meeting = documents.Meeting(
        name=info.get("Title") or UNSET, circuit=circuit if circuit != documents.Circuit() else UNSET
    )
    return meeting if meeting != documents.Meeting() else UNSET


def _track(data: dict[str, Any]) -> documents.TrackStatus:
    return documents.TrackStatus(code=data["Status"], message=data["Message"])


# -- live ----------------------------------------------------------------------------------


def _shown(state: KartState) -> list[Kart]:
    """The karts on the board whose number is known."""
    return [kart for kart in state.data.karts.values() if kart.on_board and kart.number]


def _mark(kart: Kart, name: str) -> live.Best | UnsetType:
    mark = kart.line.get(f"{name}Mark")
    return UNSET if mark is None else "o" if mark == "overall" else "p"


def _yes(value: bool) -> Literal[True] | UnsetType:
    return True if value else UNSET


def _tower(state: KartState, what: Change) -> Projected:
    karts = _shown(state)
    if not karts:
        return None
    down = laps_down(karts) if state.race else {}
    lines = {}
    for kart in karts:
        line = kart.line
        leads = line.get("Position") == 1
        behind = down.get(kart.row)
        interval_laps = line.get("IntervalLaps")
        lines[kart.number] = live.TowerLine(
            p=_set(line.get("Position")),
            g=UNSET if leads or behind is not None else _set(line.get("GapMs")),
            i=UNSET if leads else _set(line.get("IntervalMs")),
            ld=UNSET if leads else _set(behind),
            il=UNSET if leads else _set(interval_laps),
            n=_set(laps_completed(kart)),
            l=_set(line.get("LastLapMs")),
            lb=_mark(kart, "LastLap"),
            s1=_set(line.get("Sector1Ms")),
            s2=_set(line.get("Sector2Ms")),
            s3=_set(line.get("Sector3Ms")),
            b1=_mark(kart, "Sector1"),
            b2=_mark(kart, "Sector2"),
            b3=_mark(kart, "Sector3"),
            ip=_yes(kart.in_pit),
            po=_yes(not kart.in_pit and line.get("Status") == "pitOut"),
            st=_yes(line.get("Status") == "stopped"),
        )
    return paths.live(state.session, "timing"), live.TowerDocument(at=instant(state.changed_at(what)), lines=lines)


def _entries(state: KartState, what: Change) -> Projected:
    lines = {
        kart.number: live.EntryLine(
            full_name=_set(kart.line.get("Driver")),
            team_name=_set(kart.line.get("Team")),
            team_colour=_set(kart.line.get("Colour")),
            category=_set(kart.line.get("Category")),
            penalty=_set(kart.line.get("Penalty")),
        )
        for kart in _shown(state)
    }
    if not lines:
        return None
    return paths.live(state.session, "entries"), live.EntriesDocument(at=instant(state.changed_at(what)), lines=lines)


def _tyres(state: KartState, what: Change) -> Projected:
    """Karts have no tyres to tell of, but stints, stops and best laps, which are kept in the same place."""
    lines = {}
    for kart in _shown(state):
        fastest = best_lap(kart)
        lines[kart.number] = live.TyreLine(
            stint=len(kart.stints),
            stops=stops_made(kart),
            best_lap_ms=_set(fastest.time if fastest is not None else None),
            best_lap=fastest.number if fastest is not None and fastest.number else UNSET,
        )
    if not lines:
        return None
    return paths.live(state.session, "tyres"), live.TyresDocument(at=instant(state.changed_at(what)), lines=lines)


# -- drivers and laps ----------------------------------------------------------------------


def _driver(state: KartState, what: Change) -> Projected:
    kart = state.kart(str(what.key))
    if kart is None:
        return None
    line, fastest = kart.line, best_lap(kart)
    changes = [
        drivers.DriverChange(at=instant(told.at), lap=told.lap, driver=told.name) for told in kart.driver_changes
    ]
    return paths.driver(state.session, kart.number), drivers.DriverDocument(
        at=instant(state.changed_at(what)),
        racing_number=kart.number,
        full_name=_set(line.get("Driver")),
        country_code=_set(line.get("Nation")),
        team_name=_set(line.get("Team")),
        team_colour=_set(line.get("Colour")),
        category=_set(line.get("Category")),
        position=_set(line.get("Position")),
        laps=_set(laps_completed(kart)),
        best_lap_ms=_set(fastest.time if fastest is not None else None),
        best_lap=fastest.number if fastest is not None and fastest.number else UNSET,
        stints=_stints(kart),
        pit_stops=[_pit_stop(visit) for visit in kart.visits],
        driver_changes=changes or UNSET,
        status="stopped" if line.get("Status") == "stopped" else "running",
    )


def _stints(kart: Kart) -> list[drivers.Stint]:
    told = []
    for index, stint in enumerate(kart.stints):
        numbers = [lap.number for lap in kart.laps.values() if lap.stint == index]
        told.append(
            drivers.Stint(
                stint=index + 1,
                laps=len(numbers),
                start_lap=_set(min(numbers, default=None)),
                end_lap=_set(max(numbers, default=None)),
                driver=_set(stint.driver),
            )
        )
    return told


def _pit_stop(visit: Visit) -> drivers.PitStop:
    seen = visit.out_at - visit.in_at if visit.in_at is not None and visit.out_at is not None else None
    return drivers.PitStop(
        lap=_set(visit.lap),
        in_at=_instant(visit.in_at),
        out_at=_instant(visit.out_at),
        lane_time_ms=_set(seen),
        stop=visit.stop,
    )


def _lap(state: KartState, what: Change) -> Projected:
    number = int(what.key)
    laps = {
        kart.number: _lap_of(lap)
        for kart in state.data.karts.values()
        if kart.number and (lap := kart.laps.get(number)) is not None
    }
    if not laps or number < 1:
        return None
    document = drivers.LapDocument(at=instant(state.changed_at(what)), lap=number, drivers=laps)
    return paths.lap(state.session, number), document


def _lap_of(lap: Lap) -> drivers.Lap:
    return drivers.Lap(
        lap_time_ms=_set(lap.time),
        sector1_ms=_set(lap.sectors[0]),
        sector2_ms=_set(lap.sectors[1]),
        sector3_ms=_set(lap.sectors[2]),
        position=_set(lap.position),
        gap_to_leader_ms=UNSET if lap.position == 1 else _set(lap.gap_ms),
        laps_down=UNSET if lap.position == 1 else _set(lap.gap_laps),
        stint=lap.stint + 1,
        pit_in=_yes(lap.pit_in),
        pit_out=_yes(lap.pit_out),
        track_statuses=lap.statuses or UNSET,
        personal_best=_yes(lap.personal_best),
        deleted=_yes(lap.taken_back),
        deleted_reason=TAKEN_BACK if lap.taken_back else UNSET,
        started_at=_instant(lap.started_at),
        ended_at=_instant(lap.ended_at),
        missed=_yes(lap.unseen),
        time_source=UNSET if lap.time is None else "feed",
    )


# -- series --------------------------------------------------------------------------------


def _race_control(state: KartState, what: Change) -> Projected:
    number = int(what.key)
    item = state.data.race_control[number]
    shown = item.data.get("Flag", "")
    flag = shown.upper() if shown in FLAGS else None
    kart = next(
        (kart for kart in state.data.karts.values() if kart.line.get("Number") == item.data.get("Number")), None
    )
    return paths.series(state.session, change.RACE_CONTROL, number), documents.RaceControlDocument(
        at=instant(item.at),
        n=number,
        message=item.data["Message"],
        category="Flag" if flag else CATEGORIES.get(shown, "Other"),
        flag=_set(flag),
        racing_number=kart.number if kart is not None and kart.number else item.data.get("Number") or UNSET,
    )


def _track_status(state: KartState, what: Change) -> Projected:
    number = int(what.key)
    item = state.data.track_status[number]
    status = _track(item.data)
    return paths.series(state.session, change.TRACK_STATUS, number), documents.TrackStatusDocument(
        at=instant(item.at), n=number, code=status.code, message=status.message
    )


def _session_status(state: KartState, what: Change) -> Projected:
    number = int(what.key)
    item = state.data.session_status[number]
    return paths.series(state.session, change.SESSION_STATUS, number), documents.SessionStatusDocument(
        at=instant(item.at), n=number, status=item.data["Status"]
    )


def _gap(state: KartState, what: Change) -> Projected:
    number = int(what.key)
    told = state.data.gaps[number]
    return paths.series(state.session, change.GAP, number), documents.GapDocument(
        at=instant(state.changed_at(what)),
        n=number,
        start_date=instant(told.started_at),
        end_date=instant(told.ended_at),
        reason=told.reason or UNSET,
        merged=told.merged,
        laps=state.gap_laps(number),
        series=[change.RACE_CONTROL, change.SESSION_STATUS, change.TRACK_STATUS],
    )


# -- the track -----------------------------------------------------------------------------


def _app(state: KartState, what: Change) -> Projected:
    circuit, shown = state.data.circuit, _shown(state)
    if circuit is None or not shown or not paths.valid_id(circuit.id):
        return None
    rows = {kart.number: app.row(state, kart) for kart in shown}
    newest = max(shown, key=lambda kart: kart.changed_at)
    return paths.circuit_live(circuit.id), circuits.AppTimingDocument(
        at=instant(state.changed_at(what)),
        type="timing",
        circuit_id=circuit.id,
        data=rows[newest.number],
        rows=rows,
        session=state.session,
    )


def _notice(state: KartState, what: Change) -> Projected:
    circuit, id_ = state.data.circuit, str(what.key)
    if circuit is None or not paths.valid_id(circuit.id):
        return None
    told = state.data.notices[id_]
    return paths.notice(circuit.id, id_), circuits.NoticeDocument(
        at=instant(told.at),
        kind=told.kind,
        field=told.key,
        role=told.role,
        message=told.message,
        session=told.session or UNSET,
    )


def connection(state: KartState, session: str, status: FeedStatus) -> Projected:
    """One event of the connection; None while the track is not known. session: the one it was on."""
    circuit = state.data.circuit
    if circuit is None or not paths.valid_id(circuit.id):
        return None
    return paths.connection(circuit.id, f"{max(status.at, 0):013d}-{status.state}"), circuits.ConnectionDocument(
        at=instant(status.at),
        feed_id=state.data.feed,
        state=status.state,
        message=status.detail or UNSET,
        reconnects=status.reconnects,
        session=session or UNSET,
    )


# -- stints and stops owed -----------------------------------------------------------------


def _endurance(state: KartState, what: Change) -> Projected:
    at = state.changed_at(what)
    told = endurance.standing(state, at) if state.endurance else {}
    if not told:
        return None
    rules = state.rules
    return paths.live(state.session, "endurance"), circuits.EnduranceDocument(
        at=instant(at),
        rules=circuits.Endurance(
            stops=_set(rules.get("Stops")),
            stop_ms=_set(rules.get("StopMs")),
            stop_cost_ms=_set(rules.get("StopCostMs")),
            stint_ms=_set(rules.get("StintMs")),
            driver_ms=_set(rules.get("DriverMs")),
        )
        if rules
        else UNSET,
        lines={
            number: circuits.EnduranceLine(
                position=_set(kart.position),
                stint=kart.stint,
                stint_ms=_set(kart.stint_ms),
                stint_left_ms=_set(kart.stint_left_ms),
                driver=_set(kart.driver),
                driver_ms=_set(kart.driver_ms),
                stops=kart.stops,
                stops_owed=_set(kart.stops_owed),
                in_pit_since=_instant(kart.in_pit_since),
                last_stop_ms=_set(kart.last_stop_ms),
                short_stops=_set(kart.short_stops),
                laps=_set(kart.laps),
                adjusted_position=_set(kart.adjusted_position),
                adjusted_gap_ms=_set(kart.adjusted_gap_ms),
                penalties=kart.penalties or UNSET,
            )
            for number, kart in told.items()
        },
        pit_queue=endurance.pit_queue(state),
    )


_PROJECTIONS: dict[str, Callable[[KartState, Change], Projected]] = {
    change.SESSION: _session,
    change.TOWER: _tower,
    change.ENTRIES: _entries,
    change.TYRES: _tyres,
    change.DRIVER: _driver,
    change.LAP: _lap,
    change.RACE_CONTROL: _race_control,
    change.TRACK_STATUS: _track_status,
    change.SESSION_STATUS: _session_status,
    change.GAP: _gap,
    change.APP: _app,
    change.NOTICE: _notice,
    change.ENDURANCE: _endurance,
}
