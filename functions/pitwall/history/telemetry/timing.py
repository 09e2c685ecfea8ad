"""What the state machine knows of a session that its telemetry is put beside: laps, tyres, statuses, weather."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from pitwall.timing import stints
from pitwall.timing.records import Car, Lap
from pitwall.timing.state import SessionState
from pitwall.timing.values import decimal, flag, integer

LATEST_MS: Final = 2_500
"""A crossing is told up to two seconds late. One told later than this does not belong to the row of laps before it."""

WEATHER: Final = {
    "airTempC": "AirTemp", "trackTempC": "TrackTemp", "humidityPct": "Humidity", "pressureHpa": "Pressure",
    "rainfall": "Rainfall", "windDirectionDeg": "WindDirection", "windSpeedMs": "WindSpeed",
}  # fmt: skip
"""Values of a weather report and the feed's names of them."""


@dataclass(frozen=True)
class LapTimed:
    """A lap of one car. Instants in ms since the epoch, None where not known; age: laps on the tyres at its end."""

    number: int
    started_at: int | None
    ended_at: int | None
    time_ms: int | None = None
    compound: str | None = None
    tyre_age: int | None = None
    clean: bool = True
    """Driven from line to line: neither begun nor ended in the pits, and finished."""
    at_line: bool = True
    """It ended at the line, not where the car stopped nor in the pit lane of practice."""
    deleted: bool = False
    sectors_ms: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class Timing:
    """A session's timing.

    laps: by racing number, in order of lap. started_at, finished_at: of a race. track_status: instant and code.
    weather: instant and values, as `WEATHER` names them.
    """

    session: str = ""
    race: bool = False
    started_at: int | None = None
    finished_at: int | None = None
    laps: Mapping[str, list[LapTimed]] = field(default_factory=dict)
    track_status: list[tuple[int, int]] = field(default_factory=list)
    weather: list[tuple[int, dict[str, float]]] = field(default_factory=list)

    @classmethod
    def of(cls, state: SessionState) -> Timing:
        """The timing of a session that was played to its end."""
        data = state.data
        statuses = [(item.at, integer(item.data.get("Status"))) for item in data.track_status]
        weather = [
            (
                item.at,
                {name: value for name, key in WEATHER.items() if (value := decimal(item.data.get(key))) is not None},
            )
            for item in data.weather
        ]
        return cls(
            session=state.session,
            race=state.rules.race,
            started_at=data.started_at,
            finished_at=data.finished_at,
            laps={
                number: _laps(car, out=bool(flag(state.line(number).get("Retired"))))
                for number, car in data.cars.items()
            },
            track_status=sorted((at, code) for at, code in statuses if code is not None),
            weather=sorted(weather, key=lambda report: report[0]),
        )


def _laps(car: Car, out: bool) -> list[LapTimed]:
    """A car's laps, and the one it is on. out: it has retired. That, and what follows the flag, is no lap."""
    known = [car.laps[number] for number in sorted(car.laps)]
    ends = crossings(known)
    laps = []
    for lap in known:
        stint = car.stints[lap.stint] if lap.stint is not None and lap.stint < len(car.stints) else None
        laps.append(
            LapTimed(
                number=lap.number,
                started_at=ends.get(lap.number - 1, lap.started_at),
                ended_at=ends.get(lap.number, lap.ended_at),
                time_ms=lap.time,
                compound=stint.compound if stint else None,
                tyre_age=stints.age_at(car, lap),
                clean=lap.finished and not (lap.pit_in or lap.pit_out or lap.lost or lap.in_lane),
                at_line=lap.finished and not lap.in_lane,
                deleted=lap.deleted,
                sectors_ms=tuple(lap.sectors),
            )
        )
    on_a_lap = not (out or car.flagged) and car.open is not None and car.open.number not in car.laps
    if on_a_lap and car.open is not None and car.open.started_at is not None:
        number = car.open.number
        stint = car.stints[car.stint] if car.stint < len(car.stints) else None
        before = laps[-1] if laps else None
        age = before.tyre_age if before is not None and known[-1].stint == car.stint else None
        laps.append(
            LapTimed(
                number=number,
                started_at=ends.get(number - 1, car.open.started_at),
                ended_at=None,
                compound=stint.compound if stint else None,
                tyre_age=age + 1 if age is not None else (stint.start_age if stint else None),
                clean=False,
                at_line=False,
            )
        )
    return laps


def crossings(laps: list[Lap]) -> dict[int, int]:
    """When each lap ended, ms: lap times are exact to the millisecond, the messages of crossings come somewhat late.

    In a row of laps that were timed the instants are those the times add up to, all as late as messages were by the
    median.
    """
    ends: dict[int, int] = {}
    row: list[tuple[int, int, int]] = []
    """Lap, sum of the times since the row began, and how late its message was beside that."""

    def close() -> None:
        usual = round(median(late for _, _, late in row)) if row else 0
        ends.update((number, total + usual) for number, total, _ in row)
        row.clear()

    before: Lap | None = None
    for lap in laps:
        follows = before is not None and before.number == lap.number - 1 and row
        if lap.ended_at is None or lap.lost or not lap.finished:
            close()
        elif follows and lap.time is not None and lap.time_source == "feed" and not lap.in_lane:
            total = row[-1][1] + lap.time
            late = lap.ended_at - total
            if max(late, *(other for _, _, other in row)) - min(late, *(other for _, _, other in row)) > LATEST_MS:
                close()
                total, late = lap.ended_at, 0
            row.append((lap.number, total, late))
        else:
            close()
            row.append((lap.number, lap.ended_at, 0))
        before = lap
    close()
    return ends
