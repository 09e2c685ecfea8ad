"""Fetches files of the archive: politely, again after what passes, and from where a download broke off.

One connection, a pause between requests. What is asked for, and what it means, is `archive`'s business.

Beside a file `TimingData.jsonStream` lies a hidden note of which version of it that is; while it is being fetched, it
is `.TimingData.jsonStream.part`. A run that is killed leaves both, and the next one goes on where it was.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import orjson
from msgspec import Struct
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from pitwall.sources.archive.errors import ArchiveError

if TYPE_CHECKING:
    import httpx

USER_AGENT: Final = "PitWall (motorsport live timing; reads the timing archive, at most 2 requests a second)"
LONGEST_ASKED_S: Final = 300.0
"""Seconds of a `Retry-After` that are waited; a server that asks for more is left alone."""

_MISSING: Final = frozenset({403, 404, 410})
_PASSING: Final = frozenset({408, 425, 429})
_PROGRESS_BYTES: Final = 64 * 1024
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")

_T = TypeVar("_T")

Told = Callable[[int, int | None], None]
"""Told how many bytes of a file have come, and how many it has if that is known; as they come over the wire."""


class Missing(Exception):
    """The server has no such file, or does not give it to us; `status` is what it says."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"{path}: {status}")
        self.path = path
        self.status = status


class _Again(Exception):
    """What may be different the next time; `after_s` is the server's own wish, 0 if it has none."""

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = after_s


class _Note(Struct):
    """Which version of a file is there.

    tag: its `ETag` as it came, "" if it had none. etag: the same if a part of the file can be asked for by it, else "".
    modified: its `Last-Modified`, "" if unknown. size: bytes, if known. whole: nothing of it lacks. final: it was
    fetched when nothing of it could change any more, so it need not be asked for again.
    """

    tag: str = ""
    etag: str = ""
    modified: str = ""
    size: int | None = None
    whole: bool = False
    final: bool = False

    @property
    def version(self) -> str:
        """What `If-Range` takes; "" if a download of this cannot be gone on with."""
        return self.etag or self.modified


class Fetcher:
    """A client of one archive. `close` it when done; not for several threads.

    requests: how many have been made. sleep, monotonic: for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        requests_per_s: float = 2.0,
        timeout_s: float = 30.0,
        attempts: int = 6,
        longest_wait_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """attempts: in a row that come to nothing before it is given up. longest_wait_s: between two of them."""
        self.requests = 0
        self._pause_s = 1.0 / requests_per_s
        self._attempts = attempts
        self._backoff = wait_exponential_jitter(initial=1.0, max=longest_wait_s, jitter=1.0)
        self._sleep = sleep
        self._monotonic = monotonic
        self._next_at = 0.0
        import httpx  # brings much with it: only what fetches is to wait for that

        self._client = httpx.Client(
            base_url=base_url,
            headers={"User-Agent": USER_AGENT},
            timeout=httpx.Timeout(timeout_s),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            follow_redirects=True,
        )

    def close(self) -> None:
        self._client.close()

    def json(self, path: str) -> Any:
        """The JSON of a file. Raises Missing, ArchiveError."""

        def attempt() -> bytes:
            with self._get(path, {}) as response:
                return response.read()

        content = self._insisting(path, attempt, lambda: 0)
        try:
            return orjson.loads(content.decode("utf-8-sig"))
        except (UnicodeDecodeError, orjson.JSONDecodeError) as error:
            raise ArchiveError(f"{path} is no JSON: {error}") from error

    def download(self, path: str, to: Path, *, final: bool, told: Told | None = None) -> bool:
        """Brings a file to `to`, unless it is there; True if anything was fetched of it.

        final: nothing of it changes any more. One that was fetched when it could is asked for again, and fetched again
        if it is another. Raises Missing, ArchiveError; what has been fetched until then stays for the next time.
        """
        part, noted = to.with_name(f".{to.name}.part"), to.with_name(f".{to.name}.note")
        note = _read_note(noted)
        if to.exists() and note.whole and note.final:
            return False
        to.parent.mkdir(parents=True, exist_ok=True)
        download = _Download(self, path, to, part, noted, note, final, told)
        return self._insisting(path, download.attempt, download.there)

    @contextmanager
    def _get(self, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """One request. Raises _Again, Missing, ArchiveError."""
        import httpx

        wait_s = self._next_at - self._monotonic()
        if wait_s > 0:
            self._sleep(wait_s)
        self._next_at = self._monotonic() + self._pause_s
        self.requests += 1
        try:
            with self._client.stream("GET", path, headers=headers) as response:
                status = response.status_code
                if status in _MISSING:
                    raise Missing(path, status)
                if status in _PASSING or status >= 500:
                    raise _Again(f"the server answers {status}", retry_after(response))
                if status not in (200, 206, 304, 416):
                    raise ArchiveError(f"{path}: the server answers {status}")
                yield response
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _Again(str(error) or type(error).__name__) from error
        except httpx.HTTPError as error:
            raise ArchiveError(f"{path}: {error}") from error

    def _insisting(self, path: str, attempt: Callable[[], _T], there: Callable[[], int]) -> _T:
        """Tries until it works, or `attempts` in a row came to nothing. there: bytes there are."""
        furthest, stalled = there(), 0

        def count(_: RetryCallState) -> None:
            nonlocal furthest, stalled
            now = there()
            if now >= furthest + _PROGRESS_BYTES:
                furthest, stalled = now, 0
            stalled += 1

        def stop(state: RetryCallState) -> bool:
            return stalled >= self._attempts or _asked_s(state) > LONGEST_ASKED_S

        def wait(state: RetryCallState) -> float:
            counted = RetryCallState(state.retry_object, None, (), {})
            counted.attempt_number = max(1, stalled)
            return max(self._backoff(counted), _asked_s(state))

        retrying = Retrying(
            retry=retry_if_exception_type(_Again), stop=stop, wait=wait, sleep=self._sleep, after=count, reraise=True
        )
        try:
            return retrying(attempt)
        except _Again as error:
            asked = f", and asks for {error.after_s:.0f} s of patience" if error.after_s > LONGEST_ASKED_S else ""
            raise ArchiveError(f"{path} cannot be fetched: {error}{asked}") from error


class _Download:
    """One file on its way."""

    def __init__(
        self,
        fetcher: Fetcher,
        path: str,
        to: Path,
        part: Path,
        noted: Path,
        note: _Note,
        final: bool,
        told: Told | None,
    ) -> None:
        self._fetcher, self._path = fetcher, path
        self._to, self._part, self._noted, self._note = to, part, noted, note
        self._final, self._told = final, told
        self._whole = to.exists() and note.whole
        # Compressed to begin with; what breaks off is gone on with uncompressed, whose bytes can be counted.
        self._plainly = False

    def there(self) -> int:
        """Bytes of it that a request can go on after."""
        return self._part.stat().st_size if self._part.exists() and not self._note.whole and self._note.version else 0

    def attempt(self) -> bool:
        have = self.there()
        headers = {}
        if have:
            headers = {"Range": f"bytes={have}-", "If-Range": self._note.version, "Accept-Encoding": "identity"}
        elif self._plainly:
            headers = {"Accept-Encoding": "identity"}
        if self._whole:
            headers |= {"If-None-Match": self._note.tag} if self._note.tag else {}
            headers |= {"If-Modified-Since": self._note.modified} if self._note.modified else {}
        self._plainly = True
        with self._fetcher._get(self._path, headers) as response:
            if response.status_code == 304 and self._whole:
                self._note.final = self._final
                _write_note(self._noted, self._note)
                return False
            if response.status_code == 416 and have:
                return self._at_the_end(response, have)
            if response.status_code == 206 and have:
                self._go_on(response, have)
            elif response.status_code == 200:
                self._begin(response)
            else:
                raise ArchiveError(f"{self._path}: the server answers {response.status_code}")
        return self._done()

    def _begin(self, response: httpx.Response) -> None:
        """The whole file from its beginning: no part was asked for, it is another now, or the server gives no parts."""
        self._whole = False
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        tag = response.headers.get("ETag", "")
        length = response.headers.get("Content-Length", "")
        self._note = _Note(
            # Of a compressed body the tag may be that of the compressed bytes, and a weak one is of no use for parts.
            etag="" if encoded or tag.startswith("W/") else tag,
            modified=response.headers.get("Last-Modified", ""),
            tag=tag,
            size=int(length) if length.isdecimal() and not encoded else None,
        )
        self._part.unlink(missing_ok=True)
        _write_note(self._noted, self._note)
        self._take(response, "wb", 0)

    def _go_on(self, response: httpx.Response, have: int) -> None:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        fits = match is not None and match[1] is not None and int(match[1]) == have
        tag = response.headers.get("ETag", "")
        changed = self._note.etag and tag and tag != self._note.etag
        if match is None or not fits or changed or response.headers.get("Content-Encoding", "identity") != "identity":
            self._forget("the server gives another part than was asked for")
        else:
            self._note.size = int(match[2]) if match[2] != "*" else None
            self._take(response, "ab", have)

    def _take(self, response: httpx.Response, mode: str, have: int) -> None:
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        with self._part.open(mode) as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                if self._told is not None:
                    self._told(have + response.num_bytes_downloaded, total)

    def _at_the_end(self, response: httpx.Response, have: int) -> bool:
        """Everything was there but the end of the run that fetched it; or the file is another."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or match[2] != str(have):
            self._forget("the server has less of it than it had")
        return self._done()

    def _done(self) -> bool:
        size = self._part.stat().st_size
        if self._note.size is not None and size < self._note.size:
            raise _Again(f"{size} of {self._note.size} bytes came")
        if self._note.size is not None and size > self._note.size:
            self._forget("more came than there is")
        self._note.whole, self._note.final, self._note.size = True, self._final, size
        self._part.replace(self._to)
        _write_note(self._noted, self._note)
        return True

    def _forget(self, why: str) -> None:
        self._part.unlink(missing_ok=True)
        raise _Again(why)


def _read_note(path: Path) -> _Note:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Note)
    except (OSError, msgspec.DecodeError):
        return _Note()


def _write_note(path: Path, note: _Note) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(msgspec.json.encode(note))
    new.replace(path)


def retry_after(response: httpx.Response) -> float:
    """Seconds the server asks to wait, 0 if it does not: a number or a date, which is counted from the server's own."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        until, now = parsedate_to_datetime(asked), parsedate_to_datetime(response.headers["Date"])
        return max(0.0, (until - now).total_seconds())
    except (KeyError, TypeError, ValueError):
        return 0.0


def _asked_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    return error.after_s if isinstance(error, _Again) else 0.0
