"""`python -m local.karts`: plays a capture of a kart track over real sockets until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import math
import sys
from pathlib import Path

from local.hub.base import HubError
from local.hub.plan import KART_KINDS, FaultPlan
from local.hub.standing import stand
from local.karts import HUBS, protocol_of
from local.karts.programme import KartProgramme
from pitwall.sources.paced import parse_speed
from pitwall.sources.recording import NotARecording


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.karts",
        description="A hub that plays a capture of a kart track as its live timing does. Prints its URL and the "
        "variables a poller needs, and stays up after the last message until Ctrl-C.",
    )
    parser.add_argument("capture", type=Path, metavar="CAPTURE", help="frames of Apex Timing, or lines of RMonitor")
    parser.add_argument(
        "--protocol",
        choices=list(HUBS),
        help="default: the capture's own, apex or rmonitor; lines can also be played as racemonitor",
    )
    parser.add_argument("--speed", type=parse_speed, default=1.0, help="1 (default), 20, or max")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="seconds of the capture to pass over")
    parser.add_argument("--end", type=float, metavar="S", help="second of the capture to stop at")
    parser.add_argument("--faults", type=int, metavar="SEED", help="apply a plan of faults made from this seed")
    parser.add_argument("--wait", action="store_true", help="the feed begins when somebody has connected")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """0 after Ctrl-C, 2 for what cannot be played or served."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    start_ms = round(options.start * 1000)
    end_ms = None if options.end is None else round(options.end * 1000)
    try:
        own = protocol_of(options.capture)
        protocol = options.protocol or own
        if (protocol == "apex") != (own == "apex"):
            raise NotARecording(options.capture, f"it is a capture of {own} and cannot be played as {protocol}")
        plan = None
        if options.faults is not None:
            duration = max((r.offset for r in KartProgramme(options.capture, start_ms, end_ms)), default=0)
            plan = FaultPlan.seeded(options.faults, duration, speed=options.speed, kinds=KART_KINDS)
            print(plan, flush=True)
        hub = HUBS[protocol](
            options.capture, options.speed, start_ms=start_ms, end_ms=end_ms, plan=plan, port=options.port
        )
        with hub:
            print(hub.url, flush=True)
            speed = "max" if options.speed == math.inf else f"{options.speed:g}"
            for name, value in {"PITWALL_SOURCE": hub.source, **hub.env, "PITWALL_SPEED": speed}.items():
                print(f"export {name}={value}", flush=True)
            stand(
                hub,
                lambda: not options.wait or bool(hub.served) or any(attempt.kind == "poll" for attempt in hub.attempts),
            )
    except (NotARecording, HubError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
