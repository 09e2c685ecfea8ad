"""Compares what a run with gaps stored with what an undisturbed one did: every difference has to be told by the gaps.

    unexplained(clean, got)   # [] when the documents are equal, or differ only in what `gaps/{n}` names

Documents are exported ones: path to fields, instants as RFC 3339. What may differ, and why, is all in this module.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

Fields = Mapping[str, Any]
Documents = Mapping[str, Fields]

STAMPS: Final = frozenset({"at", "writtenAt", "expireAt", "v"})
"""When a document was last changed and stored, not what it says."""

NOT_COMPARED: Final = {
    "live/feed": "how the connection is: a run with gaps has had another one",
    "live/positions": "samples since the last write; those of a gap are gone, and writes fall on other instants",
    "live/telemetry": "as live/positions",
    "telemetry": "the same of single cars, while somebody asks for them",
    "towers": "copies of the tower, one every five seconds for two minutes: those of a gap were never made",
}
GAPS_IN_TOWER: Final = ("g", "i", "ld", "il")
"""A car of which no gap is shown keeps the one it was last told to have: in a gap of the feed nobody was told."""
INSTANTS: Final = ("startedAt", "endedAt")
INSTANT_TOLERANCE: Final = timedelta(seconds=10)
"""An end of a lap that fell into a gap is reckoned from its neighbours', which the feed tells up to so late
(São Paulo 2025: all cars at once, eight seconds late)."""
STATUS_TOLERANCE: Final = timedelta(seconds=10)
"""A status that came in a gap has the instant SessionData gives it; its own topic may tell it so much later."""
PIT_STOP_TOPIC: Final = "PitStopSeries"
TENTH_MS: Final = 100
LATE: Final = timedelta(seconds=15)
"""What belongs to a lap may be told so long after its end: a gap that begins then still takes of it."""
AGE_TOLERANCE: Final = 2
"""Laps. Outside a race the feed counts no lap that ended in the pits, and begins at 0 while a set is UNKNOWN."""
LANE_TOLERANCE_MS: Final = 150
"""The time in the pit lane is told twice, once in tenths of a second, or can be had from its ends."""
START_TOLERANCE_MS: Final = 3_000
"""Lap 1 is timed from the start; where that fell into a gap, SessionData tells when it was."""


class Gap(NamedTuple):
    """One `gaps/{n}` document."""

    since: datetime
    until: datetime
    laps: Mapping[str, list[int]]
    series: frozenset[str]
    withheld: frozenset[str]


def gaps_in(documents: Documents) -> list[Gap]:
    """The gaps a run had, by its own documents."""
    return [
        Gap(
            _instant(fields["startDate"]),
            _instant(fields["endDate"]),
            fields["laps"],
            frozenset(fields["series"]),
            frozenset(fields.get("withheld", ())),
        )
        for path, fields in sorted(documents.items())
        if _collection(path) == "gaps"
    ]


def unexplained(clean: Documents, got: Documents) -> list[str]:
    """What differs between two runs of a session and is not told by the gaps of the second; one line each."""
    return list(_Comparison(clean, got).found())


class _Comparison:
    def __init__(self, clean: Documents, got: Documents) -> None:
        self.clean, self.got = clean, got
        self.gaps = gaps_in(got)
        self.series = frozenset().union(*(gap.series for gap in self.gaps))
        self.withheld = frozenset().union(*(gap.withheld for gap in self.gaps))
        self.listed: dict[str, set[int]] = defaultdict(set)
        for gap in self.gaps:
            for number, laps in gap.laps.items():
                self.listed[number].update(laps)
        self.laps = _laps(clean), _laps(got)

    def found(self) -> Iterator[str]:
        by_collection: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self.clean.keys() | self.got.keys()):
            by_collection[_collection(path)].append(path)
        for collection, paths in by_collection.items():
            if collection in NOT_COMPARED or collection == "gaps":
                continue
            if collection == "laps":
                yield from self._all_laps()
            elif collection in ("trackStatus", "sessionStatus"):
                yield from self._statuses(collection, paths)
            elif collection == "weather":
                yield from self._weather(paths)
            else:
                for path in paths:
                    yield from self._document(collection, path)

    def _document(self, collection: str, path: str) -> Iterator[str]:
        clean, got = self.clean.get(path), self.got.get(path)
        if clean is None:
            yield f"{path}: there is none in the clean run"
        elif got is None:
            if collection not in self.series:
                yield f"{path}: missing"
        elif collection == "drivers":
            yield from self._driver(path, clean, got)
        elif collection == "live/tyres":
            yield from self._tyres(path, clean, got)
        elif "lines" in clean:
            yield from self._lines(path, clean["lines"], got["lines"])
        else:
            yield from _unequal(path, clean, got)

    @staticmethod
    def _lines(path: str, clean: Fields, got: Fields) -> Iterator[str]:
        for number in sorted(clean.keys() | got.keys()):
            told, now = clean.get(number, {}), got.get(number, {})
            besides = tuple(name for name in GAPS_IN_TOWER if name not in now) if path.endswith("/timing") else ()
            yield from _unequal(f"{path} of car {number}", told, now, besides)

    # -- laps --------------------------------------------------------------------------------

    def _all_laps(self) -> Iterator[str]:
        clean, got = self.laps
        for key in sorted(clean.keys() | got.keys()):
            where = f"lap {key[1]} of car {key[0]}"
            if key not in clean:
                yield f"{where}: never driven"
            elif key not in got:
                # A lap that is listed and not there: whether it was driven at all is not known.
                if key[1] not in self.listed[key[0]]:
                    yield f"{where}: missing"
            else:
                yield from self._lap(where, key, clean[key], got[key])

    def _lap(self, where: str, key: tuple[str, int], clean: Fields, got: Fields) -> Iterator[str]:
        listed = key[1] in self.listed[key[0]]
        if bool(got.get("missed")) != listed:
            yield f"{where}: marked {got.get('missed')}, listed {listed}"
        for name in sorted((clean.keys() | got.keys()) - {"missed"}):
            told, now = clean.get(name), got.get(name)
            if told == now or (listed and now is None):
                continue
            if name in INSTANTS and self._reckoned(key, clean, told, now):
                continue
            if name == "tyreAge" and self._counted_by_the_feed(key, clean, told, now):
                continue
            if listed and name == "timeSource" and now == "derived" and clean["lapTimeMs"] == got["lapTimeMs"]:
                continue  # that it is the time of the lap before, which was not sent again, was not seen
            if listed and name == "speeds" and told and now and now.items() <= told.items():
                continue
            if listed and name == "gapToLeaderMs" and clean.get("position") == 1 and "position" not in got:
                continue  # who leads is not told to be behind; that it led was not seen
            if listed and self._timed_from_the_start(key[1], name, clean, got):
                continue
            yield f"{where}: {name} is {now}, {told} in the clean run{' (listed)' if listed else ''}"

    def _counted_by_the_feed(self, key: tuple[str, int], clean: Fields, told: int | None, now: int | None) -> bool:
        """Whether the age of tyres fitted on a lap nobody knows is the feed's own count, which may be a little off."""
        if told is None or now is None or not self._stint_unsure(key[0], clean["stint"]):
            return False
        return abs(told - now) <= AGE_TOLERANCE

    def _reckoned(self, key: tuple[str, int], clean: Fields, told: Any, now: Any) -> bool:
        """Whether an end of a lap, or of the one before it, fell into a gap, and what there is instead is near it."""
        before = self.laps[0].get((key[0], key[1] - 1), clean)
        known = [lap[name] for lap in (before, clean) for name in INSTANTS if name in lap]
        if not known:
            return False
        first, last = _instant(known[0]), _instant(known[-1])
        hit = any(gap.since <= last + LATE and first <= gap.until for gap in self.gaps)
        return hit and (now is None or (told is not None and abs(_instant(now) - _instant(told)) <= INSTANT_TOLERANCE))

    @staticmethod
    def _timed_from_the_start(number: int, name: str, clean: Fields, got: Fields) -> bool:
        return (
            number == 1
            and name == "lapTimeMs"
            and clean.get("timeSource") == got.get("timeSource") == "derived"
            and abs(clean[name] - got[name]) <= START_TOLERANCE_MS
        )

    # -- drivers -----------------------------------------------------------------------------

    def _driver(self, path: str, clean: Fields, got: Fields) -> Iterator[str]:
        number = path.rpartition("/")[2]
        yield from _unequal(path, clean, got, besides=("stints", "pitStops", "bestLap", "bestByPart"))
        yield from self._bests(path, number, clean, got)
        stints, now = clean["stints"], got["stints"]
        if len(stints) != len(now):
            yield f"{path}: {len(now)} stints, {len(stints)} in the clean run"
        for told, stint in zip(stints, now, strict=False):
            besides = ("laps", "startLap", "endLap") if self._stint_unsure(number, told["stint"]) else ()
            yield from _unequal(f"{path} stint {told['stint']}", told, stint, besides)
        yield from self._pit_stops(path, number, clean, got)

    def _bests(self, path: str, number: str, clean: Fields, got: Fields) -> Iterator[str]:
        """Best times are told again; on which lap they were set may not be known, where that lap is listed."""
        names = [("", clean, got)]
        for part, best in clean.get("bestByPart", {}).items():
            names.append((f" of part {part}", best, got.get("bestByPart", {}).get(part, {})))
        for which, told, now in names:
            lap = "bestLap" if not which else "lap"
            if which and told.get("lapTimeMs") != now.get("lapTimeMs"):
                yield f"{path}: best{which} is {now.get('lapTimeMs')}, {told.get('lapTimeMs')} in the clean run"
            elif told.get(lap) != now.get(lap) and not self._best_lap_unseen(number, told.get(lap), now.get(lap)):
                yield f"{path}: best lap{which} is {now.get(lap)}, {told.get(lap)} in the clean run"

    def _best_lap_unseen(self, number: str, told: int | None, now: int | None) -> bool:
        """Whether a best was set on a lap nobody saw: it is not known which, or is the next that took as long."""
        if told not in self.listed[number]:
            return False
        times = [self.laps[0].get((number, lap), {}).get("lapTimeMs") for lap in (told, now) if lap is not None]
        return now is None or times[0] == times[-1]

    def _stint_unsure(self, number: str, stint: int) -> bool:
        """Whether of some lap of a stint it is not known that it was of it."""
        clean, got = self.laps
        return any(
            key[0] == number
            and lap.get("stint") == stint
            and key[1] in self.listed[number]
            and got.get(key, {}).get("stint") is None
            for key, lap in clean.items()
        )

    def _pit_stops(self, path: str, number: str, clean: Fields, got: Fields) -> Iterator[str]:
        known = {stop.get("lap"): stop for stop in got["pitStops"]}
        for stop in clean["pitStops"]:
            lap = stop.get("lap")
            if lap not in known:
                if not self._stop_unseen(number, lap):
                    yield f"{path}: no stop on lap {lap}"
                continue
            now = known.pop(lap)
            for name in sorted(stop.keys() | now.keys()):
                # A set of tyres may be told as another first, and corrected when nobody was listening.
                roughly = name == "laneTimeMs" and abs(stop.get(name, 0) - now.get(name, 0)) <= LANE_TOLERANCE_MS
                explained = self._stop_unseen(number, lap) and (name not in now or name == "stop" or roughly)
                if PIT_STOP_TOPIC in self.withheld:
                    # Without it a stop has its time in the lane to the tenth of a second, and none standing.
                    to_the_tenth = name == "laneTimeMs" and abs(stop.get(name, 0) - now.get(name, 0)) < TENTH_MS
                    explained = explained or (name == "stopTimeMs" and name not in now) or to_the_tenth
                if stop.get(name) != now.get(name) and not explained:
                    yield f"{path}: stop on lap {lap}: {name} is {now.get(name)}, {stop.get(name)} in the clean run"
        for lap in known:
            yield f"{path}: a stop on lap {lap} that was none"

    def _stop_unseen(self, number: str, lap: int | None) -> bool:
        """Whether a gap fell into the lap a car came in on, or the one it went out on."""
        return lap is not None and not self.listed[number].isdisjoint({lap, lap + 1})

    def _tyres(self, path: str, clean: Fields, got: Fields) -> Iterator[str]:
        if clean["lines"].keys() != got["lines"].keys():
            yield f"{path}: other cars"
        for number, line in clean["lines"].items():
            now = got["lines"].get(number, {})
            besides = ["stops"] if now.get("stops", 0) <= line["stops"] and self._lacks_stops(number) else []
            if self._best_lap_unseen(number, line.get("bestLap"), now.get("bestLap")):
                besides.append("bestLap")
            yield from _unequal(f"{path} of car {number}", line, now, tuple(besides))

    def _lacks_stops(self, number: str) -> bool:
        """Whether a car has stops of which nothing is known but that a gap fell on them."""
        path = next((path for path in self.clean if path.endswith(f"/drivers/{number}")), "")
        clean, got = self.clean.get(path, {}), self.got.get(path, {})
        known = {(stop.get("lap"), stop["stop"]) for stop in got.get("pitStops", ())}
        lacking = {
            stop.get("lap") for stop in clean.get("pitStops", ()) if (stop.get("lap"), stop["stop"]) not in known
        }
        return bool(lacking) and all(self._stop_unseen(number, lap) for lap in lacking)

    # -- series ------------------------------------------------------------------------------

    def _statuses(self, collection: str, paths: list[str]) -> Iterator[str]:
        """Changes of status in their order; where the feed's list of them was not sent again, some may be missing."""
        told = _in_order(self.clean, paths)
        now = _in_order(self.got, paths)
        words = [_said(fields) for fields in told]
        if collection in self.series:
            if not _is_part(list(_without_repeats(_said(fields) for fields in now)), words):
                yield f"{collection}: others than in the clean run"
            return
        if words != [_said(fields) for fields in now]:
            yield f"{collection}: {[_said(f) for f in now]}, {words} in the clean run"
            return
        for clean, got in zip(told, now, strict=True):
            when, then = _instant(got["at"]), _instant(clean["at"])
            unseen = any(gap.since <= then <= gap.until for gap in self.gaps)
            if abs(when - then) > (STATUS_TOLERANCE if unseen else timedelta()):
                yield f"{collection}/{clean['n']}: at {when}, {then} in the clean run"

    def _weather(self, paths: list[str]) -> Iterator[str]:
        """Reports are not sent again: after a gap fewer have come, but none that was not made."""
        told = [fields["weather"] for fields in _in_order(self.clean, paths)]
        now = [fields["weather"] for fields in _in_order(self.got, paths)]
        if not _is_part(now, told):
            yield "weather: reports that are not of the clean run"
        if len(now) < len(told) and "weather" not in self.series:
            yield f"weather: {len(told) - len(now)} reports are missing"


def _collection(path: str) -> str:
    """`laps`, `live/tyres`, ...; "" for the session itself."""
    parts = path.split("/")
    if len(parts) < 4:
        return ""
    return f"live/{parts[3]}" if parts[2] == "live" else parts[2]


def _instant(told: str) -> datetime:
    return datetime.fromisoformat(told)


def _laps(documents: Documents) -> dict[tuple[str, int], Fields]:
    return {
        (number, fields["lap"]): lap
        for path, fields in documents.items()
        if _collection(path) == "laps"
        for number, lap in fields["drivers"].items()
    }


def _unequal(where: str, clean: Fields, got: Fields, besides: tuple[str, ...] = ()) -> Iterator[str]:
    for name in sorted((clean.keys() | got.keys()) - STAMPS - set(besides)):
        if clean.get(name) != got.get(name):
            yield f"{where}: {name} is {got.get(name)}, {clean.get(name)} in the clean run"


def _in_order(documents: Documents, paths: list[str]) -> list[Fields]:
    return sorted((documents[path] for path in paths if path in documents), key=lambda fields: int(fields["n"]))


def _said(fields: Fields) -> str:
    return str(fields.get("code", fields.get("status")))


def _without_repeats(words: Iterator[str]) -> Iterator[str]:
    last = None
    for word in words:
        if word != last:
            yield word
        last = word


def _is_part(some: list[Any], of: list[Any]) -> bool:
    """Whether all of a list are in another, in the same order."""
    rest = iter(of)
    return all(any(item == other for other in rest) for item in some)
