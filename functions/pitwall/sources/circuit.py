"""The source `circuit`: a track as its documents tell it, read by whichever of the other sources fits.

`circuits/{id}` says where its timing comes from (`wssUrl`, else `liveTimingUrl`), `timing/format` and
`timing/analysis` beside it how it is read: `karting/formats` says what of these is in force. They are given; who reads
them from the database is not known here.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from pitwall.documents.circuits import LABELS, AnalysisDocument, FormatDocument
from pitwall.karting import vocabulary
from pitwall.karting.description import Field
from pitwall.karting.formats import InForce, in_force
from pitwall.message import FeedStatus, Message
from pitwall.settings import Settings
from pitwall.sources import LiveSource
from pitwall.sources.record import Reject
from pitwall.sources.track.channel import Channel, Place, place

_T = TypeVar("_T")

Fields = Mapping[str, Any]
"""A document of the database."""

_RACE: Final = re.compile(r"racemonitor:(\d{1,12})", re.ASCII)
_RACE_PAGE: Final = re.compile(r"(?:raceid=|/)(\d{1,12})(?:[/?#&]|$)", re.ASCII | re.IGNORECASE)
_ENDURANCE: Final = {
    "stops": "Stops",
    "stopMs": "StopMs",
    "stopCostMs": "StopCostMs",
    "stintMs": "StintMs",
    "driverMs": "DriverMs",
}
_SAYS_SO: Final = ("type", "header")


def open_circuit(
    id_: str, circuit: Fields, said: Fields | None, analysis: Fields | None, settings: Settings
) -> LiveSource:
    """A track's feed; said, analysis: its `timing/format` and `timing/analysis`, None for none.

    Raises ValueError, in plain words, where nothing says where its timing comes from or how it is read.
    """
    force = _in_force(said, analysis)
    source = _source(circuit, force)
    return CircuitSource(_open(source, circuit, force, analysis, settings), _told(id_, circuit, force))


def source_of(circuit: Fields, said: Fields | None, analysis: Fields | None) -> str:
    """What a track's feed is read with: a source as it is configured, `apex:wss://...`. Raises ValueError."""
    return _source(circuit, _in_force(said, analysis))


def listen(circuit: Fields, settings: Settings, reject: Reject) -> tuple[Channel, Place]:
    """A connection to where a track's timing comes from, not opened, and where that is: for who looks at what comes
    before it is known what it means. A page is asked for, unless it is a live page of Apex Timing.

    Raises ValueError as `open_circuit` does.
    """
    url = _address(circuit)
    if (race := _race(url)) is not None:
        from pitwall.sources.rmonitor.live import RaceMonitorChannel

        return RaceMonitorChannel(race, settings), place(settings.racemonitor_url)
    where = place(url)
    if where.scheme in ("http", "https"):
        from pitwall.sources.apex.live import ApexPage

        return ApexPage(url, settings), where
    from pitwall.sources.track.opening import open_channel

    return open_channel(url, settings, reject), where


def _source(circuit: Fields, force: InForce) -> str:
    url = _address(circuit)
    if (race := _race(url)) is not None:
        return f"racemonitor:{race}"
    scheme = place(url).scheme
    if force.description is not None:
        return f"described:{url}"
    if force.protocol == "rmonitor" or (scheme == "tcp" and not force.protocol):
        return f"rmonitor:{url}"
    if force.protocol in ("", "apex") and scheme != "tcp":
        return f"apex:{url}"
    raise ValueError(f"its feed is {force.protocol}, and how that is to be read is not confirmed")


def _address(circuit: Fields) -> str:
    for key in ("wssUrl", "liveTimingUrl"):
        url = circuit.get(key)
        if isinstance(url, str) and url.strip():
            return url.strip()
    raise ValueError("neither wssUrl nor liveTimingUrl says where the timing comes from")


def _race(url: str) -> str | None:
    """The race at Race Monitor that an address names, None if it is none of there."""
    race = _RACE.fullmatch(url)
    host = (urlsplit(url).hostname or "").lower()
    if race is None and (host == "race-monitor.com" or host.endswith(".race-monitor.com")):
        race = _RACE_PAGE.search(url.partition("://")[2])
        if race is None:
            raise ValueError("the address at Race Monitor names no race")
    return race[1] if race is not None else None


def _open(source: str, circuit: Fields, force: InForce, analysis: Fields | None, settings: Settings) -> LiveSource:
    kind, _, where = source.partition(":")
    if kind == "racemonitor":
        from pitwall.sources.rmonitor.live import open_racemonitor

        return open_racemonitor(where, settings)
    if kind == "rmonitor":
        from pitwall.sources.rmonitor.live import open_rmonitor

        return open_rmonitor(where, settings)
    if kind == "described" and force.description is not None:
        from pitwall.sources.described import open_described

        return open_described(where, force.description, settings)
    from pitwall.sources.apex.live import open_apex

    return open_apex(
        where,
        settings,
        page=_page(circuit.get("liveTimingUrl")),
        human=force.said,
        found=force.found,
        declared=_declared(analysis),
    )


def _page(url: Any) -> str:
    """A page, "" for what is none."""
    try:
        return url.strip() if isinstance(url, str) and place(url.strip()).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _in_force(said: Fields | None, analysis: Fields | None) -> InForce:
    return in_force(_as(FormatDocument, said), _as(AnalysisDocument, analysis))


def _as(kind: type[_T], fields: Fields | None) -> _T | None:
    """A document as it was stored; None for none and for one that is damaged."""
    try:
        return None if fields is None else msgspec.convert(fields, kind)
    except msgspec.ValidationError:
        return None


def _declared(analysis: Fields | None) -> dict[str, str | None]:
    """What each column said of itself when the feed was looked at; None where something else told what it is."""
    told = analysis.get("analysis") if analysis is not None else None
    if not isinstance(told, Mapping) or not isinstance(told.get("notUnderstood", []), list):
        return {}
    try:
        fields = msgspec.convert(told.get("fields", []), list[Field])
    except msgspec.ValidationError:
        return {}
    declared: dict[str, str | None] = {
        field.key: field.role if field.origin in _SAYS_SO and field.verdict == "used" else None for field in fields
    }
    for other in told.get("notUnderstood", []):
        if isinstance(other, Mapping) and isinstance(other.get("key"), str):
            declared.setdefault(other["key"], "")
    return declared


def _told(id_: str, circuit: Fields, force: InForce) -> vocabulary.Circuit:
    told = vocabulary.Circuit(Circuit=id_)
    labels = {key.upper(): text for key in LABELS if isinstance(text := circuit.get(key), str) and text.strip()}
    if labels:
        told["Labels"] = labels
    rules = circuit.get("endurance")
    if isinstance(rules, Mapping):
        known = {name: rules[key] for key, name in _ENDURANCE.items() if type(rules.get(key)) is int}
        if known:
            told["Endurance"] = known  # type: ignore[typeddict-item]
    if force.said:
        told["Map"] = force.said
    return told


class CircuitSource:
    """Another source, with a message that tells the circuit first of all and after every connect."""

    def __init__(self, source: LiveSource, circuit: vocabulary.Circuit) -> None:
        self.name = source.name
        self.session = source.session
        self.rejected: Counter[str] = source.rejected
        self._source = source
        self._circuit = circuit
        self._last = 0

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        """As the other's, until `close`."""
        yield self._tell()
        for item in self._source.messages(cursor):
            self.name, self.session, self.rejected = self._source.name, self._source.session, self._source.rejected
            if isinstance(item, Message):
                self._last = item.at
            yield item
            if isinstance(item, FeedStatus) and item.state == "live":
                yield self._tell()

    def close(self) -> None:
        self._source.close()

    def _tell(self) -> Message:
        now = int(time.time() * 1000)
        self._last = self._last or now
        told = vocabulary.message(vocabulary.CIRCUIT, self._circuit, self._last, snapshot=True)
        return told._replace(arrived=now)
