"""What a session has stored of its cars, as the analytics take it, and which of its laps are clean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pitwall.documents.base import RacingNumber

Fields = Mapping[str, Any]
"""A document or a map in one, as it is stored; it may have keys that this version does not know."""

Laps = Mapping[int, Fields]
"""Laps of one car by their number, in order."""

SLOWEST = 1.07
"""A lap that takes longer than this share of the best one was not driven for its time."""

_CLEAR = "1"
_NOT_CLEAN = ("pitIn", "pitOut", "deleted", "missed")


class Record(NamedTuple):
    """One session. race: whether cars start together, so that gaps and places at the end of a lap say something.

    drivers: by racing number, every car that has a document or a lap. track_statuses: changes, in order.
    """

    race: bool
    drivers: dict[RacingNumber, Fields]
    laps: dict[RacingNumber, Laps]
    track_statuses: Sequence[Fields] = ()


def made_of(
    session: Fields, drivers: Iterable[Fields], laps: Iterable[Fields], track_statuses: Iterable[Fields] = ()
) -> Record:
    """The record that the documents of a session give."""
    known = {driver["racingNumber"]: driver for driver in drivers}
    driven: dict[RacingNumber, dict[int, Fields]] = {number: {} for number in known}
    for document in sorted(laps, key=lambda document: int(document["lap"])):
        for number, lap in document.get("drivers", {}).items():
            driven.setdefault(number, {})[document["lap"]] = lap
    return Record(
        race=session.get("type") == "Race",
        drivers={number: known.get(number, {"racingNumber": number}) for number in driven},
        laps=dict(driven),
        track_statuses=sorted(track_statuses, key=lambda change: change["at"]),
    )


def clean(laps: Laps) -> dict[int, int]:
    """Times (ms) of the laps that tell how fast car and driver are, by number of the lap.

    Not the first lap, nor laps into or out of the pits, deleted ones, those that were not received whole, and those
    with anything but a clear track; of the others those within 107 % of the best.
    """
    timed = {
        number: lap["lapTimeMs"]
        for number, lap in laps.items()
        if number > 1
        and "lapTimeMs" in lap
        and not any(lap.get(mark) for mark in _NOT_CLEAN)
        and all(code == _CLEAR for code in lap.get("trackStatuses", ()))
    }
    limit = SLOWEST * min(timed.values(), default=0)
    return {number: time for number, time in timed.items() if time <= limit}
