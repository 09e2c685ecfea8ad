"""Documents keep what they say on the way to Firestore and back, and nulls never get in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitwall.documents.base import Document
from pitwall.documents.encoding import InvalidDocument, from_fields, instant, millis, rfc3339, to_fields
from tests.documents.examples import EXAMPLES


@pytest.mark.parametrize(("path", "document"), EXAMPLES.items())
def test_a_document_comes_back_from_its_fields_as_it_was(path: str, document: Document):
    assert from_fields(path, to_fields(document)) == document


@pytest.mark.parametrize(("path", "document"), EXAMPLES.items())
def test_a_document_comes_back_from_json_as_it_was(path: str, document: Document):
    wire = orjson.loads(orjson.dumps(to_fields(document), option=orjson.OPT_PASSTHROUGH_DATETIME, default=rfc3339))
    assert from_fields(path, wire) == document


@pytest.mark.parametrize("document", EXAMPLES.values())
def test_what_is_unknown_is_left_out_and_never_null(document: Document):
    def nulls(value: object) -> bool:
        if isinstance(value, dict):
            return any(map(nulls, value.values()))
        if isinstance(value, list):
            return any(map(nulls, value))
        return value is None

    assert not nulls(to_fields(document))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"at": "2025-11-08T14:03:07.412Z", "lap": "8", "drivers": {}}, "lap"),
        ({"at": "2025-11-08T14:03:07.412Z", "lap": 8, "drivers": None}, "drivers"),
        ({"at": "2025-11-08T14:03:07.412Z", "lap": 0, "drivers": {}}, "lap"),
        ({"at": "2025-11-08T14:03:07.412Z", "lap": 8, "drivers": {}, "colour": "red"}, "colour"),
        ({"lap": 8, "drivers": {}}, "at"),
        ({"at": "yesterday", "lap": 8, "drivers": {}}, "at"),
    ],
)
def test_fields_that_do_not_fit_are_refused_by_name(fields: dict[str, object], reason: str):
    with pytest.raises(InvalidDocument, match=reason):
        from_fields("sessions/9845/laps/8", fields)


@given(st.integers(min_value=0, max_value=4_102_444_800_000))
def test_milliseconds_survive_the_way_through_an_instant(ms: int):
    assert millis(instant(ms)) == ms


def test_an_instant_has_milliseconds_and_z_even_when_they_are_zero():
    assert rfc3339(datetime(2025, 11, 8, 14, 3, 7, tzinfo=UTC)) == "2025-11-08T14:03:07.000Z"


def test_an_instant_of_another_zone_is_given_in_utc():
    brazil = timezone(timedelta(hours=-3))
    assert rfc3339(datetime(2025, 11, 8, 11, 3, 7, 412_999, tzinfo=brazil)) == "2025-11-08T14:03:07.412Z"
