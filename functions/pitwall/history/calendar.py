"""`python -m pitwall.history.calendar YEAR`, and the daily function `schedule`: the calendar and what is to be polled.

Fetches F1's index and FastF1's schedule of a season, has `meetings` make one calendar of them, and writes the documents
`seasons/{year}/events/{id}` and `schedule/{feed}` that are not yet so. Either source will do; without both, nothing is
changed. Called again, it writes nothing. Each write depends on what was read: of two that run at once one begins anew.

exit 0: done. 1: no source answered, or Firestore did not. 2: wrong words or settings.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from flask import Request, Response
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from pitwall.documents import paths
from pitwall.documents.encoding import InvalidDocument, from_fields, rfc3339, to_fields
from pitwall.documents.schedule import EventDocument, ScheduleDocument, ScheduledSession
from pitwall.history.meetings import Meeting, document, identified, kept, meeting_of, merged, of_fastf1, of_index
from pitwall.pipeline.database import Conflict, Database, Unavailable
from pitwall.pipeline.invocation import BadRequest, database_of, invoke
from pitwall.pipeline.log import log, set_lowest
from pitwall.pipeline.push import problem
from pitwall.pipeline.schedule import Schedules, coming, in_order, over_already, same, with_coming
from pitwall.settings import Settings, SettingsError

FIRST_SEASON: Final = 2018
"""Neither source knows when the sessions of earlier seasons were."""
ATTEMPTS: Final = 5
FETCH_ATTEMPTS: Final = 3
MAX_EVENTS: Final = 200
"""Meetings of a season that are read; there are about thirty."""

_FEED: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

Row = Mapping[str, Any]


class NoSource(Exception):
    """No source answered; nothing was changed. The text says why, source by source."""


class Sources(NamedTuple):
    """What F1's index and FastF1 say of a season; None if one was not asked, or, and why, if it did not answer.

    left_out: what could not be used, by reason.
    """

    of_f1: list[Meeting] | None
    of_fastf1: list[Meeting] | None
    errors: dict[str, str]
    left_out: Counter[str]


class Filled(Struct, rename="camel", omit_defaults=True):
    """What a run found and wrote of a season.

    sources: `ok`, or why it did not answer, of each that was asked. written, deleted: ids of the events' documents.
    cancelled: names of meetings. schedule: whether `schedule/{feed}` was written. left_out: by reason.
    """

    year: int
    feed: str
    sources: dict[str, str]
    meetings: int
    written: list[str]
    deleted: list[str]
    cancelled: list[str]
    schedule: bool
    left_out: dict[str, int]
    dry_run: bool = False


# -- the sources -----------------------------------------------------------------------------


def fetch(settings: Settings, year: int) -> Sources:
    """The calendars of a season of those sources that are configured. Raises NoSource."""
    left_out: Counter[str] = Counter()
    errors: dict[str, str] = {}

    def ask(name: str, source: Callable[[], list[Meeting]]) -> list[Meeting] | None:
        if name not in settings.history:
            return None
        try:
            return source()
        except Exception as error:
            # Whatever a source's library makes of a bad answer, the other source is enough.
            errors[name] = f"{type(error).__name__}: {error}"[:500]
            log("WARNING", "a source of the calendar did not answer", source=name, year=year, detail=errors[name])
            return None

    index = ask("f1", lambda: of_index(year, fetch_index(settings, year), left_out))
    schedule = ask("fastf1", lambda: of_fastf1(year, fetch_fastf1(settings, year), left_out))
    if index is None and schedule is None:
        said = "; ".join(f"{name}: {error}" for name, error in errors.items())
        raise NoSource(said or "PITWALL_HISTORY names no source")
    return Sources(index, schedule, errors, left_out)


def fetch_index(settings: Settings, year: int) -> Any:
    """F1's `Index.json` of a season. Raises OSError."""
    from pitwall.sources.archive.errors import NotInArchive
    from pitwall.sources.archive.fetch import Fetcher, Missing

    fetcher = Fetcher(f"{settings.f1_url.rstrip('/')}/static/", attempts=FETCH_ATTEMPTS)
    try:
        return fetcher.json(f"{year}/Index.json")
    except Missing as error:
        raise NotInArchive(str(error)) from error
    finally:
        fetcher.close()


def fetch_fastf1(settings: Settings, year: int) -> list[Row]:
    """The rows of FastF1's own event schedule. Raises SourceError.

    Not of what FastF1 falls back on: F1's index, which is asked anyway and would make all that is to come look
    cancelled, and Ergast.
    """
    from pitwall.history.fastf1_web import fastf1_from

    with fastf1_from(settings) as fastf1:
        return [row.to_dict() for _, row in fastf1.schedule(year).iterrows()]


# -- what is stored --------------------------------------------------------------------------


def fill(settings: Settings, database: Database, year: int, *, feed: str = "", dry_run: bool = False) -> Filled:
    """Brings the stored calendar of a season, and what is to be polled, up to date. Raises NoSource, Unavailable."""
    return filled_events(settings, database, year, feed=feed, dry_run=dry_run)[0]


def filled_events(
    settings: Settings, database: Database, year: int, *, feed: str = "", dry_run: bool = False
) -> tuple[Filled, list[EventDocument]]:
    """As `fill`; the events of the season, too."""
    feed = feed or settings.feed
    sources = fetch(settings, year)
    left_out = Counter(sources.left_out)
    for _ in range(ATTEMPTS):
        left_out = Counter(sources.left_out)
        now, stored, updated = stored_events(database, year)
        today = merged(sources.of_f1, sources.of_fastf1, now, left_out)
        before = [meeting for event in stored.values() if (meeting := meeting_of(event)) is not None]
        all_of_it = kept(
            today, before, index_known=sources.of_f1 is not None, schedule_known=sources.of_fastf1 is not None
        )
        documents = {paths.event(year, id_): document(meeting, now) for id_, meeting in identified(all_of_it).items()}
        written, deleted = _difference(stored, documents)
        if not dry_run and (written or deleted):
            writes = [
                database.write(
                    path,
                    to_fields(_next(documents[path], stored.get(path), now)),
                    updated.get(path),
                    must_be_new=path not in updated,
                )
                for path in written
            ]
            writes += [database.expect(database.delete(path), updated[path]) for path in deleted]
            try:
                database.commit(writes)
            except Conflict:
                continue
        break
    else:
        raise Unavailable(f"{paths.events(year)} was changed by others {ATTEMPTS} times in a row")
    sessions = [session for event in documents.values() for session in event.sessions]
    late = timedelta(seconds=settings.late_s)
    scheduled = False
    if not dry_run:
        schedules = Schedules(database, feed, settings.early_s, settings.late_s)
        scheduled, _, _ = schedules.change(lambda schedule, now: planned(schedule, sessions, year, now, late))
    filled = Filled(
        year=year,
        feed=feed,
        sources={name: sources.errors.get(name, "ok") for name in settings.history},
        meetings=len(documents),
        written=[path.rpartition("/")[2] for path in written],
        deleted=[path.rpartition("/")[2] for path in deleted],
        cancelled=[event.name for event in documents.values() if event.cancelled],
        schedule=scheduled,
        left_out={reason: n for reason, n in left_out.items() if n},
        dry_run=dry_run,
    )
    return filled, list(documents.values())


def planned(
    schedule: ScheduleDocument, sessions: Sequence[ScheduledSession], year: int, now: datetime, late: timedelta
) -> ScheduleDocument:
    """The schedule with what the calendar of a season has to come.

    What the feed said stays: `live`, until it is `late` after its end, and `last`, unless a later session is past by as
    much; neither comes back as one to come. So does what is to come of other seasons.
    """
    live, last = schedule.live, schedule.last
    if not isinstance(live, UnsetType) and live.end_date + late < now:
        last, live = live, UNSET
    held = in_order(sessions)
    past = [session for session in held if session.end_date + late < now]
    if not isinstance(last, UnsetType):
        if (known := next((session for session in held if same(session, last)), None)) is not None:
            last = replace(
                last,
                round=known.round if last.round is UNSET else last.round,
                archive_path=last.archive_path or known.archive_path,
            )
        past = [session for session in past if not over_already(session, last)]
    if past:
        last = past[-1]
    to_come = [session for session in coming(schedule) if session.year != year] + [
        session for session in held if session not in past and session.end_date + late >= now
    ]
    left = [
        session
        for session in in_order(to_come)
        if session.end_date + late >= now
        and not over_already(session, last)
        and (isinstance(live, UnsetType) or not (same(session, live) or session.start_date <= live.start_date))
    ]
    return with_coming(replace(schedule, live=live, last=last), left)


def stored_events(database: Database, year: int) -> tuple[datetime, dict[str, EventDocument], dict[str, Any]]:
    """Firestore's time, the events of a season by path, and the update time of each, of unreadable ones too."""
    found = [path for path, _ in database.query(paths.events(year), limit=MAX_EVENTS, only=("year",))]
    clock = paths.event(year, "1")
    read = database.read([*found, *([] if clock in found else [clock])])
    events: dict[str, EventDocument] = {}
    for path, stored in read.items():
        if stored.fields is None:
            continue
        try:
            event = from_fields(path, stored.fields)
        except InvalidDocument as error:
            log("ERROR", "an event cannot be read and is written anew", path=path, detail=str(error)[:500])
            continue
        if isinstance(event, EventDocument):
            events[path] = event
    return (
        read[clock].read_at,
        events,
        {path: stored.updated for path, stored in read.items() if stored.fields is not None},
    )


def _difference(
    stored: Mapping[str, EventDocument], wanted: Mapping[str, EventDocument]
) -> tuple[list[str], list[str]]:
    """Paths of what is to be written, and of what is to be deleted: meetings whose id has changed."""
    written = [path for path, event in wanted.items() if path not in stored or _said(stored[path]) != _said(event)]
    return written, [path for path in stored if path not in wanted]


def _said(event: EventDocument) -> EventDocument:
    return replace(event, at=datetime.min, written_at=UNSET, v=UNSET)


def _next(event: EventDocument, before: EventDocument | None, now: datetime) -> EventDocument:
    v = before.v if before is not None else 0
    return replace(event, at=now, written_at=now, v=v + 1 if isinstance(v, int) else 1)


# -- entry points ----------------------------------------------------------------------------


def fill_all(settings: Settings, database: Database, year: int | None, *, feed: str = "") -> list[Filled]:
    """The season that is asked for; else this one and, once nothing of it is to come, the next as well.

    Raises NoSource, Unavailable; NoSource for the next season is no error, as it may not be known yet.
    """
    if year is not None:
        return [fill(settings, database, year, feed=feed)]
    path = paths.schedule(feed or settings.feed)
    this_year = database.read([path])[path].read_at.year
    filled = [fill(settings, database, this_year, feed=feed)]
    if "next" not in (database.read([path])[path].fields or {}):
        try:
            filled.append(fill(settings, database, this_year + 1, feed=feed))
        except NoSource as error:
            log("INFO", "the next season is not known yet", year=this_year + 1, detail=str(error))
    return filled


def run(request: Request) -> Response:
    """Entry point, daily: the body may name feed and season, `{"feed": "f1", "year": 2026}`."""
    return invoke(request, _run)


def _run(settings: Settings, body: Any) -> Response:
    feed, year = (body.get("feed", ""), body.get("year")) if isinstance(body, dict) else (None, None)
    if not (feed == "" or (isinstance(feed, str) and _FEED.fullmatch(feed))):
        raise BadRequest("the body is to be an object; `feed` is a feed id")
    if year is not None and not (isinstance(year, int) and FIRST_SEASON <= year <= 2100):
        raise BadRequest(f"`year` is a season from {FIRST_SEASON} on")
    if not settings.history:
        log("INFO", "no source of the calendar is configured, nothing is changed")
        told = {"outcome": "no-source", "feed": feed or settings.feed}
        return Response(msgspec.json.encode(told), content_type="application/json")
    database = database_of(settings.project)
    try:
        filled = fill_all(settings, database, year, feed=feed)
    except NoSource as error:
        log("ERROR", "no source of the calendar answered, nothing was changed", detail=str(error))
        return problem(502, "no-source", str(error))
    for one in filled:
        failed = any(said != "ok" for said in one.sources.values())
        log(
            "WARNING" if failed else "INFO",
            "the calendar is up to date",
            **msgspec.to_builtins(one),
            **database.operations(),
        )
    return Response(msgspec.json.encode(filled), content_type="application/json")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pitwall.history.calendar",
        description="Stores the calendar of a season, and what is to be polled, from F1's index and FastF1's schedule.",
        epilog="Works against whatever the environment names: the emulators or the cloud. "
        "exit code: 0 done, 1 no source answered, or Firestore did not, 2 wrong words or settings.",
    )
    parser.add_argument("year", type=int, metavar="YEAR", help=f"season, from {FIRST_SEASON} on")
    parser.add_argument("--feed", default="", help="feed whose schedule is filled (default: PITWALL_FEED, f1)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    given = parser.parse_args(arguments)
    if not FIRST_SEASON <= given.year <= 2100:
        parser.error(f"{given.year} is no season: the calendar begins in {FIRST_SEASON}")
    if given.feed and not _FEED.fullmatch(given.feed):
        parser.error(f"{given.feed!r} is no feed id: lower-case letters, digits and hyphens")
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        parser.error(str(error))
    if not settings.history:
        parser.error("PITWALL_HISTORY=none: there is no source to ask")
    set_lowest("ERROR")
    database = Database(settings.project)
    try:
        filled = fill(settings, database, given.year, feed=given.feed, dry_run=given.dry_run)
        events = [] if given.dry_run else list(stored_events(database, given.year)[1].values())
    except (NoSource, Unavailable) as error:
        sys.stderr.write(f"nothing was changed: {error}\n")
        return 1
    finally:
        database.close()
    sys.stdout.writelines(f"{line}\n" for line in _lines(filled, events))
    return 0


def _lines(filled: Filled, events: Iterable[EventDocument]) -> Iterable[str]:
    for event in sorted(events, key=lambda event: event.sessions[0].start_date if event.sessions else event.at):
        round_ = "" if isinstance(event.round, UnsetType) else str(event.round)
        yield f"{round_:>3}  {event.name}{' (cancelled)' if event.cancelled else ''}"
        for session in event.sessions:
            marks = " (cancelled)" if session.cancelled and not event.cancelled else ""
            yield f"       {rfc3339(session.start_date)[:16]}Z  {session.name}{marks}"
    for name, said in filled.sources.items():
        if said != "ok":
            yield f"{name} did not answer: {said}"
    would = "would be " if filled.dry_run else ""
    yield (
        f"{filled.year}: {filled.meetings} meetings; {would}written: {', '.join(filled.written) or 'none'}; "
        f"{would}deleted: {', '.join(filled.deleted) or 'none'}"
        + (f"; cancelled: {', '.join(filled.cancelled)}" if filled.cancelled else "")
    )


if __name__ == "__main__":
    sys.exit(main())
