"""Nothing but public addresses is connected to, however it is named."""

from __future__ import annotations

import socket
import time

import pytest

from pitwall.sources import reach
from pitwall.sources.track.channel import Channel
from pitwall.sources.track.opening import open_channel
from pitwall.sources.track.web import Web
from pitwall.sources.trouble import Trouble
from tests.sources.signalr.conftest import Certificate
from tests.sources.track.servers import APEX, Answer, http, quick, tcp, websocket


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("192.88.99.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00:ec2::254", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:169.254.169.254", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::", False),
        ("2001:db8::1", False),
    ],
)
def test_public_addresses_are_told_from_others(address: str, public: bool):
    assert reach.is_public(address) is public


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"]
)
def test_a_circuit_cannot_name_what_only_we_may_reach(host: str):
    with tcp(lambda *_: pytest.fail("it was connected to")) as address:
        port = address.rpartition(":")[2]
        settings = quick(private_hosts=False)
        for url in (f"ws://{host}:{port}/", f"http://{host}:{port}/", f"tcp://{host}:{port}"):
            channel = open_channel(url, settings, lambda _: None)
            with pytest.raises(Trouble, match="no public address") as told:
                _heard(channel)
            assert told.value.state == "refused"
            channel.close()


def _heard(channel: Channel) -> list[str]:
    channel.open()
    while not (texts := channel.receive(1.0)):
        pass
    return texts


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch):
    def both(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, 1, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("it was connected to"))
    with pytest.raises(Trouble, match="no public address"):
        reach.connect("rebinding.example.com", 80, private=False, limit_s=1.0)


def test_what_is_connected_to_is_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, *rest: object, **named: object) -> list[tuple[object, ...]]:
        if host != "track.example.com":
            return real(host, *rest, **named)  # type: ignore[arg-type,return-value]
        asked.append(host)
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.9", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(reach, "is_public", lambda address: address == "127.0.0.1")
    with http(lambda _: Answer(b"the board")) as server:
        port = server.url.rpartition(":")[2]
        web = Web(quick(private_hosts=False))
        assert web.get(f"http://track.example.com:{port}/board") == "the board"
        assert asked == ["track.example.com"]
        with pytest.raises(Trouble, match="no public address"):
            web.get(f"http://track.example.com:{port}/board")
        web.close()


def test_a_redirect_leads_nowhere_else_either(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reach, "is_public", lambda address: address == "127.0.0.1")
    places = {"/moved": "/here", "/out": "", "/round": "/round", "/file": "file:///etc/passwd"}

    def answer(path: str) -> Answer:
        return Answer(b"here") if path == "/here" else Answer(status=302, headers={"Location": places[path]})

    with http(lambda _: pytest.fail("it was asked"), host="127.0.0.2") as private, http(answer) as server:
        places["/out"] = private.url
        web = Web(quick(private_hosts=False))
        assert web.get(f"{server.url}/moved") == "here"
        for path, why in (("/out", "no public address"), ("/round", "without end"), ("/file", "no address")):
            with pytest.raises(Trouble, match=why):
                web.get(server.url + path)
        assert private.asked == []
        web.close()


def test_an_answer_is_limited_in_length_and_time():
    bodies = {
        "/long": Answer(b"x" * 3_000_000),
        "/packed": Answer(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
        "/cut": Answer(b"x", headers={"Content-Length": "10"}),
        "/busy": Answer(b"", 503, {"Retry-After": "7"}),
    }
    with http(lambda path: bodies[path]) as server:
        web = Web(quick())
        for path, why in (
            ("/long", "too long"),
            ("/packed", "compressed"),
            ("/cut", "broke off"),
            ("/busy", "answers 503"),
        ):
            with pytest.raises(Trouble, match=why) as told:
                web.get(server.url + path)
        assert (told.value.asked_s, told.value.state) == (7.0, None)
        web.close()
        with pytest.raises(Trouble, match="closed"):
            web.get(server.url)

    def drip(connection: socket.socket, _: int) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    with tcp(drip) as address, pytest.raises(Trouble, match=r"did not answer within 0\.5 s"):
        Web(quick(connect_s=0.5)).get(f"http://{address}/")


def test_over_tls_the_certificate_is_that_of_the_name(certificate: Certificate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    with (
        websocket(lambda connection, _: connection.send(APEX), tls=certificate.context) as url,
        http(lambda _: Answer(b"the board"), tls=certificate.context) as server,
    ):
        told = {url: APEX, server.url: "the board"}
        for where, expected in told.items():
            channel = open_channel(where, quick(), lambda _: None)
            assert _heard(channel) == [expected]
            channel.close()
            # The same server by a name it has no certificate for.
            channel = open_channel(where.replace("127.0.0.1", "127.1"), quick(), lambda _: None)
            with pytest.raises(Trouble, match="no secure connection"):
                _heard(channel)
            channel.close()
