"""A session of the archive: whether it is there and complete, which of its feeds are fetched, and how it plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.archive import ArchiveServer
from pitwall.settings import Settings
from pitwall.sources.archive import Archive, ArchiveError, ArchiveNotComplete, NotInArchive, open_archive
from pitwall.sources.recording import open_recording
from tests.sources.archive.session import INFO, LINES, PATH, put, put_json
from tests.sources.written import at


def fetched(server: ArchiveServer) -> set[str]:
    """The session's files that were sent, without its path."""
    return {asked.path.removeprefix(PATH) for asked in server.asked if asked.status in (200, 206)}


# -- is it there? ----------------------------------------------------------------------------


def test_complete_when_session_info_says_so(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    assert archive.complete(PATH)


def test_not_complete_while_it_is_being_written(archive: Archive, server: ArchiveServer) -> None:
    server.set_status(put(server), "Generating")
    assert not archive.complete(PATH)
    with pytest.raises(ArchiveNotComplete, match="not complete yet"):
        archive.open(PATH)


def test_unfinished_archive_is_opened_by_force(archive: Archive, server: ArchiveServer) -> None:
    server.set_status(put(server), "Generating")
    assert archive.open(PATH, force=True).session == "4711"


def test_archive_status_is_believed_where_session_info_never_changed(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    put_json(server, f"{PATH}SessionInfo.json", INFO)
    assert archive.complete(PATH)
    put_json(server, f"{PATH}ArchiveStatus.json", {"Status": "Generating"})
    assert not archive.complete(PATH)


@pytest.mark.parametrize("absent", [403, 404])
def test_session_that_is_not_there_yet(archive: Archive, server: ArchiveServer, absent: int) -> None:
    put(server)
    server.answering.absent = absent
    other = PATH.replace("Practice_1", "Practice_2")
    for ask in (archive.complete, archive.feeds, archive.open):
        with pytest.raises(NotInArchive, match="not in the archive, or not yet"):
            ask(other)


def test_address_that_is_refused_everything_is_told_so(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    server.refuse(403, times=None)
    with pytest.raises(ArchiveError, match="refuses this address") as error:
        archive.open(PATH)
    assert not isinstance(error.value, NotInArchive)


def test_season_that_is_not_there(archive: Archive) -> None:
    with pytest.raises(NotInArchive, match="no season 1999"):
        archive.sessions(1999)


def test_session_is_found_in_its_season(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    session = archive.find(2025, "test", "Practice")
    assert (session.key, session.path) == ("4711", PATH)


def test_index_of_a_season_is_asked_for_once(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    archive.sessions(2025)
    archive.find(2025, "test", "Practice")
    assert len(server.asked_for("2025/Index.json")) == 1


def test_session_that_was_not_held_is_told_so(archive: Archive, server: ArchiveServer) -> None:
    session = {"Name": "Race", "Type": "Race", "Key": -1}
    meetings = [{"Name": "Emilia Romagna Grand Prix", "Number": 6, "Key": 1, "Sessions": [session]}]
    put_json(server, "2023/Index.json", {"Year": 2023, "Meetings": meetings})
    assert [s.label for s in archive.sessions(2023, held=False)] == ["2023 Emilia Romagna Grand Prix, Race"]
    with pytest.raises(NotInArchive, match="cancelled, or not held yet"):
        archive.find(2023, "Emilia", "Race")


@pytest.mark.parametrize("path", ["", "2025/", "2025/a/../b/", "2025/a/b/c/", "a/b/c/", "2025/../../etc/"])
def test_what_is_no_path_is_refused_before_anything_is_asked(
    archive: Archive, server: ArchiveServer, path: str
) -> None:
    with pytest.raises(NotInArchive, match="no session's path"):
        archive.open(path)
    assert server.asked == []


@pytest.mark.parametrize("prefix", ["", "/", "static/", "/static/", "https://livetiming.formula1.com/static/"])
def test_path_is_taken_as_it_is_found(archive: Archive, server: ArchiveServer, prefix: str) -> None:
    put(server)
    assert archive.open(f"{prefix}{PATH.rstrip('/')}").archive_path == PATH


# -- which feeds -----------------------------------------------------------------------------


def test_feeds_that_say_nothing_to_pitwall_are_left_there(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    archive.open(PATH)
    streams = {name for name in fetched(server) if name.endswith(".jsonStream")}
    assert streams == {f"{topic}.jsonStream" for topic in LINES if topic != "AudioStreams"}


def test_telemetry_is_fetched_unless_it_is_not_wanted(archive: Archive, server: ArchiveServer) -> None:
    put(server, LINES | {"CarData.z": [("00:00:05.000", "q1YCAA==")]})
    assert archive.open(PATH, telemetry=False)
    assert "CarData.z.jsonStream" not in fetched(server)
    assert archive.open(PATH)
    assert "CarData.z.jsonStream" in fetched(server)


def test_older_years_timing_is_read_where_there_is_no_other(archive: Archive, server: ArchiveServer) -> None:
    put(server, {**LINES, "TimingDataF1": LINES["TimingData"]})
    server.hide("*/TimingData.json*")
    topics = {message.topic for message in archive.open(PATH).messages()}
    assert "TimingDataF1" in topics


def test_older_years_timing_is_left_there_beside_the_other(archive: Archive, server: ArchiveServer) -> None:
    put(server, {**LINES, "TimingDataF1": LINES["TimingData"]})
    archive.open(PATH)
    assert "TimingDataF1.jsonStream" not in fetched(server)


def test_session_without_an_index_is_asked_for_its_feeds_by_name(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    server.hide(f"{PATH}Index.json")
    source = archive.open(PATH)
    assert source.session == "4711"
    assert sum(message.topic == "TimingData" for message in source.messages()) == 2


def test_feed_that_is_listed_and_not_there_is_named(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    files = {topic: {"KeyFramePath": f"{topic}.json", "StreamPath": f"{topic}.jsonStream"} for topic in LINES}
    put_json(server, f"{PATH}Index.json", {"Feeds": files})
    server.hide("*/WeatherData.json*")
    source = archive.open(PATH)
    assert source.missing == ("WeatherData",)
    assert source.keyframes == ()


def with_keyframe_only(server: ArchiveServer, topic: str) -> None:
    put(server)
    files = {name: {"KeyFramePath": f"{name}.json", "StreamPath": f"{name}.jsonStream"} for name in {*LINES, topic}}
    put_json(server, f"{PATH}Index.json", {"Feeds": files})
    server.hide(f"*/{topic}.jsonStream")


def test_who_and_what_come_from_a_keyframe_before_everything_else(archive: Archive, server: ArchiveServer) -> None:
    put_json(server, f"{PATH}DriverList.json", {"4": {"RacingNumber": "4", "Tla": "NOR"}})
    with_keyframe_only(server, "DriverList")
    source = archive.open(PATH)
    first = next(source.messages())
    assert source.keyframes == ("DriverList",)
    assert (first.topic, first.snapshot, first.at) == ("DriverList", True, at("12:00:00"))
    assert first.data["4"]["Tla"] == "NOR"


def test_state_at_the_end_comes_from_a_keyframe_after_everything_else(archive: Archive, server: ArchiveServer) -> None:
    put_json(server, f"{PATH}TeamRadio.json", {"Captures": []})
    with_keyframe_only(server, "TeamRadio")
    last = list(archive.open(PATH).messages())[-1]
    assert (last.topic, last.snapshot, last.at) == ("TeamRadio", True, at("12:01:29.500"))


def test_last_report_is_not_taken_for_the_weather_of_the_session(archive: Archive, server: ArchiveServer) -> None:
    put_json(server, f"{PATH}WeatherData.json", {"AirTemp": "19.0"})
    with_keyframe_only(server, "WeatherData")
    source = archive.open(PATH)
    assert (source.keyframes, source.missing) == ((), ("WeatherData",))
    assert "WeatherData" not in {message.topic for message in source.messages()}


def test_session_info_of_a_keyframe_tells_session_and_time(archive: Archive, server: ArchiveServer) -> None:
    complete = {**INFO, "ArchiveStatus": {"Status": "Complete"}}
    put_json(server, f"{PATH}SessionInfo.json", complete)
    with_keyframe_only(server, "SessionInfo")
    server.hide("*/ExtrapolatedClock.json*")
    source = archive.open(PATH)
    assert source.session == "4711"
    assert next(source.messages()).at == at("12:00:00") + 500  # StartDate less GmtOffset; the first stream's offset


def test_session_with_none_of_the_feeds_is_not_in_the_archive(archive: Archive, server: ArchiveServer) -> None:
    put(server, {"AudioStreams": LINES["AudioStreams"]})
    with pytest.raises(NotInArchive, match="none of the feeds"):
        archive.open(PATH)


# -- how it plays ----------------------------------------------------------------------------


def test_plays_as_the_same_files_on_disk_do(archive: Archive, server: ArchiveServer, tmp_path: Path) -> None:
    put(server)
    source = archive.open(PATH)
    again = open_recording(source.folder)
    assert list(source.messages()) == list(again.messages())
    assert (source.name, again.name) == ("archive", "recording")


def test_offsets_become_instants(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    timing = [message.at for message in archive.open(PATH).messages() if message.topic == "TimingData"]
    assert timing == [at("12:00:02"), at("12:01:29.500")]


def test_goes_on_at_any_message(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    source = archive.open(PATH)
    whole = list(source.messages())
    assert [message.cursor for message in whole] == list(range(len(whole)))
    assert list(source.messages(3)) == whole[3:]


def test_bad_lines_are_counted_and_passed_over(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    server.write(f"{PATH}LapCount.jsonStream", b'\xef\xbb\xbf00:00:09.000{"CurrentLap":1}\r\n00:00:10.000{"Curr\r\n')
    source = archive.open(PATH)
    assert [message.data for message in source.messages() if message.topic == "LapCount"] == [{"CurrentLap": 1}]
    assert source.rejected == {"bad-json": 1}


def test_what_is_in_the_cache_is_not_fetched_again(server: ArchiveServer, tmp_path: Path) -> None:
    put(server)
    with Archive(server.static_url, cache=tmp_path, requests_per_s=1e9) as first:
        first.open(PATH)
    server.asked.clear()
    with Archive(server.static_url, cache=tmp_path, requests_per_s=1e9) as second:
        assert second.open(PATH).session == "4711"
    assert not any(name.endswith("Stream") for name in fetched(server))


def test_what_was_fetched_too_early_is_asked_for_again(server: ArchiveServer, tmp_path: Path) -> None:
    server.set_status(put(server), "Generating")
    with Archive(server.static_url, cache=tmp_path, requests_per_s=1e9) as archive:
        before = list(archive.open(PATH, force=True).messages())
        server.set_status(PATH, "Complete")
        put(server, {"LapCount": [("00:01:00.000", {"CurrentLap": 4})]})
        server.asked.clear()
        after = list(archive.open(PATH).messages())
    assert len(after) == len(before) + 1
    assert fetched(server) == {"SessionInfo.json", "Index.json", "LapCount.jsonStream"}


def test_session_that_broke_off_is_gone_on_with(server: ArchiveServer, tmp_path: Path) -> None:
    put(server)
    server.refuse(500, times=None, fits="*/TimingData.jsonStream")
    with Archive(server.static_url, cache=tmp_path, requests_per_s=1e9, attempts=2, sleep=lambda _: None) as archive:
        with pytest.raises(ArchiveError, match=r"TimingData.jsonStream cannot be fetched"):
            archive.open(PATH)
        server.allow()
        server.asked.clear()
        archive.open(PATH)
    assert {name for name in fetched(server) if name.endswith("Stream")} == {
        "TimingData.jsonStream",
        "WeatherData.jsonStream",
    }


def test_without_a_cache_nothing_stays(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    source = archive.open(PATH)
    folder = source.folder
    assert (folder / "TimingData.jsonStream").exists()
    del source
    assert not folder.exists()


def test_progress_goes_from_nothing_to_all(archive: Archive, server: ArchiveServer) -> None:
    put(server)
    told: list[tuple[float, str]] = []
    archive.open(PATH, on_progress=lambda part, what: told.append((part, what)))
    parts = [part for part, _ in told]
    assert parts == sorted(parts)
    assert (parts[0], parts[-1]) == (0.0, 1.0)
    assert "fetching TimingData" in {what for _, what in told}


def test_is_opened_by_the_settings(server: ArchiveServer, tmp_path: Path) -> None:
    put(server, {topic: LINES[topic] for topic in ("SessionInfo", "TimingData")})
    source = open_archive(Settings(f1_url=server.url), PATH, cache=tmp_path)
    assert (source.name, source.session) == ("archive", "4711")
    assert source.folder == tmp_path / PATH
