"""The tower on a terminal: redrawn in place a few times a second."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live

from local.tower.model import TowerModel
from local.tower.table import render

FRAMES_PER_S = 4


class LiveTower:
    """Shows the tower from `start` to `stop`, or as a context manager; the last one drawn stays on the screen.

    speed: feed time per wall-clock time, for the clock. console: where to; the terminal if not told.
    """

    def __init__(self, speed: float = 1.0, console: Console | None = None) -> None:
        self.model = TowerModel(speed)
        self._console = console or Console()
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=FRAMES_PER_S,
            vertical_overflow="crop",
        )

    def on_change(self, path: str, fields: dict[str, Any]) -> None:
        """For a listener (`local.tower.listening`): takes note of a document."""
        self.model.on_change(path, fields)

    def start(self) -> None:
        self._live.start(refresh=True)

    def stop(self) -> None:
        """Does nothing where it has not been started, or a second time."""
        self._live.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _draw(self) -> RenderableType:
        # One line less than there is, or the terminal scrolls with every frame.
        return render(self.model, self.model.wall_ms(), self._console.width, self._console.height - 1)
