"""A kart track as it is stored, where the app writes what it likes, and as the API shows it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import orjson

from pitwall.api import parameters
from pitwall.api.errors import NoKartTrack, NotFound
from pitwall.api.reads import Stored
from pitwall.documents import paths
from pitwall.documents.circuits import LABELS, CircuitDocument
from pitwall.documents.encoding import rfc3339
from pitwall.documents.feeds import kart_feed

_KNOWN = {field.encode_name: field.type for field in msgspec.structs.fields(CircuitDocument)}


def is_kart(fields: Mapping[str, Any]) -> bool:
    """Whether a circuit is a kart track: it has the app's name."""
    return isinstance(fields.get("nom"), str)


def path_of(circuit_id: str) -> str:
    """Where a track is stored. Raises NotFound for an id that cannot be one."""
    if not paths.valid_id(circuit_id):
        raise NotFound("There is no such circuit: its id cannot be one.")
    return paths.circuit(circuit_id)


def required(fields: Mapping[str, Any] | None, circuit_id: str) -> Mapping[str, Any]:
    """What a kart track that was read holds. Raises NotFound where there is none, NoKartTrack for another circuit."""
    if fields is None:
        raise NotFound(f"There is no kart track {parameters.shorten(circuit_id)!r}.")
    if not is_kart(fields):
        raise NoKartTrack(f"{parameters.shorten(circuit_id)!r} is a circuit of F1's history, which no client changes.")
    return fields


def shown(stored: Stored) -> dict[str, Any]:
    """A kart track over HTTP: what it holds, the app's own fields too, and what other circuits have.

    What is of another type than it should be, and what JSON does not hold, is left out.
    """
    return {
        **dict(_readable(stored.fields)),
        "circuit": stored.id,
        "name": stored.fields["nom"],
        "series": "kart",
        "feedId": kart_feed(stored.id),
    }


def as_it_is(stored: Stored) -> Stored:
    """The same to be told apart by: the app gives what it writes no `v`, so whatever it holds counts."""
    held = dict(_readable(stored.fields))
    return Stored(stored.path, {"v": orjson.dumps(held, default=rfc3339, option=_SORTED)})


_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


def _readable(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if name in LABELS:
            fits = isinstance(value, str)
        elif name in _KNOWN:
            fits = _fits(value, _KNOWN[name])
        else:
            value = _plain(value)
            fits = value is not None
        if fits:
            yield name, value


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _plain(value: Any) -> Any:
    """A value as JSON holds it, without what it cannot hold; None: nothing of it."""
    if isinstance(value, dict):
        return {key: plain for key, item in value.items() if (plain := _plain(item)) is not None}
    if isinstance(value, list):
        return [plain for item in value if (plain := _plain(item)) is not None]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | datetime) else None
