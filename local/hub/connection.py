"""One connection's sending side: what waits for it, in which messages it goes out, and how it ends.

Never more than a bounded amount waits: who does not read is dropped, as F1's servers do.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Final

from local.hub import wire
from local.hub.channel import Channel
from local.hub.faults import Faults
from local.hub.ledger import Ledger
from local.hub.playing import FeedRecord

_MESSAGE: Final = 64 * 1024
"""Characters after which a message takes no further record."""
_JOIN_S: Final = 0.3
"""For how long a record that is to share a message waits for the next one."""


class Connection:
    """A connection that has shaken hands.

    topics: subscribed and given, without `.z`. login: the token it came with and that was good, else None.
    waiting_size: characters of payload in line, about. opened_offset: feed time, ms, at which it was opened.
    """

    def __init__(
        self,
        channel: Channel,
        name: str,
        login: str | None = None,
        *,
        ledger: Ledger,
        faults: Faults,
        ping_s: float,
        limit: int,
        opened_offset: int,
    ) -> None:
        self.name, self.login = name, login
        self.topics: set[str] = set()
        self.served = ledger.opened(name)
        self._channel = channel
        self._ledger, self._faults = ledger, faults
        self._ping_s, self._limit = ping_s, limit
        self._waiting: deque[FeedRecord | str] = deque()
        self.waiting_size = 0
        self._wake = asyncio.Event()
        self._silent_until = 0.0
        self.opened_offset = opened_offset

    @property
    def ended(self) -> bool:
        return bool(self.served.ended)

    @property
    def silent(self) -> bool:
        """Whether nothing is sent just now."""
        return self._silent_until > asyncio.get_running_loop().time()

    @property
    def mute(self) -> bool:
        """Whether nothing will ever be sent again."""
        return self.ended or self._silent_until == math.inf

    def offer(self, record: FeedRecord) -> bool:
        """Puts a message of the feed in line; False if this connection is not to get it."""
        if self.mute or record.topic not in self.topics:
            return False
        record.pending += 1
        self._line_up(record, len(record.payload))
        return True

    def say(self, text: str) -> None:
        """Puts any other record in line."""
        if not self.mute:
            self._line_up(text, len(text))

    def _line_up(self, record: FeedRecord | str, size: int) -> None:
        self._waiting.append(record)
        self.waiting_size += size
        self._wake.set()
        # A snapshot alone may be larger than the limit; what counts is that messages pile up behind it.
        if self.waiting_size > self._limit and len(self._waiting) > 1:
            self.drop("too slow", flush=False)

    def hush(self, until: float) -> None:
        """Sends nothing before the event loop's time `until`; `math.inf`: never again, and keeps nothing for it."""
        self._silent_until = max(self._silent_until, until)
        if until == math.inf:
            self._forget()
        self._wake.set()

    def drop(self, reason: str, *, flush: bool = True) -> None:
        """Ends the connection without a close frame; what is already in the socket still goes out if `flush`."""
        if self._end(reason):
            self._channel.drop(flush=flush)

    async def close(self, reason: str, record: str) -> None:
        """Ends the connection with a close record and a close frame."""
        if self._end(reason):
            try:
                if not self._silent_until:
                    await self._write(record)
                await self._channel.close()
            except (OSError, RuntimeError, TimeoutError):
                self._channel.drop(flush=False)

    def gone(self) -> None:
        """The other side has ended it."""
        self._end("hung up")

    def _end(self, reason: str) -> bool:
        if self.ended:
            return False
        self.served.ended = reason
        self._forget()
        self._wake.set()
        return True

    def _forget(self) -> None:
        for record in self._waiting:
            if isinstance(record, FeedRecord):
                self._ledger.lost(record)
        self._waiting.clear()
        self.waiting_size = 0

    async def run(self) -> None:
        """Sends what is put in line and a ping every so often, until the connection ends."""
        clock = asyncio.get_running_loop().time
        next_ping = clock() + self._ping_s
        while not self.ended:
            now = clock()
            if self._silent_until > now:
                await self._woken(self._silent_until - now)
                continue
            if now >= next_ping:
                next_ping = now + self._ping_s
                self._waiting.append(wire.PING)
            if not self._waiting:
                await self._woken(next_ping - now)
                continue
            if self._faults.join and self._faults.rng.random() < self._faults.join:
                await self._woken(_JOIN_S)
            await self._send_some()

    async def _woken(self, at_most_s: float) -> None:
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), None if at_most_s == math.inf else at_most_s)
        except TimeoutError:
            return

    async def _send_some(self) -> None:
        """Sends the first records in line, as many as fit into one message."""
        texts: list[str] = []
        records: list[FeedRecord] = []
        size = 0
        while self._waiting and size < _MESSAGE:
            record = self._waiting.popleft()
            if isinstance(record, str):
                text = record
                self.waiting_size -= len(record) if record is not wire.PING else 0
            else:
                text = record.text
                records.append(record)
                self.waiting_size -= len(record.payload)
            texts.append(text)
            size += len(text)
        if not texts:
            return
        try:
            for message in self._channel.messages(texts):
                await self._write(message)
        except (OSError, RuntimeError):
            for record in records:
                self._ledger.lost(record)
            self.gone()
            return
        except asyncio.CancelledError:
            for record in records:
                self._ledger.lost(record)
            raise
        for record in records:
            self._ledger.sent(self.served, record)

    async def _write(self, text: str) -> None:
        """One message, whole or cut in two. Raises OSError or RuntimeError on a closed socket."""
        rng = self._faults.rng
        if len(text) < 2 or not self._faults.cut or rng.random() >= self._faults.cut:
            await self._channel.send(text)
        else:
            await self._channel.send_cut(text, rng)
