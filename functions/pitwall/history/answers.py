"""Asks a server for JSON: politely, again after what passes, and not again for what it answered a while ago.

Whose answers they are and what they mean is `jolpica`'s and `circuit_maps`' business. With a cache folder an answer is
kept beside its `ETag` and `Last-Modified`: it is not asked for until it is too old, then asked for by these. Only what
was whole and as expected is kept.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import Struct
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from pitwall.sources.archive.fetch import LONGEST_ASKED_S, retry_after

if TYPE_CHECKING:
    import httpx

USER_AGENT: Final = "PitWall (motorsport live timing; keeps what it was answered)"
ATTEMPTS: Final = 6
_HOUR_S: Final = 3600.0
_PASSING: Final = frozenset({408, 425, 429})
_MISSING: Final = frozenset({404, 410})
_SHOWN: Final = 60
"""Characters of an answer that is no JSON that the error shows."""

_T = TypeVar("_T")


class SourceError(OSError):
    """A server could not be asked, or its answer not used; the text says which address and why. Nothing was kept."""


class NotThere(SourceError):
    """The server has no such thing."""


class BadAnswer(SourceError):
    """What came is no JSON, or says something else than is expected; the text says where in it."""


class Throttled(SourceError):
    """So many requests are not allowed. after_s: seconds to wait before the next one, 0 if nobody said."""

    def __init__(self, text: str, after_s: float) -> None:
        super().__init__(text)
        self.after_s = after_s


class _Again(Exception):
    """What may be different the next time. after_s: the server's wish, 0 if none. ends: the error if it stays so."""

    def __init__(self, why: str, *, after_s: float = 0.0, ends: type[SourceError] = SourceError) -> None:
        super().__init__(why)
        self.after_s = after_s
        self.ends = ends


class _Kept(Struct):
    """An answer in the cache. asked_at: epoch seconds of when the server last said that this is it."""

    url: str
    asked_at: float
    etag: str
    modified: str
    body: bytes


class Answers:
    """A client of one server. `close` it when done; not for several threads.

    requests: how many have been made. sleep, monotonic, now: for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        per_second: float,
        per_hour: int,
        cache: Path | None = None,
        timeout_s: float = 30.0,
        longest_wait_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """per_second, per_hour: requests that are made at most. cache: folder of answers; None: nothing is kept.

        longest_wait_s: seconds between two attempts, unless the server asks for more.
        """
        self.requests = 0
        self._pause_s = 1.0 / per_second
        self._made: deque[float] = deque(maxlen=per_hour)
        self._backoff = wait_exponential_jitter(initial=1.0, max=longest_wait_s, jitter=1.0)
        self._cache = cache
        self._sleep, self._monotonic, self.now = sleep, monotonic, now
        import httpx  # brings much with it: only what fetches is to wait for that

        self._client = httpx.Client(
            base_url=f"{base_url.rstrip('/')}/",
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            timeout=httpx.Timeout(timeout_s),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            follow_redirects=True,
        )

    def close(self) -> None:
        self._client.close()

    def ask(
        self,
        path: str,
        type_: type[_T],
        *,
        params: Mapping[str, int] | None = None,
        fresh_s: float,
        absent: bytes = b"",
    ) -> _T:
        """What the server says at a path.

        type_: what is expected; numbers may come as text. fresh_s: age in seconds up to which a kept answer will do.
        absent: the body that says that there is no such thing, whatever its status. Raises NotThere, BadAnswer,
        Throttled, SourceError.
        """
        request = self._client.build_request("GET", path, params=dict(params or {}))
        url = str(request.url)
        kept = self._read(url)
        if kept is not None:
            try:
                value = _decoded(kept.body, type_)
            except msgspec.DecodeError:
                kept = None  # kept by another version of this, which expected something else
            else:
                if 0 <= self.now() - kept.asked_at < fresh_s:
                    return value
                request.headers.update(_conditions(kept))

        def attempt() -> tuple[_T, _Kept]:
            response = self._send(request, url)
            if response.status_code == 304 and kept is not None:
                return value, msgspec.structs.replace(kept, asked_at=self.now())
            if absent and response.content.strip() == absent:
                raise NotThere(f"{url}: the server says: {absent.decode()}")
            return _expected(response, url, type_), _Kept(
                url,
                self.now(),
                response.headers.get("ETag", ""),
                response.headers.get("Last-Modified", ""),
                response.content,
            )

        answered, to_keep = self._insisting(url, attempt)
        self._write(to_keep)
        return answered

    # -- asking ------------------------------------------------------------------------------

    def _send(self, request: httpx.Request, url: str) -> httpx.Response:
        """One request. Raises _Again, NotThere, Throttled, SourceError."""
        import httpx

        self._wait(url)
        self.requests += 1
        try:
            response = self._client.send(request)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _Again(str(error) or type(error).__name__) from error
        except httpx.HTTPError as error:
            raise SourceError(f"{url}: {error}") from error
        status = response.status_code
        if status in _MISSING:
            raise NotThere(f"{url}: the server answers {status}")
        if status in _PASSING or status >= 500:
            raise _Again(
                f"the server answers {status}",
                after_s=retry_after(response),
                ends=Throttled if status == 429 else SourceError,
            )
        if status not in (200, 304):
            raise SourceError(f"{url}: the server answers {status}")
        return response

    def _wait(self, url: str) -> None:
        """Waits until a request may be made. Raises Throttled if that is too long."""
        now = self._monotonic()
        wait_s = self._made[-1] + self._pause_s - now if self._made else 0.0
        if len(self._made) == self._made.maxlen:
            wait_s = max(wait_s, self._made[0] + _HOUR_S - now)
        if wait_s > LONGEST_ASKED_S:
            raise Throttled(f"{url}: {self._made.maxlen} requests an hour are made; wait {wait_s:.0f} s", wait_s)
        if wait_s > 0:
            self._sleep(wait_s)
        self._made.append(self._monotonic())

    def _insisting(self, url: str, attempt: Callable[[], _T]) -> _T:
        def stop(state: RetryCallState) -> bool:
            return state.attempt_number >= ATTEMPTS or _asked_s(state) > LONGEST_ASKED_S

        def wait(state: RetryCallState) -> float:
            return max(self._backoff(state), _asked_s(state))

        retrying = Retrying(
            retry=retry_if_exception_type(_Again), stop=stop, wait=wait, sleep=self._sleep, reraise=True
        )
        try:
            return retrying(attempt)
        except _Again as error:
            asked = f", and asks for {error.after_s:.0f} s of patience" if error.after_s else ""
            text = f"{url}: {error}{asked}"
            raise (Throttled(text, error.after_s) if error.ends is Throttled else error.ends(text)) from error

    # -- the cache ---------------------------------------------------------------------------

    def _file(self, url: str) -> Path | None:
        return self._cache and self._cache / f"{hashlib.sha256(url.encode()).hexdigest()[:40]}.answer"

    def _read(self, url: str) -> _Kept | None:
        file = self._file(url)
        try:
            kept = None if file is None else msgspec.msgpack.decode(file.read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return None
        return kept if kept is not None and kept.url == url else None

    def _write(self, kept: _Kept) -> None:
        file = self._file(kept.url)
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as new:
            new.write(msgspec.msgpack.encode(kept))
        os.replace(new.name, file)


def _expected(response: httpx.Response, url: str, type_: type[_T]) -> _T:
    """What an answer says. Raises _Again if it is no JSON: a server's page for people passes; BadAnswer."""
    try:
        return _decoded(response.content, type_)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"{url}: {error}") from error
    except msgspec.DecodeError as error:
        start = response.content[:_SHOWN].decode(errors="replace")
        what = "HTML" if start.lstrip().startswith("<") else f"what is no JSON ({error})"
        raise _Again(f"the server answers {what}: {start!r}", ends=BadAnswer) from error


def _decoded(content: bytes, type_: type[_T]) -> _T:
    """Raises msgspec.DecodeError."""
    try:
        return msgspec.json.decode(content, type=type_, strict=False)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from error


def _conditions(kept: _Kept) -> dict[str, str]:
    tag = {"If-None-Match": kept.etag} if kept.etag else {}
    return tag | ({"If-Modified-Since": kept.modified} if kept.modified else {})


def _asked_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    return error.after_s if isinstance(error, _Again) else 0.0
