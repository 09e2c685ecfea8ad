"""`/sessions/{id}/live`: the tower with long names, as it is or as it was up to two minutes ago."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flask import Blueprint, current_app

from pitwall.api import caching, lists, long_names, parameters, reads, sessions
from pitwall.api.caching import Answer
from pitwall.api.description import Parameter, described, given
from pitwall.api.errors import NotFound
from pitwall.api.reads import Reads, Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.live import TowerDocument

routes = Blueprint("live", __name__)

MAX_DELAY_S = 120
DELAY_STEP_S = 5
CLOCK = "PITWALL_CLOCK"
"""Key in the app's config of the clock that `?delay=` reckons by."""

TOWER = Shape(
    TowerDocument,
    results=[
        f"lines.{key}"
        for key in (
            *("position", "gapToLeaderMs", "intervalMs", "lapsDown", "intervalLaps", "laps"),
            *("lastLapBest", "sector1Best", "sector2Best", "sector3Best"),
            *("retired", "stopped", "knockedOut", "inDropZone"),
        )
    ],
)

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@routes.get("/sessions/<key>/live")
@caching.kept
@described(
    "The tower now, or as it was up to two minutes ago",
    query={
        "delay": Parameter(
            parameters.whole_number(0, MAX_DELAY_S, DELAY_STEP_S, default=0),
            "seconds by which a viewer's picture is behind the feed: the newest tower of that age or older",
            30,
        ),
        **lists.one(TOWER),
    },
    answers=TOWER,
    problems=(NotFound,),
)
def live(key: str) -> Answer:
    """One line a car, by racing number. Reads one document; with `delay` at most three."""
    [tower] = reads.current().get(paths.live(sessions.checked(key), "timing"))
    if tower is None:
        raise NotFound(f"Session {key!r} does not exist or has no tower yet.")
    clock: Clock = current_app.config[CLOCK]
    shown = _as_it_was(reads.current(), key, tower, timedelta(seconds=given().get("delay", 0)), clock)
    return lists.answer_one(long_names.tower(shown.fields), shown, TOWER, given(), max_age=caching.LIVE_S)


def _as_it_was(reads: Reads, key: str, tower: Stored, delay: timedelta, clock: Clock) -> Stored:
    """The tower a viewer sees whose picture is `delay` behind the feed.

    The feed's clock goes on from the tower's last change. Towers are kept every 5 s of feed time; if none is old
    enough, the session has just begun, and the oldest is the nearest to the truth.
    """
    if not delay:
        return tower
    at = tower.fields["at"]
    feed_now = at + max(clock() - tower.fields.get("writtenAt", at), timedelta())
    seen = feed_now - delay
    if at <= seen:
        return tower
    slots = paths.towers(key)
    kept = reads.query(slots, where=[("at", "<=", seen)], order_by="at", descending=True, limit=1) or reads.query(
        slots, order_by="at", limit=1
    )
    return min([tower, *kept], key=lambda kept_tower: kept_tower.fields["at"])
