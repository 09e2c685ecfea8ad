"""What Jolpica tells of a season, made into what documents are made of. Pure: no I/O, no clock.

Results, names and races; laps where F1 has no archive; events and sessions of the seasons before that archive. What
cannot be used, and what was put right, is told in words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from pitwall.documents import paths
from pitwall.documents.base import SCHEMA_VERSION, Document
from pitwall.documents.drivers import Lap, LapDocument
from pitwall.documents.schedule import EventDocument, ScheduledSession
from pitwall.documents.session import Country, Meeting, SessionDocument
from pitwall.history.jolpica import QualifyingResult, Race, RaceResult, result_of
from pitwall.history.jolpica import rounds as rounds_of
from pitwall.history.meetings import usual_length
from pitwall.history.season_documents import (
    Constructor,
    Driver,
    Finish,
    Known,
    Qualified,
    qualifying_results,
    race_results,
)
from pitwall.history.season_documents import Race as KnownRace
from pitwall.history.standings import Round

FIRST_LAPS: Final = 1996
FIRST_QUALIFYING: Final = 1994
FIRST_SPRINT: Final = 2021
"""Seasons from which on Jolpica has lap times, qualifying, and sprints."""
RACE: Final = "Race"
SPRINT: Final = "Sprint"
QUALIFYING: Final = "Qualifying"
SPRINT_QUALIFYING: Final = ("Sprint Shootout", "Sprint Qualifying")

_TIME: Final = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d{1,3})\.(\d{3})")

Documents = dict[str, Document]


class Season(NamedTuple):
    """The lists of a season, or of some of its rounds; None: was not asked for, or could not be read."""

    results: Sequence[Race] | None = None
    sprints: Sequence[Race] | None = None
    qualifying: Sequence[Race] | None = None

    @property
    def races(self) -> list[Race]:
        """Everything that was told of any round."""
        return [race for told in self for race in told or ()]

    def of(self, told: Sequence[Race] | None, round_: int) -> Race | None:
        """A round of one of the lists."""
        return next((race for race in told or () if race.round == round_), None)


class Entrant(NamedTuple):
    """Who drove a car, as Jolpica calls them."""

    driver: str
    constructor: str
    code: str


class Told(NamedTuple):
    """Documents by path, what was put right on the way, and what could not be used."""

    documents: Documents
    repaired: list[str]
    refused: list[str]


def milliseconds(text: str) -> int | None:
    """`1:43:44.291`, `1:45.412` or `59.037`; None for "" and anything else."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds, thousandths = (int(part or 0) for part in found.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


# -- a season --------------------------------------------------------------------------------


def known(races: Iterable[Race]) -> Known:
    """Who and what is named in the lists of a season."""
    drivers: dict[str, Driver] = {}
    constructors: dict[str, Constructor] = {}
    listed: dict[tuple[int, int], KnownRace] = {}
    for race in races:
        listed[race.season, race.round] = KnownRace(
            name=race.race_name, date=race.date.isoformat(), circuit=race.circuit.circuit_id
        )
        results: tuple[RaceResult | QualifyingResult, ...] = (
            *race.results,
            *race.sprint_results,
            *race.qualifying_results,
        )
        for result in results:
            who, team = result.driver, result.constructor
            drivers[who.driver_id] = Driver(
                given_name=who.given_name or UNSET,
                family_name=who.family_name or UNSET,
                code=who.code or UNSET,
                racing_number=who.permanent_number or UNSET,
                born=who.date_of_birth.isoformat() if who.date_of_birth is not None else UNSET,
                nationality=who.nationality or UNSET,
                url=who.url or UNSET,
            )
            constructors[team.constructor_id] = Constructor(
                name=team.name or UNSET, nationality=team.nationality or UNSET, url=team.url or UNSET
            )
    return Known(drivers=drivers, constructors=constructors, races=listed)


def rounds(season: Season, before: Mapping[int, Round], led: Mapping[int, Mapping[str, int]]) -> list[Round]:
    """The rounds that are told of, as they are to be counted.

    before: as they were counted, for the lists that are not known. led: laps led by driver, where they are known now.
    """
    every = {race.round: replace(race, results=(), sprint_results=(), qualifying_results=()) for race in season.races}
    results = {**every, **{race.round: race for race in season.results or ()}}
    found = []
    for one in rounds_of(results.values(), season.sprints or (), season.qualifying or ()):
        counted = before.get(one.number)
        if counted is not None:
            one = replace(
                one,
                results=counted.results if season.results is None else one.results,
                sprint=counted.sprint if season.sprints is None else one.sprint,
                qualifying=counted.qualifying if season.qualifying is None else one.qualifying,
                laps_led=counted.laps_led,
            )
        found.append(replace(one, laps_led=led.get(one.number, one.laps_led)))
    return found


def entrants(season: Season, round_: int) -> dict[str, Entrant]:
    """Who drove which car in a round, by racing number; the sprint goes before, as who is asked for drove there."""
    found: dict[str, Entrant] = {}
    for told in (season.results, season.qualifying, season.sprints):
        race = season.of(told, round_)
        listed: Sequence[RaceResult | QualifyingResult] = (
            (*race.results, *race.qualifying_results, *race.sprint_results) if race is not None else ()
        )
        for result in listed:
            if result.number:
                found[result.number] = Entrant(
                    result.driver.driver_id, result.constructor.constructor_id, result.driver.code
                )
    return found


# -- results ---------------------------------------------------------------------------------


def of_race(session: str, results: Sequence[RaceResult], cars: Mapping[str, str], at: datetime) -> Told:
    """The results of a race or sprint. cars: three letters by racing number, as F1 has them; empty: not known."""
    repaired: list[str] = []
    refused: list[str] = []
    finishes = []
    for result in results:
        number = _number(result, cars, repaired)
        fastest = result.fastest_lap
        finishes.append(
            Finish(
                result=replace(result_of(result), number=number),
                code=result.driver.code or None,
                time_ms=_race_time(result, results[0], refused),
                fastest_lap=fastest.lap if fastest is not None else None,
                fastest_lap_ms=_lap_time(fastest.time.time, f"fastest lap of {result.driver.driver_id}", refused)
                if fastest is not None
                else None,
                average_speed_kph=fastest.average_speed.speed
                if fastest is not None and fastest.average_speed is not None
                else None,
            )
        )
    return Told(race_results(session, finishes, at), repaired, refused)


def of_qualifying(session: str, results: Sequence[QualifyingResult], cars: Mapping[str, str], at: datetime) -> Told:
    """The results of qualifying. cars: as in `of_race`."""
    repaired: list[str] = []
    refused: list[str] = []
    qualified = []
    for result in results:
        q1, q2, q3 = (
            _lap_time(text, f"Q{part} of {result.driver.driver_id}", refused)
            for part, text in enumerate((result.q1, result.q2, result.q3), start=1)
        )
        qualified.append(
            Qualified(
                driver=result.driver.driver_id,
                constructor=result.constructor.constructor_id,
                position=result.position,
                number=_number(result, cars, repaired),
                code=result.driver.code or None,
                parts_ms=(q1, q2, q3),
            )
        )
    return Told(qualifying_results(session, qualified, at), repaired, refused)


def of_timing(session: str, cars: Iterable[Mapping[str, Any]], who: Mapping[str, Entrant], at: datetime) -> Told:
    """The results of what decides a sprint's grid, which Jolpica does not have: places and bests as F1's timing ends.

    cars: `sessions/{k}/drivers/*`. who: `entrants` of the round.
    """
    refused: list[str] = []
    qualified = []
    for car in sorted(cars, key=lambda car: car.get("position", 0)):
        number = car["racingNumber"]
        if number not in who or "position" not in car:
            refused.append(f"car {number} has no place" if number in who else f"nobody is known to drive car {number}")
            continue
        best = car.get("bestByPart", {})
        q1, q2, q3 = (best.get(part, {}).get("lapTimeMs") for part in ("1", "2", "3"))
        qualified.append(
            Qualified(
                driver=who[number].driver,
                constructor=who[number].constructor,
                position=car["position"],
                number=number,
                code=who[number].code or None,
                parts_ms=(q1, q2, q3),
            )
        )
    return Told(qualifying_results(session, qualified, at), [], refused)


def _number(result: RaceResult | QualifyingResult, cars: Mapping[str, str], repaired: list[str]) -> str:
    """The car's number: F1's, where Jolpica has one that nobody drove with and the three letters tell whose it is."""
    if not cars or result.number in cars or not result.driver.code:
        return result.number
    theirs = [number for number, code in cars.items() if code == result.driver.code]
    if len(theirs) != 1:
        return result.number
    repaired.append(f"{result.driver.driver_id} drove car {theirs[0]}, Jolpica has {result.number or 'none'}")
    return theirs[0]


def _race_time(result: RaceResult, first: RaceResult, refused: list[str]) -> int | None:
    """Milliseconds of the whole race."""
    if result.time is None:
        return None
    if result.time.millis is not None:
        return result.time.millis
    text = result.time.time
    if not text.startswith("+"):
        return _lap_time(text, f"time of {result.driver.driver_id}", refused)
    gap = milliseconds(text[1:])
    if gap is None or first.time is None or first.time.millis is None:
        return None  # one lap down, in words
    return first.time.millis + gap


def _lap_time(text: str, whose: str, refused: list[str]) -> int | None:
    found = milliseconds(text)
    if found is None and text:
        refused.append(f"{whose}: {text!r} is no time")
    return found


# -- laps ------------------------------------------------------------------------------------


def laps(session: str, race: Race, who: Mapping[str, str], at: datetime) -> Told:
    """The laps of a race, with everybody's time and place. who: racing number by driver."""
    refused: list[str] = []
    made: Documents = {}
    for lap in race.laps:
        drivers: dict[str, Lap] = {}
        for timing in lap.timings:
            number = who.get(timing.driver_id)
            if number is None or number in drivers:
                told = "has no car" if number is None else "is there twice"
                refused.append(f"lap {lap.number}: {timing.driver_id} {told}")
                continue
            found = _lap_time(timing.time, f"lap {lap.number} of {timing.driver_id}", refused)
            drivers[number] = Lap(
                lap_time_ms=UNSET if found is None else found,
                position=UNSET if timing.position is None else timing.position,
            )
        made[paths.lap(session, lap.number)] = LapDocument(at=at, lap=lap.number, drivers=drivers)
    return Told(made, [], refused)


def laps_led(laps: Iterable[Mapping[str, Any]], drivers: Mapping[str, str]) -> dict[str, int]:
    """Laps at whose end a driver was first. laps: `sessions/{k}/laps/*`. drivers: by racing number."""
    led: Counter[str] = Counter()
    for lap in laps:
        for number, car in lap.get("drivers", {}).items():
            if car.get("position") == 1 and number in drivers:
                led[drivers[number]] += 1
    return dict(sorted(led.items()))


# -- before F1's archive ---------------------------------------------------------------------


def key_of(year: int, round_: int, name: str) -> str:
    """The key of a session that has none of F1's: `f1-1988-4-race`."""
    return f"f1-{year}-{round_}-{name.lower().replace(' ', '-')}"


def event(race: Race, qualifying: bool, at: datetime) -> EventDocument:
    """The event of a round of which only Jolpica knows. qualifying: whether that has results."""
    sessions = [_scheduled(race, RACE, _start(race.date, race.time))]
    if qualifying:
        told = race.qualifying_start
        sessions.insert(0, _scheduled(race, QUALIFYING, _start(told.date, told.time) if told else None))
    return EventDocument(
        at=at,
        year=race.season,
        round=race.round,
        name=race.race_name,
        country=race.circuit.location.country or UNSET,
        location=race.circuit.location.locality or UNSET,
        format="conventional",
        start_date=min(session.start_date for session in sessions),
        end_date=max(session.end_date for session in sessions),
        sessions=sessions,
    )


def session(of: ScheduledSession, meeting: EventDocument, at: datetime, *, final: bool) -> SessionDocument:
    """What is known of a session without its timing."""
    country = meeting.country
    return SessionDocument(
        at=at,
        series="f1",
        feed_id="f1",
        year=of.year,
        round=of.round,
        meeting=Meeting(
            key=meeting.meeting_key,
            name=meeting.name,
            official_name=meeting.official_name,
            location=meeting.location,
            country=UNSET if isinstance(country, UnsetType) else Country(name=country),
        ),
        type=of.type,
        name=of.name,
        start_date=of.start_date,
        end_date=of.end_date,
        gmt_offset=of.gmt_offset,
        archive_path=of.archive_path,
        final=final,
        schema_version=SCHEMA_VERSION,
    )


def _scheduled(race: Race, name: str, when: tuple[datetime, datetime] | None) -> ScheduledSession:
    start, end = when or _start(race.date - timedelta(days=1), None)
    return ScheduledSession(
        session_key=key_of(race.season, race.round, name),
        year=race.season,
        round=race.round,
        meeting=race.race_name,
        location=race.circuit.location.locality or UNSET,
        type=name,
        name=name,
        start_date=start,
        end_date=end,
    )


def _start(day: Any, at: time | None) -> tuple[datetime, datetime]:
    """From when to when a session is; the whole day in UTC if no time is known."""
    if at is None:
        start = datetime.combine(day, time(), UTC)
        return start, start + timedelta(days=1)
    start = datetime.combine(day, at.replace(tzinfo=UTC))
    return start, start + usual_length(RACE, testing=False)
