"""A live source of a kart track: connection after connection, until it is closed.

What a connection is, and what its messages mean, is given: a `Channel` and a `Reading`. Which feed is which track's is
not known here.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from pitwall.karting import vocabulary
from pitwall.message import FeedState, FeedStatus, Message, feed_gap
from pitwall.settings import Settings
from pitwall.sources.backoff import Backoff
from pitwall.sources.line import Line
from pitwall.sources.record import Reject, counting
from pitwall.sources.standing import Standing
from pitwall.sources.track.arrivals import Arrivals
from pitwall.sources.track.channel import Channel
from pitwall.sources.trouble import Trouble

logger = logging.getLogger(__name__)

QUIET = "connected, but nothing has come yet"


class Reading(Protocol):
    """Makes messages of what comes over one connection."""

    @property
    def beats(self) -> bool:
        """Whether this feed tells something all the time, so that silence is no rest."""
        ...

    def read(self, texts: list[str], at: int) -> list[Message]:
        """The messages of what came together at the instant `at`, ms since the epoch. Raises nothing."""
        ...


class TrackSource:
    """A feed that tells the whole board with each connection. It has no end but `close`.

    name: kind of source. session: empty, as the feed tells no key of it. rejected: what could not be read, by reason.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        connect: Callable[[Reject], Channel],
        begin: Callable[[Reject], Reading],
        *,
        arrivals: Arrivals | None = None,
        unopened: FeedState | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """connect, begin: make a connection, not opened, and what reads it; called once for each.

        arrivals: a clock shared with a source that takes turns with this one. unopened: what the state is called if a
        connection does not come about and nothing better is known.
        """
        self.name = name
        self.session = ""
        self.rejected: Counter[str] = Counter()
        self._reject = counting(self.rejected, logger, name)
        self._settings = settings
        self._connect = connect
        self._begin = begin
        self._arrivals = arrivals or Arrivals(settings.speed)
        self._unopened = unopened
        self._monotonic = monotonic
        self._line = Line()
        self._backoff = Backoff(settings.backoff_s)
        self._standing = Standing(time.time)
        self._lived_s = 0.0
        self._live_at: float | None = None
        self._last: int | None = None
        self._lost = ""
        self._noticed: set[tuple[str, str, str]] = set()

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        """The feed's messages and how the connection is, until `close`; blocks while waiting for more.

        After a connection was lost there come a FeedStatus, a FeedGap from the last message to the first, and the board
        as it is then. `cursor` is not heeded. A feed that cannot be had is no error; it is said and tried again.
        """
        del cursor
        yield from self._standing.say("connecting")
        while not self._line.closing.is_set():
            self._lived_s, self._live_at = 0.0, None
            try:
                yield from self._connected()
            except Trouble as trouble:
                if self._line.closing.is_set():
                    return
                yield from self._fail(trouble)

    def close(self) -> None:
        """Ends the iteration, whatever it waits for, and closes the sockets. From any thread, more than once."""
        self._line.close()

    # -- one connection --------------------------------------------------------------------

    def _connected(self) -> Iterator[Message | FeedStatus]:
        """A connection from its first step to its end, which is a Trouble unless we are closed."""
        channel = self._connect(self._reject)
        with self._line.over(channel) as free:
            if not free:
                return
            try:
                self._open(channel)
                yield from self._follow(channel)
            except Trouble as trouble:
                if self._live_at is not None:
                    self._lived_s = self._monotonic() - self._live_at
                    self._lost = trouble.detail
                raise

    def _follow(self, channel: Channel) -> Iterator[Message | FeedStatus]:
        """What comes over an open connection."""
        reading = self._begin(self._reject)
        self._arrivals.set()
        heard = self._monotonic()
        while not self._line.closing.is_set():
            texts = channel.receive(self._limit_s(reading))
            if texts:
                arrived = int(time.time() * 1000)
                messages = reading.read(texts, self._arrivals.now())
                if messages and self._live_at is None:
                    self._live_at = self._monotonic()
                    self._standing.connected()
                    logger.info("%s: live", self.name)
                    yield from self._standing.say("live")
                    if self._last is not None:
                        yield feed_gap(self._last, messages[0].at, self._lost, arrived)
                yield from self._passed(messages, arrived)
                # The time whoever reads us takes for a message is no silence.
                heard = self._monotonic()
            if self._live_at is None:
                yield from self._standing.say(self._standing.between, QUIET)
            self._notice_silence(reading, heard)

    def _open(self, channel: Channel) -> None:
        try:
            channel.open()
        except Trouble as trouble:
            trouble.state = trouble.state or self._unopened
            raise

    def _limit_s(self, reading: Reading) -> float:
        return self._settings.silence_s if reading.beats else self._settings.kart_stale_s

    def _notice_silence(self, reading: Reading, heard: float) -> None:
        """A track on which nothing moves has nothing to say, but one that tells the time each second has."""
        limit_s = self._limit_s(reading)
        if self._monotonic() - heard >= limit_s:
            raise Trouble(f"nothing has come for {limit_s:g} s", state="silent")

    def _passed(self, messages: list[Message], arrived: int) -> Iterator[Message]:
        for message in messages:
            if message.topic == vocabulary.NOTICE:
                about = (message.data["Kind"], message.data["Key"], message.data["Role"])
                if about in self._noticed:
                    continue
                self._noticed.add(about)
                logger.warning("%s: a notice: %s", self.name, message.data["Kind"])
            self._last = message.at
            yield message._replace(arrived=arrived)

    # -- between two connections -----------------------------------------------------------

    def _fail(self, trouble: Trouble) -> Iterator[FeedStatus]:
        """Says what is the matter, and waits."""
        limit = self._settings.kart_attempts
        self._backoff.failed(self._lived_s)
        if self._backoff.worth_saying(trouble.detail):
            logger.warning("%s: %s (attempt %d)", self.name, trouble.detail, self._backoff.attempts)
        if limit and self._backoff.attempts >= limit:
            longest_s = self._settings.backoff_s
            detail = f"{trouble.detail}; {limit} attempts came to nothing, now there is one every {longest_s:g} s"
            yield from self._standing.say("refused", detail)
            self._line.closing.wait(longest_s)
            return
        yield from self._standing.say(trouble.state or self._standing.between, trouble.detail)
        self._line.closing.wait(self._backoff.wait_s(trouble.asked_s))
