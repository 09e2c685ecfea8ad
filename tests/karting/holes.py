"""Cuts holes into a kart session and plays it as a live source tells it then: a gap, and the whole board as it is.

`differences` holds what was made of it against an undisturbed run: what differs has to be named by the gaps, or is what
docs/gaps.md says of kart tracks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from pitwall.documents.encoding import to_fields
from pitwall.karting import vocabulary
from pitwall.karting.projection import project
from pitwall.karting.state import KartState
from pitwall.message import Message, feed_gap
from pitwall.timing.change import Change

Documents = dict[str, dict[str, Any]]
Hole = tuple[int, int]
"""Indexes of the first message that is missed, and of the first after them."""

_SHOWN = ("Laps", "LastLapMs", "BestLapMs")
_STANDING = (vocabulary.FLAG, vocabulary.CLOCK, vocabulary.LAP_COUNT, vocabulary.RACE_CONTROL)


def holes(messages: Sequence[Message], seed: int, count: int, shortest: float = 5, longest: float = 240) -> list[Hole]:
    """Holes of some seconds at random places after the first board, in order, apart from each other, and none into
    which another session falls or a board that is told anew."""
    random = Random(seed)
    first = next(i for i, message in enumerate(messages) if message.topic == vocabulary.GRID) + 1
    found: list[Hole] = []
    for _ in range(count * 20):
        since = random.randrange(first, len(messages) - 1)
        until = messages[since].at + random.uniform(shortest, longest) * 1000
        back = next((i for i in range(since + 1, len(messages)) if messages[i].at >= until), None)
        if back is None or any(message.topic == vocabulary.GRID for message in messages[since:back]):
            continue
        if all(back < other[0] or other[1] < since for other in found):
            found.append((since, back))
    return sorted(found[:count])


def with_holes(messages: Sequence[Message], missed: Iterable[Hole]) -> list[Message]:
    """The session as one hears it who is away for a while: back again, the board is told whole."""
    heard: list[Message] = []
    board = _Board()
    done = 0
    for since, back in sorted(missed):
        for message in messages[done:back]:
            board.take(message)
        heard += messages[done:since]
        at = messages[back].at
        heard += [feed_gap(messages[since - 1].at, at, "a hole"), *board.told(at)]
        done = back
    return heard + list(messages[done:])


class _Board:
    """What the board shows."""

    def __init__(self) -> None:
        self.session: dict[str, Any] = {}
        self.lines: dict[str, dict[str, Any]] = {}
        self.columns: list[Any] = []
        self.standing: dict[str, Message] = {}

    def take(self, message: Message) -> None:
        if message.topic == vocabulary.SESSION:
            self.session = dict(message.data) if message.snapshot else {**self.session, **message.data}
        elif message.topic == vocabulary.GRID:
            self.columns = message.data.get("Columns", [])
            self.lines = {row: dict(line) for row, line in message.data["Lines"].items()}
        elif message.topic == vocabulary.LINES:
            for row, line in message.data.items():
                merged = {**self.lines.get(row, {}), **line}
                self.lines[row] = {name: value for name, value in merged.items() if value is not None}
        elif message.topic in _STANDING:
            self.standing[message.topic] = message

    def told(self, at: int) -> list[Message]:
        fresh = not any(name in line for line in self.lines.values() for name in _SHOWN)
        session = {name: value for name, value in self.session.items() if name != "Fresh"}
        told = [
            Message(vocabulary.SESSION, {**session, "Fresh": True} if fresh else session, at, True),
            Message(
                vocabulary.GRID,
                {"Columns": self.columns, "Lines": {r: dict(x) for r, x in self.lines.items()}},
                at,
                True,
            ),
        ]
        for topic, message in self.standing.items():
            data = dict(message.data)
            if topic == vocabulary.CLOCK and data.get("Running"):
                data = {
                    name: value - (at - message.at) if name == "RemainingMs" else value for name, value in data.items()
                }
            told.append(Message(topic, data, at, message.snapshot))
        return told


def played(messages: Iterable[Message]) -> tuple[KartState, Documents]:
    """The state at the end, and the last value of each document it ever had."""
    state = KartState("", "kart-track")
    changed: set[Change] = set()
    for message in messages:
        assert state.next_session(message) is None
        changed |= state.apply(message)
    changed |= state.finish()
    documents = dict(projected for what in changed if (projected := project(state, what)) is not None)
    return state, {path.split("/", 2)[2] if path.count("/") > 1 else "": to_fields(d) for path, d in documents.items()}


# -- what differs --------------------------------------------------------------------------

_ENDS = ("lap", "inAt", "outAt", "laneTimeMs")
"""Of a visit to the pits: what is not known of one of which an end was not seen."""


class _Gap(NamedTuple):
    since: Any
    until: Any


def differences(clean: Documents, got: Documents) -> list[str]:
    """What differs and is neither named by a gap nor explained; one line each."""
    return list(_Comparison(clean, got).found())


class _Comparison:
    def __init__(self, clean: Documents, got: Documents) -> None:
        self.clean, self.got = clean, got
        self.gaps: list[_Gap] = []
        self.listed: dict[str, set[int]] = defaultdict(set)
        for fields in (fields for path, fields in got.items() if path.startswith("gaps/")):
            self.gaps.append(_Gap(fields["startDate"], fields["endDate"]))
            for number, laps in fields["laps"].items():
                self.listed[number].update(laps)
        self.laps = _laps(clean), _laps(got)
        lines = got["live/timing"]["lines"]
        self.uncounted = {number for number, line in lines.items() if "n" not in line}
        """Karts whose laps in a gap nobody can count: their numbers go on from those that were seen."""

    def found(self) -> Iterator[str]:
        for path in sorted(self.clean.keys() | self.got.keys()):
            clean, got = self.clean.get(path), self.got.get(path)
            what = path.partition("/")[0]
            if what in ("gaps", "laps") or path == "live/endurance":
                continue  # stints run by the clock: those that began in a gap are the board's, to the minute
            if what in ("raceControl", "trackStatus", "sessionStatus"):
                if got is not None and not any(
                    _same(got, other) for p, other in self.clean.items() if p.startswith(what)
                ):
                    yield f"{path}: not in the clean run"
            elif clean is None or got is None:
                yield f"{path}: {clean is not None} in the clean run, {got is not None} here"
            elif what == "drivers":
                yield from self._driver(path.rpartition("/")[2], clean, got)
            elif "lines" in clean:
                for number in clean["lines"].keys() | got["lines"].keys():
                    line, now = clean["lines"].get(number, {}), got["lines"].get(number, {})
                    yield from self._line(f"{path} of kart {number}", number, line, now)
            else:
                yield from _unequal(path, {**clean, "clock": _end(clean)}, {**got, "clock": _end(got)}, ("at",))
        for number in sorted({number for number, _ in (*self.laps[0], *self.laps[1])}):
            yield from self._numbered(number) if number not in self.uncounted else self._by_instant(number)

    def _line(self, where: str, number: str, clean: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
        besides = ["n"] if number in self.uncounted else []
        if self._visit_unseen(number):
            besides += ["ip", "stint", "stops"]
        if self._best_unseen(number, clean, got):
            besides.append("bestLap")
        yield from _unequal(where, clean, got, besides)

    def _best_unseen(self, number: str, clean: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
        """Whether the best lap is one that is named: its time is known, its number may not be, or is another's."""
        return number in self.uncounted or clean.get("bestLap") in self.listed[number] or "bestLap" not in got

    def _numbered(self, number: str) -> Iterator[str]:
        clean = {lap: fields for (kart, lap), fields in self.laps[0].items() if kart == number}
        got = {lap: fields for (kart, lap), fields in self.laps[1].items() if kart == number}
        for lap in sorted(clean.keys() | got.keys()):
            where = f"lap {lap} of kart {number}"
            listed = lap in self.listed[number]
            if lap not in clean:
                yield f"{where}: never driven"
            elif lap not in got:
                if not listed:
                    yield f"{where}: missing"
            elif listed:
                if got[lap].get("lapTimeMs", clean[lap].get("lapTimeMs")) != clean[lap].get("lapTimeMs"):
                    yield f"{where}: {got[lap]['lapTimeMs']} ms, {clean[lap].get('lapTimeMs')} in the clean run"
                if got[lap].get("missed") is not True:
                    yield f"{where}: not marked"
            else:
                yield from _unequal(where, clean[lap], got[lap], ["stint"] if self._visit_unseen(number) else [])

    def _by_instant(self, number: str) -> Iterator[str]:
        """Laps whose numbers are those seen are told by when they ended."""
        clean = {fields.get("endedAt"): fields for (kart, _), fields in self.laps[0].items() if kart == number}
        ends = set()
        for (kart, lap), fields in self.laps[1].items():
            if kart != number:
                continue
            ends.add(fields.get("endedAt"))
            other = clean.get(fields.get("endedAt"))
            if lap in self.listed[number]:
                if fields.get("missed") is not True:
                    yield f"lap {lap} of kart {number}: not marked"
            elif other is None:
                yield f"lap {lap} of kart {number}, {fields.get('endedAt')}: not in the clean run"
            else:
                besides = ["stint"] if self._visit_unseen(number) else []
                yield from _unequal(f"lap {lap} of kart {number}", other, fields, besides)
        for end in clean.keys() - ends:
            if not any(gap.since <= end <= gap.until for gap in self.gaps):
                yield f"kart {number}: no lap that ended at {end}"

    def _driver(self, number: str, clean: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
        where = f"drivers/{number}"
        besides = ["at", "stints", "pitStops", "driverChanges"]
        if self._best_unseen(number, clean, got):
            besides.append("bestLap")
        if number in self.uncounted:
            besides.append("laps")
        yield from _unequal(where, clean, got, besides)
        for name, ends in (
            ("stints", ("laps", "startLap", "endLap", "driver")),
            ("pitStops", _ENDS),
            ("driverChanges", ("lap", "at")),
        ):
            told, now = clean.get(name, []), got.get(name, [])
            if len(told) > len(now) and self._visit_unseen(number):
                continue
            if len(told) != len(now):
                yield f"{where}: {len(now)} {name}, {len(told)} in the clean run"
            for one, other in zip(told, now, strict=False):
                hit = bool(self.listed[number])
                for field in one.keys() | other.keys():
                    same = one.get(field) == other.get(field)
                    if not same and not (
                        hit and field in ends and (name != "pitStops" or self._end_unseen(number, field, other))
                    ):
                        yield f"{where}: {name} {field} is {other.get(field)}, {one.get(field)} in the clean run"

    def _visit_unseen(self, number: str) -> bool:
        """Whether a kart was in the pits in a gap, all told: nothing tells of it where the board counts no stops."""
        visits = self.clean.get(f"drivers/{number}", {}).get("pitStops", [])
        if len(self.got.get(f"drivers/{number}", {}).get("pitStops", [])) >= len(visits):
            return False
        ends = [end for visit in visits for end in (visit.get("inAt"), visit.get("outAt")) if end is not None]
        return any(gap.since <= end <= gap.until for gap in self.gaps for end in ends)

    def _end_unseen(self, number: str, field: str, visit: Mapping[str, Any]) -> bool:
        return field not in visit or (field == "lap" and number in self.uncounted)


def _end(session: Mapping[str, Any]) -> Any:
    """When the session's clock is at nothing, to the second; told anew after a gap it runs on from there."""
    clock = session.get("clock")
    if clock is None or not clock["running"]:
        return clock
    return round((clock["at"].timestamp() + clock["remainingMs"] / 1000) / 2)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Of an item of a series; one that was told again after a gap has another instant and number."""
    return {**one, "at": 0, "n": 0} == {**other, "at": 0, "n": 0}


def _laps(documents: Documents) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (number, fields["lap"]): lap
        for path, fields in documents.items()
        if path.startswith("laps/")
        for number, lap in fields["drivers"].items()
    }


def _unequal(
    where: str, clean: Mapping[str, Any], got: Mapping[str, Any], besides: Iterable[str] = ()
) -> Iterator[str]:
    for name in sorted((clean.keys() | got.keys()) - set(besides)):
        if clean.get(name) != got.get(name):
            yield f"{where}: {name} is {got.get(name)}, {clean.get(name)} in the clean run"
