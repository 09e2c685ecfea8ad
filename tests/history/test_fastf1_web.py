"""FastF1's own code, asking the frozen web: what it loads, what it lacks, and that it is itself again afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from local.web import FrozenWeb
from pitwall.history.answers import SourceError, Throttled
from pitwall.history.fastf1_web import FastF1, Loaded, fastf1_from
from pitwall.settings import Settings
from tests.history.frozen import WEB, needs_web
from tests.history.webs import fastf1_asks_at_once

pytestmark = [needs_web, pytest.mark.whole]
BAKU = "static/2018/2018-04-29_Azerbaijan_Grand_Prix/2018-04-29_Race"


@pytest.fixture(scope="module")
def web() -> Iterator[FrozenWeb]:
    with FrozenWeb(WEB) as running, pytest.MonkeyPatch.context() as patch:
        fastf1_asks_at_once(patch)
        yield running


@pytest.fixture(scope="module")
def settings(web: FrozenWeb) -> Settings:
    return Settings(**web.settings)


@pytest.fixture
def fastf1(settings: Settings) -> Iterator[FastF1]:
    with fastf1_from(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def baku(settings: Settings) -> Loaded:
    """The race in Baku in 2018."""
    with fastf1_from(settings) as opened:
        return opened.load(2018, 4, "R")


def frozen(path: str) -> Any:
    return orjson.loads((WEB / "jolpica" / path).read_bytes())["MRData"]["RaceTable"]["Races"][0]


def test_results_are_those_of_jolpica(baku: Loaded) -> None:
    results = frozen("2018/4/results.json")["Results"]
    ours = {row.DriverId: (row.Position, row.Points, row.GridPosition) for row in baku.session.results.itertuples()}
    assert ours == {
        result["Driver"]["driverId"]: tuple(float(result[key]) for key in ("position", "points", "grid"))
        for result in results
    }


def test_everybody_has_the_laps_of_the_classification(baku: Loaded) -> None:
    """FastF1 counts the lap on which a car stops, too."""
    driven = baku.session.laps.groupby("DriverNumber").LapNumber.max().astype(int).to_dict()
    for result in frozen("2018/4/results.json")["Results"]:
        laps = int(result["laps"])
        assert driven[result["number"]] in ((laps,) if result["status"] == "Finished" else (laps, laps + 1))
    assert len(driven) == 20


def test_the_first_lap_times_come_from_jolpica(baku: Loaded) -> None:
    first = baku.session.laps[baku.session.laps.LapNumber == 1].set_index("Driver").LapTime
    assert first["VET"].total_seconds() == pytest.approx(148.071)
    assert frozen("2018/4/laps/1.json")["Laps"][0]["Timings"][0] == {
        "driverId": "vettel",
        "time": "2:28.071",
        "position": "1",
    }


def test_what_no_server_has_is_lacking(web: FrozenWeb, baku: Loaded) -> None:
    assert baku.lacking == ("weather_data",)
    assert "Failed to load weather data!" in baku.told
    assert {asked.status for asked in web.asked_for(f"{BAKU}/WeatherData.jsonStream")} == {404}
    assert "SAFETY CAR DEPLOYED" in set(baku.session.race_control_messages.Message)
    assert {"1", "4"} <= set(baku.session.track_status.Status)


@pytest.mark.parametrize(
    ("session", "drivers", "lacking"),
    [("Q", 20, ("weather_data",)), ("SS", 20, ("weather_data",)), ("S", 19, ("weather_data", "race_control_messages"))],
)
def test_a_sprint_weekend_is_loaded(fastf1: FastF1, session: str, drivers: int, lacking: tuple[str, ...]) -> None:
    loaded = fastf1.load(2023, 4, session)
    assert loaded.session.laps.DriverNumber.nunique() == drivers
    assert len(loaded.session.results) == 20
    assert loaded.lacking == lacking


def test_weather_is_loaded_where_it_is_there(fastf1: FastF1) -> None:
    loaded = fastf1.load(2019, 14, "Q")
    assert loaded.lacking == ()
    assert len(loaded.session.weather_data) > 50


def test_a_session_that_is_not_there_is_an_error_that_says_what_was_missed(fastf1: FastF1) -> None:
    with pytest.raises(SourceError, match=r"R of round 4, 2023: .*Failed to load timing data!"):
        fastf1.load(2023, 4, "R")
    with pytest.raises(SourceError, match="S of round 4, 2018"):
        fastf1.load(2018, 4, "S")


@pytest.mark.parametrize("fault", ["502", "html"])
def test_results_that_jolpica_does_not_give_are_told(web: FrozenWeb, fastf1: FastF1, fault: str) -> None:
    if fault == "html":
        web.garble("html", None, fits="jolpica/*")
    else:
        web.refuse(502, None, fits="jolpica/*")
    try:
        loaded = fastf1.load(2018, 4, "R")
    finally:
        web.allow()
    assert "Failed to load result data from Ergast!" in loaded.told
    assert loaded.session.results.Points.isna().all()


def test_timing_that_is_refused_is_an_error(web: FrozenWeb, fastf1: FastF1) -> None:
    web.refuse(502, None, fits=f"{BAKU}/TimingData.jsonStream")
    try:
        with pytest.raises(SourceError, match="Failed to load timing data!"):
            fastf1.load(2018, 4, "R")
    finally:
        web.allow()


def test_requests_that_fastf1_does_not_allow_itself_are_told_apart(
    fastf1: FastF1, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastf1.req import _CallsPerIntervalLimitRaise, _SessionWithRateLimiting

    limiters = [_CallsPerIntervalLimitRaise(5, 3600, "5 calls/h")]
    monkeypatch.setattr(_SessionWithRateLimiting, "_RATE_LIMITS", {re.compile("^http"): limiters})
    with pytest.raises(Throttled, match="5 calls/h"):
        fastf1.load(2018, 4, "R")


def test_what_is_in_the_cache_is_not_asked_for(web: FrozenWeb, settings: Settings, tmp_path: Path) -> None:
    for _ in range(2):
        asked = len(web.asked)
        with fastf1_from(settings, tmp_path) as fastf1:
            fastf1.load(2023, 4, "Q")
    assert {asked.path.rpartition("/")[2] for asked in web.asked[asked:]} <= {"WeatherData.jsonStream"}


def test_a_circuit_comes_from_the_settings_server(web: FrozenWeb, fastf1: FastF1) -> None:
    from fastf1.mvapi import get_circuit_info

    info = get_circuit_info(year=2020, circuit_key=39)
    assert info is not None
    assert (len(info.corners), info.rotation) == (11, 95)
    assert len(web.asked_for("multiviewer/circuits/39/2020")) == 1


def test_f1_is_asked_without_an_account(fastf1: FastF1) -> None:
    from fastf1.internals.f1account import LivetimingAuthAdapter
    from fastf1.req import Cache

    adapter = Cache._requests_session_cached.get_adapter("https://livetiming.formula1.com/static/2023/Index.json")
    assert not isinstance(adapter, LivetimingAuthAdapter)


def test_fastf1_is_itself_again_afterwards(settings: Settings) -> None:
    import fastf1._api
    import fastf1.ergast.interface
    import fastf1.events
    import fastf1.mvapi.api
    from fastf1.logger import LoggingManager
    from fastf1.req import Cache

    def state() -> list[Any]:
        return [
            fastf1._api.base_url,
            fastf1._api.base_url_mirror,
            fastf1.ergast.interface.BASE_URL,
            fastf1.events._SCHEDULE_BASE_URL,
            fastf1.mvapi.api._make_url,
            Cache._CACHE_DIR,
            Cache._requests_session_cached,
            Cache._http_tmp_disabled,
            Cache._func_tmp_disabled,
            LoggingManager._console_handler.level,
        ]

    before = state()
    with fastf1_from(settings):
        assert state()[:4] != before[:4]
    assert state() == before
