"""Feed ids: what lease, schedule and sessions of one feed are named by. F1's is `f1`, a kart track's is made here."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

KART = "kart-"
"""Begin of every kart track's feed id."""

_PLAIN = re.compile(r"[a-z0-9-]{1,48}")
_LONGEST = 48
_HASHED = re.compile(r"(.*-)?[0-9a-f]{8}")
"""How an id ends that was made plain; one that ends so by itself is made plain too, so that no two share a feed."""


def kart_feed(circuit_id: str) -> str:
    """The feed id of a kart track: `kart-ardenmoor`. The same id gives the same, another id another.

    An id with anything else than `a-z`, `0-9` and `-`, or a longer one than 48, becomes what of it is readable and the
    hash of it: `Piste du Lac` `kart-piste-du-lac-122d2013`.
    """
    if _PLAIN.fullmatch(circuit_id) and not _HASHED.fullmatch(circuit_id):
        return KART + circuit_id
    hashed = blake2b(circuit_id.encode(), digest_size=4).hexdigest()
    readable = slug(circuit_id)[: _LONGEST - len(hashed) - 1].strip("-")
    return KART + "-".join(filter(None, (readable, hashed)))


def slug(text: str) -> str:
    """The text in `a-z`, `0-9` and `-`, accents left out: `Piste du Lac` `piste-du-lac`. Empty if nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))
