"""OpenF1 (api.openf1.org) as a source: its tables told as the messages F1's feed would have sent (docs/openf1.md)."""

from pitwall.sources.openf1.history import HistorySource, history
from pitwall.sources.openf1.source import OpenF1Source, open_openf1

__all__ = ["HistorySource", "OpenF1Source", "history", "open_openf1"]
