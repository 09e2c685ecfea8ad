"""`/sessions/{id}/drivers`: order, and finding one by number or code."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from pitwall.documents.base import Document
from tests.api.conftest import Stored, problem_name
from tests.documents.examples import DRIVER, SESSION


def grid(*cars: tuple[str, str, int | None]) -> dict[str, Document]:
    """A session with drivers, each with racing number, code and position."""
    documents: dict[str, Document] = {"sessions/9845": SESSION}
    for number, tla, position in cars:
        changes: dict[str, Any] = {
            "racing_number": number,
            "tla": tla or msgspec.UNSET,
            "position": msgspec.UNSET if position is None else position,
        }
        documents[f"sessions/9845/drivers/{number}"] = msgspec.structs.replace(DRIVER, **changes)
    return documents


def test_drivers_come_by_position_and_those_without_one_by_racing_number(store: Stored, api: httpx.Client):
    store(grid(("44", "HAM", 2), ("1", "VER", 1), ("10", "GAS", None), ("4", "NOR", 3), ("9", "MAZ", None)))
    body = api.get("/api/sessions/9845/drivers").json()
    assert [item["racingNumber"] for item in body["items"]] == ["1", "44", "4", "9", "10"]
    assert set(body) == {"items"}


def test_kart_numbers_are_ordered_as_numbers(store: Stored, api: httpx.Client):
    store(grid(("7A", "", None), ("012", "", None), ("7", "", None), ("X1", "", None), ("100", "", None)))
    body = api.get("/api/sessions/9845/drivers").json()
    assert [item["racingNumber"] for item in body["items"]] == ["7", "7A", "012", "100", "X1"]


@pytest.mark.parametrize("driver_id", ["44", "HAM", "ham", "Ham"])
def test_a_driver_is_found_by_racing_number_or_code_in_any_case(store: Stored, api: httpx.Client, driver_id: str):
    store(grid(("44", "HAM", 2), ("1", "VER", 1)))
    assert api.get(f"/api/sessions/9845/drivers/{driver_id}").json()["racingNumber"] == "44"


@pytest.mark.parametrize("driver_id", ["7A", "7a"])
def test_a_racing_number_may_have_a_letter_in_any_case(store: Stored, api: httpx.Client, driver_id: str):
    store(grid(("7A", "KAR", 2), ("7", "VER", 1)))
    assert api.get(f"/api/sessions/9845/drivers/{driver_id}").json()["racingNumber"] == "7A"


def test_a_racing_number_keeps_its_leading_zeros(store: Stored, api: httpx.Client):
    store(grid(("012", "ZER", 2), ("12", "TWE", 1)))
    assert api.get("/api/sessions/9845/drivers/012").json()["tla"] == "ZER"


def test_a_driver_is_the_document(store: Stored, api: httpx.Client):
    store(grid(("44", "HAM", 2)))
    body = api.get("/api/sessions/9845/drivers/44").json()
    assert body["pitStops"] == [
        {
            "lap": 5,
            "inAt": "2025-11-08T14:03:07.412Z",
            "outAt": "2025-11-08T14:03:07.412Z",
            "laneTimeMs": 22_000,
            "stop": True,
        }
    ]
    assert body["bestByPart"] == {"1": {"lapTimeMs": 71_000, "lap": 4}}


@pytest.mark.parametrize(
    "driver_id", ["45", "XYZ", "H", "HAMILTON", "44%0A", "%00", "..%2F44", "__44__", "é", "4" * 2048]
)
def test_a_driver_who_is_not_there_is_not_found(store: Stored, api: httpx.Client, driver_id: str):
    store(grid(("44", "HAM", 2)))
    response = api.get(f"/api/sessions/9845/drivers/{driver_id}")
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


@pytest.mark.parametrize("path", ["drivers", "drivers/44", "drivers/HAM"])
def test_drivers_of_a_session_that_is_not_there_are_not_found(store: Stored, api: httpx.Client, path: str):
    store(grid(("44", "HAM", 2)))
    response = api.get(f"/api/sessions/9846/{path}")
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


def test_drivers_of_a_session_without_any_are_an_empty_list(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION})
    assert api.get("/api/sessions/9845/drivers").json() == {"items": []}
