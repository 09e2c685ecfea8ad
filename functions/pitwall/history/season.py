"""Fills in what happened in a season: its calendar, every session's timing and results, and what is counted of them.

Each source is asked for what it knows best:

    timing (laps, tyres, weather, flags, race control)   F1's archive since 2018, through `reconcile`, stored directly
    results, points, grids, names, circuits              Jolpica, whole seasons at a time
    laps where F1 has no timing                          Jolpica, since 1996
    when sessions are                                    `calendar` (F1's index, FastF1's schedule); before 2018 Jolpica
    what decides a sprint's grid                         the places and bests that F1's timing ends with

A session is a chunk: nothing is held from one to the next but a line of the report. What fails is told and does not
keep the next from being done. Everything stored is compared first, so a run that was killed is called again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType, structs, to_builtins

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.encoding import InvalidDocument, from_fields, to_fields
from pitwall.documents.history import ContributionDocument
from pitwall.documents.schedule import EventDocument, ScheduledSession
from pitwall.history import circuits, official
from pitwall.history.aggregates import count
from pitwall.history.answers import NotThere, SourceError, Throttled
from pitwall.history.archive import Sessions
from pitwall.history.calendar import FIRST_SEASON as FIRST_TIMED
from pitwall.history.calendar import NoSource, filled_events, stored_events
from pitwall.history.circuit_maps import CircuitMaps
from pitwall.history.direct import Direct
from pitwall.history.entry import Entry, Severity
from pitwall.history.job import STALE_S, JobLost, JobRunning
from pitwall.history.jolpica import Jolpica, Race
from pitwall.history.marks import Marks, digest
from pitwall.history.reconcile import RETRIES, NotStored, StillPolled, reconcile
from pitwall.history.season_documents import round_of
from pitwall.history.work import BadRequest
from pitwall.message import Message
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.envelope import split_version
from pitwall.pipeline.store import Versioned, VersionedStore
from pitwall.settings import Settings
from pitwall.sources import Source
from pitwall.sources.archive import Archive, ArchiveNotComplete, NotInArchive
from pitwall.sources.archive.index import meant, plain

T = TypeVar("T")

FIRST_SEASON: Final = 1950
WELL_OVER: Final = timedelta(days=7)
"""After so long an archive that calls itself incomplete is as complete as it will be."""
IN_A_ROW: Final = 3
"""Sessions in a row that F1's archive fails for: then it is not asked for the others."""
_AGAIN_S: Final = 2.0
_ABOUT: Final = timedelta(days=2)
"""How far a race's date may be from the sessions of its event."""


class Listener(Protocol):
    """Who is told how it goes."""

    def progress(self, done: float, what: str) -> None:
        """done: 0 to 1. Whatever it raises ends the run."""
        ...

    def record(self, severity: Severity, text: str, *, year: int, round_: int | None, session: str) -> None:
        """A line of the log. session: its type and name, or what of the season it is about."""
        ...


class Choice(Struct, frozen=True, kw_only=True):
    """What of a season is wanted. rounds: from, to; None: all, and testing. session: words for it; "": all."""

    year: int
    rounds: tuple[int, int] | None = None
    session: str = ""

    def holds(self, event: EventDocument, session: ScheduledSession) -> bool:
        number = event.round
        within = self.rounds is None or (
            not isinstance(number, UnsetType) and self.rounds[0] <= number <= self.rounds[1]
        )
        return within and self.names(session.name)

    def names(self, name: str) -> bool:
        """Whether a session of this name is wanted."""
        return not self.session or plain(name) in meant(self.session)


class Web(NamedTuple):
    """The servers that are asked."""

    archive: Sessions | None
    jolpica: Jolpica
    maps: CircuitMaps


@contextmanager
def web_of(settings: Settings, cache: Path | None, sleep: Callable[[float], None]) -> Iterator[Web]:
    """Those of the settings. cache: folder of answers and archives. sleep: how to wait between requests."""

    def folder(name: str) -> Path | None:
        return None if cache is None else cache / name

    with (
        Archive(f"{settings.f1_url.rstrip('/')}/static/", cache=folder("f1"), sleep=sleep) as archive,
        Jolpica(settings.jolpica_url, folder("jolpica"), sleep=sleep) as jolpica,
        CircuitMaps(settings.multiviewer_url, folder("multiviewer"), sleep=sleep) as maps,
    ):
        yield Web(archive if "f1" in settings.history else None, jolpica, maps)


class Numbered:
    """An archived session whose messages tell the round, which F1's own archive leaves to its index."""

    def __init__(self, source: Source, round_: int) -> None:
        self.name, self.session, self.rejected = source.name, source.session, source.rejected
        self.keyframes: Collection[str] = getattr(source, "keyframes", ())
        self._source = source
        self._round = round_

    def messages(self, cursor: int = 0) -> Iterator[Message]:
        for message in self._source.messages(cursor):
            meeting = message.data.get("Meeting") if isinstance(message.data, dict) else None
            if message.topic == "SessionInfo" and isinstance(meeting, dict) and "Number" not in meeting:
                data = {**message.data, "Meeting": {**meeting, "Number": self._round}}
                message = message._replace(data=data)
            yield message


@dataclass
class Filling:
    """One run on one season. entries: what became of everything, also when it is interrupted.

    telemetry: of the chosen sessions, too. again: what was done is compared once more. stale_s: seconds after which a
    session's job that says no word counts as killed.
    """

    settings: Settings
    database: Database
    web: Web
    choice: Choice
    listener: Listener
    dry_run: bool = False
    telemetry: bool = False
    again: bool = False
    stale_s: float = STALE_S
    sleep: Callable[[float], None] = time.sleep
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    entries: list[Entry] = field(default_factory=list)

    def run(self) -> None:
        """Everything. Raises BadRequest for a round or session there is not, NoSource, SourceError, Unavailable."""
        self._year = self.choice.year
        self._season = official.Season()
        self._refusing: Throttled | None = None
        self._failed_in_a_row = 0
        self._index_silent = False
        self._half = (0.0, 0.5) if self.telemetry and not self.dry_run else (0.0, 1.0)
        self._at("", 0.0, 0.05)
        self._progress(0.0, f"what there is of {self._year}")
        self._marks = Marks(self.database, self._year, again=self.again, dry_run=self.dry_run)
        events = self._events()
        chosen = self._chosen(events)
        if self._year >= FIRST_TIMED:
            self._season = self._lists(events)
        self._known = self._stored(session for _, session in chosen)
        busy = [one for number, one in enumerate(chosen) if not self._one(*one, number / len(chosen), 1 / len(chosen))]
        for event, session in busy:
            self._when_free(event, session)
        self._at("", 0.95, 0.05)
        self._progress(0.0, "standings and statistics")
        self._count(events)
        self._circuits(chosen)
        if self.telemetry and not self.dry_run:
            self._telemetry(chosen)
        if self._marks.refused:
            self._tell(Entry(year=self._year, session="documents", state="failed", refused=self._marks.refused))
        self._half = (0.0, 1.0)
        self._at("", 1.0, 0.0)
        self._progress(1.0, f"{self._year} is done")

    # -- what there is -----------------------------------------------------------------------

    def _events(self) -> list[EventDocument]:
        """The meetings of the season, stored."""
        if self._year < FIRST_TIMED:
            return self._early_events()
        try:
            filled, events = filled_events(self.settings, self.database, self._year, dry_run=self.dry_run)
        except NoSource as error:
            events = list(stored_events(self.database, self._year)[1].values())
            if not events:
                raise
            self._tell(Entry(year=self._year, session="calendar", state="failed", error=str(error), passing=True))
        else:
            written = len(filled.written) + len(filled.deleted)
            silent = {name: said for name, said in filled.sources.items() if said != "ok"}
            self._index_silent = "f1" in silent
            self._tell(
                Entry(
                    year=self._year,
                    session="calendar",
                    state="done" if written else "same",
                    written=0 if self.dry_run else written,
                    error="; ".join(f"{name}: {said}" for name, said in silent.items()),
                    refused=[f"{count} sessions: {reason}" for reason, count in filled.left_out.items()],
                )
            )
        return sorted(events, key=lambda event: event.start_date or event.at)

    def _early_events(self) -> list[EventDocument]:
        """Those of a season that only Jolpica knows."""
        self._season = self._lists(None)
        if self._season.results is None:
            raise SourceError(f"Jolpica has not told the races of {self._year}: {self.entries[-1].error}")
        at = self.now
        events = [
            official.event(race, self._season.of(self._season.qualifying, race.round) is not None, at)
            for race in self._season.results
        ]
        for event in events:
            told = digest(structs.replace(event, at=datetime.min.replace(tzinfo=UTC)))
            part = f"event/{event.round}"
            # Qualifying that was not asked for this time is not one that was not held.
            if not self._marks.has(part, told) and (self._season.qualifying is not None or not self._marks.has(part)):
                written = self._marks.store({paths.event(self._year, str(event.round)): event})
                self._marks.set(part, told)
                self._tell(Entry(year=self._year, round=event.round, session="calendar", state="done", written=written))
        return events

    def _chosen(self, events: Sequence[EventDocument]) -> list[tuple[EventDocument, ScheduledSession]]:
        """The sessions that are wanted and over. Raises BadRequest if no such thing is in the calendar."""
        rounds = sorted({event.round for event in events if isinstance(event.round, int)})
        if (wanted := self.choice.rounds) is not None and not any(wanted[0] <= n <= wanted[1] for n in rounds):
            asked = str(wanted[0]) if wanted[0] == wanted[1] else f"{wanted[0]}-{wanted[1]}"
            raise BadRequest(f"{self._year} has no round {asked}{f': it has 1 to {rounds[-1]}' if rounds else ''}")
        named = [
            (event, session) for event in events for session in event.sessions if self.choice.holds(event, session)
        ]
        if not named:
            names = dict.fromkeys(
                session.name
                for event in events
                for session in event.sessions
                if structs.replace(self.choice, session="").holds(event, session)
            )
            raise BadRequest(f"no session there is called {self.choice.session!r}; there is {', '.join(names)}")
        return [
            (event, session)
            for event, session in named
            if not event.cancelled and not session.cancelled and session.end_date < self.now
        ]

    def _lists(self, events: Sequence[EventDocument] | None) -> official.Season:
        """What Jolpica tells of the season, or of the only round that is wanted."""
        wanted = self.choice.rounds
        round_ = wanted[0] if wanted is not None and wanted[0] == wanted[1] else None
        jolpica, year, names = self.web.jolpica, self._year, self.choice.names
        sprints = [
            event.round
            for event in events or ()
            for session in event.sessions
            if session.name == official.SPRINT and round_ in (None, event.round)
        ]
        of_sprint = names(official.SPRINT) or any(map(names, official.SPRINT_QUALIFYING))
        begun = events is None or any(session.end_date < self.now for event in events for session in event.sessions)

        def ask(name: str, asking: Callable[[int, int | None], list[Race]], wanted: bool) -> list[Race] | None:
            if not wanted:
                return None
            told = self._asked(name, lambda: asking(year, round_), round_)
            return (
                told
                if told is None or self.choice.rounds is None
                else [race for race in told if self.choice.rounds[0] <= race.round <= self.choice.rounds[1]]
            )

        return official.Season(
            results=ask("results", jolpica.results, begun and (names(official.RACE) or year < FIRST_TIMED)),
            sprints=ask("sprints", jolpica.sprints, begun and of_sprint and bool(sprints)),
            qualifying=ask(
                "qualifying",
                jolpica.qualifying,
                begun and names(official.QUALIFYING) and year >= official.FIRST_QUALIFYING,
            ),
        )

    def _asked(self, name: str, asking: Callable[[], T], round_: int | None = None) -> T | None:
        """What Jolpica says; None, and an entry that says why, if it does not."""
        entry = Entry(year=self._year, round=UNSET if round_ is None else round_, session=name, state="failed")
        try:
            if self._refusing is not None:
                raise self._refusing
            self._progress(0.0, f"{name} of {self._year}{'' if round_ is None else f', round {round_}'}")
            return asking()
        except NotThere as error:
            entry.state, entry.error = "missing", str(error)
        except SourceError as error:
            self._refusing = error if isinstance(error, Throttled) else self._refusing
            entry.error, entry.passing = str(error), True
        self._tell(entry)
        return None

    def _stored(self, sessions: Iterator[ScheduledSession]) -> dict[str, dict[str, Any]]:
        """What is stored of the sessions: whether they are final, and where they were."""
        keys = [session.session_key for session in sessions if isinstance(session.session_key, str)]
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(keys), 300):
            wanted = [paths.session(key) for key in keys[start : start + 300]]
            read = RETRIES(partial(self.database.read, wanted, only=("final", "meeting")))
            found |= {path.partition("/")[2]: one.fields for path, one in read.items() if one.fields is not None}
        return found

    # -- a session ---------------------------------------------------------------------------

    def _one(self, event: EventDocument, session: ScheduledSession, done: float, width: float) -> bool:
        """Fills in a session; False if somebody else is at it. done, width: which part of all sessions it is."""
        self._at(f"{event.name}, {session.name}", 0.05 + 0.9 * done, 0.9 * width)
        key = session.session_key or ""
        entry = Entry(
            year=self._year, round=event.round, session=session.name, type=session.type, key=key, state="skipped"
        )
        self._progress(0.0, "looking")
        try:
            free = self._timing(entry, event, session)
            if free and entry.key:
                self._official(entry, event, session)
        except KeyboardInterrupt:
            entry.state = "interrupted"
            self._tell(entry)
            raise
        if free:
            self._tell(entry)
        return free

    def _when_free(self, event: EventDocument, session: ScheduledSession) -> None:
        """Waits for a session that somebody is at, until it is done or whoever it was counts as killed."""
        ends = time.monotonic() + self.stale_s + 2 * _AGAIN_S
        while not self._one(event, session, 1.0, 0.0):
            if time.monotonic() > ends:
                error = f"{paths.job('archive', session.session_key or '')} is still at work"
                self._tell(
                    Entry(
                        year=self._year,
                        round=event.round,
                        session=session.name,
                        type=session.type,
                        key=session.session_key or "",
                        state="failed",
                        error=error,
                        passing=True,
                    )
                )
                return
            self._progress(0.0, "waiting: another is at this session, or was killed")
            self.sleep(_AGAIN_S)

    def _timing(self, entry: Entry, event: EventDocument, session: ScheduledSession) -> bool:
        """What F1's archive has of a session; False if somebody else is at it."""
        archive = self.web.archive
        if self._year < FIRST_TIMED or (not self.again and self._is_timed(entry.key)):
            return True
        if archive is None or isinstance(session.archive_path, UnsetType):
            if archive is not None and self._index_silent:
                return _failed(entry, "F1's index did not answer", passing=True)
            entry.state = "missing"
            entry.error = "PITWALL_HISTORY does not name f1" if archive is None else "F1's index has no archive of it"
            return True
        if self._failed_in_a_row >= IN_A_ROW:
            return _failed(entry, "F1's archive failed several times in a row and was not asked", passing=True)
        try:
            source: Source = archive.open(
                session.archive_path,
                force=session.end_date + WELL_OVER < self.now,
                telemetry=False,
                on_progress=lambda done, what: self._progress(0.5 * done, what),
            )
        except (NotInArchive, ArchiveNotComplete) as error:
            entry.state, entry.error = "missing", str(error)
            return True
        except OSError as error:
            self._failed_in_a_row += 1
            return _failed(entry, str(error), passing=True)
        self._failed_in_a_row = 0
        if isinstance(event.round, int):
            source = Numbered(source, event.round)
        direct = Direct(self.database)
        raised: list[BaseException] = []
        try:
            report = reconcile(
                self.settings,
                self.database,
                direct,
                source,
                dry_run=self.dry_run,
                needs_laps=True,
                progress=self._passing_on(raised, 0.5, 0.4),
                read_back=False,
                stale_s=self.stale_s,
            )
        except JobRunning:
            return False
        except Unavailable:
            raise
        except Exception as error:  # whatever it is, the next session can do without this one
            if raised:
                raise
            entry.refused += [f"{path}: {why}" for path, why in direct.refused]
            passing = isinstance(error, OSError | NotStored | StillPolled | JobLost)
            return _failed(entry, f"{type(error).__name__}: {error}", passing=passing)
        entry.key = report.session
        entry.written += report.result.written + report.result.deleted
        entry.refused += [f"{count} messages: {reason}" for reason, count in report.rejected.items()]
        entry.refused += [f"{path}: {why}" for path, why in direct.refused]
        entry.state = "done" if entry.written else "same"
        self._known.setdefault(entry.key, {})["final"] = report.final
        if not report.final and not self.dry_run:
            entry.state, entry.error = "missing", "the archive has no timing of it, so no laps; the rest is stored"
        return True

    def _official(self, entry: Entry, event: EventDocument, session: ScheduledSession) -> None:
        """What Jolpica has of a session: results and, where F1 has no timing, laps and the session itself."""
        if not isinstance(event.round, int):
            return
        lists = dict(zip((official.RACE, official.SPRINT, official.QUALIFYING), self._season, strict=True))
        name = official.SPRINT if session.name in official.SPRINT_QUALIFYING else session.name
        race = self._told(entry, lists.get(name), event, event.round)
        timed = self._is_timed(entry.key)
        if race is not None:
            self._results(entry, session, race, timed=timed)
            if session.name == official.RACE and not timed:
                self._laps(entry, event.round)
        if not timed:
            self._describe(entry, event, session)

    def _results(self, entry: Entry, session: ScheduledSession, race: Race, *, timed: bool) -> None:
        """The results of a session. race: with the list of it; of what decides a sprint's grid, with the sprint's."""
        key, part = entry.key, f"results/{entry.key}"
        if session.name in official.SPRINT_QUALIFYING:
            who = official.entrants(self._season, race.round)
            made_of = digest(who, timed)
            if timed and not self._marks.has(part, made_of):
                cars = RETRIES(lambda: self.database.query(paths.drivers(key), limit=None))
                told = official.of_timing(key, [fields for _, fields in cars], who, self.now)
                self._keep(entry, part, made_of, told, paths.results(key))
            return
        made_of = digest(race.results, race.sprint_results, race.qualifying_results, timed)
        if not self._marks.has(part, made_of):
            numbers = self._cars(key) if timed else {}
            if session.name == official.QUALIFYING:
                told = official.of_qualifying(key, race.qualifying_results, numbers, self.now)
            else:
                told = official.of_race(key, race.results or race.sprint_results, numbers, self.now)
            self._keep(entry, part, made_of, told, paths.results(key))

    def _told(self, entry: Entry, races: Sequence[Race] | None, event: EventDocument, round_: int) -> Race | None:
        """The race of an event in one of Jolpica's lists, unless Jolpica counts rounds otherwise than the calendar."""
        race = self._season.of(races, round_)
        start, end = event.start_date, event.end_date
        if race is None or isinstance(start, UnsetType) or isinstance(end, UnsetType):
            return race
        if start - _ABOUT <= datetime.combine(race.date, clock(), UTC) <= end + _ABOUT:
            return race
        entry.refused.append(f"round {round_} of Jolpica is the {race.race_name} of {race.date}")
        return None

    def _keep(self, entry: Entry, part: str, made_of: str, told: official.Told, all_of: str) -> None:
        """Stores a part of a session, and that it is."""
        self._progress(0.95, f"storing {part.partition('/')[0]}")
        written = self._marks.store(told.documents, all_of=all_of)
        self._marks.set(part, made_of)
        entry.written += written
        entry.repaired += told.repaired
        entry.refused += told.refused
        if entry.state in ("skipped", "same"):
            entry.state = "done" if written else "same"

    def _laps(self, entry: Entry, round_: int) -> None:
        """Laps of a race that F1 has no timing of. They do not change any more: once stored they are not asked for."""
        part = f"laps/{entry.key}"
        if self._year < official.FIRST_LAPS or self._marks.has(part):
            return
        there = RETRIES(lambda: self.database.query(paths.laps(entry.key), limit=1, only=("v",)))
        if any(split_version(lap["v"])[0] for _, lap in there):
            return  # a poller heard them, and knows more
        told = self._asked("laps", lambda: self.web.jolpica.laps(self._year, round_), round_)
        if told is None:
            return
        who = {one.driver: number for number, one in official.entrants(self._season, round_).items()}
        if told and told[0].laps:
            laps = official.laps(entry.key, told[0], who, self.now)
            self._keep(entry, part, digest(len(laps.documents)), laps, paths.laps(entry.key))
        elif self._year < FIRST_TIMED:
            self._marks.set(part, digest(0))

    def _describe(self, entry: Entry, event: EventDocument, session: ScheduledSession) -> None:
        """Stores the session itself, where no archive tells it: over nothing, and below any version of a poller's."""
        laps = session.name != official.RACE or self._year < official.FIRST_LAPS or self._marks.has(f"laps/{entry.key}")
        final = self._year < FIRST_TIMED and laps
        document = official.session(session, event, session.start_date, final=final)
        if self._year < FIRST_TIMED:
            path, told = paths.session(entry.key), digest(document)
            if not self._marks.has(path, told):
                entry.written += self._marks.store({path: document})
                self._marks.set(path, told)
        elif entry.key not in self._known and not self.dry_run:
            fields = {**to_fields(document), "writtenAt": self.now}
            stored = RETRIES(VersionedStore(self.database).write, [Versioned(paths.session(entry.key), fields, 1)])
            entry.written += stored.written

    def _cars(self, key: str) -> dict[str, str]:
        """Three letters by racing number, as F1's timing has them."""
        path = paths.live(key, "entries")
        lines = (RETRIES(lambda: self.database.read([path]))[path].fields or {}).get("lines", {})
        return {number: line["tla"] for number, line in lines.items() if "tla" in line}

    def _is_timed(self, key: str) -> bool:
        """Whether F1's archive has confirmed a session."""
        return self._year >= FIRST_TIMED and self._known.get(key, {}).get("final") is True

    # -- the season --------------------------------------------------------------------------

    def _count(self, events: Sequence[EventDocument]) -> None:
        """Standings and statistics of the rounds of which something new is told."""
        races = self._season.races
        keys = {
            event.round: session.session_key
            for event in events
            for session in event.sessions
            if session.name == official.RACE and isinstance(session.session_key, str)
        }
        marks = {}
        for one in official.rounds(self._season, {}, {}):
            key = keys.get(one.number, "")
            asked = [told is not None for told in self._season]
            has_laps = self._is_timed(key) or self._marks.has(f"laps/{key}")
            names = official.known(race for race in races if race.round == one.number)
            drivers, teams, listed = names.drivers, names.constructors, names.races[one.year, one.number]
            made_of = digest(to_builtins(one), drivers, teams, listed, asked, has_laps)
            if not self._marks.has(f"count/{one.number}", made_of):
                marks[one.number] = (made_of, key if has_laps else "")
        if not marks:
            return
        before = self._counted(list(marks))
        led = {}
        for number, (_, key) in marks.items():
            if key and (number not in before or before[number].laps_led is None or self.again):
                led[number] = self._led(key)
        found = [one for one in official.rounds(self._season, before, led) if one.number in marks]
        entry = Entry(year=self._year, session="standings and statistics", state="same")
        if not self.dry_run:
            entry.written = RETRIES(lambda: count(self.database, found, official.known(races)))
            for number, (made_of, _) in marks.items():
                self._marks.set(f"count/{number}", made_of)
        entry.state = "done" if entry.written else "same"
        self._tell(entry)

    def _counted(self, rounds: Sequence[int]) -> dict[int, Any]:
        """The rounds as they were counted."""
        read = RETRIES(lambda: self.database.read([paths.contribution(self._year, number) for number in rounds]))
        found = {}
        for path, stored in read.items():
            if stored.fields is None:
                continue
            document = from_fields(path, stored.fields)
            if isinstance(document, ContributionDocument):
                found[document.round] = round_of(document)
        return found

    def _led(self, key: str) -> Mapping[str, int]:
        results = RETRIES(lambda: self.database.query(paths.results(key), limit=None, only=("racingNumber", "driver")))
        drivers = {fields["racingNumber"]: fields["driver"] for _, fields in results if "racingNumber" in fields}
        laps = RETRIES(lambda: self.database.query(paths.laps(key), limit=None, only=("drivers",)))
        return official.laps_led([fields for _, fields in laps], drivers)

    def _circuits(self, chosen: Sequence[tuple[EventDocument, ScheduledSession]]) -> None:
        """The circuits of the rounds, and their maps."""
        of_round = {race.round: race for race in self._season.races}
        keys: dict[str, str] = {}
        for event, session in chosen:
            race = of_round.get(event.round) if isinstance(event.round, int) else None
            meeting = self._known.get(session.session_key or "", {}).get("meeting")
            if race is None or race.circuit.circuit_id in keys:
                continue
            if meeting is None and isinstance(session.session_key, str):
                path = paths.session(session.session_key)
                meeting = (RETRIES(partial(self.database.read, [path], only=("meeting",)))[path].fields or {}).get(
                    "meeting"
                )
            if key := ((meeting or {}).get("circuit") or {}).get("key"):
                keys[race.circuit.circuit_id] = key
        for circuit in circuits.of_races(of_round.values()):
            id_ = circuit.circuit_id
            made_of = digest(circuit, keys.get(id_, ""))
            if self._marks.has(f"circuit/{id_}", made_of):
                continue
            self._progress(0.5, f"the circuit {id_}")
            entry = Entry(year=self._year, session=f"circuit {id_}", state="same")
            maps = {}
            try:
                maps = circuits.drawn(self.web.maps, self._year, {id_: keys[id_]}) if id_ in keys else {}
            except SourceError as error:
                entry.state, entry.error, entry.passing = "failed", str(error), True
            wanted = [paths.circuit(id_), paths.layout(id_, self._year)]
            before: dict[str, Document] = {}
            read = RETRIES(partial(self.database.read, wanted))
            if "nom" in (read[paths.circuit(id_)].fields or {}):
                entry.error = "a kart track has this id, and stays; nothing is stored of the circuit"
                self._tell(entry)
                continue
            for path, stored in read.items():
                try:
                    if stored.fields is not None:
                        before[path] = from_fields(path, stored.fields)
                except InvalidDocument as error:
                    entry.repaired.append(str(error))
            entry.written = self._marks.store(circuits.documents(self._year, [circuit], keys, maps, self.now, before))
            if entry.state != "failed":
                entry.state = "done" if entry.written else "same"
            if maps or (entry.state != "failed" and self._year < self.now.year):  # a season's maps are drawn during it
                self._marks.set(f"circuit/{id_}", made_of)
            self._tell(entry)

    def _telemetry(self, chosen: Sequence[tuple[EventDocument, ScheduledSession]]) -> None:
        """Telemetry of the sessions that are timed, and with it the layouts that nobody has drawn."""
        from pitwall.history.telemetry.objects import SESSIONS
        from pitwall.history.telemetry.processing import process

        timed = [
            (event, session, letters)
            for event, session in chosen
            for letters, names in SESSIONS.items()
            if session.name in names and isinstance(event.round, int) and self._is_timed(session.session_key or "")
        ]
        self._half = (0.5, 0.5)
        for number, (event, session, letters) in enumerate(timed):
            self._at(f"{event.name}, {session.name}", number / len(timed), 1 / len(timed))
            entry = Entry(
                year=self._year,
                round=event.round,
                session=f"{session.name}, telemetry",
                type=session.type,
                key=session.session_key or "",
                state="skipped",
            )
            archive = self.web.archive if isinstance(self.web.archive, Archive) else None
            raised: list[BaseException] = []
            try:
                told = process(
                    self.settings,
                    self.database,
                    self._year,
                    event.round or 0,
                    letters,
                    self._passing_on(raised),
                    again=self.again,
                    archive=archive,
                )
            except Unavailable:
                raise
            except (BadRequest, NotInArchive, ArchiveNotComplete) as error:
                entry.state, entry.error = "missing", str(error)
            except Exception as error:  # whatever it is, the next session can do without this one
                if raised:
                    raise
                _failed(entry, f"{type(error).__name__}: {error}", passing=True)
            else:
                entry.state = "done" if told["written"] else "skipped"
                entry.objects = told["written"]
            self._tell(entry)

    # -- telling -----------------------------------------------------------------------------

    def _at(self, label: str, begin: float, width: float) -> None:
        """What is begun now: which part of the whole it is, and its name."""
        self._label, self._begin, self._width, self._done = label, begin, width, 0.0

    def _progress(self, done: float, what: str) -> None:
        """done: of what is begun; it never goes back."""
        self._done = max(self._done, done)
        first, width = self._half
        share = min(1.0, first + width * (self._begin + self._done * self._width))
        self.listener.progress(share, f"{self._label}: {what}" if self._label else what)

    def _passing_on(
        self, raised: list[BaseException], begin: float = 0.0, width: float = 1.0
    ) -> Callable[[float, str], None]:
        """Progress of a part, for what might take the listener's word to stop for a failure of its own."""

        def progress(done: float, what: str) -> None:
            try:
                self._progress(begin + width * done, what)
            except BaseException as error:
                raised.append(error)
                raise

        return progress

    def _tell(self, entry: Entry) -> None:
        self.entries.append(entry)
        number = entry.round if isinstance(entry.round, int) else None
        self.listener.record(entry.severity, entry.text, year=entry.year, round_=number, session=entry.name)


def _failed(entry: Entry, error: str, *, passing: bool) -> bool:
    """That it failed; True, as nobody else is at it."""
    entry.state, entry.error, entry.passing = "failed", error, passing
    return True
