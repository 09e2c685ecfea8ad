"""What the tests of the backfill share: the frozen web asked without its pauses, and what is stored after a run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.cloud import firestore as firestore_api

from pitwall.documents import paths
from pitwall.history.backfill import main
from pitwall.history.circuit_maps import CircuitMaps
from pitwall.history.jolpica import Jolpica
from pitwall.history.season import Web
from pitwall.settings import Settings
from pitwall.sources.archive import Archive

Documents = dict[str, dict[str, Any]]


@contextmanager
def asked_at_once(settings: Settings, cache: Path | None, _sleep: Callable[[float], None]) -> Iterator[Web]:
    """As `web_of`, without the pauses between requests."""

    def sleep(_seconds: float) -> None:
        """Takes the place of waiting."""

    def folder(name: str) -> Path | None:
        return None if cache is None else cache / name

    with (
        Archive(f"{settings.f1_url}/static/", cache=folder("f1"), requests_per_s=10_000.0, sleep=sleep) as archive,
        Jolpica(settings.jolpica_url, folder("jolpica"), sleep=sleep) as jolpica,
        CircuitMaps(settings.multiviewer_url, folder("multiviewer"), sleep=sleep) as maps,
    ):
        yield Web(archive if "f1" in settings.history else None, jolpica, maps)


class Ran:
    """A run of the command: its exit code, and its report."""

    def __init__(self, folder: Path, *words: str, **filling: Any) -> None:
        report = folder / f"report-{time.monotonic_ns()}.json"
        self.code = main([*words, "--report", str(report)], filling.pop("opening", asked_at_once), **filling)
        self.report: dict[str, Any] = json.loads(report.read_text()) if report.is_file() else {}

    def of(self, session: str) -> dict[str, Any]:
        """The entry of a session, by name."""
        return next(entry for entry in self.report["entries"] if entry["session"] == session)

    def states(self) -> dict[str, str]:
        return {entry["session"]: entry["state"] for entry in self.report["entries"]}


def everything(client: firestore_api.Client) -> Documents:
    """Every document there is, by path."""
    named = {kind.template.split("/")[-2] for kind in paths.KINDS} | {paths.backfill(2023).partition("/")[0], "leases"}
    return {
        snapshot.reference.path: snapshot.to_dict() or {}
        for name in sorted(named)
        for snapshot in client.collection_group(name).stream()
    }
