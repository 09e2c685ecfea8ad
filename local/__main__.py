"""`python -m local`: PitWall on this machine, with Google's own emulators."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from local import commands
from local.emulators import MissingTool
from local.processes import ProcessFailed
from local.replay import ReplayFailed
from local.tower import __main__ as showing
from pitwall.pipeline.poller import SourceError
from pitwall.settings import SettingsError
from pitwall.sources.paced import parse_speed
from pitwall.sources.recording import NotARecording

USAGE, FAILED, INTERRUPTED = 2, 1, 130


def _speed(text: str) -> float:
    try:
        return parse_speed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _file(text: str) -> Path:
    if not (path := Path(text)).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return path


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m local",
        description=__doc__,
        epilog="exit code: 0 done, 1 something was not delivered or could not be started, 2 wrong words, or a path "
        "that is no recording, 130 interrupted. COMMAND --help lists the options of each.",
    )
    own = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = own.add_parser("run", help="a simulated race through the whole pipeline, shown as a timing tower")
    run.add_argument("--recording", type=Path, help="play this instead of a simulated race")
    run.add_argument("--speed", type=_speed, default=10.0, help="times real time, or max (default 10)")
    run.add_argument("--export", type=Path, metavar="DIR", help="write documents.jsonl into this folder")
    run.add_argument("--seed", type=int, default=1, help="of the simulated race (default 1)")
    run.set_defaults(call=commands.run)

    replay = own.add_parser("replay", help="plays a recording to its end and reports what happened")
    replay.add_argument("path", type=Path, metavar="PATH", help="a recording: file or folder, gzipped or not")
    replay.add_argument("--speed", type=_speed, default=parse_speed("max"), help="times real time, or max (default)")
    replay.add_argument("--chaos", type=int, metavar="SEED", help="double, delay and fail deliveries, kill the poller")
    replay.add_argument("--export", type=Path, metavar="DIR", help="write documents.jsonl into this folder")
    replay.add_argument("--report", type=Path, metavar="FILE", help="write the report, one JSON object, to this file")
    replay.set_defaults(call=commands.replay)

    compare = own.add_parser("compare", help="compares two exports, but for v, writtenAt and live/feed")
    compare.add_argument("one", type=_file, metavar="DOCUMENTS.JSONL")
    compare.add_argument("other", type=_file, metavar="DOCUMENTS.JSONL")
    compare.set_defaults(call=commands.compare)

    tower = own.add_parser("tower", help="the timing tower of a stack that is up", description=showing.DESCRIPTION)
    showing.add_options(tower)
    tower.set_defaults(call=showing.show)

    up = own.add_parser("up", help="the stack without a replay, to work against")
    up.add_argument(
        "--api-port", type=_port, metavar="PORT", default=8080, help="port of the HTTP API (default 8080, 0 for any)"
    )
    up.add_argument(
        "--firestore-port", type=_port, metavar="PORT", default=8081, help="port of Firestore (default 8081, 0 for any)"
    )
    up.add_argument(
        "--auth-port",
        type=_port,
        metavar="PORT",
        help="port of Firebase Authentication (0 for any), which needs Node; without this there are no accounts",
    )
    reads = up.add_mutually_exclusive_group()
    reads.add_argument("--source", default="", help="what the poller reads, as in PITWALL_SOURCE")
    reads.add_argument(
        "--hub", type=Path, metavar="PATH", help="a recording played to it as the live feed, over a socket"
    )
    up.add_argument(
        "--archive",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="recordings, or folders laid out as F1's archive is: what calendar and reconciler read, else nothing",
    )
    up.add_argument("--speed", type=_speed, default=1.0, help="times real time, or max (default 1)")
    up.set_defaults(call=commands.up)
    return top


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    signal.signal(signal.SIGTERM, _terminated)
    options = parser().parse_args(arguments)
    try:
        return int(options.call(options))
    except (NotARecording, SettingsError, SourceError) as error:
        print(f"python -m local: {error}", file=sys.stderr)
        return USAGE
    except (MissingTool, ProcessFailed, ReplayFailed) as error:
        print(f"python -m local: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
