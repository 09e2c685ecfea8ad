"""A made-up race of four karts, for the examples of the API and for tests: its messages, and what is stored of them."""

from __future__ import annotations

from typing import Any

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.feeds import kart_feed
from pitwall.karting import vocabulary
from pitwall.message import Message
from pitwall.pipeline.ticks import Reducer

CIRCUIT = "kartpark"
LABELS = {"C1": "Clt", "C2": "Kart", "C3": "Dernier T.", "C4": "Lap"}
NUMBERS = ("012", "7A", "9", "7A")
"""As painted; the second `7A` is made its own by its row."""
STORED = ("012", "7A", "9", "7A-r4")


def race(at: int, laps: int = 12) -> list[Message]:
    """From the instant `at` (ms) on. They lap in 60, 61, 62 and 63 s; the first one stops on lap 7, and another drives
    on.
    """
    messages: list[Message] = []

    def tell(after: int, topic: str, data: Any, snapshot: bool = False) -> None:
        messages.append(Message(topic, data, at + after, snapshot))

    tell(0, vocabulary.CIRCUIT, {"Circuit": CIRCUIT, "Labels": LABELS})
    tell(0, vocabulary.SESSION, {"Title": "6H of Kart Park", "Name": "Race", "Type": "Race", "Fresh": True}, True)
    lines = {
        f"r{place}": {"Number": number, "Position": place, "Driver": f"{'ABCD'[place - 1]}. Driver", "Laps": 0}
        for place, number in enumerate(NUMBERS, start=1)
    }
    tell(0, vocabulary.GRID, {"Columns": [], "Lines": lines}, True)
    tell(0, vocabulary.FLAG, {"Flag": "green"})
    told: list[tuple[int, int, str, Any]] = []
    for place in range(1, len(NUMBERS) + 1):
        row, when, time = f"r{place}", 0, 59_000 + 1_000 * place
        for lap in range(1, laps + 1):
            stop = place == 1 and lap == 7
            if stop:
                told.append((when + 50_000, 0, vocabulary.PIT, {"Row": row, "In": True}))
                told.append((when + 60_000, 0, vocabulary.LINES, {row: {"Driver": "E. Driver"}}))
                told.append((when + 90_000, 0, vocabulary.PIT, {"Row": row, "In": False}))
            when += time + 40_000 * stop
            line = {"LastLapMs": time + 40_000 * stop, "Laps": lap, "Sector1Ms": 20_000 + lap, "GapMs": 500 * place}
            told.append((when, 1, vocabulary.LINES, {row: line}))
            told.append((when, 2, vocabulary.CROSSING, {"Row": row}))
    for when, _, topic, data in sorted(told, key=lambda one: one[:2]):
        tell(when, topic, data)
    said = {"Message": "Kart 9: 10 s", "Flag": "penalty", "Number": "9"}
    tell(told[-1][0] + 1_000, vocabulary.RACE_CONTROL, {"Messages": [said]})
    return messages


def documents(messages: list[Message]) -> dict[str, Document]:
    """What is stored of them, by path."""
    reducer = Reducer("", kart_feed(CIRCUIT), "apex")
    stored: dict[str, Document] = {}
    for message in messages:
        for tick in reducer.offer(message):
            stored.update(tick.documents)
    for tick in reducer.finish():
        stored.update(tick.documents)
    return stored


def session_of(stored: dict[str, Document]) -> str:
    """The key of the one session among documents."""
    (key,) = {path.split("/")[1] for path in stored if path.startswith(f"{paths.SESSIONS}/")}
    return key
