"""Fetching a file: again after what passes, on from where it broke off, never what is there already, and politely."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from local.archive import ArchiveServer
from pitwall.sources.archive import ArchiveError
from pitwall.sources.archive.fetch import Fetcher, Missing

NAME = "2025/a/b/TimingData.jsonStream"
CONTENT = Random(1).randbytes(1_000_000)


class Sleeps:
    """Stands for waiting: notes how long, and moves the clock."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.now = 0.0

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


Make = Callable[..., Fetcher]


@pytest.fixture
def make(server: ArchiveServer, sleeps: Sleeps) -> Iterator[Make]:
    """Makes clients of a server that has CONTENT at NAME."""
    server.write(NAME, CONTENT)
    made: list[Fetcher] = []

    def fetcher(**options: float) -> Fetcher:
        options = {"requests_per_s": 1e9, "timeout_s": 10.0, "attempts": 3} | options
        made.append(Fetcher(server.static_url, sleep=sleeps, monotonic=lambda: sleeps.now, **options))  # type: ignore[arg-type]
        return made[-1]

    yield fetcher
    for fetcher_made in made:
        fetcher_made.close()


@pytest.fixture
def fetcher(make: Make) -> Fetcher:
    return make()


def to(tmp_path: Path) -> Path:
    return tmp_path / "TimingData.jsonStream"


def sent(server: ArchiveServer) -> list[int]:
    return [asked.sent for asked in server.asked]


# -- what passes -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(fetcher: Fetcher, server: ArchiveServer, tmp_path: Path, status: int) -> None:
    server.refuse(status, times=2)
    fetcher.download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT
    assert [asked.status for asked in server.asked] == [status, status, 200]


def test_waits_grow(make: Make, server: ArchiveServer, sleeps: Sleeps, tmp_path: Path) -> None:
    server.refuse(503, times=4)
    make(attempts=5).download(NAME, to(tmp_path), final=True)
    assert [round(slept) for slept in sleeps.slept] == pytest.approx([1, 2, 4, 8], abs=1)
    assert sleeps.slept == sorted(sleeps.slept)


def test_retry_after_is_heeded(fetcher: Fetcher, server: ArchiveServer, sleeps: Sleeps, tmp_path: Path) -> None:
    server.refuse(429, retry_after="42")
    fetcher.download(NAME, to(tmp_path), final=True)
    assert sleeps.slept == [42.0]


def test_server_that_asks_for_an_hour_is_left_alone(
    fetcher: Fetcher, server: ArchiveServer, sleeps: Sleeps, tmp_path: Path
) -> None:
    server.refuse(429, times=None, retry_after="3600")
    with pytest.raises(ArchiveError, match="asks for 3600 s of patience"):
        fetcher.download(NAME, to(tmp_path), final=True)
    assert sleeps.slept == []


def test_gives_up_after_the_attempts_and_says_why(fetcher: Fetcher, server: ArchiveServer, tmp_path: Path) -> None:
    server.refuse(502, times=None)
    with pytest.raises(ArchiveError, match=r"TimingData.jsonStream cannot be fetched: the server answers 502"):
        fetcher.download(NAME, to(tmp_path), final=True)
    assert len(server.asked) == 3
    assert not to(tmp_path).exists()


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_not_there_is_not_tried_again(
    fetcher: Fetcher, server: ArchiveServer, tmp_path: Path, status: int
) -> None:
    server.answering.absent = status
    with pytest.raises(Missing) as missing:
        fetcher.download("2025/a/b/Nothing.jsonStream", tmp_path / "Nothing.jsonStream", final=True)
    assert missing.value.status == status
    assert len(server.asked) == 1


def test_server_that_falls_silent_is_tried_again(make: Make, server: ArchiveServer, tmp_path: Path) -> None:
    server.answering.gzip = False
    server.stall(300_000)
    make(timeout_s=0.3).download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT
    assert [asked.range for asked in server.asked] == ["", "bytes=300000-"]


def test_no_server_at_all_is_an_error_in_words(sleeps: Sleeps, tmp_path: Path) -> None:
    fetcher = Fetcher("http://127.0.0.1:1/static/", attempts=2, sleep=sleeps, monotonic=lambda: sleeps.now)
    with pytest.raises(ArchiveError, match=r"cannot be fetched: .*refused"):
        fetcher.json("2025/Index.json")
    fetcher.close()


def test_broken_json_is_an_error_in_words(fetcher: Fetcher, server: ArchiveServer) -> None:
    server.write("2025/x.json", b'\xef\xbb\xbf{"Year":')
    with pytest.raises(ArchiveError, match=r"2025/x.json is no JSON"):
        fetcher.json("2025/x.json")


# -- broken off ------------------------------------------------------------------------------


def test_broken_download_goes_on_where_it_was(fetcher: Fetcher, server: ArchiveServer, tmp_path: Path) -> None:
    server.answering.gzip = False
    server.drop(400_000)
    fetcher.download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT
    assert [(asked.status, asked.range) for asked in server.asked] == [(200, ""), (206, "bytes=400000-")]
    assert sent(server) == [400_000, 600_000]


def test_broken_compressed_download_goes_on_uncompressed(
    fetcher: Fetcher, server: ArchiveServer, tmp_path: Path
) -> None:
    server.drop(400_000)
    fetcher.download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT
    first, second = server.asked
    assert "gzip" in first.headers["accept-encoding"]
    assert second.status == 206
    assert second.headers["accept-encoding"] == "identity"
    assert sum(sent(server)) < 1_100_000


def test_as_long_as_it_gets_on_it_is_not_given_up(make: Make, server: ArchiveServer, tmp_path: Path) -> None:
    server.answering.gzip = False
    server.drop(100_000, times=9)
    make(attempts=2).download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT
    assert sent(server) == [100_000] * 10


def test_server_that_breaks_off_at_the_same_place_is_given_up(
    fetcher: Fetcher, server: ArchiveServer, tmp_path: Path
) -> None:
    server.answering.ranges = False
    server.drop(100_000, times=None)
    with pytest.raises(ArchiveError):
        fetcher.download(NAME, to(tmp_path), final=True)
    assert len(server.asked) == 3


def test_server_that_ignores_range_is_read_from_the_start(
    fetcher: Fetcher, server: ArchiveServer, tmp_path: Path
) -> None:
    server.answering.gzip = server.answering.ranges = False
    server.drop(400_000)
    fetcher.download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT
    assert [asked.status for asked in server.asked] == [200, 200]


def test_file_that_changed_meanwhile_is_read_from_the_start(make: Make, server: ArchiveServer, tmp_path: Path) -> None:
    server.answering.gzip = False
    server.drop(400_000, times=None)
    with pytest.raises(ArchiveError):
        make(attempts=1).download(NAME, to(tmp_path), final=True)
    server.allow()
    server.write(NAME, CONTENT[::-1])
    make().download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT[::-1]
    assert server.asked[-1].status == 200


def test_server_without_a_mark_of_the_version_is_read_from_the_start(
    fetcher: Fetcher, server: ArchiveServer, tmp_path: Path
) -> None:
    server.answering.gzip = server.answering.tags = server.answering.dates = False
    server.drop(400_000)
    fetcher.download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT
    assert [asked.range for asked in server.asked] == ["", ""]


def test_next_run_goes_on_where_a_killed_one_was(make: Make, server: ArchiveServer, tmp_path: Path) -> None:
    server.answering.gzip = False
    server.drop(700_000)
    with pytest.raises(ArchiveError):
        make(attempts=1).download(NAME, to(tmp_path), final=True)
    assert not to(tmp_path).exists()
    make().download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT
    assert sent(server)[-1] == 300_000


def test_run_that_was_killed_after_the_last_byte_has_it_all(make: Make, server: ArchiveServer, tmp_path: Path) -> None:
    server.answering.gzip = False
    server.drop(700_000)
    with pytest.raises(ArchiveError):
        make(attempts=1).download(NAME, to(tmp_path), final=True)
    to(tmp_path).with_name(".TimingData.jsonStream.part").write_bytes(CONTENT)
    make().download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT
    assert server.asked[-1].status == 416


# -- what is there ---------------------------------------------------------------------------


def test_whole_file_is_not_asked_for_again(make: Make, server: ArchiveServer, tmp_path: Path) -> None:
    assert make().download(NAME, to(tmp_path), final=True)
    assert not make().download(NAME, to(tmp_path), final=True)
    assert len(server.asked) == 1


def test_file_that_may_have_changed_is_asked_for_but_not_sent_again(
    make: Make, server: ArchiveServer, tmp_path: Path
) -> None:
    make().download(NAME, to(tmp_path), final=False)
    assert not make().download(NAME, to(tmp_path), final=True)
    assert [asked.status for asked in server.asked] == [200, 304]
    make().download(NAME, to(tmp_path), final=True)
    assert len(server.asked) == 2


def test_file_that_has_changed_is_fetched_again(make: Make, server: ArchiveServer, tmp_path: Path) -> None:
    make().download(NAME, to(tmp_path), final=False)
    server.write(NAME, CONTENT + b"and more")
    assert make().download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT + b"and more"


def test_file_without_a_note_is_fetched_again(make: Make, server: ArchiveServer, tmp_path: Path) -> None:
    to(tmp_path).write_bytes(b"from somewhere")
    assert make().download(NAME, to(tmp_path), final=True)
    assert to(tmp_path).read_bytes() == CONTENT


def test_empty_file_is_a_file(fetcher: Fetcher, server: ArchiveServer, tmp_path: Path) -> None:
    server.write("2025/a/b/TeamRadio.jsonStream", b"")
    assert fetcher.download("2025/a/b/TeamRadio.jsonStream", tmp_path / "TeamRadio.jsonStream", final=True)
    assert (tmp_path / "TeamRadio.jsonStream").read_bytes() == b""


# -- manners ---------------------------------------------------------------------------------


def test_two_requests_a_second_at_most(make: Make, server: ArchiveServer, sleeps: Sleeps) -> None:
    server.write("2025/Index.json", b"{}")
    fetcher = make(requests_per_s=2.0)
    for _ in range(4):
        fetcher.json("2025/Index.json")
    assert sleeps.slept == [0.5, 0.5, 0.5]


def test_one_connection_that_says_who_it_is(fetcher: Fetcher, server: ArchiveServer) -> None:
    server.write("2025/Index.json", b"{}")
    for _ in range(4):
        fetcher.json("2025/Index.json")
    assert len({asked.port for asked in server.asked}) == 1
    assert all(asked.headers["user-agent"].startswith("PitWall") for asked in server.asked)


def test_progress_is_told_in_bytes(fetcher: Fetcher, server: ArchiveServer, tmp_path: Path) -> None:
    server.answering.gzip = False
    server.drop(400_000)
    told: list[tuple[int, int | None]] = []
    fetcher.download(NAME, to(tmp_path), final=True, told=lambda have, size: told.append((have, size)))
    assert [have for have, _ in told] == sorted({have for have, _ in told})
    assert told[-1] == (1_000_000, 1_000_000)
