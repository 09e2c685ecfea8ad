"""A session of the past, read from OpenF1's tables as a whole: a source that can be rewound."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from pitwall.message import Message
from pitwall.settings import Settings
from pitwall.sources.openf1.client import Client, Row, equal, since
from pitwall.sources.openf1.rows import instant, whole
from pitwall.sources.openf1.session import Session
from pitwall.sources.openf1.trouble import Closed, Trouble
from pitwall.sources.record import counting

logger = logging.getLogger(__name__)

TABLES: Final = (
    "drivers", "laps", "position", "intervals", "stints", "pit", "race_control", "weather", "team_radio",
)  # fmt: skip
TELEMETRY: Final = ("car_data", "location")
PIECE_MS: Final = 600_000
"""Telemetry is asked for in pieces of so much of the session: a race has a million rows."""
ATTEMPTS: Final = 6


class NotInOpenF1(Exception):
    """OpenF1 has no session with this key; the text says which."""


def history(settings: Settings, session_key: str, *, telemetry: bool = False) -> HistorySource:
    """A past session. Asks for nothing before `messages` is read.

    telemetry: also car data and positions; a race's take some minutes and a gigabyte.
    """
    return HistorySource(settings, session_key, telemetry=telemetry)


class HistorySource:
    """A session of the past as a source of messages, the same ones with the same ordinals every time.

    rejected: rows that could not be used, by reason.
    """

    name = "openf1"

    def __init__(
        self,
        settings: Settings,
        session_key: str,
        *,
        telemetry: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.session = session_key
        self.rejected: Counter[str] = Counter()
        self._reject = counting(self.rejected, logger, f"OpenF1, session {session_key}")
        self._settings = settings
        self._telemetry = telemetry
        self._closing = threading.Event()
        self._monotonic = monotonic
        self._pause = pause or self._closing.wait
        self._messages: list[Message] | None = None

    def messages(self, cursor: int = 0) -> Iterator[Message]:
        """The session's messages from the ordinal `cursor` on, in order of their instants.

        Raises NotInOpenF1, or Trouble where OpenF1 cannot be read after several attempts. Ends early if closed.
        """
        if cursor < 0:
            raise ValueError(f"a cursor counts from 0, not {cursor}")
        if self._messages is None:
            try:
                self._messages = [message._replace(cursor=n) for n, message in enumerate(self._read())]
            except Closed:
                return
        yield from self._messages[cursor:]

    def close(self) -> None:
        """Ends the reading. From any thread."""
        self._closing.set()

    def _read(self) -> list[Message]:
        client = Client(self._settings, monotonic=self._monotonic, pause=self._interrupted, attempts=ATTEMPTS)
        this = equal("session_key", self.session)
        try:
            rows = client.rows("sessions", this)
            if not rows or whole(rows[0].get("session_key")) is None:
                raise NotInOpenF1(f"OpenF1 has no session {self.session}")
            self.rejected.clear()
            session = Session(rows[0], self._reject)
            self.session = session.key
            if (meeting := rows[0].get("meeting_key")) is not None:
                session.take("meetings", client.rows("meetings", equal("meeting_key", meeting)))
            for table in TABLES:
                session.take(table, client.rows(table, this))
            if self._telemetry:
                for table in TELEMETRY:
                    for piece in self._pieces(client, table, session):
                        session.take(table, piece)
        finally:
            client.close()
        return session.messages(final=True)

    def _pieces(self, client: Client, table: str, session: Session) -> Iterator[list[Row]]:
        """A table's rows, a piece of the session at a time, until there are no more after its last other row."""
        at = instant(session.row, "date_start") or session.newest
        at -= PIECE_MS
        while at < session.newest:
            bounds = since("date", at), since("date", at + PIECE_MS).replace(">=", "<", 1)
            yield client.rows(table, equal("session_key", session.key), *bounds)
            at += PIECE_MS

    def _interrupted(self, seconds: float) -> bool:
        if not self._closing.is_set():
            self._pause(seconds)
        return self._closing.is_set()


__all__ = ["HistorySource", "NotInOpenF1", "Trouble", "history"]
