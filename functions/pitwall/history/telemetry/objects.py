"""Where computed telemetry is in Cloud Storage, what is said of it, and how it gets there: all of it at once.

    {year}-{round}-{session}/manifest.json              what there is; written last
    {year}-{round}-{session}/{digest}/frames-1.json.gz  every frame as JSON, gzipped; -2 every second, -4 every fourth
    {year}-{round}-{session}/{digest}/viewer-1.pwt      the compact encoding in units for a viewer; -2, -4
    {year}-{round}-{session}/{digest}/exact-1.pwt       the same, exact; -2, -4
    {year}-{round}-{session}/{digest}/laps-44.gz        one car's laps, each gzipped by itself, one after the other

What is under a digest never changes, for the digest is of its bytes: so whoever has read a manifest reads what belongs
to it, whatever is published meanwhile. Loads neither NumPy nor, before it is used, Cloud Storage's client.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from hashlib import blake2b, md5
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Self

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pitwall.documents.base import Fields, Instant, Ms, RacingNumber
from pitwall.documents.live import CarChannels
from pitwall.settings import Settings

if TYPE_CHECKING:
    from google.auth.credentials import Signing
    from google.cloud import storage

ENCODER: Final = 1
"""Goes up with what makes other objects of the same messages; what an older one made is made again."""

SKIPS: Final = (1, 2, 4)
"""Every how many-th frame there is an object of."""

SESSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "R": ("Race",),
    "Q": ("Qualifying",),
    "S": ("Sprint",),
    "SQ": ("Sprint Qualifying", "Sprint Shootout"),
    "FP1": ("Practice 1",),
    "FP2": ("Practice 2",),
    "FP3": ("Practice 3",),
}
"""Sessions of a meeting by what they are called for short, and their names in the calendar."""

_MOST_BYTES: Final = 64 * 1024 * 1024
"""Of a manifest; a tenth of a thousandth is usual."""


class Race(NamedTuple):
    """A session of a meeting. session: a key of `SESSIONS`."""

    year: int
    round: int
    session: str = "R"

    @property
    def id(self) -> str:
        """`2023-4-R`: the folder of its objects, and the end of its job's id."""
        return f"{self.year}-{self.round}-{self.session}"

    def named(self, name: object) -> bool:
        """Whether a session of this name is the one."""
        return name in SESSIONS[self.session]


class LapStored(Struct, array_like=True):
    """A lap, and where its telemetry is among those of its car: from which byte, how many. time_ms: as it was timed."""

    number: int
    first: int
    size: int
    time_ms: int | None = None


class Car(Struct, rename="camel", omit_defaults=True):
    """A car. names: what its driver is called, in small letters (`ver`, `verstappen`, `max_verstappen`)."""

    laps: list[LapStored]
    fastest: int | None = None
    tla: str = ""
    names: list[str] = []


class Manifest(Struct, rename="camel", kw_only=True):
    """What there is of a session.

    digest: of all its objects. final: from an archive that was complete. start_ms, step_ms, frames, lap_length (tenths
    of a metre), race: as `grid.Telemetry` has them. samples: what became of them. sizes: bytes, by object. pieces: of
    the frames by object, the byte at which each begins; the last is the end of the last. piece_frames: of a piece.
    """

    encoder: int = ENCODER
    digest: str = ""
    session: str
    session_name: str = ""
    source: str
    final: bool
    race: bool
    start_ms: int
    step_ms: int
    frames: int
    lap_length: int | None
    cars: dict[RacingNumber, Car]
    samples: dict[str, int]
    sizes: dict[str, int] = {}
    piece_frames: int
    pieces: dict[str, list[int]] = {}

    def car(self, driver: str) -> RacingNumber | None:
        """The car of a racing number, a code or a driver's readable id, in any case."""
        word = driver.lower()
        named = (number for number, car in self.cars.items() if word in car.names)
        return next((number for number in self.cars if number.lower() == word), None) or next(named, None)


def frames_object(skip: int) -> str:
    return f"frames-{skip}.json.gz"


def compact_object(skip: int, *, exact: bool) -> str:
    return f"{'exact' if exact else 'viewer'}-{skip}.pwt"


def laps_object(number: RacingNumber) -> str:
    return f"laps-{number}.gz"


# -- one lap -------------------------------------------------------------------------------


class LapPoint(CarChannels, kw_only=True):
    """A sample of car data or position, or an end of the lap; what came with the other samples is in between."""

    at_ms: Annotated[int, Meta(description="milliseconds since the lap began")]
    distance: Annotated[float, Meta(description="metres since the lap began")]
    x: Annotated[int, Meta(description="tenths of a metre")] | UnsetType = UNSET
    y: Annotated[int, Meta(description="tenths of a metre")] | UnsetType = UNSET
    z: Annotated[int, Meta(description="tenths of a metre")] | UnsetType = UNSET
    on_track: Annotated[int, Meta(description="1, or 0 for off the track")] | UnsetType = UNSET


class LapTelemetry(Fields, kw_only=True):
    """One car's telemetry of one lap."""

    racing_number: RacingNumber
    tla: str | UnsetType = UNSET
    lap: int
    started_at: Instant
    lap_time_ms: Annotated[int, Meta(description="from crossing to crossing, milliseconds")]
    compound: str | UnsetType = UNSET
    tyre_age: Annotated[int, Meta(description="laps on the tyres at the end of this one")] | UnsetType = UNSET
    points: list[LapPoint]


class ComparedLap(Fields, kw_only=True):
    """A lap that is compared."""

    racing_number: RacingNumber
    tla: str | UnsetType = UNSET
    lap: int
    lap_time_ms: Ms


class ComparedPoint(Fields, kw_only=True):
    """Both laps at one distance."""

    distance: Annotated[float, Meta(description="metres since the lap began")]
    delta_ms: Annotated[int, Meta(description="how much later `b` was there than `a`, milliseconds")]
    a_speed_kph: Annotated[int, Meta(description="of `a`, km/h")] | UnsetType = UNSET
    b_speed_kph: Annotated[int, Meta(description="of `b`, km/h")] | UnsetType = UNSET


class Comparison(Fields, kw_only=True):
    """Two laps by distance."""

    a: ComparedLap
    b: ComparedLap
    points: list[ComparedPoint]


# -- the store -----------------------------------------------------------------------------


class StoreUnavailable(OSError):
    """Cloud Storage did not answer, or refused; the text says what of it."""


class Gone(StoreUnavailable):
    """An object of a manifest is not there any more: another manifest has been published twice since."""


class Store:
    """The bucket of telemetry. Safe to use from several threads.

    timeout_s: of one request; persists_s: seconds for which one that fails is tried again.
    """

    def __init__(self, bucket: storage.Bucket, timeout_s: float = 60.0, persists_s: float = 120.0) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY

        self._bucket = bucket
        self._asking: dict[str, Any] = {"timeout": timeout_s, "retry": DEFAULT_RETRY.with_timeout(persists_s)}
        self._signs = False
        self._signer: Signing | None = None

    @classmethod
    def of(cls, settings: Settings, timeout_s: float = 60.0, persists_s: float = 120.0) -> Self:
        """That of the settings; nothing is asked yet. Raises StoreUnavailable where there are no credentials."""
        from google.cloud import storage

        with _asked("the bucket of telemetry"):
            client = storage.Client(project=settings.project)
        return cls(client.bucket(settings.telemetry_bucket), timeout_s, persists_s)

    def manifest(self, race: Race) -> Manifest | None:
        """What there is of a session; None if it was not computed, or by an encoder that this one cannot read.

        Raises StoreUnavailable.
        """
        return self._manifest(race)[0]

    def _manifest(self, race: Race) -> tuple[Manifest | None, int]:
        """Also the generation of the object, 0 for none."""
        from google.cloud.exceptions import NotFound

        blob = self._bucket.blob(f"{race.id}/manifest.json")
        with _asked(f"what there is of {race.id}"):
            try:
                content = blob.download_as_bytes(raw_download=True, **self._asking)
            except NotFound:
                return None, 0
        try:
            manifest = msgspec.json.decode(content, type=Manifest)
        except msgspec.DecodeError:
            return None, int(blob.generation or 0)
        return (manifest if manifest.encoder == ENCODER else None), int(blob.generation or 0)

    def read(self, race: Race, manifest: Manifest, name: str, first: int = 0, size: int | None = None) -> bytes:
        """An object as it is stored, or `size` bytes of it from `first` on. Raises StoreUnavailable, Gone."""
        from google.cloud.exceptions import NotFound

        last = None if size is None else first + size - 1
        with _asked(f"{name} of {race.id}"):
            try:
                content: bytes = self._blob(race, manifest, name).download_as_bytes(
                    start=first or None, end=last, raw_download=True, checksum=None, **self._asking
                )
            except NotFound:
                raise Gone(f"{name} of {race.id} is gone") from None
        return content

    def _blob(self, race: Race, manifest: Manifest, name: str) -> storage.Blob:
        return self._bucket.blob(f"{race.id}/{manifest.digest}/{name}")

    def publish(
        self,
        race: Race,
        manifest: Manifest,
        objects: Mapping[str, bytes],
        progress: Callable[[float, str], None] = lambda *_: None,
    ) -> int:
        """Stores the objects, then the manifest, which then has `digest` and `sizes`; how many objects were written.

        What is there already is left alone, so the same objects once more are none. Killed before its end, all is as
        it was; what lies about is deleted with the next publication, as is what was published before the last.
        Raises StoreUnavailable, also if another has published meanwhile.
        """
        from google.cloud.exceptions import PreconditionFailed

        before, generation = self._manifest(race)
        manifest.digest = digest_of(objects)
        manifest.sizes = {name: len(content) for name, content in objects.items()}
        if before == manifest:
            return 0
        with _asked(f"the objects of {race.id}"):
            listed = {blob.name: blob for blob in self._bucket.list_blobs(prefix=f"{race.id}/", **self._asking)}
        written = 0
        for number, (name, content) in enumerate(objects.items()):
            progress(number / (len(objects) + 1), f"storing {name}, {len(content) // 1024} KiB")
            blob = self._blob(race, manifest, name)
            there = listed.get(blob.name)
            if there is None or there.md5_hash != _md5(content):
                self._write(blob, content)
                written += 1
        progress(len(objects) / (len(objects) + 1), "publishing")
        blob = self._bucket.blob(f"{race.id}/manifest.json")
        with _asked(f"the manifest of {race.id}"):
            try:
                blob.upload_from_string(
                    msgspec.json.encode(manifest),
                    content_type="application/json",
                    if_generation_match=generation,
                    **self._asking,
                )
            except PreconditionFailed:
                raise StoreUnavailable(f"another has published {race.id} meanwhile") from None
        kept = {manifest.digest, before.digest if before is not None else manifest.digest}
        for blob in listed.values():
            if blob.name.count("/") == 2 and blob.name.split("/")[1] not in kept:
                self._delete(blob)
        return written + 1

    def _write(self, blob: storage.Blob, content: bytes) -> None:
        blob.cache_control = "private, max-age=86400"
        content_type = COMPACT_TYPE
        if blob.name.endswith(".json.gz"):
            blob.content_encoding, content_type = "gzip", "application/json"
        elif blob.name.endswith(".gz"):
            content_type = "application/gzip"
        with _asked(blob.name):
            blob.upload_from_string(content, content_type=content_type, **self._asking)

    def _delete(self, blob: storage.Blob) -> None:
        from google.cloud.exceptions import NotFound

        with _asked(blob.name):
            try:
                blob.delete(**self._asking)
            except NotFound:
                return

    # -- signed URLs -----------------------------------------------------------------------

    def signed_url(self, race: Race, manifest: Manifest, name: str, lifetime: timedelta) -> str | None:
        """A URL by which anybody may read an object for a while (V4); None where nothing can sign one.

        A service account's key signs by itself; on Google Cloud the service account signs with IAM's `signBlob`, which
        takes the role Service Account Token Creator on itself. The emulator of Cloud Storage checks no signature, so
        beside it only a key signs. Raises StoreUnavailable.
        """
        signer = self._signing()
        if signer is None:
            return None
        by_iam = {}
        with _asked("the signature of a URL"):
            if not hasattr(signer, "signer"):
                from google.auth.transport.requests import Request

                signer.refresh(Request())
                by_iam = {"service_account_email": signer.service_account_email, "access_token": signer.token}
            url: str = self._blob(race, manifest, name).generate_signed_url(
                lifetime, version="v4", credentials=signer, **by_iam
            )
        return url

    def _signing(self) -> Any:
        if not self._signs:
            self._signer = _credentials()
            self._signs = True
        return self._signer


COMPACT_TYPE: Final = "application/vnd.pitwall.telemetry"


def _credentials() -> Any:
    """What can sign URLs: a service account, with a key or of the machine."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    if os.environ.get("STORAGE_EMULATOR_HOST") and not os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return None
    try:
        found, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    except DefaultCredentialsError:
        return None
    return found if hasattr(found, "service_account_email") else None


def digest_of(objects: Mapping[str, bytes]) -> str:
    """Of the names and bytes of all objects, in hexadecimal."""
    told = blake2b(digest_size=12)
    for name in sorted(objects):
        told.update(f"{name} {len(objects[name])} ".encode())
        told.update(objects[name])
    return told.hexdigest()


def _md5(content: bytes) -> str:
    from base64 import b64encode

    return b64encode(md5(content, usedforsecurity=False).digest()).decode()


@contextmanager
def _asked(what: str) -> Iterator[None]:
    """Says of any failure of Google's client what was asked for."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, OSError) as error:
        if isinstance(error, StoreUnavailable):
            raise
        raise StoreUnavailable(f"{what}: {type(error).__name__}: {error}"[:500]) from error
