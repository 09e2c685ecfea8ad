"""The feed's one clock: plays the programme at its speed, whether anybody is connected or not, and the plan of faults.

Recordings are read ahead in a thread, as far as a bounded queue goes, so reading never holds up the sockets.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, Protocol, TypeVar

from local.hub.connection import Connection
from local.hub.ledger import Ledger
from local.hub.plan import Fault, FaultPlan
from local.hub.playing import FeedRecord

logger = logging.getLogger(__name__)

_CHUNK: Final = 128
_CHUNKS: Final = 8
_TOGETHER: Final = 512
"""Messages due together that are handed out before the sockets have their turn."""
_FAST: Final = 5.0
_TICK_S: Final = 0.02
"""Above the speed `_FAST` messages are gathered for this long, as many are due in every moment."""
_STUCK_S: Final = 10.0
"""At the speed that does not wait, for how long the feed waits for a connection that does not read."""


class State(Protocol):
    """What somebody who comes late is told: kept up with what has been played."""

    def apply(self, record: FeedRecord) -> None:
        """Merges one message."""
        ...


StateT = TypeVar("StateT", bound=State)


class Programme(Protocol):
    """Everything a hub plays, in order. opening: what is there before the first message."""

    opening: list[FeedRecord]

    def __iter__(self) -> Iterator[FeedRecord]: ...


class _ReadAhead:
    """A programme's messages, read in a thread of its own. At most `_CHUNK * (_CHUNKS + 2)` are held."""

    def __init__(self, programme: Iterable[FeedRecord]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[list[FeedRecord] | Exception | None] = asyncio.Queue()
        self._room = threading.Semaphore(_CHUNKS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(programme,), name="hub-reader", daemon=True)
        self._thread.start()

    def _read(self, programme: Iterable[FeedRecord]) -> None:
        chunk: list[FeedRecord] = []
        try:
            for record in programme:
                chunk.append(record)
                if len(chunk) >= _CHUNK:
                    if not self._hand_over(chunk):
                        return
                    chunk = []
        except Exception as error:
            # Told to whoever waits for the feed's end; a hub that only stops would look like a quiet session.
            self._hand_over(chunk)
            self._hand_over(error)
            return
        self._hand_over(chunk)
        self._hand_over(None)

    def _hand_over(self, chunk: list[FeedRecord] | Exception | None) -> bool:
        while not self._room.acquire(timeout=0.2):
            if self._stop.is_set():
                return False
        if self._stop.is_set():
            return False
        self._loop.call_soon_threadsafe(self._ready.put_nowait, chunk)
        return True

    async def next(self) -> list[FeedRecord] | None:
        """The next messages, None after the last. Raises what reading raised."""
        chunk = await self._ready.get()
        self._room.release()
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self._stop.set()
        self._room.release()


class FeedClock:
    """Feed time: ms since the hub's first message, `speed` times as fast as the wall clock; stands until started."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._anchor: float | None = None
        self._offset = 0.0
        self._changed = asyncio.Event()

    @property
    def offset(self) -> float:
        """ms; infinite at the speed that does not wait."""
        if self._anchor is None:
            return self._offset
        if self.speed == math.inf:
            return math.inf
        return self._offset + (asyncio.get_running_loop().time() - self._anchor) * 1000 * self.speed

    def start(self) -> None:
        self._anchor = asyncio.get_running_loop().time()
        self._changed.set()

    def set_speed(self, speed: float, played: float) -> None:
        """From now on; `played` is where the feed is if the old speed did not wait."""
        if self._anchor is not None:
            self._offset = played if self.speed == math.inf else self.offset
            self._anchor = asyncio.get_running_loop().time()
        self.speed = speed
        self._changed.set()

    async def started(self) -> None:
        while self._anchor is None:
            self._changed.clear()
            await self._changed.wait()

    async def wait(self, offset: float) -> None:
        """Until it may be `offset`, or the speed has changed."""
        remaining = offset - self.offset
        if remaining <= 0:
            return
        delay = remaining / 1000 / self.speed
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), max(delay, _TICK_S if self.speed > _FAST else 0.0))
        except TimeoutError:
            return


class Feed(Generic[StateT]):
    """Plays a programme to the connections.

    state: what has been played so far. ordinal: of the next message. at: instant of the newest one, ms since the epoch.
    position: its offset, ms.
    """

    def __init__(
        self,
        programme: Programme,
        state: StateT,
        *,
        speed: float,
        plan: FaultPlan | None,
        apply: Callable[[Fault], None],
        ledger: Ledger,
        connections: set[Connection],
        lifetime_ms: float,
    ) -> None:
        self.clock = FeedClock(speed)
        self.state = state
        self.ordinal = 0
        self.at = 0
        self.position = 0
        self._faults = deque(plan or ())
        self._apply_fault = apply
        self._ledger, self._connections = ledger, connections
        self._lifetime_ms = lifetime_ms
        for record in programme.opening:
            self.state.apply(record)
            self.at = record.at
        self._programme = programme

    async def play(self) -> None:
        """From the first message to the last; ends when all of them have been sent to whoever is there."""
        await self.clock.started()
        ahead = _ReadAhead(self._programme)
        due: deque[FeedRecord] = deque()
        try:
            while True:
                if not due:
                    chunk = await ahead.next()
                    if chunk is None:
                        break
                    due.extend(chunk)
                    continue
                await self._apply_faults(due[0].offset)
                next_at = min(due[0].offset, self._faults[0][0]) if self._faults else due[0].offset
                if self.clock.offset < next_at:
                    await self.clock.wait(next_at)
                    continue
                self._hand_out(due)
                await self._breathe()
        finally:
            ahead.close()
        for _, fault in self._faults:
            logger.warning("the feed ended before its time: %s", fault)
        await self._drained(0, late_too=True)

    async def _apply_faults(self, next_offset: float) -> None:
        """Those whose time has come and that are before the next message, however late we are."""
        now = min(self.clock.offset, next_offset)
        while self._faults and self._faults[0][0] <= now:
            _, fault = self._faults.popleft()
            # What was played before the fault is not lost to it, however busy the machine is.
            await self._drained(0)
            self._apply_fault(fault)

    def _hand_out(self, due: deque[FeedRecord]) -> None:
        until = self.clock.offset
        if self._faults:
            # Not past the next fault, however late we are: a fault is between the same two messages every time.
            until = min(until, self._faults[0][0])
        for _ in range(_TOGETHER):
            if not due or due[0].offset > until:
                return
            self._play(due.popleft())

    def _play(self, record: FeedRecord) -> None:
        record.ordinal = self.ordinal
        self.ordinal += 1
        self.at, self.position = record.at, record.offset
        self.state.apply(record)
        offered = [connection.offer(record) for connection in self._connections]
        if not any(offered):
            self._ledger.unsent(record)

    async def _breathe(self) -> None:
        """Lets the sockets have their turn; at the speed that does not wait, until they have caught up."""
        for connection in list(self._connections):
            if self.position - connection.opened_offset > self._lifetime_ms:
                connection.drop("lived long enough")
        if self.clock.speed == math.inf:
            await self._drained(256 * 1024)
        else:
            await asyncio.sleep(0)

    async def _drained(self, size: int, late_too: bool = False) -> None:
        """Until no connection has more than `size` bytes waiting; one that does not read for long is dropped.

        late_too: also those whose messages are being held back.
        """
        time = asyncio.get_running_loop().time
        await asyncio.sleep(0)
        for connection in list(self._connections):
            least, since = connection.waiting_size, time()
            while connection.waiting_size > size and not connection.ended:
                if connection.silent and not late_too:
                    break
                await asyncio.sleep(0.001)
                if connection.waiting_size < least:
                    least, since = connection.waiting_size, time()
                elif time() - since > _STUCK_S and not connection.silent:
                    connection.drop("too slow", flush=False)
