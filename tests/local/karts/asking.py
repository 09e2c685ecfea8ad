"""Short captures of made-up tracks, and what somebody reads of a hub by hand: nothing of PitWall's own clients."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from websockets.sync.client import ClientConnection, connect

from local.karts import ApexHub, RaceMonitorHub, RMonitorHub
from tests.sources.apex.frames import DRIVEN, FRESH, grid, init
from tests.sources.rmonitor import lines
from tests.sources.rmonitor.lines import beat

BEGAN = 1_893_499_200_000
FRAMES = 30
FIRST = f"{init()}\ndyn1|countdown|600000\ncom||\n{grid({'r1': DRIVEN, 'r2': FRESH})}\n"
BOARD = FIRST.replace("600000", "599500")
"""The same to who comes half a second later."""
PACKET = "".join(f"{line}\r\n" for line in (*lines.BOARD, *lines.DRIVEN, beat()))
WAIT_S = 30


def frame(n: int) -> str:
    """The nth lap of the kart in the second row, which then leads."""
    return f"r2c5|tn|1:{n:02}.000\nr2c8|in|{n}\nr2|#|1\nr1|#|2\nr2|*|{n}|\n"


def packet(n: int) -> str:
    return f'$J,"1002","00:01:{n:02}.000","00:{n + 5:02}:00.000"\r\n$G,1,"1002",{n + 5},"00:{n + 5:02}:00.000"\r\n'


def frames(path: Path) -> Path:
    """A board and, a second apart, laps."""
    told = [FIRST, *(frame(n) for n in range(1, FRAMES + 1))]
    path.write_text("".join(f"{json.dumps({'t': BEGAN + n * 1000, 'raw': text})}\n" for n, text in enumerate(told)))
    return path


def packets(path: Path) -> Path:
    told = [PACKET, *(packet(n) for n in range(1, FRAMES + 1))]
    stamps = (f"##2030-01-01 12:00:{n:02}.000\r\n" for n in range(len(told)))
    path.write_text("".join(stamp + text + "\r\n" for stamp, text in zip(stamps, told, strict=True)), newline="")
    return path


@contextmanager
def watching(hub: ApexHub) -> Iterator[ClientConnection]:
    with connect(hub.socket_url, proxy=None, max_size=None) as client:
        yield client


def until(client: ClientConnection, end: str) -> list[str]:
    """The messages up to the one in which `end` is."""
    got = [str(client.recv(WAIT_S))]
    while end not in got[-1]:
        got.append(str(client.recv(WAIT_S)))
    return got


def polled(hub: ApexHub, init: str = "1", index: str = "0") -> tuple[str, str, str]:
    port = httpx.get(f"{hub.url}javascript/config.js", trust_env=False).text.partition("configPort = ")[2]
    question = {"version": "1.0.0", "init": init, "index": index, "port": str(int(port.partition(";")[0]) + 4)}
    answer = httpx.get(hub.polling_url, params=question, trust_env=False).raise_for_status()
    again, following, told = answer.text.split("@", 2)
    return again, following, told


class Lines:
    """A TCP connection to RMonitor."""

    def __init__(self, hub: RMonitorHub) -> None:
        self._socket = socket.create_connection(hub.address, WAIT_S)
        self._text = b""

    def until(self, end: str) -> str:
        """What has come up to `end`. Raises EOFError when the connection ends before."""
        while end.encode() not in self._text:
            more = self._socket.recv(65_536)
            if not more:
                raise EOFError(self._text)
            self._text += more
        at = self._text.index(end.encode()) + len(end)
        told, self._text = self._text[:at], self._text[at:]
        return told.decode()

    def close(self) -> None:
        self._socket.close()


def looked_up(hub: RaceMonitorHub, race: str = "4711") -> tuple[str, str]:
    """URL of the race's WebSocket, and what joins it."""
    answer = httpx.get(f"{hub.url}/Info/WebRaceList?raceID={race}", trust_env=False).raise_for_status().json()
    instance, token = answer["CurrentRaces"][0]["Instance"], answer["LiveTimingToken"]
    return f"ws://{answer['LiveTimingHost']}/instance/{instance}/{token}", f"$JOIN,{instance},{token}"
