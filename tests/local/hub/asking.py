"""Asks a hub by hand, over HTTP and a WebSocket, and writes small recordings for it to play."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from local.hub import Hub
from pitwall.message import Message
from pitwall.sources.pitwall_format import encode_line

BEGAN = 1_760_000_000_000
TOKEN = "a-token-of-this-test"
PUBLIC, GATED = ["SessionInfo", "TimingData"], ["CarData.z"]
MESSAGES = 40


def recording(path: Path, key: int = 4711) -> Path:
    info = {"Key": key, "Path": f"2025/{key}/", "StartDate": "2025-10-09T08:53:20"}
    messages = [Message("SessionInfo", info, BEGAN)]
    laps = ({"Lines": {"4": {"NumberOfLaps": n}}} for n in range(MESSAGES))
    messages += [Message("TimingData", lap, BEGAN + n * 1000) for n, lap in enumerate(laps)]
    messages.append(Message("CarData", {"Entries": [{"Cars": {}}]}, BEGAN + MESSAGES * 1000))
    path.write_bytes(b"".join(encode_line(message._replace(cursor=n)) for n, message in enumerate(messages)))
    return path


class Client:
    """A connection that has shaken hands."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._text = ""

    def send(self, record: dict[str, Any]) -> None:
        self._socket.send(json.dumps(record) + "\x1e")

    def next(self, timeout_s: float = 30) -> dict[str, Any]:
        """The next record that is no ping. Raises ConnectionClosed, TimeoutError."""
        while True:
            while "\x1e" not in self._text:
                self._text += str(self._socket.recv(timeout_s))
            text, _, self._text = self._text.partition("\x1e")
            record: dict[str, Any] = json.loads(text)
            if record.get("type") != 6:
                return record

    def subscribe(self, topics: list[str]) -> dict[str, Any]:
        """The snapshot."""
        self.send({"type": 1, "invocationId": "1", "target": "Subscribe", "arguments": [topics]})
        snapshot: dict[str, Any] = self.next()["result"]
        return snapshot

    def until(self, condition: Callable[[list[Any]], bool]) -> list[list[Any]]:
        """Arguments of the feed messages up to the one that fulfils the condition."""
        got: list[list[Any]] = []
        while not got or not condition(got[-1]):
            got.append(self.next()["arguments"])
        return got


def negotiate(hub: Hub, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.post(f"{hub.url}/signalrcore/negotiate?negotiateVersion=1", headers=headers, trust_env=False)


@contextmanager
def connected(hub: Hub, token: str = "") -> Iterator[Client]:
    login = {"Authorization": f"Bearer {token}"} if token else {}
    answer = negotiate(hub, login)
    cookies = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
    address = f"{hub.url.replace('http', 'ws', 1)}/signalrcore?id={answer.json()['connectionToken']}"
    with connect(address, additional_headers={"Cookie": cookies, **login}, proxy=None) as socket:
        client = Client(socket)
        client.send({"protocol": "json", "version": 1})
        assert client.next() == {}
        yield client


def lap(arguments: list[Any]) -> int | None:
    return arguments[1]["Lines"]["4"]["NumberOfLaps"] if arguments[0] == "TimingData" else None
