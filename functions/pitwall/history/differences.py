"""What has to be written so that a session's stored documents say what its archive says. Pure: no I/O, no clock.

The archive is taken at its word, with four exceptions:

- What the archive has no topic for is kept: a kind of document, or single fields of one (`_OWNERS`, `_KEPT_WITHOUT`).
- What a document leaves out because it is not known (a name, a grid place) contradicts nothing: what only
  live knew is kept (`_UNKNOWN`). Anything else that the archive leaves out is not so: a lap it lacks was not driven.
- A stored instant within 3 s of the archive's is kept; so is a duration that was counted between two such instants.
- A lap time that live had otherwise, or did not have, is the archive's, and its `timeSource` says so.

An item of a series (race control, weather, ...) is replaced whole, and what is stored beyond the archive's items is
deleted, as are gaps that the archive has filled. The state of the connection, mini-sectors, positions, telemetry (of
all cars, of one) and kept towers are of the moment: they are neither compared nor touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from pitwall.documents.encoding import rfc3339
from pitwall.documents.job import KindChanges
from pitwall.documents.paths import kind_of
from pitwall.message import FEED_GAP

Fields = dict[str, Any]

SAME_INSTANT: Final = timedelta(seconds=3)
"""Live's instants and the archive's are of two clocks; what is this near is the same instant."""
_SAME_DURATION_MS: Final = 3_000

OF_THE_MOMENT: Final = frozenset({"segments", "positions", "telemetry", "carTelemetry", "feed", "tower", "endurance"})
"""Kinds of documents that a session's record does not need, or that no session of F1 has."""
SERIES: Final = ("raceControl", "weather", "trackStatus", "sessionStatus", "teamRadio")
GAPS: Final = "gaps"
"""Collection of the gaps."""

_TIMING: Final = frozenset({"TimingData", "TimingDataF1"})
_TRACK: Final = frozenset({"TrackStatus", "SessionData"})
_STATUS: Final = frozenset({"SessionStatus", "SessionData", "SessionInfo"})
_TYRES: Final = frozenset({"TimingAppData"})
_OWNERS: Final[dict[str, frozenset[str]]] = {
    "timing": _TIMING,
    "tyres": _TIMING,
    "driver": _TIMING | {"DriverList"},
    "lap": _TIMING,
    "entries": frozenset({"DriverList"}),
    "raceControl": frozenset({"RaceControlMessages"}),
    "weather": frozenset({"WeatherData"}),
    "trackStatus": _TRACK,
    "sessionStatus": _STATUS,
    "teamRadio": frozenset({"TeamRadio"}),
    "gap": frozenset({FEED_GAP}),
}
"""Topics that tell a kind of document; an archive with none of them says nothing about it. The session has many."""

_IDENTITY: Final = frozenset(
    {"tla", "broadcastName", "fullName", "firstName", "lastName", "reference"}
    | {"countryCode", "teamName", "teamColour", "headshotUrl"}
)
_DESCRIPTION: Final = frozenset(
    {"year", "round", "meeting", "type", "name", "startDate", "endDate", "gmtOffset", "archivePath"}
)

_UNKNOWN: Final[dict[str, frozenset[str]]] = {
    "session": _DESCRIPTION,
    "driver": _IDENTITY | {"grid"},
    "entries": _IDENTITY | {"grid"},
}
"""Fields whose absence says nothing, and that a hole in what live heard cannot have made wrong. A lap has none."""

_KEPT_WITHOUT: Final[dict[str, tuple[tuple[frozenset[str], frozenset[str]], ...]]] = {
    "session": (
        (frozenset({"LapCount", "SessionData"}), frozenset({"lapCount"})),
        (_TRACK, frozenset({"trackStatus"})),
        (_STATUS, frozenset({"status"})),
        (frozenset({"ExtrapolatedClock"}), frozenset({"clock"})),
        (frozenset({"WeatherData"}), frozenset({"weather"})),
        (_TIMING | {"SessionData"}, frozenset({"qualifying"})),
    ),
    "driver": (
        (_TYRES, frozenset({"stints"})),
        (_TIMING, frozenset({"position", "laps", "bestLapMs", "bestLap", "bestByPart", "pitStops", "status"})),
    ),
    "tyres": ((_TYRES, frozenset({"compound", "age", "new", "stint"})),),
    "lap": (
        (_TYRES, frozenset({"stint", "compound", "tyreAge", "tyreNew"})),
        (_TRACK, frozenset({"trackStatuses"})),
        (frozenset({"RaceControlMessages"}), frozenset({"deleted", "deletedReason"})),
    ),
}
"""Fields that are kept as they are stored if the archive has none of the topics before them."""

_LANE_TIMES: Final = frozenset({"PitLaneTimeCollection", "PitStopSeries"})
_RECORDS: Final = {"lap": "drivers", "entries": "lines", "tyres": "lines", "timing": "lines"}
"""Where documents have one record a car."""

EXAMPLES: Final = 20
FIELD_NAMES: Final = 20
_EXAMPLE_LENGTH: Final = 200


class Archived(NamedTuple):
    """A session as its archive tells it.

    documents: fields by path, as they are stored, without `v` and `writtenAt`. topics: what the archive has at all.
    messages: how many were played. at: the latest instant, ms.
    """

    session: str
    documents: dict[str, Fields]
    topics: frozenset[str]
    messages: int
    at: int


class Difference(NamedTuple):
    """A document that is not as the archive has it.

    fields: what is to be stored; None: it is to be deleted. stored: what is, None: nothing.
    """

    path: str
    kind: str
    fields: Fields | None
    stored: Fields | None


def differences(archived: Archived, stored: Mapping[str, Fields], *, live: bool) -> list[Difference]:
    """What has to be written or deleted, sorted by path; nothing when it has been written.

    stored: the session's documents by path. live: the session was recorded live, so that what is not stored was lost.
    """
    found = []
    for path, fields in archived.documents.items():
        kind = kind_of(path).name
        if not tells(kind, archived.topics):
            continue
        before = own(stored[path]) if path in stored else None
        wanted = corrected(kind, before, fields, archived.topics, live=live)
        if wanted != before:
            found.append(Difference(path, kind, wanted, before))
    for path in stored.keys() - archived.documents.keys():
        kind, before = kind_of(path).name, own(stored[path])
        if kind == "gap":
            left = _unfilled(before, archived.topics)
            if left != before:
                found.append(Difference(path, kind, left, before))
        elif kind in ("driver", "lap", *SERIES) and tells("lap" if kind == "driver" else kind, archived.topics):
            found.append(Difference(path, kind, None, before))
    return sorted(found, key=lambda difference: difference.path)


def tells(kind: str, topics: frozenset[str]) -> bool:
    """Whether an archive with these topics says anything about a kind of document."""
    return kind not in OF_THE_MOMENT and (kind == "session" or not _OWNERS[kind].isdisjoint(topics))


def _unfilled(gap: Fields, topics: frozenset[str]) -> Fields | None:
    """What a gap still lacks once the archive has given what it has; None: nothing."""
    if not tells("lap", topics):
        return gap
    series = [name for name in gap.get("series", ()) if name in SERIES and not tells(name, topics)]
    return {**gap, "laps": {}, "series": series} if series else None


def own(fields: Fields) -> Fields:
    """The fields of a stored document without what the writer added."""
    return {key: value for key, value in fields.items() if key not in ("v", "writtenAt")}


def corrected(kind: str, stored: Fields | None, archived: Fields, topics: frozenset[str], *, live: bool) -> Fields:
    """The value of a document that is to be stored: equal to `stored` if there is nothing to correct.

    kind: as in `paths.KINDS`. topics: what the archive has. live: see `differences`.
    """
    if stored is None:
        stored = {}
    if kind in (*SERIES, "gap"):
        same = stored.keys() == archived.keys() and all(
            _same(stored[key], value) if key == "at" else stored[key] == value for key, value in archived.items()
        )
        return stored if same else archived
    value: Fields = _with_stored_instants(stored, archived)
    if "at" in stored and any(owners.isdisjoint(topics) for owners, _ in _KEPT_WITHOUT.get(kind, ())):
        value["at"] = max(stored["at"], value["at"])  # of a document of which live knew more
    if kind == "session":
        value["final"] = stored.get("final", False)
    if kind == "driver":
        known = {stop.get("lap"): stop for stop in stored.get("pitStops", ())}
        value["pitStops"] = [_pit_stop(known.get(stop.get("lap"), {}), stop, topics) for stop in archived["pitStops"]]
    records = _RECORDS.get(kind)
    if records is None:
        _complete(kind, stored, value, topics)
    else:
        before = _mapping(stored.get(records))
        for number, record in value[records].items():
            _complete(kind, _mapping(before.get(number)), record, topics)
    if kind == "lap":
        for number, lap in value["drivers"].items():
            _lap_time(_mapping(_mapping(stored.get("drivers")).get(number)), lap, live=live)
    return value


def _with_stored_instants(stored: Any, archived: Any) -> Any:
    """The archive's value, with the stored instants where they are the same."""
    if isinstance(archived, datetime):
        return stored if _same(stored, archived) else archived
    if isinstance(archived, dict):
        known = _mapping(stored)
        return {key: _with_stored_instants(known.get(key), value) for key, value in archived.items()}
    return archived


def _same(stored: Any, archived: datetime) -> bool:
    return isinstance(stored, datetime) and abs(stored - archived) <= SAME_INSTANT


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _complete(kind: str, stored: Mapping[str, Any], value: Fields, topics: frozenset[str]) -> None:
    """Gives a record what only live knew."""
    for key in _UNKNOWN.get(kind, ()):
        if key in stored:
            value[key] = _completed(stored[key], value.get(key))
    for owners, keys in _KEPT_WITHOUT.get(kind, ()):
        if owners.isdisjoint(topics):
            value.update({key: stored[key] for key in keys if key in stored})


def _completed(stored: Any, archived: Any) -> Any:
    """The archive's value with the keys that it does not have."""
    if isinstance(stored, dict) and isinstance(archived, dict):
        missing = {key: value for key, value in stored.items() if key not in archived}
        return {**{key: _completed(stored.get(key), value) for key, value in archived.items()}, **missing}
    return stored if archived is None else archived


def _lap_time(stored: Mapping[str, Any], lap: Fields, *, live: bool) -> None:
    """The lap's time and where it comes from."""
    time, before = lap.get("lapTimeMs"), stored.get("lapTimeMs")
    if time is None:
        return
    if (
        before is not None
        and stored.get("timeSource") == lap.get("timeSource") == "derived"
        and "missed" not in stored
        and abs(time - before) <= _SAME_DURATION_MS
        and all(lap.get(key) == stored.get(key) for key in ("startedAt", "endedAt"))
    ):
        lap["lapTimeMs"] = before
    elif before != time:
        if live:
            lap["timeSource"] = "archive"
    elif stored.get("timeSource") == "archive":
        lap["timeSource"] = "archive"


def _pit_stop(stored: Mapping[str, Any], archived: Fields, topics: frozenset[str]) -> Fields:
    """A visit to the pits; keeps the time in the lane if it was counted between kept instants, or only told live."""
    stop: Fields = _with_stored_instants(stored, archived)
    if _counted(stored) and _counted(archived) and all(stop[key] == stored[key] for key in ("inAt", "outAt")):
        stop["laneTimeMs"] = stored["laneTimeMs"]
    elif _LANE_TIMES.isdisjoint(topics):
        told = ("stopTimeMs",) if _counted(stored) else ("laneTimeMs", "stopTimeMs")
        stop.update({key: stored[key] for key in told if key in stored})
    return stop


def _counted(stop: Mapping[str, Any]) -> bool:
    """Whether the time in the lane is the time between the car's instants, and not one that was told."""
    lane: Any
    came: Any
    left: Any
    lane, came, left = stop.get("laneTimeMs"), stop.get("inAt"), stop.get("outAt")
    return None not in (lane, came, left) and bool(left - came == timedelta(milliseconds=lane))


# -- in words ------------------------------------------------------------------------------


def summary(found: Iterable[Difference]) -> dict[str, KindChanges]:
    """What differs, by kind, bounded. Of laps those of each car are counted, of all else documents."""
    kinds: dict[str, KindChanges] = {}
    names: dict[str, Counter[str]] = {}
    for difference in found:
        told = kinds.setdefault(difference.kind, KindChanges(added=0, changed=0, removed=0, fields={}, examples=[]))
        for label, before, after in _units(difference):
            changed = sorted(_leaves(before, after)) if before is not None and after is not None else []
            if before is None:
                told.added += 1
            elif after is None:
                told.removed += 1
            else:
                told.changed += 1
                names.setdefault(difference.kind, Counter()).update({name.rpartition(".")[2] for name, _, _ in changed})
            if len(told.examples) < EXAMPLES:
                told.examples.append(_line(label, before, after, changed)[:_EXAMPLE_LENGTH])
    for kind, counted in names.items():
        kinds[kind].fields = dict(counted.most_common(FIELD_NAMES))
    return kinds


def _units(difference: Difference) -> Iterator[tuple[str, Fields | None, Fields | None]]:
    """What is counted as one thing, as it was and as it will be."""
    label = difference.path.partition("/")[2].partition("/")[2] or "session"
    records = _RECORDS.get(difference.kind)
    if records != "drivers":
        yield label, difference.stored, difference.fields
        return
    before = (difference.stored or {}).get(records, {})
    after = (difference.fields or {}).get(records, {})
    for number in sorted(before.keys() | after.keys()):
        if before.get(number) != after.get(number):
            yield f"{label} car {number}", before.get(number), after.get(number)
    if before == after:
        yield label, difference.stored, difference.fields


def _leaves(before: Any, after: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every value that differs, with its dotted name."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            yield from _leaves(before.get(key), after.get(key), f"{name}.{key}" if name else key)
    elif _maps(before) and _maps(after) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _leaves(old, new, f"{name}[{index}]")
    elif before != after:
        yield name, before, after


def _maps(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _line(label: str, before: Fields | None, after: Fields | None, changed: list[tuple[str, Any, Any]]) -> str:
    if before is None:
        return f"{label} added"
    if after is None:
        return f"{label} removed"
    return f"{label}: " + ", ".join(f"{name} {_word(old)} -> {_word(new)}" for name, old, new in changed)


def _word(value: Any) -> str:
    if value is None:
        return "none"
    return rfc3339(value) if isinstance(value, datetime) else str(value)
