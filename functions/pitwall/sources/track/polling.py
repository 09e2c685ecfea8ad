"""A board that has to be asked for again and again, over HTTP."""

from __future__ import annotations

import time

from pitwall.settings import Settings
from pitwall.sources.track.channel import LOOK_S, place
from pitwall.sources.track.web import Web


class PollingChannel:
    """Each answer is the whole of what there is to say; one that equals the one before is told as a blank one."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Raises ValueError for a URL that is none."""
        place(url)
        self._url = url
        self._settings = settings
        self._web = Web(settings)
        self._last = ""
        self._due = 0.0

    def open(self) -> None:
        """The first question is asked by `receive`."""

    def receive(self, timeout_s: float) -> list[str]:
        now = time.monotonic()
        if now < self._due:
            time.sleep(min(self._due - now, timeout_s, LOOK_S))
            return []
        self._due = now + self._settings.kart_poll_s
        told = self._web.get(self._url)
        if told == self._last:
            return [""]
        self._last = told
        return [told]

    def close(self) -> None:
        self._web.close()
