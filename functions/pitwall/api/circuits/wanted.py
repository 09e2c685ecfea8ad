"""What a client may say of a kart track: the app's fields and the rules of its endurance races, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pitwall.api.errors import BadRequest
from pitwall.documents.base import Fields
from pitwall.documents.circuits import Label

_HOST = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.?)"
_PORT = r":(?P<{}>[1-9][0-9]{{0,4}})"
ADDRESS = re.compile(
    rf"racemonitor:[0-9]{{1,12}}|tcp://{_HOST}{_PORT.format('tcp')}"
    rf"|(wss?|https?)://{_HOST}({_PORT.format('web')})?([/?#][^\s\x00-\x1f\x7f\\]*)?"
)
"""Of timing: a websocket, a page, a socket, or a race of Race Monitor. Nothing in it says who asks."""
_MOST_MS = 7 * 24 * 60 * 60 * 1000

Address = Annotated[
    str,
    Meta(
        max_length=512,
        description="`wss://`, `ws://`, `https://`, `http://`, `tcp://host:port` or `racemonitor:<race id>`, "
        "without user and password",
    ),
]
TrackName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*(?!\n)$")]
Stops = Annotated[int, Meta(ge=0, le=100, description="stops each kart has to make")]


def _ms(description: str) -> Meta:
    return Meta(ge=0, le=_MOST_MS, description=f"milliseconds {description}")


class EnduranceChange(Fields, kw_only=True):
    """The rules of an endurance race at this track; null takes one back."""

    stops: Stops | UnsetType | None = UNSET
    stop_ms: Annotated[int, _ms("a stop lasts at least")] | UnsetType | None = UNSET
    stop_cost_ms: Annotated[int, _ms("a stop costs against driving on; else that of those made")] | UnsetType | None = (
        UNSET
    )
    stint_ms: Annotated[int, _ms("a stint lasts at most")] | UnsetType | None = UNSET
    driver_ms: Annotated[int, _ms("one driver drives at most")] | UnsetType | None = UNSET


class TrackChange(Fields, kw_only=True):
    """What is to change of a kart track (JSON Merge Patch, RFC 7396): absent stays as it is, null is taken out."""

    nom: TrackName | UnsetType = UNSET
    live_timing_url: Annotated[Address, Meta(description="its page of live timing")] | UnsetType | None = UNSET
    wss_url: Annotated[Address, Meta(description="where its timing comes from")] | UnsetType | None = UNSET
    c1: Label | UnsetType | None = UNSET
    c2: Label | UnsetType | None = UNSET
    c3: Label | UnsetType | None = UNSET
    c4: Label | UnsetType | None = UNSET
    c5: Label | UnsetType | None = UNSET
    c6: Label | UnsetType | None = UNSET
    c7: Label | UnsetType | None = UNSET
    c8: Label | UnsetType | None = UNSET
    c9: Label | UnsetType | None = UNSET
    c10: Label | UnsetType | None = UNSET
    c11: Label | UnsetType | None = UNSET
    c12: Label | UnsetType | None = UNSET
    c13: Label | UnsetType | None = UNSET
    c14: Label | UnsetType | None = UNSET
    endurance: EnduranceChange | UnsetType | None = UNSET


class NewTrack(TrackChange, kw_only=True):
    """A kart track to be added."""

    id: (
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}(?!\n)$", description="else made from `nom`")]
        | UnsetType
    ) = UNSET
    nom: TrackName


def changes(wanted: TrackChange) -> dict[str, Any]:
    """What is said of a track, by the names in its document; None: to be taken out. Raises BadRequest."""
    said: dict[str, Any] = msgspec.to_builtins(wanted)
    said.pop("id", None)
    if not said.get("nom", "a name").strip():
        raise BadRequest("nom", "A kart track has a name.")
    for name in ("liveTimingUrl", "wssUrl"):
        address = said.get(name)
        if address is not None and not _is_address(address):
            raise BadRequest(
                name,
                "It is no address of timing: `wss://`, `ws://`, `https://`, `http://`, `tcp://host:port` or "
                "`racemonitor:<race id>`, without user and password.",
            )
    return said


def merged(before: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of a track for what is said of it: rules of endurance are changed one by one."""
    rules = said.get("endurance")
    if rules is None:
        return dict(said)
    known = before.get("endurance")
    together = {**(known if isinstance(known, dict) else {}), **rules}
    kept = {name: value for name, value in together.items() if value is not None}
    return {**said, "endurance": kept or None}


def _is_address(text: str) -> bool:
    found = ADDRESS.fullmatch(text)
    return found is not None and int(found["tcp"] or found["web"] or 1) <= 0xFFFF
