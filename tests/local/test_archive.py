"""The server that stands for F1's archive: what it makes of folders and recordings, and what it is told to do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from local.archive import ArchiveServer, read_stream
from pitwall.sources.recording import open_recording
from tests.sources.written import CAR_DATA, LAP_3, LAP_4, SESSION_INFO, merged, write

PATH = "2025/2025-06-01_Test_Grand_Prix/2025-06-01_Practice_1/"
NAME = "2025/a/b/LapCount.jsonStream"
CONTENT = b"\xef\xbb\xbf" + b'00:00:01.000{"CurrentLap":1}\r\n' * 100


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with ArchiveServer() as running:
        running.write(NAME, CONTENT)
        yield running


@pytest.fixture
def client(server: ArchiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.static_url, headers={"Accept-Encoding": "identity"}) as made:
        yield made


def recording(tmp_path: Path) -> Path:
    return write(
        tmp_path / "recording.txt",
        merged("00:00:00.000", "SessionInfo", {**SESSION_INFO, "Name": "Practice 1", "Path": PATH}),
        merged("00:00:01.000", "ExtrapolatedClock", {"Utc": "2025-06-01T12:00:01Z", "Extrapolating": True}),
        merged("00:00:01.000", "CarData", CAR_DATA),
        merged("00:00:02.000", "TimingData", LAP_3),
        merged("00:01:29.500", "TimingData", LAP_4),
    )


def answer(client: httpx.Client, path: str) -> Any:
    return orjson.loads(client.get(path).content.removeprefix(b"\xef\xbb\xbf"))


# -- what there is ---------------------------------------------------------------------------


def test_recording_becomes_a_session(server: ArchiveServer, client: httpx.Client, tmp_path: Path) -> None:
    assert server.add(recording(tmp_path)) == PATH
    stream = client.get(f"{PATH}TimingData.jsonStream").content
    assert stream.startswith(b"\xef\xbb\xbf00:00:02.000{")
    assert stream.endswith(b"\r\n")
    assert read_stream(stream) == [(2_000, LAP_3), (89_500, LAP_4)]


def test_telemetry_is_compressed(server: ArchiveServer, client: httpx.Client, tmp_path: Path) -> None:
    server.add(recording(tmp_path))
    (at, payload), *_ = read_stream(client.get(f"{PATH}CarData.z.jsonStream").content)
    assert at == 1_000
    assert isinstance(payload, str)


def test_rendered_session_plays_as_the_recording(server: ArchiveServer, client: httpx.Client, tmp_path: Path) -> None:
    server.add(recording(tmp_path))
    feeds = answer(client, f"{PATH}Index.json")["Feeds"]
    for feed in feeds.values():
        (tmp_path / "archive").mkdir(exist_ok=True)
        content = client.get(f"{PATH}{feed['StreamPath']}").content
        (tmp_path / "archive" / feed["StreamPath"]).write_bytes(content)
    played = [message._replace(cursor=0) for message in open_recording(tmp_path / "archive").messages()]
    recorded = [message._replace(cursor=0) for message in open_recording(recording(tmp_path)).messages()]
    assert sorted(played, key=str) == sorted(recorded, key=str)


def test_index_of_a_session_lists_its_feeds(server: ArchiveServer, client: httpx.Client, tmp_path: Path) -> None:
    server.add(recording(tmp_path))
    assert answer(client, f"{PATH}Index.json")["Feeds"]["CarData.z"] == {
        "KeyFramePath": "CarData.z.json",
        "StreamPath": "CarData.z.jsonStream",
    }


def test_keyframe_is_the_state_at_the_end(server: ArchiveServer, client: httpx.Client, tmp_path: Path) -> None:
    server.add(recording(tmp_path))
    car = answer(client, f"{PATH}TimingData.json")["Lines"]["4"]
    assert (car["NumberOfLaps"], car["InPit"]) == (4, True)


def test_session_is_in_the_index_of_its_season(server: ArchiveServer, client: httpx.Client, tmp_path: Path) -> None:
    server.add(recording(tmp_path))
    (meeting,) = answer(client, "2025/Index.json")["Meetings"]
    assert meeting["Name"] == "Test Grand Prix"
    assert [(session["Key"], session["Path"]) for session in meeting["Sessions"]] == [(4711, PATH)]


def test_session_is_added_to_the_index_a_folder_has(static_archive: Path, tmp_path: Path) -> None:
    path = "2023/2023-12-31_Test_Grand_Prix/2023-12-31_Practice_1/"
    other = write(tmp_path / "x.txt", merged("00:00:00.000", "SessionInfo", {**SESSION_INFO, "Path": path}))
    with ArchiveServer([static_archive]) as server, httpx.Client(base_url=server.static_url) as client:
        server.add(other)
        meetings = answer(client, "2023/Index.json")["Meetings"]
    assert len(meetings) == 24
    assert meetings[-1]["Sessions"][0]["Path"] == path


def test_files_of_a_folder_are_served_as_they_are(static_archive: Path) -> None:
    path = "2023/2023-04-30_Azerbaijan_Grand_Prix/2023-04-29_Sprint/LapCount.jsonStream"
    with ArchiveServer([static_archive]) as server, httpx.Client(base_url=server.static_url) as client:
        assert client.get(path).content == (static_archive / path).read_bytes()


def test_status_of_a_session_is_what_it_is_told(server: ArchiveServer, client: httpx.Client, tmp_path: Path) -> None:
    server.add(recording(tmp_path))
    assert answer(client, f"{PATH}ArchiveStatus.json") == {"Status": "Complete"}
    server.set_status(PATH, "Generating")
    assert answer(client, f"{PATH}ArchiveStatus.json") == {"Status": "Generating"}
    assert answer(client, f"{PATH}SessionInfo.json")["ArchiveStatus"] == {"Status": "Generating"}


@pytest.mark.parametrize("absent", [403, 404])
def test_what_is_hidden_is_not_there(server: ArchiveServer, client: httpx.Client, absent: int) -> None:
    server.answering.absent = absent
    server.hide("*/LapCount.*")
    assert client.get(NAME).status_code == absent
    server.show()
    assert client.get(NAME).status_code == 200


def test_nothing_outside_its_folders_is_served(server: ArchiveServer, client: httpx.Client) -> None:
    assert client.get("2025/%2e%2e/%2e%2e/etc/passwd").status_code == 404


# -- how it is asked -------------------------------------------------------------------------


def test_range_is_answered_with_the_rest(server: ArchiveServer, client: httpx.Client) -> None:
    response = client.get(NAME, headers={"Range": "bytes=100-"})
    assert response.status_code == 206
    assert response.content == CONTENT[100:]
    assert response.headers["Content-Range"] == f"bytes 100-{len(CONTENT) - 1}/{len(CONTENT)}"


def test_range_behind_the_end_is_refused(server: ArchiveServer, client: httpx.Client) -> None:
    response = client.get(NAME, headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (response.status_code, response.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


def test_range_of_another_version_is_answered_whole(server: ArchiveServer, client: httpx.Client) -> None:
    response = client.get(NAME, headers={"Range": "bytes=100-", "If-Range": '"another"'})
    assert (response.status_code, response.content) == (200, CONTENT)


def test_range_can_be_ignored(server: ArchiveServer, client: httpx.Client) -> None:
    server.answering.ranges = False
    response = client.get(NAME, headers={"Range": "bytes=100-"})
    assert (response.status_code, response.content) == (200, CONTENT)


def test_same_version_is_not_sent_again(server: ArchiveServer, client: httpx.Client) -> None:
    tag = client.get(NAME).headers["ETag"]
    response = client.get(NAME, headers={"If-None-Match": tag})
    assert (response.status_code, response.content) == (304, b"")


def test_compresses_for_who_takes_it(server: ArchiveServer, client: httpx.Client) -> None:
    response = client.get(NAME, headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.content == CONTENT
    assert server.asked[-1].sent < len(CONTENT) / 10


# -- what goes wrong -------------------------------------------------------------------------


def test_refuses_as_often_as_it_is_told(server: ArchiveServer, client: httpx.Client) -> None:
    server.refuse(503, times=2, retry_after="7")
    first, second, third = (client.get(NAME) for _ in range(3))
    assert [first.status_code, second.status_code, third.status_code] == [503, 503, 200]
    assert first.headers["Retry-After"] == "7"


def test_refuses_until_it_is_allowed(server: ArchiveServer, client: httpx.Client) -> None:
    server.refuse(403, times=None)
    assert [client.get(NAME).status_code for _ in range(3)] == [403] * 3
    server.allow()
    assert client.get(NAME).status_code == 200


def test_faults_are_for_paths_that_fit(server: ArchiveServer, client: httpx.Client) -> None:
    server.refuse(500, times=None, fits="*/TimingData.*")
    assert client.get(NAME).status_code == 200


def test_breaks_off_in_the_middle_of_a_body(server: ArchiveServer, client: httpx.Client) -> None:
    server.drop(500)
    received: list[bytes] = []
    with client.stream("GET", NAME) as response, pytest.raises(httpx.RemoteProtocolError):
        received.extend(response.iter_raw())
    assert b"".join(received) == CONTENT[:500]
    assert client.get(NAME).content == CONTENT


def test_every_request_is_noted(server: ArchiveServer, client: httpx.Client) -> None:
    client.get(NAME, headers={"Range": "bytes=100-", "User-Agent": "somebody"})
    client.get("2025/nothing.json")
    first, second = server.asked
    assert (first.path, first.status, first.range, first.sent) == (NAME, 206, "bytes=100-", len(CONTENT) - 100)
    assert first.headers["user-agent"] == "somebody"
    assert (second.path, second.status, second.sent) == ("2025/nothing.json", 404, 0)
