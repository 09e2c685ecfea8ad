"""Subscriber of `budget`: what Cloud Billing tells of the costs, turned into what is spent on viewers.

Cloud Billing publishes how the costs stand some times a day, whether or not a threshold was passed, at least once
and in no order (https://cloud.google.com/billing/docs/how-to/budgets-programmatic-notifications). What a mode does,
and which message counts, is `economy`'s business. A message that tells no costs is put away, as `writer` does.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Final

import msgspec
from flask import Request, Response
from msgspec import UNSET, Meta, Struct, UnsetType

from pitwall.documents.economy import BudgetsWord, Mode
from pitwall.documents.encoding import EPOCH
from pitwall.pipeline import push
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.deadletter import DeadLetters, NotPutAway
from pitwall.pipeline.economy import Economy, have_rules_follow
from pitwall.pipeline.invocation import configured
from pitwall.pipeline.log import follow, log
from pitwall.pipeline.rules import NotReleased, Rules
from pitwall.settings import Settings, dead_letter

SCHEMA_VERSION: Final = "1.0"
"""The only one there is of the budget's messages, as their attribute `schemaVersion` names it."""

AHEAD: Final = timedelta(days=1)
"""An interval that begins later than this from now is none: it would have every message until then count as older."""


class UnreadableCosts(ValueError):
    """The message does not tell how the costs stand; the text says why."""


class Costs(Struct, frozen=True, rename="camel"):
    """What a message tells: amounts in the budget's currency, costs since the interval's start.

    Which of its own thresholds the budget has passed is not looked at.
    """

    cost_amount: Annotated[float, Meta(ge=-1e15, le=1e15)]
    """Below 0 by credits."""
    budget_amount: Annotated[float, Meta(gt=0, le=1e15)]
    cost_interval_start: Annotated[datetime, Meta(tz=True)]
    budget_display_name: str
    currency_code: Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$")] | UnsetType = UNSET

    def asks_for(self, settings: Settings) -> BudgetsWord:
        """The mode that the costs ask for."""
        part = self.cost_amount / self.budget_amount
        mode: Mode = (
            "closed" if part >= settings.economy_closed_at else "slow" if part >= settings.economy_slow_at else "off"
        )
        amounts = f"{self.cost_amount:.2f} of {self.budget_amount:.2f} {self.currency_code or ''}".rstrip()
        reason = f"the costs are {amounts} since {self.cost_interval_start.astimezone(UTC):%Y-%m-%d}"
        return BudgetsWord(mode=mode, reason=reason, cost_interval_start=self.cost_interval_start)


def costs_of(delivered: push.Push, now: datetime) -> Costs:
    """The costs a message tells. Raises UnreadableCosts."""
    version = delivered.attributes.get("schemaVersion", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise UnreadableCosts(f"schemaVersion is {version}, not {SCHEMA_VERSION}")
    try:
        costs = msgspec.json.decode(delivered.data, type=Costs)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableCosts(str(error)) from None
    if not EPOCH <= costs.cost_interval_start <= now + AHEAD:
        raise UnreadableCosts(f"costIntervalStart is {costs.cost_interval_start.isoformat()}, which cannot be")
    return costs


class Budget:
    """One instance of the function `economy`."""

    def __init__(self, settings: Settings, economy: Economy, rules: Rules, dead_letters: DeadLetters) -> None:
        self._settings = settings
        self._economy = economy
        self._rules = rules
        self._dead_letters = dead_letters

    def handle(self, body: bytes) -> Response:
        """The answer to a push request with this body: 204, 400 if it is no push, 503 to have it delivered again."""
        return push.receive(body, self._heed, again=(Unavailable, NotPutAway, NotReleased))

    def _heed(self, delivered: push.Push) -> None:
        try:
            costs = costs_of(delivered, datetime.now(UTC))
        except UnreadableCosts as error:
            reason, detail = "unreadable-costs", str(error)
            log("ERROR", "tells no costs", messageId=delivered.id, reason=reason, detail=detail[:500])
            self._dead_letters.put(delivered.data, reason, detail, messageId=delivered.id)
            return
        word = costs.asks_for(self._settings)
        stored = have_rules_follow(self._economy, self._rules, self._economy.set_by_budget(word))
        log(
            "INFO" if stored.mode == "off" else "WARNING",
            f"the economy is {stored.mode}",
            mode=stored.mode,
            setBy=stored.set_by,
            reason=stored.reason or "",
            asked=word.mode,
            rules=self._rules.said,
            budget=costs.budget_display_name,
            budgetId=delivered.attributes.get("budgetId", ""),
            costs=costs.cost_amount,
            of=costs.budget_amount,
        )


@cache
def _budget() -> Budget:
    settings = configured()
    dead_letters = DeadLetters(settings.project, dead_letter(settings.topic_budget))
    return Budget(settings, Economy(Database(settings.project)), Rules(settings), dead_letters)


def heed(request: Request) -> Response:
    """Entry point: one push request of the subscription `budget-economy`."""
    follow(request.headers, configured().project)
    return _budget().handle(request.get_data())
