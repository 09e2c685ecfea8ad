"""The source `f1`: F1's live feed as messages, connection after connection, until it is closed.

What goes on over one connection is `connection`'s business, when to try again `backoff`'s, what a token is `login`'s.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from pitwall.message import FeedStatus, Message, feed_gap
from pitwall.secret import SecretError, read_secret
from pitwall.settings import Settings
from pitwall.sources.backoff import Backoff
from pitwall.sources.dating import Instants
from pitwall.sources.line import Line
from pitwall.sources.record import Record, counting, plain_topic, session_key, snapshot_records, topic_rank
from pitwall.sources.signalr.connection import INVOCATION, Connection, Frame
from pitwall.sources.signalr.gated import GatedTopics
from pitwall.sources.signalr.login import NO_TOKEN, PUBLIC_ONLY, BadToken, Login, Token, read_token
from pitwall.sources.signalr.snapshot import snapshot_instant
from pitwall.sources.signalr.topics import GATED, GATED_NAMES, PUBLIC
from pitwall.sources.signalr.trouble import DENIED, LoginRefused
from pitwall.sources.signalr_frames import frame_records
from pitwall.sources.standing import Standing
from pitwall.sources.trouble import Trouble
from pitwall.sources.z import BadPayload, payload

logger = logging.getLogger(__name__)

PING_S: Final = 15.0
"""Seconds between our pings, as SignalR's own clients have it; the hub lets go of a client after 30."""

LATE_S: Final = 0.25
"""What a message is under way, at most; so much is taken off where the feed's clock is run on without messages."""


def open_f1(settings: Settings, session: str = "") -> SignalRSource:
    """F1's live feed at `settings.f1_url`. Nothing is connected before `messages` is read.

    session: the key of the session that is expected; the feed's own SessionInfo wins.
    """
    return SignalRSource(settings, session)


class SignalRSource:
    """F1's live feed as a source of messages. It cannot be rewound, and has no end but `close`.

    session: key of the newest SessionInfo; what was given before one has come.
    rejected: what could not be read, by reason.
    """

    name = "f1"

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
        self._reject = counting(self.rejected, logger, "F1's live feed")
        self._settings = settings
        self._wall = wall
        self._monotonic = monotonic
        self._line = Line()
        self._pause = pause or self._line.closing.wait

        self._backoff = Backoff(settings.backoff_s)
        self._standing = Standing(wall)
        self._lived_s = 0.0
        self._lost = ""
        self._refused: Login | None = None
        self._refused_token: Token | None = None
        self._login_logged = ""

        self._instants = Instants()
        self._newest = 0
        self._heard = 0.0

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        """The feed's messages and how the connection is, until `close`; blocks while waiting for more.

        After a connection was lost there come, in this order, a FeedStatus, a FeedGap from the last message to the
        snapshot, the snapshot's topics (SessionInfo first), and what follows. `cursor` is not heeded: a live feed
        tells everything once. A feed that cannot be had is no error; it is said and tried again.
        """
        del cursor
        yield from self._standing.say("connecting")
        while not self._line.closing.is_set():
            login = self._login()
            try:
                yield from self._connected(login)
            except Trouble as trouble:
                if self._line.closing.is_set():
                    return
                if isinstance(trouble, LoginRefused) and login.token is not None:
                    # Not worth a wait: without the token this is another question, asked once.
                    self._refuse(login.token, trouble)
                    if self._lived_s:
                        yield from self._standing.say("reconnecting", f"{trouble.detail}; {PUBLIC_ONLY}")
                    continue
                if trouble.status in DENIED:
                    # Then it was not for the token's sake that we were refused with it.
                    self._refused_token = None
                self._backoff.failed(self._lived_s)
                if self._backoff.worth_saying(trouble.detail):
                    logger.warning("F1's live feed: %s (attempt %d)", trouble.detail, self._backoff.attempts)
                yield from self._standing.say(trouble.state or self._standing.between, trouble.detail)
                self._pause(self._backoff.wait_s(trouble.asked_s))

    def close(self) -> None:
        """Ends the iteration, whatever it waits for, and closes the sockets. From any thread, more than once."""
        self._line.close()

    # -- one connection --------------------------------------------------------------------

    def _connected(self, login: Login) -> Iterator[Message | FeedStatus]:
        """A connection from its first step to its end, which is a Trouble unless we are closed."""
        settings = self._settings
        self._lived_s = 0.0
        connection = Connection(settings.f1_url, login.token, settings.connect_s, self._reject)
        live_at: float | None = None
        with self._line.over(connection) as free:
            if not free:
                return
            try:
                connection.open()
                answer, early = connection.subscribe(PUBLIC if login.token is None else PUBLIC + GATED)
                live_at = self._monotonic()
                self._standing.connected()
                gated = GatedTopics(settings.silence_s, live_at)
                yield from self._begin(answer, login, gated)
                yield from self._follow(connection, early, login, gated)
            except Trouble as trouble:
                if live_at is not None:
                    self._lived_s = self._monotonic() - live_at
                    self._lost = trouble.detail
                raise

    def _begin(self, answer: dict[str, Any], login: Login, gated: GatedTopics) -> Iterator[Message | FeedStatus]:
        """What a new connection yields first: how it is, the gap before it if there may be one, the snapshot."""
        arrived = self._now_ms()
        states = self._states(answer)
        before = self._instants.last
        at = self._snapshot_instant(states, arrived)
        for topic in states:
            gated.message(topic, self._monotonic())
        yield from self._say_live(login, gated)
        if before is not None:
            yield feed_gap(before, at, self._lost, arrived)
        for topic, state in states.items():
            yield self._passed(Message(topic, state, at, snapshot=True, arrived=arrived))

    def _follow(
        self, connection: Connection, early: list[Frame], login: Login, gated: GatedTopics
    ) -> Iterator[Message | FeedStatus]:
        """The messages after the snapshot.

        Silence is the absence of messages of the feed. The hub's pings are no sign of life: they come from the hub,
        which goes on when what it is fed with has stopped, and that is the silence that has been seen. The time
        whoever reads us takes for a message does not count.
        """
        settings = self._settings
        frames = early
        quiet_since = self._monotonic()
        ping_at = quiet_since + PING_S
        while True:
            for frame in frames:
                if frame["type"] != INVOCATION:
                    continue
                for record in frame_records(frame, self._reject):
                    message = self._message(record)
                    if message is None:
                        continue
                    gated.message(message.topic, self._monotonic())
                    yield message
                    quiet_since = self._monotonic()
            yield from self._say_live(login, gated)
            now = self._monotonic()
            if now >= ping_at:
                connection.ping()
                ping_at = now + PING_S
            if now - quiet_since >= settings.silence_s:
                raise Trouble(f"nothing has come for {settings.silence_s:g} s", state="silent")
            frames = connection.frames(min(quiet_since + settings.silence_s, ping_at) - now)

    # -- messages --------------------------------------------------------------------------

    def _states(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The subscribe answer by topic without `.z`, SessionInfo first; what cannot be read is counted."""
        states = {}
        for record in sorted(snapshot_records(answer), key=lambda record: topic_rank(record.topic)):
            try:
                state = payload(record.topic, record.data)
            except BadPayload as bad:
                self._reject(bad.reason)
                continue
            if state is not None:
                states[plain_topic(record.topic)] = state
        return states

    def _snapshot_instant(self, states: dict[str, Any], now: int) -> int:
        """The feed instant of a snapshot that has just come, ms; never before the newest message.

        What it holds can be old: Heartbeats come every 15 s, all else when something happens. After a connection was
        lost the feed's clock is therefore run on from the last message by the time that has passed since.
        """
        known = [told for told in (snapshot_instant(states, now),) if told is not None]
        last = self._instants.last
        if last is not None:
            known.append(self._newest)
            if math.isfinite(self._settings.speed):
                passed_s = self._monotonic() - self._heard - LATE_S
                known.append(last + int(passed_s * 1000 * self._settings.speed))
        if not known:
            return now
        # What follows is told by it to be of its day; `now` is no word of the feed.
        self._instants.last = max(known)
        return max(known)

    def _message(self, record: Record) -> Message | None:
        """The message of a record, None if it cannot be read."""
        arrived = self._now_ms()
        at = self._instants.settle(record.at, self._reject)
        try:
            data = payload(record.topic, record.data)
        except BadPayload as bad:
            self._reject(bad.reason)
            return None
        return self._passed(Message(plain_topic(record.topic), data, arrived if at is None else at, arrived=arrived))

    def _passed(self, message: Message) -> Message:
        """Notes what is known by a message that is about to be yielded."""
        self._newest = max(self._newest, message.at)
        self._heard = self._monotonic()
        if message.topic == "SessionInfo":
            self.session = session_key(message.data) or self.session
        return message

    def _now_ms(self) -> int:
        return int(self._wall() * 1000)

    # -- login -----------------------------------------------------------------------------

    def _login(self) -> Login:
        """What the next connection logs in with; read anew, so that a new version of the secret counts."""
        login = self._configured()
        self._standing.gated = GATED_NAMES if login.token is None else ()
        return login

    def _configured(self) -> Login:
        settings = self._settings
        try:
            text = settings.f1_token
            if not text and settings.f1_token_secret:
                text = read_secret(settings.f1_token_secret, timeout_s=settings.connect_s)
            if not text:
                return NO_TOKEN
            token = read_token(text)
        except (SecretError, BadToken) as error:
            return Login(None, f"the F1TV token cannot be read ({error}); {PUBLIC_ONLY}")
        if token.expired(self._wall()):
            return Login(None, f"the F1TV token expired on {token.expiry}; {PUBLIC_ONLY}")
        if self._refused is not None and token == self._refused_token:
            return self._refused
        return Login(token)

    def _refuse(self, token: Token, trouble: LoginRefused) -> None:
        """The token is not tried again until it has changed."""
        self._refused_token = token
        self._refused = Login(None, f"{trouble.detail}; {PUBLIC_ONLY}")

    # -- what is said ----------------------------------------------------------------------

    def _say_live(self, login: Login, gated: GatedTopics) -> Iterator[FeedStatus]:
        detail = login.detail
        if login.token is not None:
            expired = login.token.expired(self._wall())
            trouble = gated.trouble(self._monotonic(), expired=expired)
            self._standing.gated = () if trouble is None else GATED_NAMES
            if trouble is not None:
                detail = f"the F1TV token expired on {login.token.expiry}" if expired else trouble
                detail = f"{detail}; {PUBLIC_ONLY}"
        if detail and detail != self._login_logged:
            self._login_logged = detail
            logger.warning("F1's live feed: %s", detail)
        yield from self._standing.say("live", detail)
