"""Notices that this instance is about to go: Cloud Run sends SIGTERM and gives it ten seconds.

A request runs in a thread, where no signal handler can be set, and the server (gunicorn, started by the
Functions Framework) has its own, which marks its worker as no longer alive and then waits for the requests. That mark
is what is looked at here.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_S = 0.2


def is_stopping() -> bool:
    """Whether the server that runs this process was told to stop. False where no such server runs it."""
    worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(worker, "alive", True) is False


@contextmanager
def stopping_calls(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop`, in another thread, when the server is told to stop while this lasts."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_S):
            if is_stopping():
                stop()
                return

    thread = threading.Thread(target=watch, name="shutdown", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
