"""F1's live feed: SignalR Core over a WebSocket, with what goes wrong on the way (docs/live.md)."""

from pitwall.sources.signalr.source import SignalRSource, open_f1

__all__ = ["SignalRSource", "open_f1"]
