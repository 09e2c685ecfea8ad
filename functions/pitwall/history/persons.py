"""The jobs `export-person` and `erase-person`: where a private driver's name is stored, and how it is taken out.

Looked through are all documents of kart tracks' sessions, the app's boards, and what was recorded. A name is a word, or
some, in any text: found whole, in any case, and replaced by ERASED. Documents keep their version, as nothing else about
them is new. What a holder knows of a session goes with its checkpoint; a session that is being held is refused.

The name is in `privacyRequests/{id}` alone, and what was exported in an object that only admins are shown.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import orjson
from msgspec import UNSET

from pitwall.documents import paths
from pitwall.documents.encoding import InvalidDocument, from_fields, rfc3339, to_fields
from pitwall.documents.feeds import KART, kart_feed
from pitwall.documents.privacy import PrivacyRequestDocument, Wish
from pitwall.history.telemetry.objects import StoreUnavailable
from pitwall.history.work import BadRequest, Progress, Stopped
from pitwall.pipeline.database import Comparison, Conflict, Database, Stored, Unavailable
from pitwall.settings import Settings

if TYPE_CHECKING:
    from google.cloud import storage

ERASED: Final = "[erased]"
"""Stands where the name was: that there was one is known from the laps beside it."""

NO_NAMES: Final = frozenset(
    {"topic", "series", "feedid", "session", "circuit", "circuit_id", "type", "status", "state", "source", "flag"}
)
"""Keys, in small letters, of texts that the pipeline goes by; a board does not write them."""

MOST_FOUND: Final = 20_000
"""Places that an export lists."""
SAVED_AFTER: Final = 25
"""Sessions between two notes of how far it is."""
AT_ONCE: Final = 16
"""Recorded objects that are fetched at a time."""
ATTEMPTS: Final = 5
_MOST_UNPACKED: Final = 64 * 1024 * 1024
"""Bytes of an object; a batch of the recorder is a quarter of a megabyte."""

_ID: Final = re.compile(r"[0-9a-f]{32}")
_PARTS: Final = sorted(
    {kind.template.split("/")[2] for kind in paths.KINDS if kind.template.startswith("sessions/{session}/")}
)
"""Collections below a session."""


def export(settings: Settings, database: Database, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Puts every place that has the name into the object `export_object`; how many there are. Raises as `erase`."""
    return _work("export", settings, database, request, progress)


def erase(settings: Settings, database: Database, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Takes the name out of all that is stored, `{"request": id}`; what it was found in, counted.

    Raises BadRequest for a request that is gone, a session that is being held, and a name without which a document is
    none; OSError where Cloud Storage does not answer, Unavailable, and what `progress` raises. It then goes on there.
    """
    return _work("erase", settings, database, request, progress)


def export_object(id_: str) -> str:
    """Name of what the request `id_` has exported, in the telemetry bucket, for a week."""
    return f"privacy/{id_}.json.gz"


def exported(settings: Settings, id_: str) -> bytes | None:
    """What a request has exported, as JSON; None if there is no such thing (yet). Raises StoreUnavailable."""
    from google.api_core.exceptions import NotFound
    from google.cloud import storage as client

    if not _ID.fullmatch(id_):
        return None
    with _asked("an export"):
        blob = client.Client(project=settings.project).bucket(settings.telemetry_bucket).blob(export_object(id_))
        try:
            return gzip.decompress(blob.download_as_bytes(raw_download=True))
        except NotFound:
            return None


class Name:
    """A name that is looked for."""

    def __init__(self, name: str) -> None:
        """Raises BadRequest for one without three letters or digits."""
        words = unicodedata.normalize("NFC", name).split()
        if sum(letter.isalnum() for letter in name) < 3:
            raise BadRequest("a name has three letters or digits at least")
        spelt = [{re.escape(word), re.escape(unicodedata.normalize("NFD", word))} for word in words]
        told = r"\s+".join(f"(?:{'|'.join(sorted(one, key=len, reverse=True))})" for one in spelt)
        self._pattern = re.compile(rf"(?<!\w){told}(?!\w)", re.IGNORECASE)
        self._anywhere = re.compile(told, re.IGNORECASE)

    def is_in(self, text: str) -> bool:
        return self._pattern.search(text) is not None

    def may_be_in(self, data: bytes) -> bool:
        """Whether the name is among texts in a binary form, in which any letter may stand beside a text."""
        return self._anywhere.search(data.decode("utf-8", "replace")) is not None

    def without(self, value: Any) -> tuple[Any, int]:
        """A value as JSON or Firestore holds it without the name in any text, and in how many places it was."""
        if isinstance(value, str):
            return self._pattern.subn(ERASED, value)
        if isinstance(value, Mapping):
            cleaned = {key: (item, 0) if _is_ours(key, item) else self.without(item) for key, item in value.items()}
            return {key: item for key, (item, _) in cleaned.items()}, sum(count for _, count in cleaned.values())
        if isinstance(value, list | tuple):
            items = [self.without(item) for item in value]
            return [item for item, _ in items], sum(count for _, count in items)
        return value, 0

    def places(self, value: Any, where: str = "") -> Iterator[dict[str, Any]]:
        """Each map that has the name in a text of its own, without the maps and lists in it, and where it is."""
        if isinstance(value, Mapping):
            own = {key: item for key, item in value.items() if not isinstance(item, Mapping | list | bytes)}
            if any(isinstance(item, str) and not _is_ours(key, item) and self.is_in(item) for key, item in own.items()):
                yield {"at": where or "/", "says": {key: _plain(item) for key, item in own.items()}}
            for key, item in value.items():
                yield from self.places(item, f"{where}/{key}")
        elif isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, str) and self.is_in(item):
                    yield {"at": f"{where}/{number}", "says": item}
                else:
                    yield from self.places(item, f"{where}/{number}")


def _is_ours(key: str, value: Any) -> bool:
    """Whether a text is none that a board wrote."""
    return isinstance(value, str) and key.lower() in NO_NAMES


def _plain(value: Any) -> Any:
    return rfc3339(value) if isinstance(value, datetime) else value


class _Object(NamedTuple):
    """A recorded object with the name in it. cleaned: its bytes without."""

    blob: storage.Blob
    mentions: int
    cleaned: bytes


def _work(
    wish: Wish, settings: Settings, database: Database, request: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    id_ = request.get("request")
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise BadRequest("a request has the id of a document of privacyRequests")
    path = paths.privacy_request(id_)
    stored = database.read([path])[path]
    if stored.fields is None:
        raise BadRequest("the request is gone, as it was done or is too old: ask once more")
    try:
        wanted = msgspec.convert(stored.fields, PrivacyRequestDocument)
        if wanted.wish != wish:
            raise BadRequest(f"the request is to {wanted.wish}")
        search = _Search(settings, database, wanted, path, progress)
        result = search.run(id_)
    except (BadRequest, msgspec.ValidationError) as error:
        database.commit([database.delete(path)])
        if isinstance(error, BadRequest):
            raise
        raise BadRequest("the request cannot be read") from None
    database.commit([database.delete(path)])
    return result


class _Search:
    """One run over all that is stored, from where the one before was stopped."""

    def __init__(
        self, settings: Settings, database: Database, wanted: PrivacyRequestDocument, path: str, progress: Progress
    ) -> None:
        from google.cloud import storage as client

        self._database = database
        self._wanted = wanted
        self._path = path
        self._progress = progress
        self._name = Name(wanted.name)
        self._erases = wanted.wish == "erase"
        self._counts = Counter(wanted.counts)
        self._after, self._after_object = wanted.after, wanted.after_object
        self._found: list[dict[str, Any]] = []
        with _asked("a client"):
            cloud = client.Client(project=settings.project)
        self._raw = cloud.bucket(settings.raw_bucket)
        self._exports = cloud.bucket(settings.telemetry_bucket)

    def run(self, id_: str) -> dict[str, Any]:
        """Goes through everything; the counts. Raises as `erase`."""
        export = self._exports.blob(export_object(id_))
        if not self._erases and self._after:
            self._found = _loaded(export)
        try:
            self._progress(0.0, "looking which sessions there are")
            sessions = self._sessions()
            left = [key for key in sessions if key > self._after]
            for number, key in enumerate(left):
                done = (len(sessions) - len(left) + number) / max(len(sessions), 1)
                self._session(key, partial(self._progress, done))
                self._after, self._after_object = key, ""
                if number % SAVED_AFTER == SAVED_AFTER - 1:
                    self._save(export)
            for path in self._boards():
                self._document(path)
        except Stopped:
            self._save(export)
            raise
        if not self._erases:
            self._put(export)
        return {"sessions": len(sessions), **dict(sorted(self._counts.items()))} | self._where(id_)

    def _where(self, id_: str) -> dict[str, Any]:
        return {} if self._erases else {"export": id_, "complete": len(self._found) < MOST_FOUND}

    # -- where to look -----------------------------------------------------------------------

    def _sessions(self) -> list[str]:
        """Keys of the kart sessions that are stored or recorded, in order."""
        circuit = self._wanted.circuit
        feed = KART if circuit is UNSET else kart_feed(circuit)
        where: tuple[str, Comparison, str] = ("series", "==", "kart") if circuit is UNSET else ("feedId", "==", feed)
        stored = self._database.query(paths.SESSIONS, where=[where], limit=None, only=("series",))
        found = {path.rpartition("/")[2] for path, _ in stored}
        with _asked("the names of recorded objects"):
            listed = self._raw.list_blobs(prefix=feed if circuit is UNSET else f"{feed}-", delimiter="/")
            for page in listed.pages:
                found |= {prefix.rstrip("/") for prefix in page.prefixes}
        own = re.compile(rf"{re.escape(feed)}{'.*' if circuit is UNSET else '-[0-9]{8}-.*'}")
        return sorted(key for key in found if own.fullmatch(key) and paths.valid_id(key))

    def _boards(self) -> list[str]:
        """Paths of the boards in the app's messages."""
        if self._wanted.circuit is not UNSET:
            return [paths.circuit_live(self._wanted.circuit)]
        circuits = self._database.query(paths.CIRCUITS, limit=None, only=("nom",))
        return [paths.circuit_live(path.rpartition("/")[2]) for path, fields in circuits if "nom" in fields]

    # -- a session ---------------------------------------------------------------------------

    def _session(self, key: str, tell: Callable[[str], None]) -> None:
        """Checkpoint, recorded objects, documents: what would bring the name back goes first."""
        tell(f"looking through {key}")
        self._checkpoint(key)
        self._recorded(key, tell)
        before = self._counts["documents"]
        self._document(paths.session(key))
        for part in _PARTS:
            for path, fields in self._database.query(f"{paths.session(key)}/{part}", limit=None):
                if self._name.without(fields)[1]:
                    self._document(path)
        self._counts["sessionsWithIt"] += self._counts["documents"] > before

    def _checkpoint(self, key: str) -> None:
        path = paths.checkpoint(key)
        state = (self._database.read([path])[path].fields or {}).get("state")
        try:
            known = zlib.decompress(state) if isinstance(state, bytes) else b""
        except zlib.error:
            known = b""
        if not self._name.may_be_in(known):
            return
        self._counts["checkpoints"] += 1
        if not self._erases:
            self._note({"stored": path, "at": "/state", "says": "what a poller goes on from"})
            return
        self._check_free(key)
        self._database.commit([self._database.delete(path)])

    def _check_free(self, key: str) -> None:
        """Raises BadRequest while somebody holds the session: what that one knows would be stored again."""
        feed = re.sub(r"-[0-9]{8}-[0-9]{4}-.*", "", key)
        path = paths.lease(feed)
        stored = self._database.read([path])[path]
        lease = stored.fields or {}
        expires = lease.get("expiresAt")
        held = "holder" in lease and isinstance(expires, datetime) and expires > stored.read_at
        if held and lease.get("sessionKey") == key:
            raise BadRequest(f"{key} is being timed, and the name would come back: stop its timing and ask once more")

    def _recorded(self, key: str, tell: Callable[[str], None]) -> None:
        with _asked(f"the objects of {key}"):
            blobs = [blob for blob in self._raw.list_blobs(prefix=f"{key}/") if blob.name > self._after_object]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for some in (blobs[first : first + AT_ONCE] for first in range(0, len(blobs), AT_ONCE)):
                tell(f"looking through what was recorded of {key}")
                for found in filter(None, pool.map(self._read, some)):
                    self._counts["recordings"] += 1
                    self._counts["mentions"] += found.mentions
                    if self._erases:
                        self._check_free(key)
                        self._replace(found)
                    else:
                        self._note({"recorded": found.blob.name, "mentions": found.mentions})
                self._after_object = some[-1].name

    def _read(self, blob: storage.Blob) -> _Object | None:
        """The object without the name, None if it is not in it. Raises StoreUnavailable."""
        from google.api_core.exceptions import NotFound

        with _asked(blob.name):
            try:
                packed = blob.download_as_bytes(raw_download=True)
            except NotFound:
                return None
        unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            lines = unpacking.decompress(packed, _MOST_UNPACKED)
        except zlib.error:
            return None  # no batch of the recorder
        if not self._name.is_in(_unescaped(lines)):
            return None
        cleaned, mentions = [], 0
        for line in lines.splitlines(keepends=True):
            try:
                value, count = self._name.without(orjson.loads(line))
            except orjson.JSONDecodeError:
                value, count = self._name.without(line.decode("utf-8", "replace"))
                cleaned.append(value.encode() if count else line)
            else:
                cleaned.append(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE) if count else line)
            mentions += count
        return _Object(blob, mentions, gzip.compress(b"".join(cleaned), mtime=0)) if mentions else None

    def _replace(self, found: _Object) -> None:
        with _asked(found.blob.name):
            found.blob.upload_from_string(
                found.cleaned, content_type="application/gzip", if_generation_match=found.blob.generation
            )

    # -- a document --------------------------------------------------------------------------

    def _document(self, path: str) -> None:
        """Takes the name out of a document, or notes where it is. Raises BadRequest, Unavailable."""
        for _ in range(ATTEMPTS):
            stored = self._database.read([path])[path]
            if stored.fields is None:
                return
            cleaned, mentions = self._name.without(stored.fields)
            if not mentions:
                return
            if self._erases:
                if path.startswith(f"{paths.SESSIONS}/"):
                    self._check_free(path.split("/")[1])
                try:
                    self._database.commit([self._without(path, cleaned, stored)])
                except Conflict:
                    continue
            else:
                for place in self._name.places(stored.fields):
                    self._note({"stored": path, **place})
            self._counts["documents"] += 1
            self._counts["mentions"] += mentions
            return
        raise Unavailable(f"{path} was changed by others {ATTEMPTS} times in a row")

    def _without(self, path: str, cleaned: dict[str, Any], stored: Stored) -> Any:
        try:
            from_fields(path, cleaned)
        except InvalidDocument:
            raise BadRequest(f"without that word {path} would be none any more: it is no name") from None
        return self._database.write(path, {**cleaned, "writtenAt": stored.read_at}, stored.updated)

    # -- how far it is -----------------------------------------------------------------------

    def _note(self, place: dict[str, Any]) -> None:
        if len(self._found) < MOST_FOUND:
            self._found.append(place)

    def _save(self, export: storage.Blob) -> None:
        """So that the next turn goes on here; a request that was taken back meanwhile stays so."""
        if not self._erases:
            self._put(export)
        wanted = msgspec.structs.replace(
            self._wanted, after=self._after, after_object=self._after_object, counts=dict(self._counts)
        )
        stored = self._database.read([self._path])[self._path]
        if stored.fields is not None:
            self._database.commit([self._database.write(self._path, to_fields(wanted), stored.updated)])

    def _put(self, export: storage.Blob) -> None:
        content = gzip.compress(orjson.dumps({"places": self._found}), mtime=0)
        with _asked(export.name):
            export.upload_from_string(content, content_type="application/gzip")


def _loaded(export: storage.Blob) -> list[dict[str, Any]]:
    from google.api_core.exceptions import NotFound

    with _asked(export.name):
        try:
            places: list[dict[str, Any]] = orjson.loads(gzip.decompress(export.download_as_bytes(raw_download=True)))[
                "places"
            ]
        except NotFound:
            return []
    return places


def _unescaped(lines: bytes) -> str:
    """Lines of JSON as text in which a name can be looked for: quotes within texts without their backslashes."""
    return lines.decode("utf-8", "replace").replace("\\", "")


@contextmanager
def _asked(what: str) -> Iterator[None]:
    """Says of any failure of Cloud Storage's client what was asked for."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, OSError) as error:
        raise StoreUnavailable(f"{what}: {type(error).__name__}: {error}"[:500]) from error
