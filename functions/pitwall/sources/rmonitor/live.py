"""The sources `rmonitor` (lines over TCP) and `racemonitor` (a race at Race Monitor, over its WebSocket).

Race Monitor is asked which server has a race and with which token it is joined; the token is told to nobody. Four
public clients do it so.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson

from pitwall.message import Message
from pitwall.settings import Settings
from pitwall.sources import LiveSource
from pitwall.sources.record import Reject
from pitwall.sources.rmonitor.translation import Translation
from pitwall.sources.track.channel import place
from pitwall.sources.track.found import FoundWebSocket
from pitwall.sources.track.opening import open_channel
from pitwall.sources.track.source import TrackSource
from pitwall.sources.track.web import Web
from pitwall.sources.track.websocket import WebSocketChannel
from pitwall.sources.trouble import Trouble

_RACE: Final = re.compile(r"\d{1,12}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?", re.ASCII)
_HEARTBEAT: Final = re.compile(r"^\$F,", re.MULTILINE)


def open_rmonitor(address: str, settings: Settings) -> LiveSource:
    """RMonitor at `host:port` over TCP, or at the URL of a WebSocket. Raises ValueError for what is no address."""
    url = address if "://" in address else f"tcp://{address}"
    place(url)
    return TrackSource("rmonitor", settings, lambda reject: open_channel(url, settings, reject), Readings())


def open_racemonitor(race: str, settings: Settings) -> LiveSource:
    """A race at Race Monitor, by its id. Raises ValueError for what is none."""
    check_race(race)
    return TrackSource("racemonitor", settings, lambda _: RaceMonitorChannel(race, settings), Readings())


def check_race(race: str) -> None:
    """Raises ValueError for what is no id of a race."""
    if _RACE.fullmatch(race) is None:
        raise ValueError("no id of a race at Race Monitor: that is a number")


class Readings:
    """What reads one feed, connection after connection: a reset and no more, as far as the board is the same run's.

    So laps are known that were driven while nobody was connected, also where penalties have been taken off the count.
    """

    def __init__(self) -> None:
        self._translation: Translation | None = None

    def __call__(self, reject: Reject) -> RMonitorReading:
        if self._translation is None:
            self._translation = Translation(reject)
        else:
            self._translation.connected_anew()
        return RMonitorReading(self._translation)


class RMonitorReading:
    """The lines of one connection."""

    def __init__(self, translation: Translation) -> None:
        self.beats = False
        """A heartbeat has come: from then on there is one each second."""
        self._translation = translation

    def read(self, texts: list[str], at: int) -> list[Message]:
        told: list[Message] = []
        for text in texts:
            self.beats = self.beats or _HEARTBEAT.search(text) is not None
            told += self._translation.read(text.split("\n"), at)
        return told


class RaceMonitorChannel(FoundWebSocket):
    """Looks a race up, joins it and receives its lines."""

    def __init__(self, race: str, settings: Settings) -> None:
        super().__init__(settings)
        self._race = race

    def find(self, web: Web) -> WebSocketChannel:
        url = self._settings.racemonitor_url.rstrip("/")
        host, instance, token = _told(web.get(f"{url}/Info/WebRaceList", {"raceID": self._race}))
        scheme = "wss" if urlsplit(url).scheme == "https" else "ws"
        return WebSocketChannel(
            f"{scheme}://{host}/instance/{quote(instance, safe='')}/{quote(token, safe='')}",
            self._settings,
            greeting=[f"$JOIN,{instance},{token}"],
        )


def _told(answer: str) -> tuple[str, str, str]:
    """Host, instance and token out of the answer to a lookup. Raises Trouble."""
    try:
        told = orjson.loads(answer)
    except orjson.JSONDecodeError:
        told = None
    races: Any = told.get("CurrentRaces") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(races, list):
        raise Trouble("Race Monitor answers with what is no list of races")
    races = [race for race in races if isinstance(race, dict)]
    race = next((race for race in races if race.get("ReceivingData")), races[0] if races else None)
    if race is None:
        raise Trouble("Race Monitor has no such race on now")
    host, instance, token = (
        str(value) for value in (told.get("LiveTimingHost"), race.get("Instance"), told.get("LiveTimingToken"))
    )
    if _HOST.fullmatch(host) is None or not _plain(instance) or not _plain(token):
        raise Trouble("Race Monitor does not say how its race is joined")
    return host, instance, token


def _plain(text: str) -> bool:
    return 0 < len(text) <= 500 and text.isprintable() and "," not in text and text != "None"
