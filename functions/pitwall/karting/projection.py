"""From the state of a kart session to its documents: the same ones as F1's, of the series `kart`.

`project` reads the state and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from msgspec import UNSET, UnsetType

from pitwall.documents import drivers, live, paths
from pitwall.documents import session as documents
from pitwall.documents.base import SCHEMA_VERSION, Document
from pitwall.documents.encoding import instant
from pitwall.karting.records import Kart, Lap, Visit
from pitwall.karting.state import KartState, best_lap, laps_completed, laps_down
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
            stops=_stops(kart),
            best_lap_ms=_set(fastest.time if fastest is not None else None),
            best_lap=fastest.number if fastest is not None and fastest.number else UNSET,
        )
    if not lines:
        return None
    return paths.live(state.session, "tyres"), live.TyresDocument(at=instant(state.changed_at(what)), lines=lines)


def _stops(kart: Kart) -> int:
    """As the board counts them; else the visits seen."""
    told: int | None = kart.line.get("Stops")
    return told if told is not None else sum(visit.lap > 1 for visit in kart.visits)


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
        lap=visit.lap,
        in_at=_instant(visit.in_at),
        out_at=_instant(visit.out_at),
        lane_time_ms=_set(seen),
        stop=visit.lap > 1,
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
}
