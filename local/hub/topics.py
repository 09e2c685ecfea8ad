"""How the live feed names its topics, and which of them it gives to subscribers of F1TV only (FEED.md)."""

from __future__ import annotations

from typing import Final

COMPRESSED: Final = frozenset({"CarData", "Position"})
"""Topics that go over the wire with `.z` behind their name and their payload deflated."""

GATED: Final = frozenset({"CarData", "Position", "DriverRaceInfo", "ChampionshipPrediction", "PitStopSeries"})
"""Topics that need a login since Zandvoort 2025; names without `.z`."""


def wire_name(topic: str) -> str:
    """The topic as the wire spells it."""
    return f"{topic}.z" if topic in COMPRESSED else topic
