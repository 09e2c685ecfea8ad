"""What a report says: percentiles, latencies and prices, each worked out by hand."""

from __future__ import annotations

import pytest

from local import cost
from local.cost import Watched
from local.probe import Arrivals, Latency, Seen, latencies
from local.report import percentile
from pitwall.message import Message


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = list(range(1, 101))
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7], 0.99)) == (51, 100, 7)


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile([], 0.5) is None


def test_each_message_counts_from_its_arrival_to_the_first_callback_that_covers_it() -> None:
    arrivals = [Arrivals(1, [1_000, 1_400], 1_500), Arrivals(2, [2_000], 2_100)]
    towers = [Seen(1, 1_600, 1_550), Seen(2, 2_200, 2_150)]
    assert latencies(arrivals, towers) == [
        Latency(600, 500, 50, 50),
        Latency(200, 100, 50, 50),
        Latency(200, 100, 50, 50),
    ]


def test_a_version_the_listener_skipped_is_covered_by_the_next() -> None:
    assert [one.total for one in latencies([Arrivals(1, [1_000], 1_100)], [Seen(3, 1_900, 1_850)])] == [900]


def test_a_message_no_listener_has_seen_yet_has_no_latency() -> None:
    assert latencies([Arrivals(5, [1_000], 1_100)], [Seen(4, 1_900, 1_850)]) == []


def test_every_viewer_pays_a_read_and_the_bytes_of_each_update() -> None:
    priced = cost.design(
        writes=100_000, reads=0, deletes=0, watched=[Watched(100, 2**20), Watched(0, 0)], pubsub_bytes=0, viewers=1_000
    )
    assert priced.backend_usd == pytest.approx(0.18)
    assert priced.viewers_usd == pytest.approx(0.06 + 1_000 / 1_024 * 0.12)


def test_what_is_published_is_charged_once_in_and_once_out() -> None:
    priced = cost.design(writes=0, reads=0, deletes=0, watched=[], pubsub_bytes=2**40)
    assert priced.backend_usd == pytest.approx(80)


def test_the_design_to_beat_writes_a_document_for_each_driver_a_message_touches() -> None:
    messages = [
        Message("TimingData", {"Lines": {"1": {"Position": "1"}, "4": {"Position": "2"}}}, 1_000),
        Message("TimingData", {"Lines": {"4": {"GapToLeader": "+1.234"}}}, 2_000),
        Message("Heartbeat", {"Utc": "2025-05-17T14:03:00Z"}, 3_000),
        Message("TopThree", {"Withheld": False}, 4_000),
    ]
    priced = cost.document_per_driver(messages)
    assert (priced.writes, priced.viewer_reads) == (4, 4)  # the heartbeat is the feed's document
    assert priced.viewer_bytes > 3 * cost.DOCUMENT_OVERHEAD + cost.FEED_BYTES


def test_a_kart_tracks_board_has_a_document_a_row_in_that_design() -> None:
    board = {"Lines": {"r1": {"Number": "7"}, "r2": {"Number": "12"}}}
    messages = [
        Message("KartSession", {"Title": "3H"}, 1_000, True),
        Message("KartGrid", board, 1_000, True),
        Message("KartLines", {"r2": {"LastLapMs": 61_000}}, 2_000),
        Message("KartCrossing", {"Row": "r2"}, 2_000),
        Message("KartRaceControl", {"Messages": []}, 3_000, True),
        Message("KartGrid", {"Lines": {"r1": {"Number": "7"}}}, 4_000, True),
        Message("KartPit", {"Row": "r2", "In": True}, 5_000),  # is no longer on the board
    ]
    assert cost.document_per_driver(messages).writes == 1 + 2 + 1 + 1 + 1 + 1
