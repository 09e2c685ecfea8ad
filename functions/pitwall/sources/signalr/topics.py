"""The topics of F1's live feed: what anybody is given, and what needs an F1TV login (since Zandvoort 2025).

Sources conflict on TeamRadio; it is asked for without a login, and comes or does not.
"""

from __future__ import annotations

from typing import Final

from pitwall.sources.record import plain_topic

PUBLIC: Final = (
    "Heartbeat",
    "SessionInfo",
    "SessionData",
    "SessionStatus",
    "TrackStatus",
    "DriverList",
    "TimingData",
    "TimingAppData",
    "TimingStats",
    "TopThree",
    "LapCount",
    "ExtrapolatedClock",
    "RaceControlMessages",
    "WeatherData",
    "TeamRadio",
    "RcmSeries",
    "AudioStreams",
    "ContentStreams",
    "PitLaneTimeCollection",
    "TyreStintSeries",
)

GATED: Final = ("CarData.z", "Position.z", "DriverRaceInfo", "ChampionshipPrediction", "PitStopSeries")

GATED_NAMES: Final = tuple(sorted(plain_topic(topic) for topic in GATED))
"""As messages and `FeedStatus.gated_topics` spell them."""
