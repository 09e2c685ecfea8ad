"""A board as it was: rows in the app's words, from what was recorded of a track from any object on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pitwall.documents.circuits import AppData
from pitwall.karting import app, vocabulary
from pitwall.karting.records import Kart
from pitwall.karting.state import KartState
from pitwall.message import Message
from pitwall.sources.pitwall_format import BOARD


class Board:
    """The board of one session, which messages change."""

    def __init__(self, session: str, feed: str, circuit: str, labels: Mapping[str, str], at: int) -> None:
        """labels: the app's, by column (`C1`); the recording's own are not used. at: ms, before the first message."""
        self._state = KartState(session, feed)
        self._state.apply(Message(vocabulary.CIRCUIT, {"Circuit": circuit, "Labels": dict(labels)}, at))

    def take(self, message: Message) -> list[tuple[str, AppData]]:
        """Rows whose cells the message has changed, by racing number; none of a kart whose number is not known yet."""
        if message.topic == vocabulary.CIRCUIT:
            return []
        if message.topic == BOARD:
            self._stand(message)
            return []
        before = {row: kart.changes for row, kart in self._state.data.karts.items()}
        self._state.apply(message)
        told = _rows(message)
        return [
            (kart.number, app.row(self._state, kart))
            for row, kart in self._state.data.karts.items()
            if row in told and kart.number and kart.changes != before.get(row, 0)
        ]

    def _stand(self, message: Message) -> None:
        """The board as it stood where the first object begins; those of later ones tell nothing new."""
        karts: Mapping[str, Kart] = self._state.data.karts
        if karts or not isinstance(message.data, dict):
            return
        self._state.apply(Message(vocabulary.GRID, {"Lines": message.data.get("Lines")}, message.at, snapshot=True))
        numbers = message.data.get("Numbers")
        for row, number in numbers.items() if isinstance(numbers, dict) else ():
            if row in karts and isinstance(number, str):
                karts[row].number = number


def _rows(message: Message) -> Mapping[str, Any] | list[Any]:
    """Rows of which a message tells cells; a crossing is no cell."""
    told = message.data
    if isinstance(told, dict) and message.topic == vocabulary.GRID:
        told = told.get("Lines")
    elif isinstance(told, dict) and message.topic == vocabulary.PIT:
        return [told.get("Row")]
    elif message.topic != vocabulary.LINES:
        return []
    return told if isinstance(told, dict) else []
