"""The one connection a live source has at a time, which whoever closes the source ends from another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Connected(Protocol):
    """What can be closed from any thread, more than once; whatever waits for it then ends."""

    def close(self) -> None: ...


class Line:
    """closing: set once the source is closed."""

    def __init__(self) -> None:
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._connection: Connected | None = None

    def close(self) -> None:
        """Ends the connection there is, and has none come after it. From any thread, more than once."""
        with self._lock:
            self.closing.set()
            connection = self._connection
        if connection is not None:
            connection.close()

    @contextmanager
    def over(self, connection: Connected) -> Iterator[bool]:
        """The block has this connection, which is closed at its end. False, and not to be opened, if all is closed."""
        with self._lock:
            free = not self.closing.is_set()
            if free:
                self._connection = connection
        try:
            yield free
        finally:
            connection.close()
            with self._lock:
                self._connection = None
