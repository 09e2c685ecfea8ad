"""The subscriber that `bench.push` measures with: notes when a message arrived, and does nothing else."""

from __future__ import annotations

import base64
import os
import threading
import time

from flask import Request, Response

_lock = threading.Lock()


def subscriber(request: Request) -> Response:
    """Adds a line to the file ARRIVALS names: number of the message, when it was published, when it arrived."""
    arrived = time.time()
    number, published = base64.b64decode(request.get_json()["message"]["data"]).split(b" ")[:2]
    with _lock, open(os.environ["ARRIVALS"], "a") as arrivals:
        arrivals.write(f"{int(number)} {float(published)} {arrived}\n")
    return Response(status=204)
