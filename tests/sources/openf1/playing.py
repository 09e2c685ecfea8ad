"""What the tests of OpenF1 share: a clock nobody waits for, documents of a session, and comparing two of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from local.openf1 import OpenF1Server, Rows
from pitwall.documents.encoding import to_fields
from pitwall.documents.projection import project
from pitwall.message import FeedStatus, Message
from pitwall.settings import Settings
from pitwall.sources.openf1 import HistorySource, OpenF1Source
from pitwall.timing.change import Change
from pitwall.timing.state import SessionState

Documents = dict[str, dict[str, Any]]
ACCOUNT = ("someone", "pass-word-of-someone")


class Clock:
    """Seconds that pass only when somebody waits, and the feed's and the wall's instant with them."""

    def __init__(self, began_ms: int) -> None:
        self.seconds = 0.0
        self._began_ms = began_ms

    def monotonic(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += max(seconds, 0.001)

    def now_ms(self) -> int:
        return self._began_ms + int(self.seconds * 1000)

    def wall(self) -> float:
        return self.now_ms() / 1000


@contextmanager
def serving(
    *sessions: Rows, since_ms: int = 0, lag_ms: int = 3_000, **options: Any
) -> Iterator[tuple[OpenF1Server, Clock]]:
    """A server whose feed is as far as the clock says, and that clock. since_ms: from a session's begin."""
    clock = Clock(sessions[0].begins + since_ms)
    with OpenF1Server(*sessions, monotonic=clock.monotonic, **options) as server:
        server.follow(lambda: clock.now_ms() - lag_ms)
        yield server, clock


def settings(server: OpenF1Server, *, account: bool = False, **fields: Any) -> Settings:
    username, password = ACCOUNT if account else ("", "")
    return Settings(openf1_url=server.url, openf1_username=username, openf1_password=password, **fields)


def live(server: OpenF1Server, clock: Clock, session: str = "", **fields: Any) -> OpenF1Source:
    return OpenF1Source(
        settings(server, **fields), session, wall=clock.wall, monotonic=clock.monotonic, pause=clock.pause
    )


def past(server: OpenF1Server, clock: Clock, session: str, **options: Any) -> HistorySource:
    return HistorySource(settings(server), session, monotonic=clock.monotonic, pause=clock.pause, **options)


def until(items: Iterable[Message | FeedStatus], end: Any) -> list[Message | FeedStatus]:
    """Items up to the first one for which `end` is true, that one included."""
    taken = []
    for item in items:
        taken.append(item)
        if end(item):
            return taken
    return taken


def is_status(state: str) -> Any:
    return lambda item: isinstance(item, FeedStatus) and item.state == state


def is_message(item: Message | FeedStatus) -> bool:
    return isinstance(item, Message)


def is_over(item: Message | FeedStatus) -> bool:
    return isinstance(item, Message) and item.topic == "SessionStatus" and item.data.get("Status") == "Finalised"


def statuses(items: Iterable[Message | FeedStatus]) -> list[tuple[str, str]]:
    return [(item.state, item.detail) for item in items if isinstance(item, FeedStatus)]


def played(session: str, messages: Iterable[Message | FeedStatus]) -> SessionState:
    state = SessionState(session)
    for message in messages:
        if isinstance(message, Message):
            state.apply(message)
    state.finish()
    return state


def documents(state: SessionState) -> Documents:
    """Every document there is in the end, by path below the session."""
    data = state.data
    changes = {
        *(Change(what) for what in ("session", "tower", "entries", "tyres")),
        *(Change("driver", number) for number in data.cars),
        *(Change("lap", lap) for car in data.cars.values() for lap in car.told),
        *(Change("raceControl", n) for n in data.race_control),
        *(Change("weather", n) for n in range(len(data.weather))),
        *(Change("teamRadio", n) for n in data.team_radio),
    }
    projected = [document for change in changes if (document := project(state, change)) is not None]
    return {path.partition("/")[2].partition("/")[2]: to_fields(document) for path, document in projected}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{index}")
    else:
        yield name, value


Difference = tuple[str, str, Any, Any]


def differences(true: Documents, found: Documents, allowed: Mapping[str, Any]) -> list[Difference]:
    """Where two sessions' documents differ beyond what is allowed.

    allowed: by pattern of `path field`, True for any difference, or a number: milliseconds that instants and durations
    may be apart. The first pattern that matches counts.
    """
    wrong: list[Difference] = []
    for path in sorted(true.keys() | found.keys()):
        ours, theirs = dict(_flat(true.get(path, {}))), dict(_flat(found.get(path, {})))
        for name in sorted(ours.keys() | theirs.keys()):
            a, b = ours.get(name), theirs.get(name)
            if a == b:
                continue
            allowance = next((value for pattern, value in allowed.items() if re.search(pattern, f"{path} {name}")), 0)
            if allowance is True or (allowance and _apart_ms(a, b) <= allowance):
                continue
            wrong.append((path, name, a, b))
    return wrong


def _apart_ms(a: Any, b: Any) -> float:
    if isinstance(a, datetime) and isinstance(b, datetime):
        return abs((a - b).total_seconds()) * 1000
    if isinstance(a, int) and isinstance(b, int):
        return abs(a - b)
    return float("inf")


def session_statuses(state: SessionState) -> list[tuple[int, str]]:
    """Changes of the session's status that OpenF1 knows of, with their instants."""
    told = [(item.at, str(item.data["Status"])) for item in state.data.session_status]
    return [(at, status) for at, status in told if status not in ("Inactive", "Finalised", "Ends")]


def track_statuses(state: SessionState) -> list[tuple[int, str]]:
    """Changes of the track's status while the session was on."""
    began, ended = state.data.started_at or 0, state.data.finished_at or 1 << 60
    told = [(item.at, str(item.data["Status"])) for item in state.data.track_status]
    return [(at, status) for at, status in told if began <= at <= ended]


def write(path: Path, race: Any) -> Path:
    from local.simulator import write_recording

    write_recording(race, path, "merged")
    return path
