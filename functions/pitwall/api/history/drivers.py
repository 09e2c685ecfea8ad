"""`/drivers` and `/drivers/{driverId}`: everybody who had a result in Formula 1, and what they counted up."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint
from msgspec import Meta

from pitwall.api import alias, caching, description, lists, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.description import Placeholder, described
from pitwall.api.errors import Ambiguous, NotFound
from pitwall.api.history import by_id, careers
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.base import Fields
from pitwall.documents.history import DriverProfileDocument

routes = Blueprint("careers", __name__)

MOST_ALIKE = 20
"""More drivers than share a code or a name."""

description.PATH["who"] = Placeholder(
    "driverId",
    Parameter(
        parameters.matching(r"[0-9A-Za-z_-]{1,64}", "the id, code or name of a driver"),
        "id, three-letter code or family name of the driver",
        "hamilton",
    ),
)


class DriverId(Fields, kw_only=True):
    """Whose; what was counted comes beside it."""

    driver: Annotated[str, Meta(description="the id")]


PROFILE = Shape(DriverProfileDocument, results=careers.COUNTED)
STATISTICS = Shape(DriverId, careers.Counted, name="DriverStatistics")


@routes.get("/drivers")
@lists.listing(
    "Drivers who had a result in Formula 1, by id", PROFILE, {**careers.SEASON, **lists.paged(PROFILE)}, problems=()
)
def listed() -> Answer:
    """Of all seasons or of one. Reads a document a driver, one more to know whether there are more."""
    return by_id.listed(paths.PROFILES, "driver", PROFILE)


@routes.get("/drivers/<who>")
@caching.kept
@described(
    "One driver, by id, three-letter code or family name, in any case",
    query=lists.one(PROFILE),
    answers=PROFILE,
    problems=(NotFound, Ambiguous),
)
def driver(who: str) -> Answer:
    """An id comes first: `verstappen` is Jos Verstappen's where he is stored, `max_verstappen` and `VER` are Max. Of
    several with a code or name it is who raced last; where two raced in the same last season the answer is 409, with
    their ids. `Content-Location` is the address by id.

    Reads a document; to find a code or name one or two more, and one for each who has it.
    """
    found = existing(who)
    return careers.one(found, PROFILE, alias.address(".driver", who=found.id))


@routes.get("/drivers/<who>/stats")
@caching.kept
@described(
    "What a driver counted up, in all and by season",
    query=careers.without_spoilers(lists.one(STATISTICS)),
    answers=STATISTICS,
    problems=(NotFound, Ambiguous),
)
def statistics(who: str) -> Answer:
    """Wins, podiums, poles, points, fastest laps, laps led, team mates: kept up to date when a result changes.

    Reads what the driver reads, and a document a season.
    """
    found = existing(who)
    location = alias.address(".statistics", who=found.id)
    return careers.counted(found, paths.driver_seasons(found.id), "driver", STATISTICS, location)


def existing(who: str) -> Stored:
    """The driver of an id, code or name. Raises NotFound, Ambiguous."""
    found = by_id.found(paths.PROFILES, who)
    if found is not None:
        return found
    alias = who.lower().replace("-", "_")
    alike = reads.current().query(paths.PROFILES, where=[("aliases", "contains", alias)], limit=MOST_ALIKE)
    if not alike:
        raise NotFound(f"There is no driver {parameters.shorten(who)!r}.")
    last = max(one.fields["seasons"][-1] for one in alike)
    latest = sorted(one.id for one in alike if one.fields["seasons"][-1] == last)
    if len(latest) > 1:
        raise Ambiguous(
            f"{parameters.shorten(who)!r} is the code or name of {', '.join(latest)}, who all raced last in {last}.",
            candidates=latest,
        )
    return next(one for one in alike if one.id == latest[0])
