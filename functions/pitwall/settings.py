"""The one place configuration is read: environment variables into a typed, checked `Settings`.

Every function and every local program takes a `Settings`; nobody else reads `os.environ`
for PitWall's own variables. Emulators are no setting of ours: Google's clients read
FIRESTORE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST, STORAGE_EMULATOR_HOST and FIREBASE_AUTH_EMULATOR_HOST by themselves.

| variable | default | means |
|---|---|---|
| GOOGLE_CLOUD_PROJECT | `pitwall-local` beside an emulator, else none | project of Google's clients |
| PITWALL_FEED | `f1` | feed id: key of lease and schedule (`f1`, `kart-<circuit>`) |
| PITWALL_INSTANCE | host name and process id | who this process is, in leases and logs |
| PITWALL_SOURCE | empty: nothing to poll | what the poller reads: `<kind>` or `<kind>:<argument>` (`recording:/path`) |
| PITWALL_SPEED | `1` | times real time at which a recording plays, or `max`; how fast a live feed's clock runs |
| PITWALL_FALLBACK | empty: none | source read instead when the first one is refused (`openf1`) |
| PITWALL_SCHEDULE | `on` | `off`: poll a live source at any time, whatever `schedule/{feedId}` says |
| PITWALL_EARLY_S | `1800` | seconds before a session's start at which polling begins |
| PITWALL_LATE_S | `14400` | seconds after a session's end at which polling stops at the latest |
| PITWALL_QUIET_S | `300` | seconds without timing after a session was finalised until it is over |
| PITWALL_SILENCE_S | `35` | seconds without any message after which a live connection counts as dead |
| PITWALL_CONNECT_S | `10` | seconds each step of connecting to a live feed may take |
| PITWALL_BACKOFF_S | `60` | seconds between two attempts to connect, at most |
| PITWALL_KART_STALE_S | `300` | seconds without anything after which a kart track is connected to anew |
| PITWALL_KART_ATTEMPTS | `0`: no limit | attempts in a row after which a kart track is tried at the longest pause |
| PITWALL_KART_POLL_S | `2` | seconds between two questions to a kart track that has to be asked |
| PITWALL_RACEMONITOR_URL | `https://api.race-monitor.com` | server of Race Monitor |
| PITWALL_PRIVATE_HOSTS | `off` | `on`: kart tracks may be at addresses that are not public; never on Cloud Run |
| PITWALL_F1_URL | `https://livetiming.formula1.com` | server of F1's live feed and archive |
| PITWALL_F1_TOKEN | empty: public topics only | F1TV token; a secret |
| PITWALL_F1_TOKEN_SECRET | empty | Secret Manager version that holds it instead, read at every connection |
| PITWALL_HISTORY | `f1,fastf1` | whose servers calendar (both) and archive (`f1`) are read from, or `none` |
| PITWALL_JOLPICA_URL | `https://api.jolpi.ca/ergast/f1` | Ergast-compatible API of results (docs/jolpica.md) |
| PITWALL_F1SCHEDULE_URL | `https://raw.githubusercontent.com/theOehrly/f1schedule/master` | FastF1's schedule files |
| PITWALL_MULTIVIEWER_URL | `https://api.multiviewer.app/api/v1` | server of MultiViewer's circuit maps |
| PITWALL_OPENF1_URL | `https://api.openf1.org` | server of OpenF1 |
| PITWALL_OPENF1_TOKEN | empty: none | OpenF1's OAuth token; a secret |
| PITWALL_OPENF1_USERNAME | empty: none | OpenF1 account, to get such a token |
| PITWALL_OPENF1_PASSWORD | empty: none | its password; a secret |
| PITWALL_TOPIC_TIMING | `timing` | topic of the documents that changed |
| PITWALL_TOPIC_EVENTS | `events` | topic of what happened (overtake, stop, ...) |
| PITWALL_TOPIC_RAW | `raw` | topic of the feed's raw messages |
| PITWALL_TOPIC_BUDGET | `budget` | topic of the budget's messages, which Cloud Billing publishes |
| PITWALL_TOPIC_JOBS | `jobs` | topic of what is to be worked on (docs/jobs.md) |
| PITWALL_PUBSUB_ENDPOINT | empty: the global one | `<region>-pubsub.googleapis.com:443`: order holds within a region |
| PITWALL_RAW_BUCKET | `<project>-raw` | Cloud Storage bucket of the recorder |
| PITWALL_TELEMETRY_BUCKET | `<project>-telemetry` | Cloud Storage bucket of computed telemetry |
| PITWALL_TELEMETRY_SIGNED_BYTES | `4194304` | bytes of telemetry from which on the API sends to a signed URL of it |
| PITWALL_LEASE_TTL_S | `10` | seconds a lease lives without being renewed |
| PITWALL_LEASE_RENEW_S | `3` | seconds between renewals; less than half the time to live |
| PITWALL_CHECKPOINT_S | `5` | seconds between checkpoints |
| PITWALL_REMEMBER_S | `60` | seconds of messages whose hashes a checkpoint holds |
| PITWALL_INVOCATION_S | `1740` | seconds a poller invocation lives; Cloud Scheduler gives up at 1800 |
| PITWALL_HANDOVER_S | `20` | seconds before the end of its life at which a holder hands over |
| PITWALL_JOB_S | `480` | seconds an invocation works on a job, before the next one goes on; Pub/Sub gives up at 600 |
| PITWALL_TELEMETRY_CARS | `4` | cars of a session whose telemetry is told live at a time, to who asks; `0`: none |
| PITWALL_KART_TRACKS | `20` | kart tracks whose timing is on at a time, at most |
| PITWALL_KART_RETENTION_DAYS | `90` | days that what is stored of a kart track's sessions is kept, `0`: for ever |
| PITWALL_ENVELOPE_BYTES | `262144` | bytes of one `timing` message, above which a tick is split |
| PITWALL_RAW_BATCH_S | `5` | seconds of raw messages in one object of the recorder |
| PITWALL_RAW_BATCH_BYTES | `262144` | bytes of raw messages, uncompressed, in one object of the recorder |
| PITWALL_ECONOMY_SLOW_AT | `0.8` | part of the budget from which on ticks are slow |
| PITWALL_ECONOMY_CLOSED_AT | `1` | part of the budget from which on Firestore is closed to clients |
| PITWALL_RULES_OPEN | empty: rules stay | ruleset (`projects/<project>/rulesets/<id>`) of `firestore.rules` |
| PITWALL_RULES_CLOSED | empty: rules stay | ruleset of `firestore.closed.rules` |
| PITWALL_RULES_URL | `https://firebaserules.googleapis.com` | server of the Firebase Rules API |
| PITWALL_CORS_ORIGINS | empty: none | web origins whose pages may read the API, with commas, or `*` for all |
| PITWALL_PUBLIC | `on` | `off`: the API shows sessions and seasons only to an account with a role or an API key |
| PITWALL_APP_CHECK | `off` | `on`: the API answers apps only with a token of Firebase App Check; API keys need none |
| PITWALL_PROXIES | `1` on Cloud Run, else `0` | proxies before the API whose word on the client's address is taken |
| PITWALL_RATE_LIMIT_ADDRESS | `3000` | requests a minute to the API from one address, `0` for no limit |
| PITWALL_RATE_LIMIT_KEY | `6000` | requests a minute to the API with one API key, `0` for no limit |
| PITWALL_RATE_LIMIT_SECRET | empty: the project's id | what the addresses are hashed with that are counted; a secret |
| PITWALL_METRICS_URL | empty: nothing is measured | OTLP/HTTP address that metrics are sent to (docs/metrics.md) |
| PITWALL_METRICS_S | `60` | seconds between two sendings of metrics |
| PITWALL_REVISION | empty | revision of the code that is deployed, as `/api/status` shows it |
| PITWALL_LOG_LEVEL | `INFO` | DEBUG, INFO, WARNING or ERROR |
"""

from __future__ import annotations

import math
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

LOCAL_PROJECT = "pitwall-local"
"""Project of the local stack: what is assumed beside an emulator when no project is named."""

HISTORY = ("f1", "fastf1")
"""Whose servers the history can be read from: F1's archive and calendar, FastF1's calendar."""

_EMULATORS = ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")
_AUTH_EMULATOR = "FIREBASE_AUTH_EMULATOR_HOST"
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(ValueError):
    """An environment variable is missing or has a value that cannot be used; the text names it."""


def _text(value: str) -> str:
    return value


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def read(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"is not {what}")
        return value

    return read


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        raise ValueError("is not a number of seconds") from None
    if not 0 < seconds < math.inf:
        raise ValueError("is not a number of seconds above 0")
    return seconds


def _part(value: str) -> float:
    try:
        part = float(value)
    except ValueError:
        part = math.nan
    if not 0 < part < math.inf:
        raise ValueError("is not a number above 0")
    return part


def _count(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", value) or int(value) == 0:
        raise ValueError("is not a whole number above 0")
    return int(value)


def _count_or_none(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("is not a whole number")
    return int(value)


def _speed(value: str) -> float:
    if value == "max":
        return math.inf
    try:
        speed = float(value)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise ValueError("is neither a number above 0 nor `max`")
    return speed


def _switch(value: str) -> bool:
    if value.lower() not in ("on", "off"):
        raise ValueError("is neither on nor off")
    return value.lower() == "on"


def _history(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    if names == ("none",):
        return ()
    if not set(names) <= set(HISTORY):
        raise ValueError(f"is neither `none` nor any of {', '.join(HISTORY)} with commas")
    return tuple(name for name in HISTORY if name in names)


def _log_level(value: str) -> str:
    if value.upper() not in _LOG_LEVELS:
        raise ValueError(f"is none of {', '.join(_LOG_LEVELS)}")
    return value.upper()


_topic = _matching(r"[A-Za-z](?!oog)[A-Za-z0-9._~+%-]{2,254}", "the id of a Pub/Sub topic")
_endpoint = _matching(r"[a-z0-9.-]+(:[0-9]{1,5})?", "a host name, with or without a port")
_bucket = _matching(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", "the name of a Cloud Storage bucket")
_project = _matching(r"[a-z0-9:.-]{1,63}", "the id of a Google Cloud project")
_feed = _matching(r"[a-z0-9][a-z0-9-]{0,62}", "a feed id: lower-case letters, digits and hyphens")
_instance = _matching(r"[A-Za-z0-9._-]{1,128}", "a name of letters, digits, dots, hyphens and underscores")
_url = _matching(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", "an http(s) URL")
_secret_version = _matching(
    r"projects/[a-z0-9:.-]+/secrets/[A-Za-z0-9_-]+/versions/([0-9]+|latest)",
    "a Secret Manager version (projects/<project>/secrets/<secret>/versions/latest)",
)
_ruleset = _matching(r"projects/[a-z0-9:.-]+/rulesets/[A-Za-z0-9_-]+", "a ruleset (projects/<project>/rulesets/<id>)")
_ORIGIN = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?"
_origins = _matching(
    rf"|\*|{_ORIGIN}( *, *{_ORIGIN})*",
    "`*` or web origins (`https://host` or `https://host:port`, no path) with commas",
)
_revision = _matching(r"[A-Za-z0-9._-]{1,64}", "a revision of letters, digits, dots, hyphens and underscores")
_source = _matching(r"|[a-z0-9]+(:.+)?", "`<kind>` or `<kind>:<argument>`")


def _variable(name: str, read: Callable[[str], Any], default: Any, *, secret: bool = False) -> Any:
    """A field read from the environment variable `name` by `read`, which raises ValueError.

    secret: it is shown neither in the settings' repr nor in an error.
    """
    return field(default=default, repr=not secret, metadata={"variable": name, "read": read, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this process is configured; the module's docstring tables variables, defaults and units.

    The buckets and `instance` are empty only in an object made by hand; `from_env` fills them in, and `proxies`.
    `instance` is the process (a Cloud Run instance), not the invocation: a lease's holder starts with it.
    """

    project: str = _variable("GOOGLE_CLOUD_PROJECT", _project, LOCAL_PROJECT)
    feed: str = _variable("PITWALL_FEED", _feed, "f1")
    instance: str = _variable("PITWALL_INSTANCE", _instance, "")
    source: str = _variable("PITWALL_SOURCE", _source, "")
    speed: float = _variable("PITWALL_SPEED", _speed, 1.0)
    fallback: str = _variable("PITWALL_FALLBACK", _source, "")
    schedule: bool = _variable("PITWALL_SCHEDULE", _switch, True)
    early_s: float = _variable("PITWALL_EARLY_S", _seconds, 1800.0)
    late_s: float = _variable("PITWALL_LATE_S", _seconds, 14400.0)
    quiet_s: float = _variable("PITWALL_QUIET_S", _seconds, 300.0)
    silence_s: float = _variable("PITWALL_SILENCE_S", _seconds, 35.0)
    connect_s: float = _variable("PITWALL_CONNECT_S", _seconds, 10.0)
    backoff_s: float = _variable("PITWALL_BACKOFF_S", _seconds, 60.0)
    kart_stale_s: float = _variable("PITWALL_KART_STALE_S", _seconds, 300.0)
    kart_attempts: int = _variable("PITWALL_KART_ATTEMPTS", _count_or_none, 0)
    kart_poll_s: float = _variable("PITWALL_KART_POLL_S", _seconds, 2.0)
    racemonitor_url: str = _variable("PITWALL_RACEMONITOR_URL", _url, "https://api.race-monitor.com")
    private_hosts: bool = _variable("PITWALL_PRIVATE_HOSTS", _switch, False)
    f1_url: str = _variable("PITWALL_F1_URL", _url, "https://livetiming.formula1.com")
    f1_token: str = _variable("PITWALL_F1_TOKEN", _text, "", secret=True)
    f1_token_secret: str = _variable("PITWALL_F1_TOKEN_SECRET", _secret_version, "")
    history: tuple[str, ...] = _variable("PITWALL_HISTORY", _history, HISTORY)
    jolpica_url: str = _variable("PITWALL_JOLPICA_URL", _url, "https://api.jolpi.ca/ergast/f1")
    f1schedule_url: str = _variable(
        "PITWALL_F1SCHEDULE_URL", _url, "https://raw.githubusercontent.com/theOehrly/f1schedule/master"
    )
    multiviewer_url: str = _variable("PITWALL_MULTIVIEWER_URL", _url, "https://api.multiviewer.app/api/v1")
    openf1_url: str = _variable("PITWALL_OPENF1_URL", _url, "https://api.openf1.org")
    openf1_token: str = _variable("PITWALL_OPENF1_TOKEN", _text, "", secret=True)
    openf1_username: str = _variable("PITWALL_OPENF1_USERNAME", _text, "")
    openf1_password: str = _variable("PITWALL_OPENF1_PASSWORD", _text, "", secret=True)
    topic_timing: str = _variable("PITWALL_TOPIC_TIMING", _topic, "timing")
    topic_events: str = _variable("PITWALL_TOPIC_EVENTS", _topic, "events")
    topic_raw: str = _variable("PITWALL_TOPIC_RAW", _topic, "raw")
    topic_budget: str = _variable("PITWALL_TOPIC_BUDGET", _topic, "budget")
    topic_jobs: str = _variable("PITWALL_TOPIC_JOBS", _topic, "jobs")
    pubsub_endpoint: str = _variable("PITWALL_PUBSUB_ENDPOINT", _endpoint, "")
    raw_bucket: str = _variable("PITWALL_RAW_BUCKET", _bucket, "")
    telemetry_bucket: str = _variable("PITWALL_TELEMETRY_BUCKET", _bucket, "")
    telemetry_signed_bytes: int = _variable("PITWALL_TELEMETRY_SIGNED_BYTES", _count, 4 * 1024 * 1024)
    lease_ttl_s: float = _variable("PITWALL_LEASE_TTL_S", _seconds, 10.0)
    lease_renew_s: float = _variable("PITWALL_LEASE_RENEW_S", _seconds, 3.0)
    checkpoint_s: float = _variable("PITWALL_CHECKPOINT_S", _seconds, 5.0)
    remember_s: float = _variable("PITWALL_REMEMBER_S", _seconds, 60.0)
    invocation_s: float = _variable("PITWALL_INVOCATION_S", _seconds, 1740.0)
    handover_s: float = _variable("PITWALL_HANDOVER_S", _seconds, 20.0)
    job_s: float = _variable("PITWALL_JOB_S", _seconds, 480.0)
    telemetry_cars: int = _variable("PITWALL_TELEMETRY_CARS", _count_or_none, 4)
    kart_tracks: int = _variable("PITWALL_KART_TRACKS", _count, 20)
    kart_retention_days: int = _variable("PITWALL_KART_RETENTION_DAYS", _count_or_none, 90)
    envelope_bytes: int = _variable("PITWALL_ENVELOPE_BYTES", _count, 256 * 1024)
    raw_batch_s: float = _variable("PITWALL_RAW_BATCH_S", _seconds, 5.0)
    raw_batch_bytes: int = _variable("PITWALL_RAW_BATCH_BYTES", _count, 256 * 1024)
    economy_slow_at: float = _variable("PITWALL_ECONOMY_SLOW_AT", _part, 0.8)
    economy_closed_at: float = _variable("PITWALL_ECONOMY_CLOSED_AT", _part, 1.0)
    rules_open: str = _variable("PITWALL_RULES_OPEN", _ruleset, "")
    rules_closed: str = _variable("PITWALL_RULES_CLOSED", _ruleset, "")
    rules_url: str = _variable("PITWALL_RULES_URL", _url, "https://firebaserules.googleapis.com")
    cors_origins: str = _variable("PITWALL_CORS_ORIGINS", _origins, "")
    public: bool = _variable("PITWALL_PUBLIC", _switch, True)
    app_check: bool = _variable("PITWALL_APP_CHECK", _switch, False)
    proxies: int = _variable("PITWALL_PROXIES", _count_or_none, 0)
    rate_limit_address: int = _variable("PITWALL_RATE_LIMIT_ADDRESS", _count_or_none, 3_000)
    rate_limit_key: int = _variable("PITWALL_RATE_LIMIT_KEY", _count_or_none, 6_000)
    rate_limit_secret: str = _variable("PITWALL_RATE_LIMIT_SECRET", _text, "", secret=True)
    metrics_url: str = _variable("PITWALL_METRICS_URL", _url, "")
    metrics_s: float = _variable("PITWALL_METRICS_S", _seconds, 60.0)
    revision: str = _variable("PITWALL_REVISION", _revision, "")
    log_level: str = _variable("PITWALL_LOG_LEVEL", _log_level, "INFO")

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """The settings in `env`; a variable that is absent or empty has its default.

        Raises SettingsError, which names every variable that is wrong, its value and what is accepted.
        """
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for spec in fields(cls):
            variable, read = spec.metadata["variable"], spec.metadata["read"]
            text = env.get(variable, "").strip()
            if not text:
                continue
            try:
                values[spec.name] = read(text)
            except ValueError as error:
                wrong.append(f"{variable} {error}" if spec.metadata["secret"] else f"{variable}={text!r} {error}")
        if not env.get("GOOGLE_CLOUD_PROJECT", "").strip() and not any(env.get(host) for host in _EMULATORS):
            wrong.append("GOOGLE_CLOUD_PROJECT is not set, and no emulator is: which project is meant?")
        if env.get("K_SERVICE") and env.get(_AUTH_EMULATOR):
            wrong.append(f"{_AUTH_EMULATOR} is set on Cloud Run: whoever writes a token would be believed")
        if env.get("K_SERVICE") and values.get("private_hosts"):
            wrong.append("PITWALL_PRIVATE_HOSTS is on on Cloud Run: a circuit could name what only we may reach")
        if not wrong:
            settings = cls(**values)
            wrong = settings._contradictions()
            if not wrong:
                values.setdefault("proxies", 1 if env.get("K_SERVICE") else 0)
                values.setdefault("raw_bucket", f"{settings.project}-raw")
                values.setdefault("telemetry_bucket", f"{settings.project}-telemetry")
                values.setdefault("instance", f"{socket.gethostname()}-{os.getpid()}")
                return cls(**values)
        raise SettingsError("; ".join(wrong))

    def _contradictions(self) -> list[str]:
        wrong = []
        if self.lease_renew_s * 2 >= self.lease_ttl_s:
            wrong.append("PITWALL_LEASE_RENEW_S must be less than half of PITWALL_LEASE_TTL_S")
        if self.handover_s >= self.invocation_s:
            wrong.append("PITWALL_HANDOVER_S must be less than PITWALL_INVOCATION_S")
        if self.economy_slow_at > self.economy_closed_at:
            wrong.append("PITWALL_ECONOMY_SLOW_AT must not be more than PITWALL_ECONOMY_CLOSED_AT")
        if (self.rules_open == "") != (self.rules_closed == ""):
            wrong.append("PITWALL_RULES_OPEN and PITWALL_RULES_CLOSED are to be set both or neither")
        elif self.rules_open and self.rules_open == self.rules_closed:
            wrong.append("PITWALL_RULES_OPEN and PITWALL_RULES_CLOSED must not be the same")
        return wrong

    def to_env(self) -> dict[str, str]:
        """The environment variables from which `from_env` makes an equal instance."""
        result = {}
        for spec in fields(self):
            value = getattr(self, spec.name)
            if value != "":
                text = _written(value)
                result[spec.metadata["variable"]] = text
        return result


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    if isinstance(value, float):
        return "max" if value == math.inf else f"{value:g}"
    return str(value)


def variables() -> tuple[str, ...]:
    """Names of every environment variable that `Settings` reads, in the order of its table."""
    return tuple(spec.metadata["variable"] for spec in fields(Settings))


def dead_letter(topic: str) -> str:
    """Id of the topic that takes the messages of `topic` which can never succeed."""
    return f"{topic}-dead"
