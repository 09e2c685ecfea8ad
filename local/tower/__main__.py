"""`python -m local.tower`: the timing tower of a stack that is up, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from contextlib import AbstractContextManager as ContextManager

from google.cloud import firestore

from local.tower import LiveTower, PlainTower, listening, listening_to_feed
from local.tower.listening import OnChange
from pitwall.documents.paths import SESSIONS
from pitwall.settings import LOCAL_PROJECT

CURRENT = "current"
_LOOK_S = 1.0


def latest_feed(client: firestore.Client) -> str | None:
    """Id of the feed whose session changed last in feed time; None in an empty database."""
    newest = client.collection(SESSIONS).order_by("at", direction=firestore.Query.DESCENDING).limit(1)
    return next((str(document.get("feedId")) for document in newest.stream()), None)


def _wait_for_feed(client: firestore.Client) -> str:
    feed = latest_feed(client)
    if feed is None:
        print("waiting for a session ...", file=sys.stderr, flush=True)
    while feed is None:
        time.sleep(_LOOK_S)
        feed = latest_feed(client)
    return feed


DESCRIPTION = (
    "Shows the timing tower of a stack that is up (`python -m local up`, `make run`), until Ctrl-C. "
    "Off a terminal: one line a lap, in practice and qualifying one every 30 s of feed time."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--session",
        default=CURRENT,
        metavar="KEY",
        help="session key; `current` (default): the latest, and those that follow it on its feed",
    )
    parser.add_argument("--project", default=LOCAL_PROJECT, help="project in the emulator (default %(default)s)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="speed the stack plays at, for the clock (default %(default)s)"
    )


def _listening(options: argparse.Namespace, client: firestore.Client, on_change: OnChange) -> ContextManager[None]:
    if options.session == CURRENT:
        return listening_to_feed(options.project, _wait_for_feed(client), on_change)
    return listening(options.project, options.session, on_change)


def show(options: argparse.Namespace) -> int:
    """0 after Ctrl-C, 2 where no emulator is told."""
    if not os.environ.get("FIRESTORE_EMULATOR_HOST"):
        print(
            "FIRESTORE_EMULATOR_HOST is not set: start a stack with `python -m local up` and "
            "export the variables it prints.",
            file=sys.stderr,
        )
        return 2
    tower = LiveTower(options.speed) if sys.stdout.isatty() else PlainTower()
    try:
        client = firestore.Client(project=options.project)
        with tower, _listening(options, client, tower.on_change):
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    return 0


def main(argv: list[str] | None = None) -> int:
    """As `show`."""
    parser = argparse.ArgumentParser(prog="python -m local.tower", description=DESCRIPTION)
    add_options(parser)
    return show(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
