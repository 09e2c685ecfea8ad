"""Each format, on a few hand-written lines: what is read out of it and under which instant and session."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pitwall.sources.recording import NotARecording, RecordingSource, open_recording
from tests.sources.written import (
    CAR_DATA,
    LAP_3,
    LAP_4,
    RADIO,
    SESSION_INFO,
    at,
    compact,
    core,
    legacy,
    merged,
    packed,
    type_json,
    write,
)

CLOCK = {"Utc": "2025-06-01T12:00:00Z", "Remaining": "01:00:00", "Extrapolating": True}
SNAPSHOT = {
    "Heartbeat": {"Utc": "2025-06-01T11:59:58.5Z", "_kf": True},
    "TimingData": LAP_3,
    "SessionInfo": SESSION_INFO,
    "CarData.z": packed(CAR_DATA),
}


def read(source: RecordingSource) -> list[tuple[str, Any, int]]:
    return [(message.topic, message.data, message.at) for message in source.messages()]


def topics(source: RecordingSource) -> list[str]:
    return [message.topic for message in source.messages()]


class TestMergedLines:
    def test_offsets_become_instants_by_the_clock(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "race.txt",
            "URL: https://example.com/static/2025/TeamRadio.jsonStream",
            merged("00:00:00.000", "SessionInfo", SESSION_INFO),
            merged("00:00:10.000", "ExtrapolatedClock", CLOCK),
            merged("01:00:10.250", "TimingData", LAP_3),
        )
        source = open_recording(path)
        assert source.session == "4711"
        assert read(source)[-1] == ("TimingData", LAP_3, at("13:00:00.250"))
        assert not source.rejected

    def test_file_order_is_kept_where_offsets_step_back(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "race.txt",
            merged("00:00:05.000", "TimingData", LAP_4),
            merged("00:00:03.000", "TimingData", LAP_3),
        )
        assert [instant for _, _, instant in read(open_recording(path))] == [5_000, 3_000]

    def test_byte_order_mark_and_crlf(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "race.txt", b"\xef\xbb\xbf" + merged("00:00:05.000", "LapCount", {}).encode(), end=b"\r\n"
        )
        source = open_recording(path)
        assert read(source) == [("LapCount", {}, 5_000)]
        assert not source.rejected

    def test_utf_16_of_a_windows_shell(self, tmp_path: Path) -> None:
        path = tmp_path / "race.txt"
        path.write_bytes(
            (merged("00:00:05.000", "DriverList", {"4": {"FullName": "Sérgio"}}) + "\r\n").encode("utf-16")
        )
        assert read(open_recording(path)) == [("DriverList", {"4": {"FullName": "Sérgio"}}, 5_000)]


class TestArchiveFolder:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "2025-06-01_Practice_1"
        streams: dict[str, list[tuple[str, Any]]] = {
            "SessionInfo": [("00:00:00.000", SESSION_INFO)],
            "DriverList": [("00:00:04.000", {"4": {"Tla": "NOR"}})],
            "TimingData": [("00:00:04.000", LAP_3), ("00:00:09.000", LAP_4), ("00:00:08.000", LAP_3)],
            "LapCount": [("00:00:08.500", {"CurrentLap": 2})],
            "Zebra": [("00:00:04.000", {})],
        }
        for topic, lines in streams.items():
            written = [f"{offset}{compact(payload)}" for offset, payload in lines]
            written[0] = "\ufeff" + written[0]
            write(folder / f"{topic}.jsonStream", *written, end=b"\r\n", zipped=topic == "TimingData")
        write(folder / "TimingData.json", "\ufeff" + compact({"Lines": {}}))
        write(folder / "Index.json", compact({"Feeds": {"SessionInfo": {"KeyFramePath": "SessionInfo.json"}}}))
        write(folder / "README.md", "nothing to play")
        return folder

    def test_topics_are_merged_by_time_with_ties_in_a_fixed_order(self, folder: Path) -> None:
        assert topics(open_recording(folder)) == [
            "SessionInfo",
            "DriverList",
            "TimingData",
            "Zebra",
            "LapCount",
            "TimingData",
            "TimingData",
        ]

    def test_a_topic_keeps_its_own_order_and_instants_where_they_step_back(self, folder: Path) -> None:
        laps = [(data, instant) for topic, data, instant in read(open_recording(folder)) if topic == "TimingData"]
        start = at("12:00:00")  # StartDate minus GmtOffset: the folder has no clock
        assert laps == [(LAP_3, start + 4_000), (LAP_4, start + 9_000), (LAP_3, start + 8_000)]

    def test_session_is_the_key_of_session_info(self, folder: Path) -> None:
        assert open_recording(folder).session == "4711"

    def test_parent_folder_with_nothing_else_in_it(self, folder: Path) -> None:
        assert len(topics(open_recording(folder.parent))) == 7

    def test_single_stream_has_its_topic_from_its_name(self, folder: Path) -> None:
        source = open_recording(folder / "TimingData.jsonStream")
        assert set(topics(source)) == {"TimingData"}
        assert source.session == "recording-TimingData"

    def test_folder_with_one_topic(self, tmp_path: Path) -> None:
        write(tmp_path / "one" / "LapCount.jsonStream", '00:00:02.024{"CurrentLap":1}')
        source = open_recording(tmp_path / "one")
        assert topics(source) == ["LapCount"]
        assert source.session == "recording-one"

    def test_compressed_topic(self, tmp_path: Path) -> None:
        path = write(tmp_path / "CarData.z.jsonStream", f'00:00:02.024"{packed(CAR_DATA)}"')
        assert read(open_recording(path)) == [("CarData", CAR_DATA, 2_024)]

    def test_same_topic_plain_and_gzipped_is_read_once(self, folder: Path) -> None:
        write(folder / "LapCount.jsonStream.gz", '00:00:08.500{"CurrentLap":2}', zipped=True)
        assert topics(open_recording(folder)).count("LapCount") == 1

    def test_damaged_stream_of_a_known_topic_is_counted(self, folder: Path) -> None:
        (folder / "WeatherData.jsonStream").write_bytes(b"00:0\n00:00:01.000{\xff\n")
        source = open_recording(folder)
        assert "WeatherData" not in topics(source)
        assert source.rejected == {"bad-json": 1}


class TestTypeJsonLines:
    LINES = (
        type_json("TimingData", LAP_4, "2025-06-01T12:00:01.5+00:00"),
        type_json("CarData.z", packed(CAR_DATA), "2025-06-01T12:00:02+00:00"),
    )

    @pytest.mark.parametrize("name", ["subscribe.txt", "subscribe.json", "Subscribe.txt.gz"])
    def test_snapshot_beside_the_live_file_comes_first(self, tmp_path: Path, name: str) -> None:
        write(tmp_path / name, json.dumps(SNAPSHOT, indent=2), zipped=name.endswith(".gz"))
        live = write(tmp_path / "live.txt.gz", *self.LINES, zipped=True)
        for path in (live, tmp_path):
            source = open_recording(path)
            assert source.session == "4711"
            messages = list(source.messages())
            assert [message.topic for message in messages] == [
                "SessionInfo",
                "TimingData",
                "CarData",
                "Heartbeat",
                "TimingData",
                "CarData",
            ]
            assert [message.snapshot for message in messages] == [True] * 4 + [False] * 2

    def test_live_file_alone(self, tmp_path: Path) -> None:
        source = open_recording(write(tmp_path / "live.jsonl", *self.LINES))
        assert read(source) == [("TimingData", LAP_4, at("12:00:01.500")), ("CarData", CAR_DATA, at("12:00:02"))]
        assert source.session == "recording-live"

    def test_each_live_file_has_the_snapshot_of_its_own_name(self, tmp_path: Path) -> None:
        write(tmp_path / "fp1-subscribe.json", compact({"SessionInfo": {**SESSION_INFO, "Key": 1}}))
        write(tmp_path / "fp2-subscribe.json", compact({"SessionInfo": {**SESSION_INFO, "Key": 2}}))
        source = open_recording(write(tmp_path / "fp2-live.jsonl", *self.LINES))
        assert source.session == "2"

    def test_keys_of_another_case_and_order(self, tmp_path: Path) -> None:
        line = compact({"dateTime": "2025-06-01T12:00:01Z", "json": LAP_3, "type": "TimingData"})
        assert read(open_recording(write(tmp_path / "a.jsonl", line))) == [("TimingData", LAP_3, at("12:00:01"))]

    def test_instant_that_cannot_be_read_is_the_one_before(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", self.LINES[0], type_json("TimingData", LAP_3, "yesterday"))
        source = open_recording(path)
        assert read(source)[-1] == ("TimingData", LAP_3, at("12:00:01.500"))
        assert source.rejected == {"bad-time": 1}

    def test_one_instant_in_another_year_does_not_move_the_feed_clock(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "a.jsonl",
            self.LINES[0],
            type_json("TimingData", LAP_3, "2052-06-01T12:00:01Z"),
            type_json("TimingData", LAP_4, "2025-06-01T12:00:03Z"),
        )
        source = open_recording(path)
        assert [instant for _, _, instant in read(source)] == [at("12:00:01.500"), at("12:00:01.500"), at("12:00:03")]
        assert source.rejected == {"bad-time": 1}


class TestEpochLines:
    INIT = f"1748779200000000000:init:{compact(SNAPSHOT)}"

    def test_init_is_the_snapshot(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.txt", self.INIT, f"1748779201500000000:TimingData:{compact(LAP_4)}")
        source = open_recording(path)
        messages = list(source.messages())
        assert source.session == "4711"
        assert [(m.topic, m.snapshot) for m in messages] == [
            ("SessionInfo", True),
            ("TimingData", True),
            ("CarData", True),
            ("Heartbeat", True),
            ("TimingData", False),
        ]
        assert {m.at for m in messages[:4]} == {at("12:00:00")}
        assert messages[-1].at == at("12:00:01.500")

    def test_without_init(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.txt", f"1748779201500000000:SessionInfo:{compact(SESSION_INFO)}")
        source = open_recording(path)
        assert source.session == "4711"
        assert read(source) == [("SessionInfo", SESSION_INFO, at("12:00:01.500"))]

    def test_second_init_after_a_reconnect_is_a_snapshot_too(self, tmp_path: Path) -> None:
        again = self.INIT.replace("1748779200", "1748779300")
        path = write(tmp_path / "a.txt", self.INIT, f"1748779201500000000:TimingData:{compact(LAP_4)}", again)
        assert [m.snapshot for m in open_recording(path).messages()] == [True] * 4 + [False] + [True] * 4

    def test_compressed_topic(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.txt", f'1748779201500000000:CarData.z:"{packed(CAR_DATA)}"')
        assert read(open_recording(path)) == [("CarData", CAR_DATA, at("12:00:01.500"))]

    @pytest.mark.parametrize("digits", ["1748779201500", "1748779201500000", "1748779201.5"])
    def test_coarser_clocks(self, tmp_path: Path, digits: str) -> None:
        path = write(tmp_path / "a.txt", f"{digits}:LapCount:{{}}")
        assert read(open_recording(path)) == [("LapCount", {}, at("12:00:01.500"))]


class TestFastF1Text:
    def test_python_literals(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "a.txt",
            str(["TimingData", LAP_3, "2025-06-01T12:00:01.5000000Z"]),
            str(["RaceControlMessages", RADIO, "2025-06-01T12:00:05.1Z"]),
            str(["CarData.z", packed(CAR_DATA), "2025-06-01T12:00:06Z"]),
            str(["TimingData", {"Lines": {"4": None, "5": {"Value": "None, True"}}}, "2025-06-01T12:00:07Z"]),
        )
        source = open_recording(path)
        assert read(source) == [
            ("TimingData", LAP_3, at("12:00:01.500")),
            ("RaceControlMessages", RADIO, at("12:00:05.100")),
            ("CarData", CAR_DATA, at("12:00:06")),
            ("TimingData", {"Lines": {"4": None, "5": {"Value": "None, True"}}}, at("12:00:07")),
        ]
        assert not source.rejected

    def test_json_instead_of_python(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.txt", json.dumps(["RaceControlMessages", RADIO, "2025-06-01T12:00:05.1Z"]) + ",")
        assert read(open_recording(path)) == [("RaceControlMessages", RADIO, at("12:00:05.100"))]

    def test_subscribe_answer_of_newer_clients_is_a_snapshot(self, tmp_path: Path) -> None:
        answer = [str([topic, json.dumps(state), ""]) for topic, state in SNAPSHOT.items()]
        nothing = str(["LapCount", "null", ""])
        feed = str(["TimingData", LAP_4, "2025-06-01T12:00:01.5Z"])
        source = open_recording(write(tmp_path / "a.txt", *answer, nothing, feed))
        messages = list(source.messages())
        assert source.session == "4711"
        assert [(m.topic, m.data, m.snapshot) for m in messages] == [
            ("SessionInfo", SESSION_INFO, True),
            ("TimingData", LAP_3, True),
            ("CarData", CAR_DATA, True),
            ("Heartbeat", SNAPSHOT["Heartbeat"], True),
            ("TimingData", LAP_4, False),
        ]
        assert not source.rejected

    def test_string_escapes_of_python(self, tmp_path: Path) -> None:
        state = {"Name": "caf\xe9\x07\\ 'quoted' \"twice\"\n\u2019"}
        path = write(tmp_path / "a.txt", ascii(["DriverList", state, "2025-06-01T12:00:01Z"]))
        assert read(open_recording(path)) == [("DriverList", state, at("12:00:01"))]

    def test_without_session_info_the_session_is_named_after_the_file(self, tmp_path: Path) -> None:
        path = write(tmp_path / "Spa FP3 (wet).txt.gz", str(["LapCount", {}, "2025-06-01T12:00:01Z"]), zipped=True)
        assert open_recording(path).session == "recording-Spa-FP3-wet"


class TestSignalRFrames:
    SNAPSHOT_FRAME = compact({"R": SNAPSHOT, "I": "1"})
    FEED = legacy(
        ("TimingData", LAP_4, "2025-06-01T12:00:01.5Z"), ("LapCount", {"CurrentLap": 2}, "2025-06-01T12:00:02Z")
    )

    def test_legacy_frames_with_log_lines_and_keep_alives(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "a.txt",
            "Starting Server",
            "Connected to WebSocket",
            compact({"C": "d-1", "S": 1, "M": []}),
            self.SNAPSHOT_FRAME,
            "{}",
            self.FEED,
        )
        source = open_recording(path)
        assert source.session == "4711"
        assert topics(source) == ["SessionInfo", "TimingData", "CarData", "Heartbeat", "TimingData", "LapCount"]
        assert not source.rejected

    def test_hub_messages_without_their_frame(self, tmp_path: Path) -> None:
        write(tmp_path / "subscribe.txt", compact(SNAPSHOT))
        hub = compact({"H": "Streaming", "M": "feed", "A": ["TimingData", LAP_4, "2025-06-01T12:00:01.5Z"]})
        source = open_recording(write(tmp_path / "live.txt", hub))
        assert source.session == "4711"
        assert read(source)[-1] == ("TimingData", LAP_4, at("12:00:01.500"))

    def test_frames_saved_as_python(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.txt", str(json.loads(self.FEED)))
        assert topics(open_recording(path)) == ["TimingData", "LapCount"]

    @pytest.mark.parametrize(
        "prefix", ["[2025-06-01 12:00:01] ", "12:00:01.500 ", "< ", "2025-06-01 12:00:01,5 - INFO - "]
    )
    def test_frames_behind_a_loggers_time(self, tmp_path: Path, prefix: str) -> None:
        path = write(tmp_path / "a.log", prefix + self.SNAPSHOT_FRAME, prefix + self.FEED)
        assert topics(open_recording(path))[-2:] == ["TimingData", "LapCount"]

    CORE = (
        "{}",
        compact({"type": 3, "invocationId": "0", "result": {**SNAPSHOT, "TopThree": None}}),
        compact({"type": 6}),
        core("TimingData", LAP_4, "2025-06-01T12:00:01.5Z"),
        core("LapCount", {"CurrentLap": 2}, "2025-06-01T12:00:02Z"),
        compact({"type": 7}),
    )

    @pytest.mark.parametrize("separator", ["\x1e", "\x1e\n", "\n"])
    def test_core_frames(self, tmp_path: Path, separator: str) -> None:
        path = tmp_path / "a.txt"
        path.write_text(separator.join(self.CORE) + separator)
        source = open_recording(path)
        assert source.session == "4711"
        assert topics(source) == ["SessionInfo", "TimingData", "CarData", "Heartbeat", "TimingData", "LapCount"]
        assert not source.rejected

    @pytest.mark.parametrize("indent", [None, 1])
    def test_core_frames_as_an_object_of_strings(self, tmp_path: Path, indent: int | None) -> None:
        frames = {f"frame{number}": frame + "\x1e" for number, frame in enumerate(self.CORE)}
        path = tmp_path / "frames.json"
        path.write_text(json.dumps(frames, indent=indent))
        source = open_recording(path)
        assert source.session == "4711"
        assert topics(source)[-2:] == ["TimingData", "LapCount"]

    @pytest.mark.parametrize("indent", [None, 2])
    def test_frames_as_an_array(self, tmp_path: Path, indent: int | None) -> None:
        path = tmp_path / "frames.json"
        path.write_text(json.dumps([json.loads(frame) for frame in self.CORE], indent=indent))
        assert topics(open_recording(path))[-2:] == ["TimingData", "LapCount"]

    def test_websocket_messages_of_a_browsers_archive(self, tmp_path: Path) -> None:
        messages = [{"type": "receive", "opcode": 1, "data": frame + "\x1e"} for frame in self.CORE]
        path = tmp_path / "page.har"
        path.write_text(json.dumps({"log": {"entries": [{"_webSocketMessages": messages}]}}, indent=2))
        assert topics(open_recording(path))[-2:] == ["TimingData", "LapCount"]

    def test_message_without_an_instant_takes_the_one_before(self, tmp_path: Path) -> None:
        frame = compact({"M": [{"H": "Streaming", "M": "feed", "A": ["LapCount", {}]}]})
        source = open_recording(write(tmp_path / "a.txt", self.FEED, frame))
        assert read(source)[-1] == ("LapCount", {}, at("12:00:02"))
        assert source.rejected == {"bad-time": 1}

    def test_snapshot_alone_is_a_recording(self, tmp_path: Path) -> None:
        source = open_recording(write(tmp_path / "subscribe.txt", json.dumps(SNAPSHOT, indent=2)))
        assert [message.snapshot for message in source.messages()] == [True] * 4


class TestSnapshotInstant:
    """A snapshot must not run the feed clock ahead of the messages that follow it."""

    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            ({"ExtrapolatedClock": CLOCK, "Heartbeat": {"Utc": "2025-06-01T11:59:50Z"}}, "12:00:00"),
            ({"Heartbeat": {"Utc": "2025-06-01T11:59:50Z"}}, "11:59:48"),
            ({"Heartbeat": {"Utc": "2025-06-01T12:30:00Z"}}, "12:00:01.500"),
            ({}, "12:00:01.500"),
        ],
        ids=["clock", "heartbeat runs ahead", "heartbeat later than the feed", "neither"],
    )
    def test_is_its_clock_but_never_after_the_next_message(
        self, tmp_path: Path, state: dict[str, Any], expected: str
    ) -> None:
        snapshot = compact({"R": {**state, "SessionInfo": SESSION_INFO}})
        path = write(tmp_path / "a.txt", snapshot, legacy(("LapCount", {}, "2025-06-01T12:00:01.5Z")))
        assert next(open_recording(path).messages()).at == at(expected)

    def test_without_any_clock_or_message_is_the_scheduled_start(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.txt", compact({"R": {"SessionInfo": SESSION_INFO}}))
        assert next(open_recording(path).messages()).at == at("12:00:00")


class TestFolderOfLiveFiles:
    def test_parts_of_one_session_are_merged_by_time(self, tmp_path: Path) -> None:
        write(tmp_path / "b.txt", str(["LapCount", {"CurrentLap": 1}, "2025-06-01T12:00:01Z"]))
        write(tmp_path / "a.txt", str(["LapCount", {"CurrentLap": 2}, "2025-06-01T12:10:00Z"]))
        assert [data["CurrentLap"] for _, data, _ in read(open_recording(tmp_path))] == [1, 2]

    def test_two_sessions_are_not_mixed(self, tmp_path: Path) -> None:
        for key in (1, 2):
            info = {**SESSION_INFO, "Key": key}
            write(tmp_path / f"{key}.txt", str(["SessionInfo", info, f"2025-06-0{key}T12:00:01Z"]))
        with pytest.raises(NotARecording, match="several recordings"):
            open_recording(tmp_path)


class TestResume:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        lines = [core("LapCount", {"CurrentLap": lap}, f"2025-06-01T12:{lap:02}:00Z") for lap in range(50)]
        lines[10:10] = ['{"type":1,"target":"feed","argum', core("CarData.z", "no base64!", "2025-06-01T12:10:00Z")]
        return write(tmp_path / "a.txt", *TestSignalRFrames.CORE[:2], *lines)

    @pytest.mark.parametrize("cursor", [0, 1, 3, 13, 14, 15, 53, 54])
    def test_prefix_and_resumed_rest_are_the_whole(self, path: Path, cursor: int) -> None:
        whole = list(open_recording(path).messages())
        assert [message.cursor for message in whole] == list(range(54))
        assert whole[:cursor] + list(open_recording(path).messages(cursor)) == whole

    def test_damage_is_counted_by_the_reader_that_passes_it(self, path: Path) -> None:
        whole, rest = open_recording(path), open_recording(path)
        assert len(list(whole.messages())) == 54
        assert len(list(rest.messages(30))) == 24
        assert whole.rejected == {"bad-json": 1, "bad-base64": 1}
        assert not rest.rejected

    def test_the_same_source_can_be_played_again(self, path: Path) -> None:
        source = open_recording(path)
        assert list(source.messages()) == list(source.messages())
        assert source.rejected == {"bad-json": 1, "bad-base64": 1}

    def test_cursor_past_the_end(self, path: Path) -> None:
        assert list(open_recording(path).messages(1_000)) == []

    def test_negative_cursor_is_refused(self, path: Path) -> None:
        with pytest.raises(ValueError, match="counts from 0"):
            open_recording(path).messages(-1)


def test_name_says_nothing(tmp_path: Path) -> None:
    plain = write(tmp_path / "race.gz", merged("00:00:05.000", "LapCount", {}))
    zipped = tmp_path / "race.txt"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    assert read(open_recording(plain)) == read(open_recording(zipped)) == [("LapCount", {}, 5_000)]
