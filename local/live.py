"""A recording played to the pollers of a stack as a live feed, F1's or a kart track's, by a hub over a real socket.

So what runs is what is deployed, from the socket on. When all of it has arrived is `local.replay`'s business.
"""

from __future__ import annotations

import time
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import Self

from local.functions import FunctionServer
from local.hub import FaultPlan, Hub, Playing
from local.hub.plan import KART_KINDS, KINDS
from local.karts import HUBS, ApexHub, RaceMonitorHub, RMonitorHub, protocol_of
from local.processes import ProcessFailed
from local.scheduler import Scheduler
from local.stack import POLLERS, Stack
from pitwall.settings import Settings
from pitwall.sources.recording import F1, open_recording

CONNECT_S = 60.0
"""For how long a poller is waited for."""

QUIET_S = 3.0
"""After how long without timing a finalised session is over, where the feed goes so fast that minutes at the track
(the setting's default) are less."""

LEAVE_S = 5.0
"""For how long the pollers go on once all has been played, if the session is not over by then."""

SILENCE_S, STEP_S, ROOM_S = 4.0, 1.0, 2.0
"""What a poller waits where faults are planned, and the time they leave it: short, as the feed goes fast."""

_LOOK_S = 0.05


class LiveFeed:
    """The hub of one recording. A context manager, to be entered before the stack, which needs `env`.

    speed: finite, for a live feed has a clock. faults: seed of a plan of all that goes wrong; none without one.
    """

    def __init__(self, path: Path, speed: float, faults: int | None = None) -> None:
        self._token = token_urlsafe(24)
        self._of_karts = open_recording(path).feed != F1
        self.plan = FaultPlan([])
        if faults is not None:
            self.plan = FaultPlan.seeded(
                faults,
                _length_ms(path),
                speed=speed,
                silence_s=SILENCE_S,
                connect_s=STEP_S,
                room_s=ROOM_S,
                token=not self._of_karts,
                kinds=KART_KINDS if self._of_karts else KINDS,
            )
        self._hub: Hub | ApexHub | RMonitorHub | RaceMonitorHub
        if self._of_karts:
            self._hub = HUBS[protocol_of(path)](path, speed, plan=self.plan)
        else:
            self._hub = Hub([Playing(path)], speed=speed, token=self._token, plan=self.plan)
        self._speed = speed
        self._leave_at: float | None = None
        self._left = False

    def __enter__(self) -> Self:
        self._hub.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        return self._hub.url

    @property
    def source(self) -> str:
        """What the poller is to read, as in PITWALL_SOURCE."""
        return F1 if isinstance(self._hub, Hub) else self._hub.source

    @property
    def env(self) -> dict[str, str]:
        """What the poller needs to find it and to be given every topic; no calendar knows when it plays."""
        patience = {"PITWALL_SILENCE_S": SILENCE_S, "PITWALL_CONNECT_S": STEP_S, "PITWALL_BACKOFF_S": STEP_S}
        if self._of_karts:
            patience["PITWALL_KART_STALE_S"] = SILENCE_S
        quiet_s = max(Settings().quiet_s, QUIET_S * self._speed)  # by the feed's clock
        impatient = {name: f"{value:g}" for name, value in patience.items()} if len(self.plan) else {}
        if not isinstance(self._hub, Hub):
            return {**impatient, **self._hub.env, "PITWALL_QUIET_S": f"{quiet_s:g}"}
        return {
            **impatient,
            "PITWALL_F1_URL": self.url,
            "PITWALL_F1_TOKEN": self._token,
            "PITWALL_SCHEDULE": "off",
            "PITWALL_QUIET_S": f"{quiet_s:g}",
        }

    def play(self) -> None:
        """Begins, once both pollers have subscribed: the one that holds the feed may be the second.

        Raises ProcessFailed if they never do.
        """
        deadline = time.monotonic() + CONNECT_S
        while len(self._hub.snapshots) < len(POLLERS):
            if time.monotonic() > deadline:
                raise ProcessFailed(
                    f"not every poller has subscribed at the hub within {CONNECT_S:g} s: {self._hub.attempts}"
                )
            time.sleep(_LOOK_S)
        self._hub.start()

    def over(self, stack: Stack, ticks: Scheduler, session_over: bool) -> bool:
        """Whether all has been played and the pollers have gone. To be asked now and then.

        session_over: whether the poller has said so. The calendar would have it leave then; here the pollers are sent
        home as Cloud Run does: they publish what is pending, checkpoint and let go.
        """
        if self._left or not self._hub.ended:
            return self._left
        now = time.monotonic()
        self._leave_at = self._leave_at or now + LEAVE_S
        if session_over or now > self._leave_at:
            ticks.stop()
            FunctionServer.end(stack.pollers.values())
            self._left = True
        return self._left


def _length_ms(path: Path) -> int:
    """From a recording's first message to its last."""
    instants = [message.at for message in open_recording(path).messages() if message.at]
    return max(instants) - instants[0]
