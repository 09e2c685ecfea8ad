"""Reads parts of what the recorder stored: the objects of a session in a stretch of time, and the messages of one.

Bounded: names come a listing at a time, and an object is unpacked to no more than a batch can be. Loads Cloud
Storage's client when it is used.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from pitwall.history.telemetry.objects import StoreUnavailable
from pitwall.message import Message
from pitwall.settings import Settings
from pitwall.sources.pitwall_format import decode_line, from_instant

if TYPE_CHECKING:
    from google.cloud import storage

LONGEST_BATCH_MS: Final = 60_000
"""More than a batch gathers before it is stored, so what it holds begins at most so long after its name says."""
MOST_LISTED: Final = 1_000
MOST_UNPACKED: Final = 32 * 1024 * 1024
"""Bytes; a batch is closed at a quarter of a megabyte, and a single message is far from it."""

_GZIP = zlib.MAX_WBITS | 16


class Recorded(NamedTuple):
    """An object. size: bytes as stored."""

    name: str
    size: int


class Recordings:
    """The bucket of the recorder. Safe to use from several threads."""

    def __init__(self, bucket: storage.Bucket, timeout_s: float, persists_s: float) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY

        self._bucket = bucket
        self._asking: dict[str, Any] = {"timeout": timeout_s, "retry": DEFAULT_RETRY.with_timeout(persists_s)}

    @classmethod
    def of(cls, settings: Settings, timeout_s: float, persists_s: float) -> Self:
        """That of the settings; nothing is asked yet. Raises StoreUnavailable where there are no credentials."""
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import storage

        try:
            client = storage.Client(project=settings.project)
        except (GoogleAuthError, OSError) as error:
            raise StoreUnavailable(f"the bucket of the recorder: {error}"[:500]) from error
        return cls(client.bucket(settings.raw_bucket), timeout_s, persists_s)

    def listed(self, session: str, since: int, to: int, begin: str = "") -> list[Recorded]:
        """Objects of a session that may hold messages from one instant to another (ms), in order; at most 1,000.

        begin: name of the object to begin at instead. Raises StoreUnavailable.
        """
        from google.api_core.exceptions import GoogleAPIError, NotFound

        first = begin or max(from_instant(session, since - LONGEST_BATCH_MS), f"{session}/")
        last = from_instant(session, to + 1)
        try:
            pages = self._bucket.list_blobs(
                prefix=f"{session}/",
                start_offset=first,
                end_offset=last,
                page_size=MOST_LISTED,
                fields="items(name,size),nextPageToken",
                **self._asking,
            ).pages
            blobs = list(next(pages, ()))
        except NotFound:
            return []  # nothing was ever recorded
        except (GoogleAPIError, OSError) as error:
            raise StoreUnavailable(f"objects of {session}: {error}"[:500]) from error
        named = sorted(Recorded(blob.name, blob.size or 0) for blob in blobs)
        return [one for one in named if first <= one.name < last]

    def messages(self, name: str) -> list[Message | None]:
        """The messages of an object, by the number of their line; None for what is none. Raises StoreUnavailable."""
        from google.api_core.exceptions import GoogleAPIError, NotFound

        try:
            stored = self._bucket.blob(name).download_as_bytes(raw_download=True, **self._asking)
        except NotFound:
            return []  # it was deleted since it was listed
        except (GoogleAPIError, OSError) as error:
            raise StoreUnavailable(f"{name}: {error}"[:500]) from error
        try:
            content = zlib.decompressobj(_GZIP).decompress(stored, MOST_UNPACKED)
        except zlib.error:
            return []
        return [_message(line) for line in content.splitlines()]


def _message(line: bytes) -> Message | None:
    try:
        return decode_line(line)
    except ValueError:
        return None
