"""Real captures over real sockets, with a connection lost on the way: the board at the end is the capture's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.karts import ApexHub, RaceMonitorHub, RMonitorHub
from pitwall.documents.encoding import to_fields
from pitwall.message import FEED_GAP, Message
from pitwall.pipeline.poller import open_source
from pitwall.pipeline.ticks import Reducer
from pitwall.settings import Settings
from pitwall.sources.recording import open_recording
from tests.sources.signalr.reading import Reading
from tests.sources.track.servers import quick

FEED = "kart-track"
SPEED = 60.0


class Lines:
    """Position, laps and last lap by kart, as the documents have them last."""

    def __init__(self) -> None:
        self._reducer = Reducer("", FEED, "live")
        self.last: dict[str, tuple[Any, Any, Any]] = {}

    def take(self, message: Message) -> None:
        self._keep(self._reducer.offer(message))

    def finish(self) -> dict[str, tuple[Any, Any, Any]]:
        self._keep(self._reducer.finish())
        return self.last

    def _keep(self, ticks: list[Any]) -> None:
        for tick in ticks:
            for path, document in tick.documents:
                if path.endswith("/live/timing"):
                    lines = to_fields(document)["lines"]
                    self.last = {kart: (row.get("p"), row.get("n"), row.get("l")) for kart, row in lines.items()}


@pytest.mark.parametrize(
    ("kind", "capture", "start_s", "end_s"),
    [
        (ApexHub, "apex-los-santos-3h.jsonl.gz", 300, 360),
        (RMonitorHub, "redmist_TestMissingLaps.txt.gz", 0, 60),
        (RaceMonitorHub, "redmist_TestMissingLaps.txt.gz", 0, 60),
    ],
)
def test_a_capture_played_live_ends_as_the_capture_does(
    kind: Any, capture: str, start_s: int, end_s: int, kart_captures: Path
):
    recorded, first = Lines(), None
    for message in open_recording(kart_captures / capture).messages():
        first = message.at if first is None else first
        if message.at - first > end_s * 1000:
            break
        recorded.take(message)
    expected = recorded.finish()
    with kind(kart_captures / capture, SPEED, start_ms=start_s * 1000, end_ms=end_s * 1000) as hub:
        url = {"racemonitor_url": hub.url} if kind is RaceMonitorHub else {}
        settings: Settings = quick(source=hub.source, speed=SPEED, silence_s=60.0, **url)
        with Reading(open_source(settings).source) as reading:  # type: ignore[arg-type]
            reading.wait(
                lambda: (
                    any(status.detail.startswith("connected") for status in reading.statuses) or reading.messages != []
                )
            )
            hub.start()
            reading.wait(lambda: len(reading.messages) > 8)
            hub.drop()
            hub.wait_until_ended(30)
            reading.status("live", 2)

            def ends_so() -> bool:
                live = Lines()
                for message in reading.messages:
                    live.take(message)
                return live.finish() == expected

            reading.wait(ends_so)
        assert len(expected) > 20
        assert [gap.topic for gap in reading.gaps] == [FEED_GAP]
        assert not reading.source.rejected
