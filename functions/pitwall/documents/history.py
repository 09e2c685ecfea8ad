"""The history: seasons, standings, circuits, drivers, constructors, and what came of a session.

Ids of drivers, constructors and circuits are Ergast's and Jolpica's readable ones, as `max_verstappen`, `red_bull` and
`monza`. No poller writes these documents: `v` counts the changes, and `at` is when the last one was made.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import Document, Fields, Ms, RacingNumber

Date = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}(?!\n)$", description="as YYYY-MM-DD")]
Championship = Literal["drivers", "constructors"]
Excluded = Annotated[
    Literal["D", "E"],
    Meta(description="from the championship, listed last: D disqualified, E excluded; absent: neither"),
]


class HeadToHead(Fields, kw_only=True):
    """Against one team mate."""

    races_ahead: Annotated[int, Meta(description="races both were classified in")]
    races_behind: int
    qualifying_ahead: Annotated[int, Meta(description="where both places in qualifying are known")]
    qualifying_behind: int


class Statistics(Fields, kw_only=True):
    """What was counted; docs/standings.md says how."""

    entries: Annotated[int, Meta(description="rounds with a result, whatever it is")]
    races: Annotated[int, Meta(description="rounds started in; of a constructor, with one car")]
    starts: Annotated[int, Meta(description="of a driver his races, of a constructor its cars in them")]
    finishes: Annotated[int, Meta(description="starts that were classified")]
    retirements: Annotated[int, Meta(description="starts neither classified nor disqualified")]
    disqualifications: int
    wins: int
    podiums: int
    poles: Annotated[int, Meta(description="first places on the grid")]
    fastest_laps: Annotated[int, Meta(description="of races; known since 2004")]
    sprint_wins: int
    points: Annotated[float, Meta(description="every one scored, sprints too, counted by a championship or not")]
    laps: Annotated[int, Meta(description="raced")]
    laps_led: Annotated[int, Meta(description="at the line, in racesWithLaps; absent where that is 0")] | UnsetType = (
        UNSET
    )
    races_with_laps: Annotated[int, Meta(description="races of which is known who led which lap")]
    best_place: Annotated[int, Meta(description="absent: never classified")] | UnsetType = UNSET
    places: Annotated[dict[str, int], Meta(description="how often each was taken, by each of his or its cars")]
    constructors: (
        Annotated[dict[str, int], Meta(description="a driver's races for each; absent of a constructor")] | UnsetType
    ) = UNSET
    team_mates: Annotated[dict[str, HeadToHead], Meta(description="absent of a constructor")] | UnsetType = UNSET


# -- seasons ---------------------------------------------------------------------------------


class SeasonRace(Fields, kw_only=True):
    """A round that was held, or of which only the sprint was yet."""

    round: int
    name: Annotated[str, Meta(description="Azerbaijan Grand Prix, ...")] | UnsetType = UNSET
    date: Date | UnsetType = UNSET
    circuit: Annotated[str, Meta(description="id in `circuits`")] | UnsetType = UNSET
    sprint: Annotated[bool, Meta(description="whether it had one with results")]
    winners: Annotated[list[str], Meta(description="ids of drivers; several who shared the car; none before the race")]


class SeasonDocument(Document, kw_only=True):
    """`seasons/{year}`: the rounds that were held, and who leads. Public.

    The calendar is in `events`, of another owner. A round is here once it has results.
    """

    year: int
    races: Annotated[list[SeasonRace], Meta(description="by round")]
    leading_drivers: Annotated[
        list[str],
        Meta(description="first in the championship after the last round held: champion once the season is over"),
    ]
    leading_constructors: Annotated[list[str], Meta(description="empty before 1958: there was no championship")]


class StandingLine(Fields, kw_only=True):
    """Somebody's place in a championship after a round."""

    id: Annotated[str, Meta(description="of the driver or constructor")]
    position: Annotated[int, Meta(description="shared by who is equal in everything")]
    points: Annotated[float, Meta(description="to the hundredth, as the championship counted them")]
    wins: Annotated[int, Meta(description="races, no sprints")]
    excluded: Excluded | UnsetType = UNSET
    constructors: (
        Annotated[list[str], Meta(description="whom the driver had results for; absent of a constructor")] | UnsetType
    ) = UNSET


class RoundStandings(Fields, kw_only=True):
    """A championship after a round."""

    round: int
    lines: Annotated[list[StandingLine], Meta(description="by position, then id")]


class Name(Fields, kw_only=True):
    """What a table shows of somebody."""

    name: str
    code: Annotated[str, Meta(description="three letters; absent: had none, or a constructor")] | UnsetType = UNSET


class StandingsDocument(Document, kw_only=True):
    """`seasons/{year}/standings/{championship}`: a championship after every round. Public."""

    year: int
    championship: Championship
    rounds: Annotated[list[RoundStandings], Meta(description="those held, in order")]
    names: Annotated[dict[str, Name], Meta(description="of who is listed, where known")]


# -- circuits --------------------------------------------------------------------------------


class TrackPoint(Fields, kw_only=True):
    """A corner, marshalling light or sector on the map."""

    number: int
    letter: Annotated[str, Meta(description="of corners that share a number, as 9A")] | UnsetType = UNSET
    x: Annotated[int, Meta(description="tenths of a metre")]
    y: Annotated[int, Meta(description="tenths of a metre")]
    angle: Annotated[float, Meta(description="degrees, towards its label on the map")] | UnsetType = UNSET
    distance: Annotated[float, Meta(ge=0, description="metres from the start line, along the lap")] | UnsetType = UNSET


class LayoutDocument(Document, kw_only=True):
    """`circuits/{id}/layouts/{year}`: the map of a circuit as it was in a season. Public."""

    circuit: Annotated[str, Meta(description="its id")]
    year: int
    source: Annotated[
        Literal["multiviewer", "positions"], Meta(description="positions: derived from those of cars on clean laps")
    ]
    x: Annotated[list[int], Meta(description="the outline in driving order, tenths of a metre, as `live/positions`")]
    y: Annotated[list[int], Meta(description="as many as `x`")]
    rotation: Annotated[float, Meta(description="degrees to turn it by, to look as it is usually drawn; 0 if derived")]
    length: Annotated[float, Meta(description="metres of the outline, closed")] | UnsetType = UNSET
    corners: Annotated[list[TrackPoint], Meta(description="if derived every bend, counted from the start line on")]
    marshal_lights: Annotated[list[TrackPoint], Meta(description="none if derived")]
    marshal_sectors: Annotated[list[TrackPoint], Meta(description="none if derived")]
    sector_ends: (
        Annotated[list[float], Meta(description="metres from the start line at which sectors 1 and 2 end")] | UnsetType
    ) = UNSET


# -- drivers and constructors ----------------------------------------------------------------


class SeasonStanding(Fields, kw_only=True):
    """How a championship stands for one."""

    round: Annotated[int, Meta(description="the last one held")]
    position: int
    points: Annotated[float, Meta(description="to the hundredth, as the championship counted them")]
    excluded: Excluded | UnsetType = UNSET


class DriverProfileDocument(Document, kw_only=True):
    """`drivers/{id}`: somebody who had a result in Formula 1, and what they counted up. Public."""

    driver: Annotated[str, Meta(description="the id")]
    given_name: str | UnsetType = UNSET
    family_name: str | UnsetType = UNSET
    code: Annotated[str, Meta(description="three letters")] | UnsetType = UNSET
    racing_number: Annotated[RacingNumber, Meta(description="the permanent one")] | UnsetType = UNSET
    aliases: (
        Annotated[
            list[str],
            Meta(description="what else the driver is found by, maybe with others: code, family name and whole name"),
        ]
        | UnsetType
    ) = UNSET
    born: Date | UnsetType = UNSET
    nationality: str | UnsetType = UNSET
    url: Annotated[str, Meta(description="page in Wikipedia")] | UnsetType = UNSET
    seasons: Annotated[list[int], Meta(description="those with a result, in order")]
    statistics: Statistics


class DriverSeasonDocument(Document, kw_only=True):
    """`drivers/{id}/seasons/{year}`: what a driver counted up in a season. Public."""

    driver: Annotated[str, Meta(description="the id")]
    year: int
    standing: (
        Annotated[SeasonStanding, Meta(description="absent: no race with a result of this driver was held yet")]
        | UnsetType
    ) = UNSET
    statistics: Statistics


class ConstructorDocument(Document, kw_only=True):
    """`constructors/{id}`: a constructor, and what it counted up. Public."""

    constructor: Annotated[str, Meta(description="the id")]
    name: str | UnsetType = UNSET
    nationality: str | UnsetType = UNSET
    url: Annotated[str, Meta(description="page in Wikipedia")] | UnsetType = UNSET
    seasons: Annotated[list[int], Meta(description="those with a result, in order")]
    statistics: Statistics


class ConstructorSeasonDocument(Document, kw_only=True):
    """`constructors/{id}/seasons/{year}`: what a constructor counted up in a season. Public."""

    constructor: Annotated[str, Meta(description="the id")]
    year: int
    standing: (
        Annotated[SeasonStanding, Meta(description="absent: there was no championship, or it has nothing that counted")]
        | UnsetType
    ) = UNSET
    statistics: Statistics


# -- results ---------------------------------------------------------------------------------


class FastestLap(Fields, kw_only=True):
    """The fastest lap of a car in a race or sprint."""

    rank: Annotated[int, Meta(description="among the cars: 1 has the fastest of all")] | UnsetType = UNSET
    lap: int | UnsetType = UNSET
    lap_time_ms: Ms | UnsetType = UNSET
    average_speed_kph: Annotated[float, Meta(description="km/h")] | UnsetType = UNSET


class ResultDocument(Document, kw_only=True):
    """`sessions/{k}/results/{racingNumber}`: the official result of a car in a race, sprint or qualifying. Public.

    Drivers who shared a car have one each, and so has a car of unknown number: the id is then of the driver.
    """

    racing_number: Annotated[RacingNumber, Meta(description="absent: unknown")] | UnsetType = UNSET
    driver: Annotated[str, Meta(description="id in `drivers`")]
    constructor: Annotated[str, Meta(description="id in `constructors`")]
    code: Annotated[str, Meta(description="three letters")] | UnsetType = UNSET
    order: Annotated[int, Meta(ge=1, description="where it is listed")]
    position: Annotated[int, Meta(ge=1, description="the classified place; absent: not classified")] | UnsetType = UNSET
    position_text: Annotated[
        str,
        Meta(
            description="the place, or R retired, N not classified, D disqualified, E excluded, F failed to qualify, "
            "W withdrawn"
        ),
    ]
    points: Annotated[float, Meta(description="to the hundredth; absent of qualifying")] | UnsetType = UNSET
    grid: Annotated[int, Meta(ge=0, description="0: from the pit lane, or not known")] | UnsetType = UNSET
    laps: Annotated[int, Meta(ge=0, description="completed")] | UnsetType = UNSET
    status: Annotated[str, Meta(description="Finished, Lapped, or why not, in the source's words")] | UnsetType = UNSET
    time_ms: Annotated[Ms, Meta(description="of the race")] | UnsetType = UNSET
    gap_ms: Annotated[Ms, Meta(description="behind the winner, on the same lap")] | UnsetType = UNSET
    laps_down: Annotated[int, Meta(ge=1, description="behind the winner, if classified")] | UnsetType = UNSET
    fastest_lap: FastestLap | UnsetType = UNSET
    q1_ms: Annotated[Ms, Meta(description="best lap of the first part of qualifying")] | UnsetType = UNSET
    q2_ms: Annotated[Ms, Meta(description="of the second part")] | UnsetType = UNSET
    q3_ms: Annotated[Ms, Meta(description="of the third part")] | UnsetType = UNSET


class CountedResult(Fields, kw_only=True):
    """A result as it was counted; the keys are those of `sessions/{k}/results`."""

    driver: str
    constructor: str
    order: int
    position: int | UnsetType = UNSET
    position_text: str
    points: float
    racing_number: RacingNumber | UnsetType = UNSET
    grid: int
    laps: int
    status: str | UnsetType = UNSET
    fastest_lap_rank: int | UnsetType = UNSET


class ContributionDocument(Document, kw_only=True):
    """`contributions/{year}-{round}`: what a round has brought to standings and statistics. Private.

    Its results as they were counted, and how much of everybody's statistics is from them: what is to be taken off when
    they change.
    """

    year: int
    round: int
    results: list[CountedResult]
    sprint: list[CountedResult]
    qualifying: Annotated[dict[str, int], Meta(description="places by driver; empty if not known")]
    laps_led: Annotated[dict[str, int], Meta(description="by driver; absent: not known")] | UnsetType = UNSET
    by_driver: dict[str, Statistics]
    by_constructor: dict[str, Statistics]
