"""What is the matter with a connection, in plain words: for `live/feed`, the log and a gap's reason.

No text here may hold a token, a password or what leads to one: errors are worded anew and not passed on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from pitwall.message import FeedState


class Trouble(Exception):
    """A connection came to nothing or to its end.

    detail: why, in plain words.
    status: what the server answered in HTTP, 0 if that was not it.
    asked_s: seconds the server asked to wait, None if it did not.
    state: what the feed's state is called, None where it is just being connected again.
    """

    def __init__(
        self, detail: str, *, status: int = 0, asked_s: float | None = None, state: FeedState | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.asked_s = asked_s
        self.state = state


def retry_after_s(text: str | None) -> float | None:
    """Seconds of a `Retry-After` header, a count or a date; None for none that can be read."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError, TypeError):
        return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came of, innermost last."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
