"""`python -m local.hub`: plays recordings as F1's live feed until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from local.hub import FaultPlan, Hub, Playing
from local.hub.hub import HubError
from local.hub.playing import Programme
from local.hub.standing import stand
from pitwall.sources.paced import parse_speed
from pitwall.sources.recording import NotARecording


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.hub",
        description="A hub that speaks SignalR Core and plays recordings, one after the other, as F1's live timing "
        "feed. Prints its URL, for PITWALL_F1_URL, and stays up after the last message until Ctrl-C.",
    )
    parser.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING", help="whatever PitWall plays")
    parser.add_argument("--speed", type=parse_speed, default=1.0, help="1 (default), 20, or max")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--redate", action="store_true", help="the first session begins now, by whole minutes")
    parser.add_argument("--token", help="what gated topics take as Bearer token (default: no token is good)")
    parser.add_argument("--faults", type=int, metavar="SEED", help="apply a plan of faults made from this seed")
    parser.add_argument("--wait", action="store_true", help="the feed begins when somebody has subscribed")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """0 after Ctrl-C, 2 for what cannot be played or served."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    playings = [Playing(path) for path in options.recordings]
    plan = None
    try:
        if options.faults is not None:
            duration = max((record.offset for record in Programme(playings, None)), default=0)
            plan = FaultPlan.seeded(options.faults, duration, speed=options.speed, token=options.token is not None)
            print(plan, flush=True)
        hub = Hub(playings, options.speed, redate=options.redate, token=options.token, plan=plan, port=options.port)
        with hub:
            print(hub.url, flush=True)
            stand(hub, lambda: not options.wait or bool(hub.snapshots))
    except (NotARecording, HubError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
