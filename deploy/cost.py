"""`python -m deploy.cost`: what PitWall costs by Google's list prices, as the two tables of docs/deploy.md.

Prices are as remembered from Google's pages of 2025 and 2026, in USD, and nobody's contract; those of Firestore,
Pub/Sub and egress are `local.cost`'s. What a session does is measured: `python -m local replay RECORDING --report FILE`
of three recordings, full sessions. A weekend is three practices, a qualifying and a race; everybody watches all of it.
"""

from __future__ import annotations

import sys
from typing import Final, NamedTuple

from local.cost import EGRESS_USD, READ_USD

MONTH_S: Final = 30 * 24 * 3600
VIEWERS: Final = (100, 1_000, 10_000)

JOB_USD, JOBS, JOBS_FREE = 0.10, 4, 3
CONDITION_USD, CONDITIONS = 0.10, 4
SERIES_USD: Final = 0.35 / 1_000_000
"""For each time series that a condition's query returns, each time it is evaluated."""
SERIES: Final = 3 + 2
"""Three conditions look at one series each, the fourth at those functions that were called: idle, poller and API."""
EVALUATION_S: Final = 30
IMAGE_GB, IMAGES_KEPT, IMAGES_FREE_GB, IMAGE_USD = 0.157, 9 * 2, 0.5, 0.10
"""Compressed layer of packages (docs/dependencies.md); Google's base image is shared by all, and small beside."""
STORED_GIB: Final = 0.1
"""Assumed: documents of a season."""
STORAGE_USD, BACKUP_USD, BACKUPS = 0.18, 0.03, 7
"""For each GiB and month of point-in-time recovery, and of a backup."""
RAW_GB, RAW_USD = 1.0, 0.02
"""Assumed: raw messages of a season."""

VCPU_USD, GIB_USD, REQUEST_USD = 0.000024, 0.0000025, 0.40 / 1_000_000
HOSTING_USD: Final = 0.15 / 10**9
LIVE_BYTES, STILL_BYTES = 774 + 400, 300
"""An answer of `live` (20 cars after a sprint, gzip, measured) with headers (estimated), and a 304 (estimated)."""
PLACES: Final = 10
"""Assumed: servers of the CDN that ask the API once a second each."""


class Session(NamedTuple):
    """What one session does, from the first message of its recording to the last.

    viewer_reads, viewer_bytes: of who listens to the tower and what stands beside it. backend_usd: documents written
    and messages published, without functions.
    """

    recording: str
    times: int
    seconds: int
    towers: int
    viewer_reads: int
    viewer_bytes: int
    backend_usd: float


WEEKEND: Final = (
    Session("2025-monza-practice-1", 3, 6_999, 1_365, 2_536, 3_382_871, 0.0119),
    Session("2025-imola-qualifying", 1, 6_755, 934, 1_940, 2_156_832, 0.0088),
    Session("2018-baku-race", 1, 6_889, 6_207, 7_151, 10_394_804, 0.0196),
)
POLLED_BESIDE_S: Final = 1_800
"""Of each session, before its start (PITWALL_EARLY_S); what comes after its end is in the recordings."""


def idle() -> list[tuple[str, str, float]]:
    """What a month without a session costs: item, how much of it, USD."""
    evaluated = MONTH_S // EVALUATION_S * SERIES
    kept = IMAGE_GB * IMAGES_KEPT - IMAGES_FREE_GB
    return [
        ("Cloud Scheduler", f"{JOBS} jobs, {JOBS_FREE} free for a billing account", (JOBS - JOBS_FREE) * JOB_USD),
        ("alerts: conditions", f"{CONDITIONS}", CONDITIONS * CONDITION_USD),
        ("alerts: time series", f"{evaluated:,} looked at", evaluated * SERIES_USD),
        ("Artifact Registry", f"{kept:.1f} GB of images over {IMAGES_FREE_GB} free", kept * IMAGE_USD),
        (
            "Firestore: recovery and backups",
            f"{STORED_GIB} GiB, {BACKUPS} backups",
            STORED_GIB * (STORAGE_USD + BACKUPS * BACKUP_USD),
        ),
        ("Cloud Storage", f"{RAW_GB:g} GB of raw messages", RAW_GB * RAW_USD),
        ("functions", "216,000 requests of 2 million free, some 30,000 s of 180,000 free", 0.0),
        ("Firestore: reads", "about 11,600 a day of 50,000 free: pollers, and the uptime check", 0.0),
        ("Secret Manager", "4 versions of 6 free", 0.0),
        ("Pub/Sub, logs, uptime check, Hosting, budget", "within what is free", 0.0),
    ]


def _sum(name: str) -> float:
    return float(sum(session.times * getattr(session, name) for session in WEEKEND))


def weekend() -> list[tuple[str, tuple[float, ...]]]:
    """What a race weekend costs without anything free: row, USD by `VIEWERS`."""
    seconds = _sum("seconds")
    polled = seconds + POLLED_BESIDE_S * sum(session.times for session in WEEKEND)
    pollers = 2 * polled * (VCPU_USD + GIB_USD / 2)
    documents = _sum("backend_usd")
    served = seconds * (VCPU_USD + GIB_USD / 2 + PLACES * REQUEST_USD + 2 * READ_USD)
    listener = _sum("viewer_reads") * READ_USD + _sum("viewer_bytes") * EGRESS_USD
    asked = {1: _sum("towers"), 5: min(_sum("towers"), seconds / 5)}
    cdn = {
        every: HOSTING_USD * (whole * LIVE_BYTES + max(0.0, seconds / every - whole) * STILL_BYTES)
        for every, whole in asked.items()
    }
    return [
        ("pollers: a holder and a standby", (pollers,) * len(VIEWERS)),
        ("documents and messages", (documents,) * len(VIEWERS)),
        ("everybody listens to Firestore", tuple(number * listener for number in VIEWERS)),
        ("or: everybody asks the CDN once a second", tuple(served + number * cdn[1] for number in VIEWERS)),
        ("or: everybody asks the CDN every five seconds", tuple(served + number * cdn[5] for number in VIEWERS)),
    ]


def tables() -> str:
    """Both tables in Markdown."""
    months = idle()
    lines = ["| a month without a session | | USD |", "|---|---|---|"]
    lines += [f"| {item} | {much} | {usd:.2f} |" for item, much, usd in months]
    lines += [f"| **together** | | **{sum(usd for *_, usd in months):.2f}** |", ""]
    lines += [
        f"| a race weekend, USD | {' | '.join(f'{number:,} viewers' for number in VIEWERS)} |",
        "|---|---|---|---|",
    ]
    lines += [f"| {row} | {' | '.join(f'{usd:,.2f}' for usd in amounts)} |" for row, amounts in weekend()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(tables())
