"""How a session's karts and drivers went: pace of clean laps, consistency, stints, stops, and how good a kart is.

Pure: of what is stored of a session (`record`). What is not known is left out, as of a kart that joined late. What
each figure can and cannot tell is in `docs/karting.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, median, quantiles
from typing import Annotated, Any, Final, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from pitwall.documents.base import Fields, Ms, RacingNumber

SLOWEST: Final = 1.07
"""A lap that takes longer than this share of the best one was not driven for its time."""
NEAR: Final = 1.03
SUPPORT: Final = 2
"""So many other laps have to be within `NEAR` of a best lap: one that stands alone was cut short, or mistimed."""
LAST: Final = 5
"""Clean laps a kart's quality is told by."""
FEWEST_KARTS: Final = 3
"""Karts that make a field."""
FEWEST_SPREAD: Final = 4
"""Clean laps below which their spread says nothing."""

Stored = Mapping[str, Any]
"""A document or a map in one, as it is stored; it may have keys that this version does not know."""

_PIT = ("pitIn", "pitOut")
_CLEAR = "1"
_SECTORS = ("sector1Ms", "sector2Ms", "sector3Ms")


class StintStatistics(Fields, kw_only=True):
    """From one visit to the pits to the next."""

    stint: Annotated[int, Meta(description="from 1")]
    driver: Annotated[str, Meta(description="who drove at its end")] | UnsetType = UNSET
    start_lap: int | UnsetType = UNSET
    end_lap: int | UnsetType = UNSET
    laps: Annotated[int, Meta(description="laps known of it")]
    clean_laps: Annotated[int, Meta(description="clean by the stint's own best")]
    best_lap_ms: Annotated[Ms, Meta(description="best clean lap")] | UnsetType = UNSET
    median_lap_ms: Annotated[Ms, Meta(description="median of the clean laps")] | UnsetType = UNSET


class LapStatistics(Fields, kw_only=True):
    """What laps say, of a kart or of a driver."""

    timed_laps: Annotated[int, Meta(description="laps with a time that stands")]
    clean_laps: Annotated[int, Meta(description="laps that tell how fast kart and driver are")]
    best_lap_ms: Annotated[Ms, Meta(description="best lap")] | UnsetType = UNSET
    average_lap_ms: Annotated[Ms, Meta(description="mean of the laps neither into nor out of the pits")] | UnsetType = (
        UNSET
    )
    median_lap_ms: Annotated[Ms, Meta(description="the pace: median of the clean laps")] | UnsetType = UNSET
    spread_ms: (
        Annotated[Ms, Meta(description="what the middle half of the clean laps lies within; of four or more")]
        | UnsetType
    ) = UNSET
    consistency: (
        Annotated[float, Meta(description="1 less the spread as a share of the median: 1 for laps that are all equal")]
        | UnsetType
    ) = UNSET
    improvement_ms: (
        Annotated[
            Ms,
            Meta(description="how much quicker the median of the last five clean laps is than that of the first five"),
        ]
        | UnsetType
    ) = UNSET
    best_sector1_ms: Ms | UnsetType = UNSET
    best_sector2_ms: Ms | UnsetType = UNSET
    best_sector3_ms: Ms | UnsetType = UNSET
    ideal_lap_ms: Annotated[Ms, Meta(description="sum of the best sectors")] | UnsetType = UNSET


class KartStatistics(LapStatistics, kw_only=True):
    """One kart, or the team whose number it bears."""

    position: int | UnsetType = UNSET
    laps: Annotated[int, Meta(description="laps completed, also those from before it was first seen")] | UnsetType = (
        UNSET
    )
    drivers: Annotated[list[str], Meta(description="who drove it, in order")] | UnsetType = UNSET
    stops: Annotated[int, Meta(description="pit stops; absent where some may not have been seen")] | UnsetType = UNSET
    pit_time_ms: Annotated[Ms, Meta(description="of the stops whose beginning and end were seen")] | UnsetType = UNSET
    median_stop_ms: Ms | UnsetType = UNSET
    quality: (
        Annotated[
            float,
            Meta(
                description="median of the last five clean laps as a share of the field's, the median of those of all "
                "karts: below 1 is quicker. Driver and kart together"
            ),
        ]
        | UnsetType
    ) = UNSET
    quality_for_driver: (
        Annotated[
            float,
            Meta(
                description="median of the last five clean laps of its last stint as a share of that of what the same "
                "driver drove in other stints and karts of the session: the kart without the driver. Absent for who "
                "drove no other"
            ),
        ]
        | UnsetType
    ) = UNSET
    stints: list[StintStatistics]


class DriverStatistics(LapStatistics, kw_only=True):
    """One driver over all karts of the session."""

    karts: Annotated[list[RacingNumber], Meta(description="driven, in order")]


class Lap(Struct, frozen=True, gc=False):
    """What counts of a stored lap, in a tenth of its room: a race of 24 hours has 60,000. Durations in ms."""

    number: int
    time: int | None
    sectors: tuple[int | None, ...]
    stint: int
    in_pits: bool
    """Into or out of the pits."""
    deleted: bool
    missed: bool
    clear: bool
    """Whether nothing but a clear track was shown."""

    @property
    def whole(self) -> bool:
        """Whether it has a time that stands, of a whole lap on the track."""
        return self.time is not None and not (self.deleted or self.in_pits)


class Driven(NamedTuple):
    """A lap, with who drove it where that is known."""

    lap: Lap
    driver: str | None


class Kart(NamedTuple):
    """What is stored of a kart. stops: as `live/tyres` counts them."""

    number: RacingNumber
    fields: Stored
    laps: Sequence[Driven]
    stops: int | None = None


def laps_of(document: Stored) -> dict[RacingNumber, Lap]:
    """What counts of a document of laps."""
    return {
        racing_number: Lap(
            number=document["lap"],
            time=lap.get("lapTimeMs"),
            sectors=tuple(lap.get(name) for name in _SECTORS),
            stint=lap.get("stint", 1),
            in_pits=any(lap.get(mark) for mark in _PIT),
            deleted=bool(lap.get("deleted")),
            missed=bool(lap.get("missed")),
            clear=all(code == _CLEAR for code in lap.get("trackStatuses", ())),
        )
        for racing_number, lap in document.get("drivers", {}).items()
    }


def record(
    drivers: Iterable[Stored], laps: Iterable[Mapping[RacingNumber, Lap]], tyres: Stored | None = None
) -> dict[RacingNumber, Kart]:
    """What the documents of a session say of each kart, by racing number: drivers, laps in order, and `live/tyres`."""
    known = {driver["racingNumber"]: driver for driver in drivers}
    driven: dict[RacingNumber, list[Lap]] = {number: [] for number in known}
    for of_number in laps:
        for number, lap in of_number.items():
            driven.setdefault(number, []).append(lap)
    lines: Stored = (tyres or {}).get("lines", {})
    karts = {}
    for number, of_kart in driven.items():
        fields = known.get(number, {"racingNumber": number})
        who = _who(fields)
        told = [Driven(lap, who(lap.number)) for lap in of_kart]
        karts[number] = Kart(number, fields, told, lines.get(number, {}).get("stops"))
    return karts


def _who(kart: Stored) -> Callable[[int], str | None]:
    """Who drove a kart on a lap. Before the first change that is who drove at the end of the first stint; nobody is
    known if that is who took over.
    """
    changes: Sequence[Stored] = kart.get("driverChanges", ())
    if not changes:
        return lambda _: kart.get("fullName")
    first = next((stint.get("driver") for stint in kart.get("stints", ())), None)
    before = first if first != changes[0]["driver"] else None

    def who(lap: int) -> str | None:
        driver: str | None = before
        for change in changes:
            if change["lap"] > lap:
                break
            driver = change["driver"]
        return driver

    return who


# -- which laps are clean ------------------------------------------------------------------


def clean(laps: Iterable[Driven]) -> list[int]:
    """Times (ms) of the laps that tell how fast kart and driver are, in order.

    Not the first lap, nor laps into or out of the pits, those taken back or not received whole, and those with anything
    but a clear track; of the others those within 107 % of the best. The best is the fastest that two others come
    within 3 % of, where there is one, and what is faster than that is not clean: a chicane that was cut would else
    make every other lap slow.
    """
    times = [
        lap.time
        for lap, _ in laps
        if lap.time is not None and lap.number > 1 and lap.whole and lap.clear and not lap.missed
    ]
    if not times:
        return []
    ordered = sorted(times)
    best = next(
        (time for time, supporting in zip(ordered, ordered[SUPPORT:], strict=False) if supporting <= NEAR * time),
        ordered[0],
    )
    return [time for time in times if best <= time <= SLOWEST * best]


# -- karts and drivers ---------------------------------------------------------------------


def karts(known: Mapping[RacingNumber, Kart]) -> dict[RacingNumber, KartStatistics]:
    """By racing number."""
    last = {number: _last(kart.laps) for number, kart in known.items()}
    field = _field(last.values())
    by_stint = _ByStint(known)
    told = {}
    for number, kart in known.items():
        statistics = _of_kart(kart)
        if field is not None and last[number]:
            statistics.quality = round(median(last[number]) / field, 4)
        freed = by_stint.against_others(kart) if kart.laps else None
        statistics.quality_for_driver = UNSET if freed is None else round(freed, 4)
        told[number] = statistics
    return told


def drivers(known: Mapping[RacingNumber, Kart]) -> dict[str, DriverStatistics]:
    """By name, of everybody who is known to have driven a lap."""
    laps: dict[str, list[Driven]] = {}
    in_karts: dict[str, dict[RacingNumber, None]] = {}
    for number, kart in known.items():
        for lap in kart.laps:
            if lap.driver is not None:
                laps.setdefault(lap.driver, []).append(lap)
                in_karts.setdefault(lap.driver, {})[number] = None
    return {
        name: DriverStatistics(karts=list(in_karts[name]), **_of_laps(of_driver)) for name, of_driver in laps.items()
    }


def _of_kart(kart: Kart) -> KartStatistics:
    fields = kart.fields
    told = _of_laps(kart.laps)
    if "bestLapMs" in fields:
        told["best_lap_ms"] = fields["bestLapMs"]  # also one from before the kart was first seen
    return KartStatistics(
        position=fields.get("position", UNSET),
        laps=fields.get("laps", UNSET),
        drivers=list(dict.fromkeys(lap.driver for lap in kart.laps if lap.driver is not None)) or UNSET,
        stints=_stints(kart),
        **told,
        **_pits(kart),
    )


def _of_laps(laps: Sequence[Driven]) -> dict[str, Any]:
    """The keys of `LapStatistics`."""
    timed = sum(lap.time is not None and not lap.deleted for lap, _ in laps)
    whole = [lap for lap, _ in laps if lap.whole]
    on_track = [lap.time for lap in whole if lap.time is not None]
    times = clean(laps)
    told: dict[str, Any] = {"timed_laps": timed, "clean_laps": len(times)}
    if on_track:
        told |= {"best_lap_ms": min(on_track), "average_lap_ms": round(fmean(on_track))}
    if times:
        told["median_lap_ms"] = round(median(times))
    if len(times) >= FEWEST_SPREAD:
        lower, _, upper = quantiles(times, n=4, method="inclusive")
        told["spread_ms"] = round(upper - lower)
        told["consistency"] = round(1 - (upper - lower) / median(times), 4)
    if len(times) >= 2 * LAST:
        told["improvement_ms"] = round(median(times[:LAST]) - median(times[-LAST:]))
    best = [
        min((sector for lap in whole if (sector := lap.sectors[n]) is not None), default=None)
        for n in range(len(_SECTORS))
    ]
    told |= {f"best_sector{n}_ms": sector for n, sector in enumerate(best, start=1) if sector is not None}
    if None not in best:
        told["ideal_lap_ms"] = sum(sector for sector in best if sector is not None)
    return told


def _stints(kart: Kart) -> list[StintStatistics]:
    by_stint: dict[int, list[Driven]] = {}
    for lap in kart.laps:
        by_stint.setdefault(lap.lap.stint, []).append(lap)
    names = {stint["stint"]: stint.get("driver") for stint in kart.fields.get("stints", ())}
    told = []
    for number in sorted(by_stint):
        laps, times = by_stint[number], clean(by_stint[number])
        told.append(
            StintStatistics(
                stint=number,
                driver=names.get(number) or laps[-1].driver or UNSET,
                start_lap=laps[0].lap.number,
                end_lap=laps[-1].lap.number,
                laps=len(laps),
                clean_laps=len(times),
                best_lap_ms=min(times, default=UNSET),
                median_lap_ms=round(median(times)) if times else UNSET,
            )
        )
    return told


def _pits(kart: Kart) -> dict[str, Any]:
    """The keys about stops. Of a kart that joined late only a board that counts them tells how many there were."""
    seen = [stop for stop in kart.fields.get("pitStops", ()) if stop.get("stop")]
    took = [stop["laneTimeMs"] for stop in seen if "laneTimeMs" in stop]
    told: dict[str, Any] = {}
    joined_late = bool(kart.laps) and (kart.laps[0].lap.number > 1 or kart.laps[0].lap.missed)
    if not joined_late or (kart.stops is not None and kart.stops != len(seen)):
        told["stops"] = len(seen) if kart.stops is None else kart.stops
    if took:
        told |= {"pit_time_ms": sum(took), "median_stop_ms": round(median(took))}
    return told


# -- how good a kart is --------------------------------------------------------------------


def _last(laps: Sequence[Driven]) -> list[int]:
    """The last five clean laps; none where there are fewer."""
    times = clean(laps)
    return times[-LAST:] if len(times) >= LAST else []


def _field(last: Iterable[list[int]]) -> float | None:
    """The median over karts of the median of their last laps; None of too few karts."""
    medians = [median(times) for times in last if times]
    return median(medians) if len(medians) >= FEWEST_KARTS else None


class _ByStint:
    """Clean laps of every driver, by the kart and stint they were driven in."""

    def __init__(self, known: Mapping[RacingNumber, Kart]) -> None:
        self._times: dict[str, dict[tuple[RacingNumber, int], list[int]]] = {}
        for number, kart in known.items():
            groups: dict[tuple[str, int], list[Driven]] = {}
            for lap in kart.laps:
                if lap.driver is not None:
                    groups.setdefault((lap.driver, lap.lap.stint), []).append(lap)
            for (driver, stint), laps in groups.items():
                self._times.setdefault(driver, {})[number, stint] = clean(laps)

    def against_others(self, kart: Kart) -> float | None:
        """What the kart's last driver does in its last stint as a share of what that driver does elsewhere."""
        last = kart.laps[-1]
        here = (kart.number, last.lap.stint)
        by_stint = self._times.get(last.driver or "", {})
        times = by_stint.get(here, [])
        others = [time for where, told in by_stint.items() if where != here for time in told]
        if len(times) < LAST or len(others) < LAST:
            return None
        return median(times[-LAST:]) / median(others)
