from __future__ import annotations

import orjson

from pitwall.history.telemetry.frames import SCALES, encoded
from pitwall.history.telemetry.grid import CHANNELS, on_grid
from pitwall.history.telemetry.samples import UNKNOWN, Samples
from pitwall.history.telemetry.timing import Timing
from tests.history.telemetry.conftest import Played


def test_frames_say_what_the_arrays_do(played: Played) -> None:
    telemetry = played.telemetry
    told = orjson.loads(b"".join(encoded(telemetry)))
    assert told["frameCount"] == len(told["frames"]) == telemetry.frames
    assert (told["startMs"], told["stepMs"], told["race"]) == (telemetry.start_ms, 250, telemetry.race)
    numbers = list(telemetry.cars)
    for index in range(0, telemetry.frames, 97):
        frame = told["frames"][index]
        assert frame["t"] == index / 4
        leader = telemetry.leader[index]
        assert frame.get("leader") == (None if leader == UNKNOWN else numbers[leader])
        status, weather = int(telemetry.track_status[index]), int(telemetry.weather[index])
        assert frame.get("trackStatus", UNKNOWN) == status
        assert frame.get("weather", UNKNOWN) == weather
        assert weather < len(told["weatherReports"])
        for number, channels in telemetry.cars.items():
            car = frame["cars"].get(number, {})
            for name in CHANNELS:
                value = int(channels[name][index])
                if value == UNKNOWN:
                    assert name not in car
                elif name == "compound":
                    assert car[name] == telemetry.compounds[value]
                else:
                    assert car[name] == value / SCALES.get(name, 1)


def test_a_session_without_samples_is_json_too() -> None:
    told = orjson.loads(b"".join(encoded(on_grid(Samples(), Timing()))))
    assert told["frames"] == []
