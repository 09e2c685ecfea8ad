"""`sessions/{sessionKey}`: what a session is and how it stands."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import SCHEMA_VERSION, Document, Fields, Instant, Ms, RacingNumber

Series = Annotated[str, Meta(description="f1, kart, ...")]


class Country(Fields, kw_only=True):
    code: Annotated[str, Meta(description="three letters, as the feed has it")] | UnsetType = UNSET
    name: str | UnsetType = UNSET


class Circuit(Fields, kw_only=True):
    key: Annotated[str, Meta(description="the feed's circuit key")] | UnsetType = UNSET
    short_name: str | UnsetType = UNSET


class Meeting(Fields, kw_only=True):
    key: Annotated[str, Meta(description="the feed's meeting key")] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    official_name: str | UnsetType = UNSET
    location: str | UnsetType = UNSET
    country: Country | UnsetType = UNSET
    circuit: Circuit | UnsetType = UNSET


class LapCount(Fields, kw_only=True):
    current: Annotated[int, Meta(description="lap the leader is on")] | UnsetType = UNSET
    total: int | UnsetType = UNSET


class TrackStatus(Fields, kw_only=True):
    code: Annotated[
        str,
        Meta(description="1 clear, 2 yellow, 4 safety car, 5 red, 6 virtual safety car, 7 virtual safety car ending"),
    ]
    message: str | UnsetType = UNSET


class Clock(Fields, kw_only=True):
    remaining_ms: Annotated[
        Ms, Meta(description="time left at `at`, milliseconds; while running, count down from there")
    ]
    running: bool
    at: Instant


class Weather(Fields, kw_only=True):
    air_temp: Annotated[float, Meta(description="degrees Celsius")] | UnsetType = UNSET
    track_temp: Annotated[float, Meta(description="degrees Celsius")] | UnsetType = UNSET
    humidity: Annotated[float, Meta(description="per cent")] | UnsetType = UNSET
    pressure: Annotated[float, Meta(description="hectopascal")] | UnsetType = UNSET
    rainfall: bool | UnsetType = UNSET
    wind_direction: Annotated[int, Meta(description="degrees the wind comes from")] | UnsetType = UNSET
    wind_speed_kph: Annotated[float, Meta(description="km/h; the feed gives m/s")] | UnsetType = UNSET


class Qualifying(Fields, kw_only=True):
    part: Annotated[int, Meta(description="1, 2 or 3: Q1, Q2, Q3")] | UnsetType = UNSET
    entries: (
        Annotated[list[int], Meta(description="how many cars take part in each part, first part first")] | UnsetType
    ) = UNSET
    cut_off_ms: (
        Annotated[Ms, Meta(description="lap time of the last car that would go through, milliseconds")] | UnsetType
    ) = UNSET


class SessionDocument(Document, kw_only=True):
    """`sessions/{sessionKey}`: what a session is and how it stands. Owner: the writer for `timing`."""

    series: Series
    feed_id: str
    year: int | UnsetType = UNSET
    round: Annotated[int, Meta(description="number of the meeting in the season")] | UnsetType = UNSET
    meeting: Meeting | UnsetType = UNSET
    type: Annotated[str, Meta(description="Practice, Qualifying or Race (a sprint is a Race)")] | UnsetType = UNSET
    name: Annotated[str, Meta(description="Practice 1, Sprint Qualifying, Sprint, Race, ...")] | UnsetType = UNSET
    status: (
        Annotated[str, Meta(description="the feed's word: Inactive, Started, Aborted, Finished, Finalised, Ends")]
        | UnsetType
    ) = UNSET
    start_date: Annotated[Instant, Meta(description="scheduled start, UTC")] | UnsetType = UNSET
    end_date: Annotated[Instant, Meta(description="scheduled end, UTC")] | UnsetType = UNSET
    gmt_offset: Annotated[str, Meta(description="of the circuit, as [-]HH:MM:SS")] | UnsetType = UNSET
    archive_path: (
        Annotated[str, Meta(description="path under F1's static archive, with a slash at the end")] | UnsetType
    ) = UNSET
    lap_count: LapCount | UnsetType = UNSET
    track_status: TrackStatus | UnsetType = UNSET
    clock: Clock | UnsetType = UNSET
    weather: Weather | UnsetType = UNSET
    qualifying: Qualifying | UnsetType = UNSET
    final: Annotated[bool, Meta(description="true once the archive has confirmed the session")]
    schema_version: int


class RaceControlDocument(Document, kw_only=True):
    """`sessions/{k}/raceControl/{n}`: one message of race control; `at` is when it was sent."""

    n: Annotated[int, Meta(description="the feed's own list index")]
    message: str
    lap: int | UnsetType = UNSET
    category: Annotated[str, Meta(description="Flag, SafetyCar, Drs, CarEvent, Other, ...")] | UnsetType = UNSET
    flag: (
        Annotated[str, Meta(description="GREEN, YELLOW, DOUBLE YELLOW, RED, BLUE, CLEAR, CHEQUERED, ...")] | UnsetType
    ) = UNSET
    scope: Annotated[str, Meta(description="Track, Sector or Driver")] | UnsetType = UNSET
    sector: Annotated[int, Meta(description="marshalling sector")] | UnsetType = UNSET
    racing_number: RacingNumber | UnsetType = UNSET
    status: str | UnsetType = UNSET
    mode: str | UnsetType = UNSET


class WeatherDocument(Document, kw_only=True):
    """`sessions/{k}/weather/{n}`: one weather report."""

    n: int
    weather: Weather


class TrackStatusDocument(Document, kw_only=True):
    """`sessions/{k}/trackStatus/{n}`: one change of the track's status."""

    n: int
    code: Annotated[str, Meta(description="as in the session's trackStatus")]
    message: str | UnsetType = UNSET


class SessionStatusDocument(Document, kw_only=True):
    """`sessions/{k}/sessionStatus/{n}`: one change of the session's status."""

    n: int
    status: Annotated[str, Meta(description="as in the session's status")]


class TeamRadioDocument(Document, kw_only=True):
    """`sessions/{k}/teamRadio/{n}`: one radio message; `at` is when it was sent."""

    n: Annotated[int, Meta(description="the feed's own list index")]
    racing_number: RacingNumber
    path: Annotated[str, Meta(description="of the recording, under the session's archivePath")]


class GapDocument(Document, kw_only=True):
    """`sessions/{k}/gaps/{n}`: a time in which messages of the feed may have been missed, and what they took along.

    What the feed's snapshot gave back afterwards is in its place; what it did not is named here.
    """

    n: int
    start_date: Annotated[Instant, Meta(description="instant of the last message before")]
    end_date: Annotated[Instant, Meta(description="instant of the first message after")]
    reason: Annotated[str, Meta(description="why, in plain words")] | UnsetType = UNSET
    merged: Annotated[bool, Meta(description="whether the feed's snapshot has come since; until then nothing is back")]
    laps: Annotated[
        dict[RacingNumber, list[int]],
        Meta(
            description="laps of each car that lack something the feed did not send again, or have what it sent only "
            "in part; marked `missed` in their own document"
        ),
    ]
    series: Annotated[
        list[str],
        Meta(description="collections of the session of which items may be missing: the feed has only the last one"),
    ]
    withheld: (
        Annotated[
            list[str],
            Meta(
                description="topics of the feed told before that were not in the snapshot, as when the login to them "
                "has expired: what only they tell is missing from here on, until a later gap's snapshot has them"
            ),
        ]
        | UnsetType
    ) = UNSET


LapTimeSource = Literal["feed", "derived", "archive"]

__all__ = [
    "SCHEMA_VERSION",
    "Circuit",
    "Clock",
    "Country",
    "GapDocument",
    "LapCount",
    "LapTimeSource",
    "Meeting",
    "Qualifying",
    "RaceControlDocument",
    "SessionDocument",
    "SessionStatusDocument",
    "TeamRadioDocument",
    "TrackStatus",
    "TrackStatusDocument",
    "Weather",
    "WeatherDocument",
]
