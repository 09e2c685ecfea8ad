"""Simulated races several tests look at, and FastF1 reading one of them from a local server."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.simulator import PATH, Race, quick_race, write_recording

SEEDS = (1, 2, 3)


@pytest.fixture(scope="session", params=SEEDS)
def race(request: pytest.FixtureRequest) -> Race:
    """A quick race with every incident, without telemetry."""
    return quick_race(request.param, telemetry=False)


@pytest.fixture(scope="session")
def race_with_telemetry() -> Race:
    """A short race with car data and positions."""
    return quick_race(5, laps=3)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Says nothing: the test's own output is enough."""


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """An empty folder served as F1's archive host would be: the folder and the base URL."""
    root = tmp_path_factory.mktemp("archive")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def load_with_fastf1(race: Race, archive: tuple[Path, str], *, telemetry: bool) -> Any:
    """FastF1's `Session` of the race, fetched over HTTP and loaded by FastF1's own code alone."""
    fastf1 = pytest.importorskip("fastf1", reason="FastF1 is not installed: nobody to read the race")
    import pandas as pd
    from fastf1 import _api, core, events
    from fastf1.ergast import interface
    from fastf1.req import Cache

    root, url = archive
    write_recording(race, root / "static" / PATH, "archive")
    day = pd.Timestamp("2026-07-12")
    begins = pd.Timestamp("2026-07-12 13:00:00")
    columns: dict[str, Any] = {
        "RoundNumber": 12,
        "EventName": "Ardenmoor Grand Prix",
        "EventDate": day,
        "EventFormat": "conventional",
        "F1ApiSupport": True,
    }
    for index in range(1, 6):
        columns[f"Session{index}"] = "Race" if index == 5 else f"Practice {index}"
        columns[f"Session{index}Date"] = columns[f"Session{index}DateUtc"] = begins
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_api, "base_url", url)
        patch.setattr(_api, "base_url_mirror", url)
        patch.setattr(interface, "BASE_URL", f"{url}/ergast")
        patch.setenv("FASTF1_CACHE", str(root))
        fastf1.set_log_level("ERROR")
        session = core.Session(events.Event(columns, year=2026), "Race", f1_api_support=True)
        with Cache.disabled():
            session.load(laps=True, telemetry=telemetry, weather=True, messages=True)
    return session
