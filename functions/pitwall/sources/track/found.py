"""A WebSocket whose address is not known before a server was asked for it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pitwall.settings import Settings
from pitwall.sources.track.web import Web
from pitwall.sources.track.websocket import WebSocketChannel
from pitwall.sources.trouble import Trouble


class FoundWebSocket(ABC):
    """A channel; `find` says where it leads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._web = Web(settings)
        self._opened: WebSocketChannel | None = None
        self._closed = False

    @abstractmethod
    def find(self, web: Web) -> WebSocketChannel:
        """The WebSocket, not opened. web: to ask with. Raises Trouble."""

    def open(self) -> None:
        opened = self._opened = self.find(self._web)
        if self._closed:
            raise Trouble("closed")
        opened.open()

    def receive(self, timeout_s: float) -> list[str]:
        if self._opened is None:
            raise Trouble("not connected")
        return self._opened.receive(timeout_s)

    def close(self) -> None:
        self._closed = True
        self._web.close()
        if self._opened is not None:
            self._opened.close()
