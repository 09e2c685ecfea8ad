"""The source `apex`: a track's live timing at Apex Timing, over its WebSocket, or asked for where that is refused.

Given is the WebSocket itself, or the live page of a track, whose configuration tells where it is:
`<page>/javascript/config.js` with `configHost`, `configPort` and `configRequestUrl`. A page over https has it at
`configPort + 3`, one over http at `configPort + 2`. Whoever asks instead asks `live_ajax.php` for port
`configPort + 4`, again and again: the answer is `init@index@frames`, the first two go into the next question, and
`REFRESH_BROWSER` in place of frames wants a beginning anew. All of this is from clients others wrote (one source each).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from pitwall.message import Message
from pitwall.settings import Settings
from pitwall.sources import LiveSource
from pitwall.sources.apex.drift import Drift
from pitwall.sources.apex.translation import Translation
from pitwall.sources.fallback import AFTER_S, with_fallback
from pitwall.sources.record import Reject
from pitwall.sources.track.arrivals import Arrivals
from pitwall.sources.track.channel import LOOK_S, Channel, place
from pitwall.sources.track.found import FoundWebSocket
from pitwall.sources.track.polling import PollingChannel
from pitwall.sources.track.source import TrackSource
from pitwall.sources.track.web import Web
from pitwall.sources.track.websocket import WebSocketChannel
from pitwall.sources.trouble import Trouble

HOST: Final = "live-data.apex-timing.com"
"""Where the feeds of tracks are whose configuration does not say it (2026)."""
_FUNCTIONS: Final = "/live-timing/commonv2/functions/"
_PORT: Final = re.compile(r"\bconfigPort\s*=\s*['\"]?(\d{2,5})\b", re.ASCII)
_HOST: Final = re.compile(r"\bconfigHost\s*=\s*['\"]([A-Za-z0-9.-]{1,253})['\"]", re.ASCII)
_REQUESTS: Final = re.compile(r"\bconfigRequestUrl\s*=\s*['\"](https?://[^'\"\s]{1,500})['\"]", re.ASCII)
_ANEW: Final = "REFRESH_BROWSER"


class NoLivePage(Trouble):
    """A page that does not say where its timing is."""

    def __init__(self, page: str) -> None:
        super().__init__(f"the page at {place(page)} does not say where its timing is", state="refused")


class Places(NamedTuple):
    """Where a track's feed is. port: what is asked for at `questions`."""

    websocket: str
    questions: str
    port: int


def open_apex(
    url: str,
    settings: Settings,
    *,
    page: str = "",
    human: Mapping[str, str] | None = None,
    found: Mapping[str, str] | None = None,
    declared: Mapping[str, str | None] | None = None,
    after_s: float = AFTER_S,
) -> LiveSource:
    """A track's feed. Nothing is connected before `messages` is read. Raises ValueError for what is no URL.

    url: of the WebSocket (`wss://...`), or of the live page (`https://live.apex-timing.com/<track>/`). page: that page
    beside a WebSocket, which tells where to ask instead: a WebSocket that was written down may have moved. human,
    found: as in `columns`; declared: as in `Drift`. after_s: seconds for which the WebSocket is refused before it is
    asked for instead.
    """
    place(url)
    arrivals = Arrivals(settings.speed)
    drift = Drift(declared, human)

    def begin(reject: Reject) -> ApexReading:
        return ApexReading(reject, drift, human, found)

    def polled() -> LiveSource:
        return TrackSource(
            "apex-polling", settings, lambda _: ApexPolling(url, settings, page), begin, arrivals=arrivals
        )

    first = TrackSource(
        "apex", settings, lambda _: ApexWebSocket(url, settings), begin, arrivals=arrivals, unopened="refused"
    )
    return with_fallback(first, polled, after_s=after_s)


class ApexReading:
    """The frames of one connection."""

    beats = False
    """A blank line comes once a minute when nothing else does (seen in captures), and a board that is told seldom."""

    def __init__(
        self,
        reject: Reject,
        drift: Drift,
        human: Mapping[str, str] | None = None,
        found: Mapping[str, str] | None = None,
    ) -> None:
        self._drift = drift
        self._reject = reject
        self._translation = Translation(self._rejected, human, found)

    def read(self, texts: list[str], at: int) -> list[Message]:
        told: list[Message] = []
        for text in texts:
            messages = self._translation.frame(text, at)
            told += [*messages, *self._drift.look(text.count("\n") + 1, messages, at)]
        return told

    def _rejected(self, reason: str) -> None:
        self._drift.rejected(reason)
        self._reject(reason)


class ApexWebSocket(FoundWebSocket):
    """The track's WebSocket, which a live page may have to be asked for. The client says nothing."""

    def __init__(self, url: str, settings: Settings) -> None:
        super().__init__(settings)
        self._url = url

    def find(self, web: Web) -> WebSocketChannel:
        url = self._url
        if place(url).scheme in ("http", "https"):
            url = find(url, web).websocket
        return WebSocketChannel(url, self._settings)


class ApexPage:
    """What is behind a page, for who looks at what comes: the feed of a live page, else the page itself, polled."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._apex = ApexWebSocket(url, settings)
        self._page = PollingChannel(url, settings)
        self._opened: Channel = self._apex

    def open(self) -> None:
        try:
            self._apex.open()
        except NoLivePage:
            self._opened = self._page
            self._page.open()

    def receive(self, timeout_s: float) -> list[str]:
        return self._opened.receive(timeout_s)

    def close(self) -> None:
        self._apex.close()
        self._page.close()


class ApexPolling:
    """The same frames, asked for."""

    def __init__(self, url: str, settings: Settings, page: str = "") -> None:
        """page: as in `open_apex`."""
        self._url = url
        self._page = page
        self._settings = settings
        self._web = Web(settings)
        self._places: Places | None = None
        self._init, self._index = "1", "0"
        self._asked = 0
        self._due = 0.0

    def open(self) -> None:
        if self._page:
            with suppress(NoLivePage):
                self._places = find(self._page, self._web)
                return
        self._places = of_websocket(self._url) or find(self._url, self._web)

    def receive(self, timeout_s: float) -> list[str]:
        if self._places is None:
            raise Trouble("not connected")
        now = time.monotonic()
        if now < self._due:
            time.sleep(min(self._due - now, timeout_s, LOOK_S))
            return []
        self._due = now + self._settings.kart_poll_s
        self._asked += 1
        query = {"version": "1.0.0", "init": self._init, "index": self._index, "counter": str(self._asked)}
        answer = self._web.get(self._places.questions, {**query, "port": str(self._places.port)})
        init, first, rest = answer.partition("@")
        index, second, frames = rest.partition("@")
        if not first or not second or not init.isdigit() or not index.isdigit() or len(init + index) > 40:
            raise Trouble(f"{place(self._places.questions)} answers with what is no board", state="refused")
        self._init, self._index = init, index
        if frames.strip() == _ANEW:
            self._init, self._index = "1", "0"
            return [""]
        return [frames]

    def close(self) -> None:
        self._web.close()


def of_websocket(url: str) -> Places | None:
    """The places that go with a WebSocket that was given itself; None for a page."""
    where = place(url)
    if where.scheme not in ("ws", "wss"):
        return None
    scheme, ahead = ("https", 1) if where.scheme == "wss" else ("http", 2)
    return Places(url, f"{scheme}://{_bracketed(where.host)}{_FUNCTIONS}live_ajax.php", where.port + ahead)


def find(page: str, web: Web) -> Places:
    """Where the feed of a live page is. Raises Trouble, also if its configuration does not say it."""
    folder = page.partition("#")[0].partition("?")[0]
    last = folder.rpartition("/")[2]
    folder = folder if not last or ("." in last and folder.count("/") > 2) else f"{folder}/"
    try:
        config = web.get(urljoin(folder, "javascript/config.js"))
    except Trouble as trouble:
        if trouble.status == 404:
            raise NoLivePage(page) from None
        raise
    port = _PORT.search(config)
    if port is None or not 0 < int(port[1]) < 65_532:
        raise NoLivePage(page)
    host = found[1] if (found := _HOST.search(config)) is not None else HOST
    number = int(port[1])
    secure = urlsplit(page).scheme == "https"
    requests = _REQUESTS.search(config)
    functions = requests[1] if requests is not None else f"http{'s' * secure}://{host}{_FUNCTIONS}"
    return Places(
        websocket=f"wss://{host}:{number + 3}/" if secure else f"ws://{host}:{number + 2}/",
        questions=urljoin(f"{functions.rstrip('/')}/", "live_ajax.php"),
        port=number + 4,
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
