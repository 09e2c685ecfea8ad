"""Economy: how much is spent on viewers. `off` is the usual; `slow` publishes ticks every 5 s of feed time instead of
every second; `closed` does that too and releases security rules that let no client read sessions: CDN only.

The mode is in `economy/current`. It is set by hand, with this command, or by the budget's messages (`budget`).

    python -m pitwall.pipeline.economy                                   shows it
    python -m pitwall.pipeline.economy slow --reason "many viewers"      sets it
    python -m pitwall.pipeline.economy off                               lifts it

It needs GOOGLE_CLOUD_PROJECT and credentials that may write Firestore (`gcloud auth application-default login`); for
the security rules PITWALL_RULES_OPEN and PITWALL_RULES_CLOSED, and credentials that may update their release.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import datetime
from typing import TYPE_CHECKING, Final, get_args

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from pitwall.documents import paths
from pitwall.documents.economy import BudgetsWord, EconomyDocument, HandsWord, Mode
from pitwall.documents.encoding import EPOCH, InvalidDocument, from_fields, rfc3339, to_fields
from pitwall.pipeline.database import Conflict, Database, Unavailable
from pitwall.pipeline.log import log
from pitwall.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pitwall.pipeline.rules import Rules

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
"""From the loosest to the strictest."""

WATCH_S = 60.0
"""Seconds of wall time between two looks of a holder at the mode."""

LOOK_S: Final = 2.0
"""Seconds one of them may take: a holder waits for the first, and its lease must not wait for the others."""

ATTEMPTS: Final = 5

UNTOUCHED: Final = EconomyDocument(at=EPOCH, mode="off", set_by="hand")
"""What holds where nobody has set anything."""


def stricter(one: Mode, other: Mode) -> Mode:
    """The stricter of two modes."""
    return max(one, other, key=MODES.index)


def told_by_hand(before: EconomyDocument, word: HandsWord) -> EconomyDocument:
    """What was set by hand holds, whatever the budget has asked for so far in its interval."""
    return replace(before, mode=word.mode, set_by="hand", reason=word.reason, hand=word)


def told_by_budget(before: EconomyDocument, word: BudgetsWord) -> EconomyDocument:
    """What the budget asks for counts if its interval is a new one, or if it has not asked for so much in it before.

    So neither duplicates nor older messages change anything, costs that are corrected downwards loosen nothing, and
    what was lifted by hand stays lifted until more is asked for. Never looser than what was set by hand.
    """
    known = before.budget
    if not isinstance(known, UnsetType):
        older = word.cost_interval_start < known.cost_interval_start
        same = word.cost_interval_start == known.cost_interval_start
        if older or (same and stricter(word.mode, known.mode) == known.mode):
            return before
    hand = before.hand
    if not isinstance(hand, UnsetType) and hand.mode != "off" and stricter(hand.mode, word.mode) == hand.mode:
        return replace(before, mode=hand.mode, set_by="hand", reason=hand.reason, budget=word)
    return replace(before, mode=word.mode, set_by="budget", reason=word.reason, budget=word)


class Economy:
    """`economy/current` of one project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mode(self, timeout_s: float | None = None) -> Mode:
        """The mode; `off` where nobody has set one. Reads one document. Raises Unavailable, InvalidDocument."""
        fields = self._database.read([_PATH], timeout_s=timeout_s)[_PATH].fields
        return "off" if fields is None else _document(fields).mode

    def current(self) -> EconomyDocument:
        """What is stored; `UNTOUCHED` where nothing is, or what cannot be read. Raises Unavailable."""
        return self._read()[0]

    def set_by_hand(self, mode: Mode, reason: str = "") -> EconomyDocument:
        """Sets the mode; returns what is stored then. Raises Unavailable, InvalidDocument (the reason is too long)."""
        word = HandsWord(mode=mode, reason=reason or UNSET)
        return self._change(lambda before: told_by_hand(before, word))

    def set_by_budget(self, word: BudgetsWord) -> EconomyDocument:
        """Takes note of what the budget asks for; returns what is stored then. Raises Unavailable."""
        return self._change(lambda before: told_by_budget(before, word))

    def _change(self, change: Callable[[EconomyDocument], EconomyDocument]) -> EconomyDocument:
        for _ in range(ATTEMPTS):
            before, now, updated, exists = self._read()
            after = change(before)
            if after == before:
                return before
            after = replace(after, at=now, written_at=now, v=before.v + 1 if isinstance(before.v, int) else 1)
            fields = to_fields(_document(to_fields(after)))
            try:
                self._database.commit([self._database.write(_PATH, fields, updated, must_be_new=not exists)])
            except Conflict:
                continue
            return after
        raise Unavailable(f"{_PATH} was changed by others {ATTEMPTS} times in a row")

    def _read(self) -> tuple[EconomyDocument, datetime, object, bool]:
        """The document, Firestore's time, its update time, whether it exists."""
        stored = self._database.read([_PATH])[_PATH]
        if stored.fields is None:
            return UNTOUCHED, stored.read_at, stored.updated, False
        try:
            return _document(stored.fields), stored.read_at, stored.updated, True
        except InvalidDocument as error:
            log("ERROR", "the economy cannot be read", reason="bad-economy", detail=str(error)[:500])
            return UNTOUCHED, stored.read_at, stored.updated, True


_PATH: Final = paths.economy()


def _document(fields: object) -> EconomyDocument:
    document = from_fields(_PATH, fields)
    assert isinstance(document, EconomyDocument)  # noqa: S101 (the path says so)
    return document


class Watch:
    """The mode as a holder follows it: read once at the start, then every `WATCH_S` beside what it does."""

    def __init__(self, economy: Economy, beside: Executor, monotonic: Callable[[], float]) -> None:
        self._economy = economy
        self._beside = beside
        self._monotonic = monotonic
        self._reading: Future[Mode] | None = None
        self._read_at = monotonic()

    def first(self) -> Mode | None:
        """The mode now; None if that cannot be known."""
        self._read_at = self._monotonic() + WATCH_S
        return self._known(lambda: self._economy.mode(LOOK_S))

    def look(self, now: float) -> Mode | None:
        """The mode if it has been read since this was last asked. Never blocks."""
        mode = None
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            mode = self._known(reading.result)
        if self._reading is None and now >= self._read_at:
            self._read_at = now + WATCH_S
            self._reading = self._beside.submit(self._economy.mode, LOOK_S)
        return mode

    @staticmethod
    def _known(read: Callable[[], Mode]) -> Mode | None:
        try:
            return read()
        except (Unavailable, InvalidDocument) as error:
            log("WARNING", "the economy's mode cannot be read, it stays as it was", detail=str(error)[:300])
            return None


def have_rules_follow(economy: Economy, rules: Rules, stored: EconomyDocument) -> EconomyDocument:
    """Has the rules' release follow the mode; returns what is stored once the two agree.

    The document is written first and is what counts: whoever finds the release behind it, as after a crash between
    the two, brings it up. Who has changed the release looks once more, so that of two at a time the later wins.
    Raises Unavailable, NotReleased.
    """
    while rules.follow(stored.mode):
        before, stored = stored, economy.current()
        if stored.mode == before.mode:
            break
    return stored


def main(arguments: Sequence[str]) -> int:
    """Runs the command; its exit code."""
    from google.auth.exceptions import GoogleAuthError

    from pitwall.pipeline.rules import NotReleased, Rules

    parser = argparse.ArgumentParser(
        prog="python -m pitwall.pipeline.economy",
        description="How much is spent on viewers: shows the mode, or sets it.",
        epilog="off: ticks every second. slow: every 5 s. closed: that, and clients read no sessions from Firestore.",
    )
    parser.add_argument("mode", nargs="?", choices=MODES, help="without one it is only shown")
    parser.add_argument("--reason", default="", help="why, in plain words; stored with the mode")
    given = parser.parse_args(arguments)
    if given.reason and given.mode is None:
        parser.error("--reason goes with a mode")
    try:
        settings = Settings.from_env()
        economy, rules = Economy(Database(settings.project)), Rules(settings)
        stored = economy.set_by_hand(given.mode, given.reason.strip()) if given.mode else economy.current()
        sys.stdout.write(_in_words(stored))
        if given.mode:
            have_rules_follow(economy, rules, stored)
            sys.stdout.write(f"The security rules: {rules.said}.\n")
    except NotReleased as error:
        sys.stderr.write(f"The mode is stored, but the security rules have not followed: {error}. Run it again.\n")
        return 1
    except (SettingsError, InvalidDocument, GoogleAuthError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Unavailable as error:
        sys.stderr.write(f"Firestore does not answer: {error}\n")
        return 1
    return 0


def _in_words(stored: EconomyDocument) -> str:
    if stored.at == EPOCH:
        return "The mode is off; nobody has set it.\n"
    because = "" if isinstance(stored.reason, UnsetType) else f": {stored.reason}"
    by = "by hand" if stored.set_by == "hand" else "by the budget"
    return f"The mode is {stored.mode}, set {by} at {rfc3339(stored.at)}{because}.\n"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
