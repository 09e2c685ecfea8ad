"""The source `openf1`: a session that is on, asked for table by table, as long as it is not closed.

Which table is asked for next is decided by how long ago it was against how often it is wanted; the rate limit decides
how often that is in all. Only what may be newer is asked for, with an overlap for rows that come late.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from pitwall.message import FeedStatus, Message
from pitwall.settings import Settings
from pitwall.sources.backoff import Backoff
from pitwall.sources.openf1.client import Client, equal, since
from pitwall.sources.openf1.rows import whole
from pitwall.sources.openf1.session import Session
from pitwall.sources.openf1.trouble import Closed, Trouble
from pitwall.sources.record import counting, topic_rank
from pitwall.sources.standing import Standing

logger = logging.getLogger(__name__)

WANTED_S: Final = {
    "intervals": 4.0,
    "position": 6.0,
    "laps": 6.0,
    "race_control": 10.0,
    "pit": 15.0,
    "stints": 20.0,
    "weather": 60.0,
    "team_radio": 60.0,
    "drivers": 300.0,
}
"""How often each table is wanted, seconds: fifty questions a minute. The first named is the most urgent one."""
TELEMETRY_S: Final = {"car_data": 15.0, "location": 15.0}
"""The same of what is asked for only with a paid account, whose limit leaves room for it."""
LATEST_S: Final = 120.0
"""How often it is asked whether the next session has begun."""
GATED: Final = ("CarData", "Position")

OVERLAP_MS: Final = {"car_data": 5_000, "location": 5_000, "race_control": 60_000}
OTHER_OVERLAP_MS: Final = 30_000
"""How far behind the newest row a table is asked for: so late a row may come."""
LAPS_OVERLAP_MS: Final = 300_000
"""Rows of laps that began within this may still be amended."""
SWEEP: Final = 20
"""One in so many times laps are asked for as a whole: those under a red flag are amended long after they began."""
FEW_LAPS: Final = 3
RECENT_MS: Final = 120_000
"""Gaps older than this are not asked for when a session is first read."""

FIRST: Final = ("drivers", "laps", "position", "stints", "pit", "race_control", "weather", "team_radio", "intervals")
WHOLE: Final = frozenset({"stints", "pit", "drivers", "team_radio"})
ATTEMPTS: Final = 3
NEWS: Final = frozenset({"laps", "position", "intervals", "race_control", "pit", "stints"})
"""Tables whose rows are a sign that the session goes on."""
LULL: Final = 6.0
"""Times as seldom each table is asked for once the session is over."""


def open_openf1(settings: Settings, session: str = "") -> OpenF1Source:
    """OpenF1 at `settings.openf1_url`. Nothing is asked before `messages` is read.

    session: the key of the session to read; without one it is OpenF1's latest, and then the one after it.
    """
    return OpenF1Source(settings, session)


class OpenF1Source:
    """A session as OpenF1 tells it while it is on. It cannot be rewound, and has no end but `close`.

    session: key of the session being read; what was given before one is known.
    rejected: rows that could not be used, by reason.
    """

    name = "openf1"

    def __init__(
        self,
        settings: Settings,
        session: str = "",
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """wall: seconds since the epoch. monotonic: seconds. pause: waits so many seconds, or until closed."""
        self.session = session
        self.rejected: Counter[str] = Counter()
        self._reject = counting(self.rejected, logger, "OpenF1")
        self._asked_for = session
        self._settings = settings
        self._wall = wall
        self._monotonic = monotonic
        self._closing = threading.Event()
        self._pause = pause or self._closing.wait
        self._backoff = Backoff(settings.backoff_s)
        self._standing = Standing(wall)
        self._live_at: float | None = None
        self._following: Session | None = None
        self._turns: dict[str, float] = {}
        self._asked: Counter[str] = Counter()
        self._heard = 0.0
        self._news = 0.0

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        """The session's messages and how reading it goes, until `close`; blocks while waiting for more.

        First the session as it stands, as a snapshot (SessionInfo first, one instant), then what comes. What OpenF1
        could not be asked for a while is asked for afterwards: such a time is no gap. Of the messages of one answer
        none is before another's instant; between answers instants step back by as much as a table lags behind.
        `cursor` is not heeded. A server that does not answer is no error; it is said and asked again.
        """
        del cursor
        yield from self._standing.say("connecting")
        client = Client(self._settings, monotonic=self._monotonic, pause=self._interrupted, attempts=ATTEMPTS)
        self._standing.gated = () if client.paid else GATED
        try:
            while not self._closing.is_set():
                try:
                    yield from self._follow(client)
                except Trouble as trouble:
                    lived = self._monotonic() - self._live_at if self._live_at is not None else 0.0
                    self._live_at = None
                    self._backoff.failed(lived)
                    if self._backoff.worth_saying(trouble.detail):
                        logger.warning("OpenF1: %s (attempt %d)", trouble.detail, self._backoff.attempts)
                    yield from self._standing.say(trouble.state or self._standing.between, trouble.detail)
                    self._wait(self._backoff.wait_s(trouble.asked_s))
        except Closed:
            return
        finally:
            client.close()

    def close(self) -> None:
        """Ends the iteration, at the latest when the question under way is answered. From any thread."""
        self._closing.set()

    # -- reading ---------------------------------------------------------------------------

    def _follow(self, client: Client) -> Iterator[Message | FeedStatus]:
        """Reads on until something is the matter."""
        if self._following is None:
            yield from self._begin(client, self._asked_for or "latest")
        while not self._closing.is_set():
            session = self._following
            if session is None:
                return
            table, due_in_s = self._next(session, client.paid)
            if due_in_s > 0:
                self._wait(due_in_s)
                continue
            self._turns[table] = self._monotonic()
            if table == "sessions":
                yield from self._look_for_next(client, session)
                continue
            fresh = session.take(
                table, client.rows(table, equal("session_key", session.key), *self._newer(table, session))
            )
            now = self._monotonic()
            if fresh:
                self._heard = now
                self._news = now if table in NEWS else self._news
            yield from self._say_live()
            if session.flagged and not session.over and self._passed_s(self._news) >= self._settings.quiet_s:
                yield from self._passed(session.messages(self._feed_now(session), final=True))
            else:
                yield from self._passed(session.messages(self._feed_now(session)))

    def _begin(self, client: Client, key: str) -> Iterator[Message | FeedStatus]:
        """Reads a session as it stands, and tells it as a snapshot."""
        rows = client.rows("sessions", equal("session_key", key))
        if not rows:
            raise Trouble(
                "OpenF1 has no session yet" if key == "latest" else f"OpenF1 does not have session {key} yet",
                passing=False,
            )
        if whole(rows[0].get("session_key")) is None:
            raise Trouble("OpenF1 answered what is no session", passing=False)
        session = Session(rows[0], self._reject)
        if (meeting := rows[0].get("meeting_key")) is not None:
            session.take("meetings", client.rows("meetings", equal("meeting_key", meeting)))
        for table in FIRST:
            if table == "intervals" and not session.race:
                continue
            newer: tuple[str, ...] = ()
            if table == "intervals" and session.newest:
                newer = (since("date", session.newest - RECENT_MS),)
            session.take(table, client.rows(table, equal("session_key", session.key), *newer))
        now = self._monotonic()
        self._following = session
        self.session = session.key
        self._heard = self._news = now
        self._turns = dict.fromkeys([*WANTED_S, *TELEMETRY_S, "sessions"], now)
        self._asked.clear()
        yield from self._say_live()
        yield from self._passed(_snapshot(session.messages(), int(self._wall() * 1000)))

    def _look_for_next(self, client: Client, session: Session) -> Iterator[Message | FeedStatus]:
        """Goes over to the next session once OpenF1 has it, unless this one was asked for and is not over."""
        if self._asked_for and not session.over:
            return
        rows = client.rows("sessions", equal("session_key", "latest"))
        key = whole(rows[0].get("session_key")) if rows else None
        if key is not None and key > int(session.key):
            self._asked_for = ""
            yield from self._begin(client, str(key))

    def _next(self, session: Session, paid: bool) -> tuple[str, float]:
        """The table to be asked for next, and in how many seconds it is due."""
        wanted = {**WANTED_S, "sessions": LATEST_S, **(TELEMETRY_S if paid else {})}
        if not session.race:
            del wanted["intervals"]
        lull = LULL if session.over else 1.0
        wanted = {
            table: every * (1.0 if table == "sessions" else lull) / self._speed for table, every in wanted.items()
        }
        now = self._monotonic()
        late = {table: share for table, every in wanted.items() if (share := (now - self._turns[table]) / every) >= 1}
        if late:
            return max(late, key=lambda table: late[table]), 0.0
        return "", min(self._turns[table] + every - now for table, every in wanted.items())

    def _newer(self, table: str, session: Session) -> tuple[str, ...]:
        """The filter for what may not be known yet."""
        self._asked[table] += 1
        newest = session.newest_of.get(table)
        if newest is None or table in WHOLE:
            return ()
        if table == "laps":
            if session.furthest <= FEW_LAPS or self._asked[table] % SWEEP == 0:
                return ()
            return (since("date_start", newest - LAPS_OVERLAP_MS),)
        return (since("date", newest - OVERLAP_MS.get(table, OTHER_OVERLAP_MS)),)

    def _feed_now(self, session: Session) -> int:
        """The feed's instant: the newest row's, run on since it came."""
        return session.newest + int(self._passed_s(self._heard) * 1000)

    def _passed_s(self, since: float) -> float:
        """Seconds of the feed since a monotonic instant."""
        return (self._monotonic() - since) * self._speed

    @property
    def _speed(self) -> float:
        speed = self._settings.speed
        return speed if speed != float("inf") else 1.0

    def _passed(self, messages: list[Message]) -> Iterator[Message]:
        arrived = int(self._wall() * 1000)
        for message in messages:
            yield message._replace(arrived=arrived)

    def _wait(self, seconds: float) -> None:
        if self._interrupted(seconds):
            raise Closed

    def _interrupted(self, seconds: float) -> bool:
        if not self._closing.is_set():
            self._pause(seconds)
        return self._closing.is_set()

    # -- what is said ----------------------------------------------------------------------

    def _say_live(self) -> Iterator[FeedStatus]:
        if self._live_at is None:
            self._live_at = self._monotonic()
            self._standing.connected()
        yield from self._standing.say("live")


def _snapshot(messages: list[Message], now: int) -> list[Message]:
    """A session's messages so far as the state they make, topic by topic, at the instant of the newest."""
    states: dict[str, Any] = {}
    at = 0
    for message in messages:
        at = max(at, message.at)
        states[message.topic] = _merged(states.get(message.topic), message.data)
    return [
        Message(topic, states[topic], at or now, snapshot=True)
        for topic in sorted(states, key=topic_rank)
        if topic not in ("CarData", "Position")
    ]


def _merged(state: Any, delta: Any) -> Any:
    """Of the session's own deltas: they have no lists that are changed by index, and no deletions."""
    if not isinstance(state, dict) or not isinstance(delta, dict):
        return delta
    return {**state, **{key: _merged(state.get(key), value) for key, value in delta.items()}}
