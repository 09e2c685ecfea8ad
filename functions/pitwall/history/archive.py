"""`python -m pitwall.history.archive 2025 Qatar Sprint`: fills in or corrects sessions from F1's archive.

One session, a meeting, a range of rounds or a season, each through `reconcile` and the writer, one after the other.
Works against whatever the environment names: the emulators or the cloud. Interrupted or killed, it is called again with
the same words: sessions that are final are skipped, what is half done is finished.

exit 0: all done. 1: some failed, the others are done. 2: no such session, or wrong words. 130: interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec
import orjson
from msgspec import Struct
from rich.console import Console

from pitwall.documents import paths
from pitwall.history.bars import bars
from pitwall.history.calendar import FIRST_SEASON
from pitwall.history.reconcile import RETRIES, Report, reconcile
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.log import set_lowest
from pitwall.pipeline.publisher import Publisher
from pitwall.settings import Settings, SettingsError
from pitwall.sources import Source
from pitwall.sources.archive import Archive, ArchivedSession, NotInArchive, SessionNotFound

DONE, SOME_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
PRACTICE: Final = "Practice"
Step = Callable[[float, str], None]
_NOT_WORTH_A_LINE: Final = ("looking", "fetched", "comparing", "making", "done")
_SHOWN: Final = 3
"""Corrections of each kind of document that are printed; the report has more."""
_FETCHED: Final = 0.5
"""Part of a session's work that is done once its files are there."""
TYPES: Final = (PRACTICE, "Qualifying", "Race")


class Sessions(Protocol):
    """What is needed of `pitwall.sources.archive.Archive`."""

    def sessions(self, year: int, meeting: str = "", session: str = "") -> Sequence[ArchivedSession]:
        """Those of a season that the words mean. Raises SessionNotFound, NotInArchive, OSError."""
        ...

    def open(
        self, path: str, *, force: bool = False, telemetry: bool = True, on_progress: Step | None = None
    ) -> Source:
        """The archive of a session. Raises ArchiveNotComplete, OSError."""
        ...


State = Literal["done", "skipped", "failed", "differs", "same", "interrupted"]


class Entry(Struct, rename="camel", omit_defaults=True):
    """What became of a session.

    state: `skipped` was final; `differs` and `same` are what a dry run has found.
    """

    name: str
    path: str
    state: State
    session: str = ""
    error: str = ""
    report: Report | None = None

    @property
    def text(self) -> str:
        """What became of it, in a line, and the first few corrections below."""
        if self.state == "skipped":
            return f"{self.name}: final already (--again compares it once more)"
        if self.report is None:
            return f"{self.name}: {self.state}: {self.error}"
        return "\n".join((f"{self.name}: {self.report.line}", *self._corrections()))

    def _corrections(self) -> Iterator[str]:
        """The first few of what was stored and is otherwise now."""
        for told in self.report.result.changes.values() if self.report is not None else ():
            corrections = [example for example in told.examples if not example.endswith(" added")]
            yield from (f"    {example}" for example in corrections[:_SHOWN])
            if len(corrections) > _SHOWN:
                yield "    ..."


class Shown:
    """What is shown of the work: bars on a terminal, a line for each step off one."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._bars = bars(console)
        self._total = total
        self._all = self._bars.add_task(f"{total} sessions", total=total)
        self._one = self._bars.add_task("", total=1.0, visible=False)
        self._said = ""
        self._name = ""

    @contextmanager
    def running(self) -> Iterator[Shown]:
        with self._bars:
            yield self

    def begin(self, number: int, name: str) -> None:
        self._name = f"{number}/{self._total} {name}" if self._total > 1 else name
        self._bars.reset(self._one, description=self._name, total=1.0, visible=True)

    def step(self, done: float, what: str) -> None:
        self._bars.update(self._one, completed=done, description=f"{self._name}: {what}")
        kind = what.partition(" ")[0]
        if not self._console.is_terminal and kind != self._said and kind not in _NOT_WORTH_A_LINE:
            self._said = kind
            self._console.print(f"{self._name}: {what}", soft_wrap=True, markup=False)

    def end(self, line: str) -> None:
        self._said = ""
        self._console.print(line, soft_wrap=True, markup=False)
        self._bars.update(self._one, visible=False)
        self._bars.advance(self._all)


@dataclass
class Backfill:
    """Takes sessions one after the other."""

    settings: Settings
    database: Database
    archive: Sessions
    dry_run: bool = False
    force: bool = False
    again: bool = False
    entries: list[Entry] = field(default_factory=list)

    def run(self, sessions: Sequence[ArchivedSession], shown: Shown) -> int:
        """The exit code. What became of each session is in `entries`, also when it is interrupted."""
        with shown.running():
            final = set() if self.again else self._final(sessions)
            for number, session in enumerate(sessions, start=1):
                shown.begin(number, session.label)
                if session.key in final:
                    entry = Entry(session.label, session.path, "skipped", session.key)
                else:
                    entry = self._one(session, shown)
                self.entries.append(entry)
                shown.end(entry.text)
                if entry.state == "interrupted":
                    return INTERRUPTED
        return SOME_FAILED if any(entry.state == "failed" for entry in self.entries) else DONE

    def _one(self, session: ArchivedSession, shown: Shown) -> Entry:
        publisher = Publisher(self.settings.project, endpoint=self.settings.pubsub_endpoint)
        try:
            source = self.archive.open(
                session.path,
                force=self.force,
                telemetry=False,
                on_progress=lambda done, what: shown.step(done * _FETCHED, what),
            )
            report = reconcile(
                self.settings,
                self.database,
                publisher,
                source,
                dry_run=self.dry_run,
                force=self.force,
                progress=lambda done, what: shown.step(_FETCHED + done * (1 - _FETCHED), what),
            )
        except KeyboardInterrupt:
            error = "call it again with the same words, it goes on from here"
            return Entry(session.label, session.path, "interrupted", session.key, error)
        except Exception as error:  # whatever it is, the next session can do without this one
            said = f"{type(error).__name__}: {error}"
            return Entry(session.label, session.path, "failed", session.key, said)
        finally:
            publisher.close()
        differs = bool(report.result.changes)
        state: State = ("differs" if differs else "same") if self.dry_run else "done"
        return Entry(session.label, session.path, state, report.session, report=report)

    def _final(self, sessions: Iterable[ArchivedSession]) -> set[str]:
        """Keys of the sessions that are final. Raises Unavailable."""
        keys = {paths.session(session.key): session.key for session in sessions if session.key}
        if not keys:
            return set()
        found = RETRIES(lambda: self.database.read(list(keys), only=("final",)))
        return {keys[path] for path, stored in found.items() if (stored.fields or {}).get("final") is True}


def select(sessions: Sequence[ArchivedSession], options: argparse.Namespace) -> list[ArchivedSession]:
    """Those of the sessions that the options ask for and that the archive has: one that was not held has no path."""
    types = {kind.lower() for kind in options.types}
    chosen = []
    for session in sessions:
        if options.session or options.all_sessions:
            asked = True
        elif types:
            asked = session.type.lower() in types
        else:
            asked = session.type != PRACTICE
        first = options.first if options.first is not None else 0
        last = options.last if options.last is not None else 1_000
        ranged = options.first is not None or options.last is not None
        if session.path and asked and (not ranged or (session.round is not None and first <= session.round <= last)):
            chosen.append(session)
    return chosen


def _types(text: str) -> list[str]:
    known = {kind.lower(): kind for kind in TYPES}
    wanted = [word.strip().lower() for word in text.split(",")]
    if unknown := [word for word in wanted if word not in known]:
        raise argparse.ArgumentTypeError(f"there is no type {unknown[0]!r}; there are {', '.join(known)}")
    return [known[word] for word in wanted]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m pitwall.history.archive",
        description="Fills in or corrects sessions from F1's archive, through the pipeline of the project (or the "
        "emulators) that the environment names. Without SESSION: qualifying, sprints and races.",
        epilog="exit code: 0 all done, 1 some failed (the others are done), 2 nothing is called that, 130 interrupted; "
        "called again with the same words it goes on where it was.",
    )
    made.add_argument("year", type=int, metavar="YEAR", help="season, 2018 or later")
    made.add_argument("meeting", nargs="?", default="", metavar="MEETING", help="as Qatar, Monza or a round's number")
    made.add_argument("session", nargs="?", default="", metavar="SESSION", help="as Sprint, Qualifying, 'Practice 1'")
    made.add_argument("--from", dest="first", type=int, metavar="ROUND", help="first round")
    made.add_argument("--to", dest="last", type=int, metavar="ROUND", help="last round")
    made.add_argument("--types", type=_types, default=[], metavar="TYPE,...", help="practice, qualifying, race")
    made.add_argument("--all-sessions", action="store_true", help="practice as well")
    made.add_argument("--dry-run", action="store_true", help="tell what differs, and publish nothing")
    made.add_argument("--again", action="store_true", help="sessions that are final as well")
    made.add_argument("--force", action="store_true", help="also if the archive is not complete, or has much less")
    made.add_argument("--cache", type=Path, metavar="DIR", help="keep what was fetched there, and take it from there")
    made.add_argument("--report", type=Path, metavar="FILE", help="write what was changed there, as JSON")
    return made


def main(argv: Sequence[str] | None = None, archive: Sessions | None = None) -> int:
    """The exit code. archive: where sessions come from, if not from F1's archive as the environment names it."""
    options = parser().parse_args(argv)
    if not FIRST_SEASON <= options.year <= 2100:
        parser().error(f"{options.year} is no season: the archive begins in {FIRST_SEASON}")
    if options.first is not None and options.last is not None and options.first > options.last:
        parser().error(f"there are no rounds from {options.first} to {options.last}")
    if options.report is not None and not options.report.parent.is_dir():
        parser().error(f"there is no folder {options.report.parent}, for the report")
    if options.meeting and (options.first is not None or options.last is not None):
        parser().error("--from and --to are for a season, not for one meeting")
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        return _refused(error)
    set_lowest("ERROR")
    if archive is not None:
        return _backfill(settings, archive, options)
    if "f1" not in settings.history:
        return _refused(SettingsError("PITWALL_HISTORY does not name f1: there is no archive to read"))
    with Archive.of(settings, options.cache) as of_f1:
        return _backfill(settings, of_f1, options)


def _backfill(settings: Settings, archive: Sessions, options: argparse.Namespace) -> int:
    try:
        chosen = select(archive.sessions(options.year, options.meeting, options.session), options)
        if not chosen:
            raise SessionNotFound("no session of that kind is in the archive (yet)")
    except (SessionNotFound, NotInArchive) as error:
        return _refused(error)
    except OSError as error:
        _refused(error)
        return SOME_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    backfill = Backfill(settings, Database(settings.project), archive, options.dry_run, options.force, options.again)
    try:
        code = backfill.run(chosen, Shown(Console(highlight=False), len(chosen)))
    except Unavailable as error:
        _refused(error)
        code = SOME_FAILED
    except KeyboardInterrupt:
        code = INTERRUPTED
    if options.report is not None:
        told = {"sessions": msgspec.to_builtins(backfill.entries), "exitCode": code}
        options.report.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    return code


def _refused(error: Exception) -> int:
    """Says what is wrong; the exit code for words that mean nothing."""
    said = f"python -m pitwall.history.archive: {error}"
    Console(stderr=True, highlight=False, soft_wrap=True).print(said, markup=False)
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
