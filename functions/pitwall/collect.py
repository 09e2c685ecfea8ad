"""`python -m pitwall.collect`: the poller outside Google Cloud, for feeds that refuse Google's addresses.

The same invocations as in the cloud (`pipeline.poller`), one after the other in a process of its own, of one feed or
of several; they publish to the same topics and stand in the same lease, so a collector and the cloud's poller, or two
collectors, are each other's hot standby. Here is only what Cloud Scheduler and Cloud Run do there: the next tick,
health, the end of the process. docs/collector.md says when one is needed and what it may do in the project.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import orjson
from flask import Flask, Response
from google.auth.exceptions import GoogleAuthError
from werkzeug.serving import BaseWSGIServer, make_server

from pitwall.documents.encoding import instant, rfc3339
from pitwall.message import FeedStatus, Message
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.log import log, set_lowest
from pitwall.pipeline.poller import Poller, SourceError, check_source, open_source
from pitwall.pipeline.reader import Opened
from pitwall.settings import Settings, SettingsError

OK, FAILED, USAGE = 0, 1, 2

TICK_S: Final = 60.0
"""Seconds between two invocations that find nothing to do, as Cloud Scheduler's minute."""

INVOCATION_S: Final = 24 * 3600.0
"""Seconds an invocation lives unless PITWALL_INVOCATION_S is set: nobody gives up on it after half an hour here, and
every hand-over that need not be is one in which nothing can go wrong."""

AGAIN_S: Final = 1.0
"""Seconds after an invocation that left the feed to somebody: the next one stands by at once."""

STUCK_S: Final = 60.0
"""Seconds without a sign of life after which a loop counts as stuck: longer than Firestore is waited for."""

_LOOK_S: Final = 0.05

GLOBAL_ENDPOINT: Final = "pubsub.googleapis.com"

_AT_ONCE = frozenset({"handed-over", "stood-by", "lost"})
"""Outcomes after which somebody else holds the feed, or nobody."""

State = Literal["starting", "polling", "waiting", "stopped"]


class NotConfigured(Exception):
    """What is needed to collect is missing or makes no sense; the text says what to set."""


class _Observed:
    """A source, and a note of all it yields."""

    def __init__(self, source: Any, note: Callable[[Message | FeedStatus], None]) -> None:
        self._source = source
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        for item in self._source.messages(cursor):
            self._note(item)
            yield item


class _Structured(logging.Handler):
    """Writes what libraries and sources log as lines like our own."""

    def emit(self, record: logging.LogRecord) -> None:
        severity = "ERROR" if record.levelno >= logging.ERROR else "WARNING"
        log(severity, record.getMessage()[:1000], logger=record.name)


class Collector:
    """One feed, polled until stopped. `run` it in a thread of its own; the rest may be called from any.

    tick_s: seconds between two invocations that find nothing to do. once: one invocation, and no more.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        once: bool = False,
        tick_s: float = TICK_S,
        open_source: Callable[[Settings], Opened] = open_source,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.outcome = ""
        """What the last invocation did, as `poller.Summary` has it; "failed" too if it could not even begin."""
        self._database = database
        self._once = once
        self._tick_s = tick_s
        self._open_source = open_source
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._poller: Poller | None = None
        self._state: State = "starting"
        self._rewindable = False
        self._alive_at = monotonic()
        self._failures = 0
        self._error = ""
        self._last: Message | None = None
        self._last_seen_ms = 0
        self._status: FeedStatus | None = None

    def run(self) -> None:
        """Invocation after invocation, until stopped; only one if that is wanted. Raises nothing."""
        first = self._monotonic()
        while not self._stopping.is_set():
            self._poll()
            if self._once:
                break
            self._state = "waiting"
            self._stopping.wait(self._pause(first))
        self._state = "stopped"

    def stop(self) -> None:
        """Has `run` return soon: a holder flushes, checkpoints and releases first. Safe in any thread."""
        self._stopping.set()
        with self._lock:
            if self._poller is not None:
                self._poller.stop()

    @property
    def failed(self) -> bool:
        """Whether the last invocation failed and nothing has come since."""
        return self._error != ""

    @property
    def stuck(self) -> bool:
        """Whether an invocation is under way that gives no sign of life."""
        return self._state == "polling" and self._monotonic() - self._alive_at > STUCK_S

    @property
    def ready(self) -> bool:
        """Whether it is doing its work: polling or waiting for the next session, and not stuck or failed."""
        return self._state in ("polling", "waiting") and not self.failed and not self.stuck

    def health(self) -> dict[str, Any]:
        """How it is, for a human or a probe.

        lagMs: how far the last message's instant lay behind the wall clock when it came, of a live feed only.
        messageAgeMs: how long ago that was. holding: whether this process publishes the feed.
        """
        poller, last, status = self._poller, self._last, self._status
        now_ms = int(time.time() * 1000)
        found: dict[str, Any] = {
            "feed": self.settings.feed,
            "source": self.settings.source.partition(":")[0],
            "state": "stuck" if self.stuck else self._state,
            "holding": poller is not None and poller.holding,
            "outcome": self.outcome,
            "failures": self._failures,
        }
        if self._error:
            found["error"] = self._error
        if last is not None:
            found |= {"lastMessageAt": rfc3339(instant(last.at)), "messageAgeMs": now_ms - self._last_seen_ms}
            if not self._rewindable:
                found["lagMs"] = self._last_seen_ms - last.at
        if status is not None:
            found["connection"] = {"state": status.state, "detail": status.detail, "reconnects": status.reconnects}
        return found

    # -- one invocation --------------------------------------------------------------------

    def _poll(self) -> None:
        poller = Poller(self.settings, self._database, self._opened, monotonic=self._turn)
        with self._lock:
            if self._stopping.is_set():
                return
            self._poller = poller
        self._state = "polling"
        began = self._turn()
        try:
            self.outcome = poller.run().outcome
        except SourceError as error:
            self._failed("the source cannot be opened", str(error), reason="bad-source")
        except Unavailable as error:
            self._failed("Firestore does not answer", str(error)[:300], reason="unavailable")
        except Exception as error:  # a mistake of ours must not end the collector: the next invocation may do better
            log("ERROR", "an invocation broke off", feed=self.settings.feed, detail=traceback.format_exc()[-3000:])
            self._failed("an invocation broke off", f"{type(error).__name__}: {error}"[:300], reason="bug")
        else:
            if self.outcome == "failed":
                self._failed("the source failed", "the line before says why", reason="source-failed")
            else:
                self._failures, self._error = 0, ""
            log("INFO", "polled", feed=self.settings.feed, outcome=self.outcome, **self._database.operations())
        finally:
            with self._lock:
                self._poller = None
        if self._failures and self._monotonic() - began > self._tick_s:
            self._failures = 1  # it went well for a while: no reason to wait long

    def _failed(self, what: str, detail: str, *, reason: str) -> None:
        self.outcome = "failed"
        self._failures += 1
        self._error = f"{what}: {detail}"
        log("ERROR", what, feed=self.settings.feed, reason=reason, detail=detail, failures=self._failures)

    def _pause(self, first: float) -> float:
        """Seconds until the next invocation: those with nothing to do come on a grid of ticks, as in the cloud."""
        if self.outcome in _AT_ONCE:
            return AGAIN_S
        since = self._monotonic() - first
        to_next_tick = self._tick_s - since % self._tick_s
        # Sooner after a failure, but a source that fails all night is asked once a minute.
        return min(to_next_tick, 2.0**self._failures) if 0 < self._failures < 10 else to_next_tick

    def _opened(self, settings: Settings) -> Opened:
        opened = self._open_source(settings)
        self._rewindable = opened.rewindable
        observed: Any = _Observed(opened.source, self._note)
        return opened._replace(source=observed)

    def _note(self, item: Message | FeedStatus) -> None:
        if isinstance(item, FeedStatus):
            self._status = item
            return
        self._last, self._last_seen_ms = item, int(time.time() * 1000)
        self._error = ""

    def _turn(self) -> float:
        """The clock an invocation goes by. It asks at every turn of its loops: that is its sign of life."""
        self._alive_at = self._monotonic()
        return self._alive_at


def health_app(collectors: Sequence[Collector]) -> Flask:
    """`/healthz`: 503 if a loop is stuck or its last invocation failed. `/readyz`: 503 unless all do their work."""
    app = Flask("pitwall.collect")

    def answer(well: bool) -> Response:
        body = {"status": "ok" if well else "failing", "feeds": [collector.health() for collector in collectors]}
        headers = {"Cache-Control": "no-store"}
        return Response(orjson.dumps(body), 200 if well else 503, headers, content_type="application/json")

    @app.get("/healthz")
    def healthz() -> Response:
        return answer(not any(collector.stuck or collector.failed for collector in collectors))

    @app.get("/readyz")
    def readyz() -> Response:
        return answer(all(collector.ready for collector in collectors))

    return app


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
        if not env.get("PITWALL_INVOCATION_S", "").strip():
            settings = replace(settings, invocation_s=INVOCATION_S)
        found.append(settings)
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
        wanted = configured(options.feed, env)
        set_lowest(wanted[0].log_level)
        logging.basicConfig(level=logging.WARNING, handlers=[_Structured()])
        # One database each: a log line tells the operations of its own feed.
        collectors = [Collector(settings, Database(settings.project), once=options.once) for settings in wanted]
        server = _serve(options.health_host, options.health_port, collectors)
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
        instance=wanted[0].instance,
        health=f"http://{options.health_host}:{server.server_port}/healthz" if server is not None else None,
    )
    stopped = _run(collectors, grace_s=max(settings.lease_ttl_s for settings in wanted))
    if not stopped:
        log("ERROR", "a feed was not released in time, its lease will run out", reason="not-released")
        sys.stdout.flush()
        os._exit(FAILED)  # threads that hang would keep the interpreter from ending
    log("INFO", "stopped", outcomes={collector.settings.feed: collector.outcome for collector in collectors})
    return FAILED if options.once and any(collector.failed for collector in collectors) else OK


def _refuse(why: str) -> int:
    print(f"python -m pitwall.collect: {why}", file=sys.stderr)
    return USAGE


def _serve(host: str, port: int | None, collectors: Sequence[Collector]) -> BaseWSGIServer | None:
    """Starts to serve the health endpoint, if there is to be one. Raises OSError, SystemExit."""
    if port is None:
        return None
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for every probe
    server = make_server(host, port, health_app(collectors), threaded=True)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _run(collectors: Sequence[Collector], *, grace_s: float) -> bool:
    """Runs them until all are done; False if one was not within `grace_s` seconds after a signal."""
    received: list[int] = []
    stopping_since: float | None = None
    # Only noted: what a handler interrupts may hold a lock.
    before = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        threads = [
            threading.Thread(target=collector.run, name=collector.settings.feed, daemon=True)
            for collector in collectors
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if received and stopping_since is None:
                stopping_since = time.monotonic()
                log("INFO", "stopping", signal=signal.Signals(received[0]).name)
                for collector in collectors:
                    collector.stop()
            if stopping_since is not None and time.monotonic() - stopping_since > grace_s:
                return False
            time.sleep(_LOOK_S)
        return True
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
