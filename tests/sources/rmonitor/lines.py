"""A few lines of RMonitor, written by hand in its form: invented names, real habits."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pitwall.karting import vocabulary
from pitwall.message import Message
from pitwall.sources.rmonitor.translation import Translation

AT = 1_893_500_000_000
"""1 January 2030, 12:13:20 UTC."""
BOARD = (
    '$A,"1001","7",5001,"Ann","Alpha","FRA",1',
    '$A,"1002","012",5002,"Ben","Beta, Jr","",2',
    '$COMP,"1001","7",1,"Ann","Alpha","FRA","Team A"',
    '$COMP,"1002","012",2,"Ben","Beta, Jr","",""',
    '$B,5,"Race 1"',
    '$C,1,"Senior"',
    '$C,2,"Junior"',
    '$E,"TRACKNAME","Nowhere"',
    '$E,"TRACKLENGTH","1.2"',
)
FRESH = ('$G,1,"1001",,"00:00:00.000"', '$G,2,"1002",,"00:00:00.000"', '$H,1,"1001",0,"00:00:00.000"',
         '$H,2,"1002",0,"00:00:00.000"')  # fmt: skip
DRIVEN = ('$G,1,"1001",5,"00:05:10.000"', '$G,2,"1002",5,"00:05:12.500"', '$H,1,"1001",3,"00:01:00.100"',
          '$H,2,"1002",4,"00:01:00.200"')  # fmt: skip


def beat(seconds: int = 0, flag: str = "Green ", to_go: str = "00:30:00", laps: int = 9999) -> str:
    """A heartbeat, so long after 13:13:20 (an hour ahead of UTC) and the start."""
    minutes, rest = divmod(13 * 60 + 20 + seconds, 60)
    elapsed = f"{seconds // 60:02}:{seconds % 60:02}"
    return f'$F,{laps},"{to_go}","13:{minutes:02}:{rest:02}","00:{elapsed}","{flag}"'


class Connection:
    """Translates lines and counts what cannot be used."""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.translation = Translation(lambda reason: self.rejected.update([reason]))

    def read(self, *lines: str, at: int = AT) -> list[Message]:
        return self.translation.read(lines, at)

    def told(self, *lines: str, at: int = AT) -> list[tuple[str, Any]]:
        return [(message.topic, message.data) for message in self.read(*lines, at=at)]

    def crossings(self, *lines: str) -> list[dict[str, Any]]:
        return [data for topic, data in self.told(*lines) if topic == vocabulary.CROSSING]


def joined(*rows: str) -> Connection:
    """A connection that has had its board."""
    connection = Connection()
    connection.read(*BOARD, *(rows or DRIVEN), beat())
    return connection
