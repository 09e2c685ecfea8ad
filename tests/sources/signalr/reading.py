"""Reads a live source in a thread, as the poller does, so that a test can wait for what comes and never hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from pitwall.message import FEED_GAP, FeedStatus, Message
from pitwall.settings import Settings
from pitwall.sources import LiveSource

PATIENCE_S = 30.0
"""How long something that must come is waited for; only a test that fails takes so long."""


def live_settings(url: str, **changes: Any) -> Settings:
    """Settings that find out in half a second what takes half a minute on the real feed."""
    values: dict[str, Any] = {"silence_s": 0.5, "connect_s": 0.5, "backoff_s": 0.3}
    return Settings(f1_url=url, **(values | changes))


class Reading:
    """What a source has yielded so far. Closes the source at its end."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.items: list[Message | FeedStatus] = []
        self.error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Reading:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.close()
        self.join()

    @property
    def messages(self) -> list[Message]:
        return [item for item in self.items if isinstance(item, Message)]

    @property
    def deltas(self) -> list[Message]:
        return [message for message in self.messages if not message.snapshot and message.topic != FEED_GAP]

    @property
    def gaps(self) -> list[Message]:
        return [message for message in self.messages if message.topic == FEED_GAP]

    @property
    def statuses(self) -> list[FeedStatus]:
        return [item for item in self.items if isinstance(item, FeedStatus)]

    def status(self, state: str, times: int = 1) -> FeedStatus:
        """Waits until the source has said so many times that this is its state; that status."""
        self.wait(lambda: sum(status.state == state for status in self.statuses) >= times)
        return [status for status in self.statuses if status.state == state][times - 1]

    def topic(self, topic: str, times: int = 1) -> Message:
        """Waits for the so manieth message of a topic."""
        self.wait(lambda: sum(message.topic == topic for message in self.messages) >= times)
        return [message for message in self.messages if message.topic == topic][times - 1]

    def wait(self, done: Callable[[], bool]) -> None:
        """Waits until something is so."""
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            while not done():
                assert self.error is None, self.error
                assert time.monotonic() < deadline, f"never came; there was {self.items}"
                self._changed.wait(0.05)

    def join(self) -> None:
        """Waits until the iteration has ended."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the source does not end"
        assert self.error is None, self.error

    def _read(self) -> None:
        try:
            for item in self.source.messages():
                with self._changed:
                    self.items.append(item)
                    self._changed.notify_all()
        except BaseException as error:
            self.error = error
