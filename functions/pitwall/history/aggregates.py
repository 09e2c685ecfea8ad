"""Standings and statistics kept up to date when results change: exactly once, without scanning.

`contributions/{year}-{round}` remembers what a round has brought: its results as they were counted, and the part that
everybody's statistics hold of it. When results come, the part that is remembered is taken off every sum and the new one
is put on, and what is remembered is changed in the same commit as the sums are. So there is nothing between two writes
at which a crash could fall: whatever was committed is remembered, whatever was not is done by the next run, and results
that are counted already change nothing. As the part itself is remembered, and not only the results, a rule of
`statistics` that changes is put right like a correction, once the rounds are counted again.

A commit is of one season: of two runs that count one season at a time, one begins anew (each changes `seasons/{year}`);
so does one of two seasons that meet in a driver. What the documents hold is `season_documents`' to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, get_args

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.encoding import from_fields
from pitwall.documents.history import (
    ConstructorDocument,
    ConstructorSeasonDocument,
    ContributionDocument,
    DriverProfileDocument,
    DriverSeasonDocument,
    SeasonDocument,
    StandingsDocument,
)
from pitwall.history.season_documents import (
    CHAMPIONSHIPS,
    NOTHING,
    Known,
    career,
    contributed,
    contribution,
    is_held,
    names_of,
    path_of,
    race_of,
    races_of,
    round_of,
    season_documents,
    season_of,
    tally_of,
)
from pitwall.history.standings import Round, Standings, standings
from pitwall.history.statistics import Subject, Tallies, applied, contributions
from pitwall.history.stored import ATTEMPTS, writes
from pitwall.pipeline.database import Conflict, Database, Stored, Unavailable

T = TypeVar("T", bound=Document)

_Sum = DriverProfileDocument | DriverSeasonDocument | ConstructorDocument | ConstructorSeasonDocument


def count(database: Database, rounds: Iterable[Round], known: Known = NOTHING) -> int:
    """Counts rounds of one season, each in the place of what was counted of it before; others stay as they are.

    A round without results is counted no more. known: what is told of whom, and of the races; what was told before and
    is not told now stays. Returns how many documents were written or deleted. Raises ValueError if the rounds are of
    several seasons, or one is there twice; encoding.InvalidDocument if what is stored cannot be read;
    database.InvalidWrite, database.Unavailable.
    """
    listed = list(rounds)
    given = {one.number: one for one in listed}
    years = {one.year for one in listed}
    if len(years) > 1 or len(given) < len(listed):
        raise ValueError("rounds of several seasons, or one round twice")
    if not given:
        return 0
    (year,) = years
    for _ in range(ATTEMPTS):
        needed = _Counting(database, year, given, known).writes()
        try:
            if needed:
                database.commit(needed)
        except Conflict:
            continue
        return len(needed)
    raise Unavailable(f"{paths.season(year)} was changed by others {ATTEMPTS} times in a row")


class _Counting:
    """One attempt: what is stored of a season, and what it is to be."""

    def __init__(self, database: Database, year: int, given: Mapping[int, Round], known: Known) -> None:
        self._database = database
        self._year = year
        self._given = given
        self._known = known
        self._stored: dict[str, Stored] = {}

    def writes(self) -> list[Any]:
        """What has to be committed; nothing if all is counted."""
        guard = paths.season(self._year)
        # What is read after the season is as of this reading: else the season has changed, and nothing is committed.
        season = self._read([guard], SeasonDocument).get(guard)
        now = self._stored[guard].read_at
        races = {race.round: race_of(race) for race in (season.races if season is not None else ())}
        numbers = sorted(races.keys() | self._given.keys())
        remembered = self._read([paths.contribution(self._year, n) for n in numbers], ContributionDocument)
        before = {one.round: one for one in remembered.values()}
        rounds = {number: round_of(one) for number, one in before.items()} | dict(self._given)
        held = [one for one in rounds.values() if is_held(one)]
        after = standings(held)

        subjects = {subject for one in before.values() for subject in contributed(one)}
        changed: Tallies = {}
        wanted: dict[str, Document | None] = {}
        for number, one in self._given.items():
            old = contributed(before[number]) if number in before else {}
            new = contributions(one)
            subjects |= new.keys()
            changed = applied(changed, applied(new, {subject: -tally for subject, tally in old.items()}))
            wanted[paths.contribution(self._year, number)] = contribution(one, new, now) if is_held(one) else None

        tables = {paths.standings(self._year, championship): championship for championship in CHAMPIONSHIPS}
        stored = self._read([*tables, *map(path_of, subjects)], StandingsDocument, *get_args(_Sum))
        names = {
            championship: {**table.names, **told} if isinstance(table := stored.get(path), StandingsDocument) else told
            for path, championship in tables.items()
            for told in [names_of(self._known)[championship]]
        }
        races |= races_of(self._known, self._year)
        wanted |= dict.fromkeys([guard, *tables])
        wanted |= season_documents(self._year, held, after, now, names, races)
        sums = {subject: found for subject in subjects if isinstance(found := stored.get(path_of(subject)), _Sum)}
        wanted |= self._sums(subjects, sums, changed, after[-1] if after else None, now)
        return writes(self._database, wanted, self._stored, now, guard=guard)

    def _sums(
        self,
        subjects: Collection[Subject],
        before: Mapping[Subject, _Sum],
        changed: Tallies,
        after: Standings | None,
        now: datetime,
    ) -> dict[str, Document | None]:
        """The statistics of everybody who has a result in the season; None for who has none any more."""
        tallies = applied({subject: tally_of(one.statistics) for subject, one in before.items()}, changed)
        wanted: dict[str, Document | None] = {}
        for subject in subjects:
            tally, path = tallies.get(subject), path_of(subject)
            if tally is None:
                wanted[path] = None
            elif subject.year is not None:
                wanted[path] = season_of(subject, tally, after, now)
            else:
                seasons = set(_seasons(before.get(subject))) - {self._year}
                if subject._replace(year=self._year) in tallies:
                    seasons.add(self._year)
                wanted[path] = career(subject, tally, sorted(seasons), now, self._known, before.get(subject))
        return wanted

    def _read(self, wanted: Sequence[str], *types: type[T]) -> dict[str, T]:
        """The documents of these paths that there are."""
        read = self._database.read(wanted)
        self._stored |= read
        documents = {path: from_fields(path, one.fields) for path, one in read.items() if one.fields is not None}
        return {path: document for path, document in documents.items() if isinstance(document, types)}


def _seasons(document: Document | None) -> list[int]:
    return document.seasons if isinstance(document, DriverProfileDocument | ConstructorDocument) else []
