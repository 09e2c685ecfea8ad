"""What an instance has just made for one request, kept for the same request of everybody else.

Of one thing, reading begins at most once a second, whatever the load: who comes while it is read waits for that
one reading, who comes within a second of its begin is given what it found. Age counts from the begin, so nobody is
shown Firestore as it was more than a second before they asked. What is made, and from what, is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, NamedTuple, Protocol, TypeVar

from cachetools import LRUCache

FRESH_S = 1.0
"""Seconds after its begin for which a reading is good."""

MAX_BYTES = 32 * 1024 * 1024
"""Bytes an instance keeps; what was not asked for the longest goes first."""


class Sized(Protocol):
    """What can be kept."""

    @property
    def size(self) -> int:
        """Bytes it may come to hold."""


T = TypeVar("T", bound=Sized)
Seconds = Callable[[], float]


class Found(NamedTuple, Generic[T]):
    """What was made, and until when it is good, in seconds of the clock it was kept by."""

    made: T
    good_until: float


class _Reading(Generic[T]):
    """One reading: when it began, and what it will have found."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.found: Future[T] = Future()

    @property
    def made(self) -> T | None:
        """What it found; None while it goes on, or if it failed."""
        done = self.found.done() and self.found.exception() is None
        return self.found.result() if done else None

    @property
    def size(self) -> int:
        made = self.made
        return 0 if made is None else made.size


class Hot(Generic[T]):
    """What was made, by what was asked for. seconds: a clock that only goes forward."""

    def __init__(self, seconds: Seconds = time.monotonic, max_bytes: int = MAX_BYTES) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._readings: LRUCache[Hashable, _Reading[T]] = LRUCache(max_bytes, getsizeof=lambda reading: reading.size)

    def get(self, key: Hashable, make: Callable[[T | None], T]) -> Found[T]:
        """What `make` made for `key` at most a second ago; else what it makes now.

        make: is given what was last made for `key`, if it is still there. What it raises goes to everybody who waited
        for it, and is not kept.
        """
        with self._lock:
            now = self._seconds()
            last = self._readings.get(key)
            fresh = last if last is not None and now - last.began < FRESH_S else None
            reading = fresh or _Reading[T](now)
            if reading is not fresh:
                self._keep(key, reading)
        if reading is not fresh:
            self._fill(key, reading, lambda: make(None if last is None else last.made))
        return Found(reading.found.result(), reading.began + FRESH_S)

    def _fill(self, key: Hashable, reading: _Reading[T], make: Callable[[], T]) -> None:
        try:
            reading.found.set_result(make())
        except BaseException as error:
            with self._lock:
                if self._readings.get(key) is reading:
                    del self._readings[key]
            reading.found.set_exception(error)
            raise
        with self._lock:
            if self._readings.get(key) is reading:
                self._keep(key, reading)  # now that its size is known

    def _keep(self, key: Hashable, reading: _Reading[T]) -> None:
        self._readings.pop(key, None)
        if reading.size <= self._readings.maxsize:
            self._readings[key] = reading
