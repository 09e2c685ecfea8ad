"""A hub that stands until Ctrl-C: what the command lines of hubs do with it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from local.hub.base import BaseHub

_LOOK_S = 0.1
_SAY_S = 60.0


def stand(hub: BaseHub[Any], heard: Callable[[], bool]) -> None:
    """Plays the feed once it is `heard`, and stays; what nobody was sent is counted at its end. Until Ctrl-C."""
    while not heard():
        time.sleep(_LOOK_S)
    hub.start()
    while not hub.ended:
        try:
            hub.wait_until_ended(_SAY_S)
        except TimeoutError:
            logging.info("feed time %d s, %d connections", hub.position_ms // 1000, hub.connections)
    logging.info("the feed has ended; %d of its messages were missed by all", len(hub.missed()))
    threading.Event().wait()
