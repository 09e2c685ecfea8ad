"""The frozen web of the tests of history's clients."""

from __future__ import annotations

import pytest

from tests.conftest import SHARED

WEB = SHARED / "web"
needs_web = pytest.mark.skipif(
    not (WEB / "jolpica").is_dir(), reason="stored web answers are not at ../shared/web: nothing to ask"
)


class Sleeps:
    """Takes the place of sleeping: how long it would have been, each time."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def longest(self) -> float:
        return max(self.slept, default=0.0)
