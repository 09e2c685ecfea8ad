"""Addresses are built as Werkzeug's own rules build them."""

from __future__ import annotations

import pytest
from werkzeug.routing import Map, Rule

from pitwall.api.app import create_app
from pitwall.api.late_rules import LateRule
from pitwall.settings import Settings

VALUES = {"text": "a b/ü?", "more": ["1", "é"]}


def test_every_route_is_one():
    assert {type(rule) for rule in create_app(Settings(project="p")).url_map.iter_rules()} == {LateRule}


@pytest.mark.parametrize("append_unknown", [True, False])
def test_every_route_has_the_address_of_a_rule_of_werkzeugs(append_unknown: bool):
    late = create_app(Settings(project="p")).url_map
    own = Map([Rule(rule.rule, endpoint=f"{n}", methods=["GET"]) for n, rule in enumerate(late.iter_rules())])
    for n, rule in enumerate(late.iter_rules()):
        values = {**VALUES, **{name: f"x {name}" for name in rule.arguments}}
        built = rule.build(dict(values), append_unknown=append_unknown)
        [expected] = [one.build(dict(values), append_unknown=append_unknown) for one in own.iter_rules(f"{n}")]
        assert built == expected
