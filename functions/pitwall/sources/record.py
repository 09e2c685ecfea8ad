"""What a recording's format reads out of it, before time base and payload are resolved.

Shared by the format modules. Turning a `Record` into a `Message` (instants, `.z`
payloads, ordinals) is the business of `pitwall.sources.recording`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pitwall.sources.literals import loads

Reject = Callable[[str], None]
"""Called once for every piece of input that cannot be read, with its reason (`bad-json`, ...)."""


def counting(rejected: Counter[str], logger: logging.Logger, name: str) -> Reject:
    """What counts by reason in `rejected`, and logs the first of each as `name`'s."""

    def reject(reason: str) -> None:
        if not rejected[reason]:
            logger.warning("%s: %s; more of these are only counted", name, reason)
        rejected[reason] += 1

    return reject


class Record(NamedTuple):
    """One message as a recording spells it.

    topic: as in the feed, `.z` suffix included.
    data: the payload as it stands: JSON, or a string that holds base64 or JSON.
    at: milliseconds: since the epoch (live formats) or since the recording's start
        (offset formats); None where the recording has no readable instant.
    snapshot: True for a topic's whole state out of a subscribe answer.
    """

    topic: str
    data: Any
    at: int | None
    snapshot: bool = False


TOPIC_ORDER = (
    "SessionInfo",
    "DriverList",
    "ArchiveStatus",
    "SessionData",
    "SessionStatus",
    "TrackStatus",
    "ExtrapolatedClock",
    "LapCount",
    "TimingAppData",
    "TyreStintSeries",
    "CurrentTyres",
    "TimingData",
    "TimingDataF1",
    "TimingStats",
    "TopThree",
    "LapSeries",
    "PitLaneTimeCollection",
    "PitStop",
    "PitStopSeries",
    "DriverRaceInfo",
    "DriverScore",
    "OvertakeSeries",
    "ChampionshipPrediction",
    "RaceControlMessages",
    "RcmSeries",
    "TlaRcm",
    "TeamRadio",
    "WeatherData",
    "WeatherDataSeries",
    "SPFeed",
    "CarData",
    "Position",
    "AudioStreams",
    "ContentStreams",
    "Heartbeat",
)
"""Order of messages that carry the same instant, and of the topics of one snapshot: who and what first,
then the session's state, then the cars, then what only accompanies them. Topics not listed come last, by name."""

_RANK = {topic: rank for rank, topic in enumerate(TOPIC_ORDER)}


def plain_topic(topic: str) -> str:
    """The topic without the `.z` that marks a compressed payload."""
    return topic.removesuffix(".z")


def topic_rank(topic: str) -> tuple[int, str]:
    """Sort key of a topic among messages of one instant."""
    name = plain_topic(topic)
    return _RANK.get(name, len(_RANK)), name


def is_known_topic(topic: str) -> bool:
    """True for a topic the F1 feed is known to have, with or without `.z`."""
    return plain_topic(topic) in _RANK


def snapshot_records(topics: Mapping[str, Any], at: int | None = None) -> list[Record]:
    """The records of a subscribe answer (`{topic: state}`). A topic whose state is null is not there."""
    return [Record(topic, state, at, True) for topic, state in topics.items() if state is not None]


def looks_like_snapshot(value: Any) -> bool:
    """True for a `{topic: state}` object: at least one key is a topic of the feed.

    The archive's Index.json has the same keys, but paths and no states behind them.
    """
    return isinstance(value, dict) and any(
        is_known_topic(key) and not (isinstance(state, dict) and "KeyFramePath" in state)
        for key, state in value.items()
    )


def session_key(data: Any) -> str | None:
    """SessionInfo's key as an id; None if it has none that could be one."""
    if isinstance(data, str):
        try:
            data = loads(data.encode("utf-8", "replace"))
        except ValueError:
            return None
    key = data.get("Key") if isinstance(data, dict) else None
    if isinstance(key, bool) or not isinstance(key, int | str):
        return None
    text = str(key).strip()
    return text if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", text) else None
