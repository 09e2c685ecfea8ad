"""`python -m pitwall.collect`: the poller outside Google Cloud, for feeds that refuse Google's addresses.

The same invocations as in the cloud (`pipeline.poller`), one after the other in a process of its own, of one feed, of
several, or of the kart tracks that are on (`pipeline.karts`); they publish to the same topics and stand in the same
lease, so a collector and the cloud's poller, or two collectors, are each other's hot standby. Here is only what Cloud
Scheduler and Cloud Run do there: the next tick, health, the end of the process. docs/collector.md says when one is
needed and what it may do in the project.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import orjson
from flask import Flask, Response
from google.auth.exceptions import GoogleAuthError
from werkzeug.serving import BaseWSGIServer, make_server

from pitwall.pipeline.collector import Collector
from pitwall.pipeline.database import Database
from pitwall.pipeline.karts import Tracks
from pitwall.pipeline.log import log, set_lowest
from pitwall.pipeline.poller import SourceError, check_source
from pitwall.settings import Settings, SettingsError

OK, FAILED, USAGE = 0, 1, 2

INVOCATION_S: Final = 24 * 3600.0
"""Seconds an invocation lives unless PITWALL_INVOCATION_S is set: nobody gives up on it after half an hour here, and
every hand-over that need not be is one in which nothing can go wrong."""

_LOOK_S: Final = 0.05

GLOBAL_ENDPOINT: Final = "pubsub.googleapis.com"


class NotConfigured(Exception):
    """What is needed to collect is missing or makes no sense; the text says what to set."""


class _Structured(logging.Handler):
    """Writes what libraries and sources log as lines like our own."""

    def emit(self, record: logging.LogRecord) -> None:
        severity = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        log(severity, record.getMessage()[:1000], logger=record.name)


Runs = Collector | Tracks
"""What runs until it is stopped."""


def health_app(running: Sequence[Runs]) -> Flask:
    """`/healthz`: 503 if a loop is stuck or its last invocation failed. `/readyz`: 503 unless all do their work."""
    app = Flask("pitwall.collect")

    def collectors() -> list[Collector]:
        return [one for runs in running for one in (runs.collectors if isinstance(runs, Tracks) else [runs])]

    def answer(well: bool) -> Response:
        body = {"status": "ok" if well else "failing", "feeds": [collector.health() for collector in collectors()]}
        headers = {"Cache-Control": "no-store"}
        return Response(orjson.dumps(body), 200 if well else 503, headers, content_type="application/json")

    @app.get("/healthz")
    def healthz() -> Response:
        return answer(not any(collector.stuck or collector.failed for collector in collectors()))

    @app.get("/readyz")
    def readyz() -> Response:
        return answer(all(collector.ready for collector in collectors()))

    return app


def configured_for_karts(env: Mapping[str, str]) -> Settings:
    """The settings that kart tracks have in common. Raises NotConfigured or SettingsError."""
    settings = Settings.from_env(env)
    _check_endpoint(settings.pubsub_endpoint, env)
    return _long_lived(settings, env)


def _long_lived(settings: Settings, env: Mapping[str, str]) -> Settings:
    given = env.get("PITWALL_INVOCATION_S", "").strip()
    return settings if given else replace(settings, invocation_s=INVOCATION_S)


def configured(feeds: Sequence[str], env: Mapping[str, str]) -> list[Settings]:
    """The settings of each feed. feeds: `<feed>` or `<feed>=<source>`; none for the one PITWALL_FEED names.

    Raises NotConfigured, SettingsError or SourceError.
    """
    found: list[Settings] = []
    for wanted in feeds or [""]:
        feed, separate, source = wanted.partition("=")
        if separate and not feed:
            raise NotConfigured(f"{wanted!r} names no feed")
        own = {"PITWALL_FEED": feed} if feed else {}
        if separate:
            own["PITWALL_SOURCE"] = source
        settings = Settings.from_env({**env, **own})
        if not settings.source:
            raise NotConfigured(f"there is nothing to read for the feed {settings.feed!r}: set PITWALL_SOURCE")
        check_source(settings.source)
        if any(settings.feed == other.feed for other in found):
            raise NotConfigured(f"the feed {settings.feed!r} is named twice")
        found.append(_long_lived(settings, env))
    _check_endpoint(found[0].pubsub_endpoint, env)
    return found


def _check_endpoint(endpoint: str, env: Mapping[str, str]) -> None:
    if env.get("PUBSUB_EMULATOR_HOST"):
        return
    if not endpoint or endpoint.partition(":")[0] == GLOBAL_ENDPOINT:
        raise NotConfigured(
            "Pub/Sub keeps messages in order only within one region: set PITWALL_PUBSUB_ENDPOINT to the regional "
            "endpoint that the cloud's poller uses, as europe-west1-pubsub.googleapis.com:443"
        )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m pitwall.collect",
        description="Polls one or several feeds outside Google Cloud and publishes to the same topics.",
        epilog="Configured by the environment as the functions are: see .env.example and docs/collector.md. "
        "Exit codes: 0 stopped, or done with --once; 1 an invocation failed with --once, or the feed could not be "
        "released in time; 2 the configuration is wrong.",
    )
    top.add_argument(
        "--feed",
        action="append",
        default=[],
        metavar="FEED[=SOURCE]",
        help="feed id (default PITWALL_FEED), with a source of its own (default PITWALL_SOURCE); may be repeated",
    )
    top.add_argument(
        "--karts", action="store_true", help="the kart tracks that are on, and no other feed that --feed does not name"
    )
    top.add_argument("--once", action="store_true", help="one invocation of each feed, as one tick in the cloud")
    top.add_argument(
        "--health-port", type=_port, metavar="PORT", help="serve /healthz and /readyz there, 0 for any port"
    )
    top.add_argument("--health-host", default="127.0.0.1", metavar="HOST", help="address for that (default 127.0.0.1)")
    return top


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Collects until SIGTERM or SIGINT; returns the exit code. To be called from the main thread."""
    options = parser().parse_args(arguments)
    try:
        if options.karts and options.once:
            raise NotConfigured("kart tracks are started and stopped meanwhile: --once is for feeds")
        wanted = configured(options.feed, env) if options.feed or not options.karts else []
        common = configured_for_karts(env) if options.karts else wanted[0]
        set_lowest(common.log_level)
        logging.basicConfig(level=logging.WARNING, handlers=[_Structured()])
        # One database each: a log line tells the operations of its own feed.
        collectors = [Collector(settings, Database(settings.project), once=options.once) for settings in wanted]
        running: list[Runs] = [*collectors]
        if options.karts:
            running.append(Tracks(common, Database(common.project)))
        server = _serve(options.health_host, options.health_port, running)
    except (NotConfigured, SettingsError, SourceError) as error:
        return _refuse(str(error))
    except GoogleAuthError as error:
        return _refuse(f"Google Cloud wants to know who this is: {error} (docs/collector.md)")
    except (OSError, SystemExit) as error:  # how werkzeug says that a port is taken
        return _refuse(f"no health at {options.health_host}:{options.health_port}: {error}")
    log(
        "INFO",
        "collecting",
        feeds=[settings.feed for settings in wanted],
        karts=options.karts,
        instance=common.instance,
        health=f"http://{options.health_host}:{server.server_port}/healthz" if server is not None else None,
    )
    stopped = _run(running, grace_s=common.lease_ttl_s)
    if not stopped:
        log("ERROR", "a feed was not released in time, its lease will run out", reason="not-released")
        sys.stdout.flush()
        os._exit(FAILED)  # threads that hang would keep the interpreter from ending
    log("INFO", "stopped", outcomes={collector.settings.feed: collector.outcome for collector in collectors})
    return FAILED if options.once and any(collector.failed for collector in collectors) else OK


def _refuse(why: str) -> int:
    print(f"python -m pitwall.collect: {why}", file=sys.stderr)
    return USAGE


def _serve(host: str, port: int | None, running: Sequence[Runs]) -> BaseWSGIServer | None:
    """Starts to serve the health endpoint, if there is to be one. Raises OSError, SystemExit."""
    if port is None:
        return None
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for every probe
    server = make_server(host, port, health_app(running), threaded=True)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _run(running: Sequence[Runs], *, grace_s: float) -> bool:
    """Runs them until all are done; False if one was not within `grace_s` seconds after a signal."""
    received: list[int] = []
    stopping_since: float | None = None
    # Only noted: what a handler interrupts may hold a lock.
    before = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        threads = [threading.Thread(target=one.run, daemon=True) for one in running]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if received and stopping_since is None:
                stopping_since = time.monotonic()
                log("INFO", "stopping", signal=signal.Signals(received[0]).name)
                for one in running:
                    one.stop()
            if stopping_since is not None and time.monotonic() - stopping_since > grace_s:
                return False
            time.sleep(_LOOK_S)
        return True
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
