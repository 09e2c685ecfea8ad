"""Which kind of connection an address is for."""

from __future__ import annotations

from pitwall.settings import Settings
from pitwall.sources.record import Reject
from pitwall.sources.track.channel import Channel, place
from pitwall.sources.track.polling import PollingChannel
from pitwall.sources.track.tcp import TcpChannel
from pitwall.sources.track.websocket import WebSocketChannel


def open_channel(url: str, settings: Settings, reject: Reject) -> Channel:
    """A WebSocket, lines of TCP (`tcp://host:port`), or what is asked for again and again over HTTP. Not opened yet.

    Raises ValueError for another URL.
    """
    scheme = place(url).scheme
    if scheme in ("ws", "wss"):
        return WebSocketChannel(url, settings)
    return TcpChannel(url, settings, reject) if scheme == "tcp" else PollingChannel(url, settings)
