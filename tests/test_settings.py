"""Configuration comes from the environment, and a wrong value is named before anything starts."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pitwall import settings
from pitwall.settings import Settings, SettingsError

EMULATED = {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"}


def test_beside_an_emulator_nothing_has_to_be_set():
    here = {**EMULATED, "PITWALL_INSTANCE": "here"}
    assert Settings.from_env(here) == Settings(
        raw_bucket="pitwall-local-raw", telemetry_bucket="pitwall-local-telemetry", instance="here"
    )


def test_two_processes_that_nobody_named_have_different_names():
    program = "from pitwall.settings import Settings; print(Settings.from_env().instance)"
    env = {**os.environ, **EMULATED, "PYTHONPATH": str(Path(settings.__file__).parents[1])}
    names = {subprocess.check_output([sys.executable, "-c", program], env=env) for _ in range(2)}
    assert len(names) == 2


def test_without_an_emulator_the_project_has_to_be_named():
    with pytest.raises(SettingsError, match="GOOGLE_CLOUD_PROJECT is not set"):
        Settings.from_env({})


def test_speed_max_is_as_fast_as_it_goes():
    assert Settings.from_env({**EMULATED, "PITWALL_SPEED": "max"}).speed == math.inf


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PITWALL_SPEED", "fast"),
        ("PITWALL_SPEED", "-1"),
        ("PITWALL_SPEED", "inf"),
        ("PITWALL_SPEED", "nan"),
        ("PITWALL_LEASE_TTL_S", "0"),
        ("PITWALL_ENVELOPE_BYTES", "256K"),
        ("PITWALL_FEED", "F1/../x"),
        ("PITWALL_TOPIC_TIMING", "googtiming"),
        ("PITWALL_TOPIC_TIMING", "a"),
        ("PITWALL_RAW_BUCKET", "Raw Bucket"),
        ("PITWALL_PUBSUB_ENDPOINT", "https://europe-west1-pubsub.googleapis.com"),
        ("PITWALL_SOURCE", ":"),
        ("PITWALL_LOG_LEVEL", "LOUD"),
        ("PITWALL_HISTORY", "ergast"),
        ("PITWALL_HISTORY", "none,f1"),
        ("PITWALL_CORS_ORIGINS", "app.example"),
        ("PITWALL_CORS_ORIGINS", "https://app.example/"),
        ("PITWALL_CORS_ORIGINS", "https://*.app.example"),
        ("PITWALL_ECONOMY_SLOW_AT", "80%"),
        ("PITWALL_ECONOMY_CLOSED_AT", "0"),
        ("PITWALL_RULES_OPEN", "rulesets/1"),
    ],
)
def test_wrong_value_is_refused_with_the_name_of_its_variable(variable: str, value: str):
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({**EMULATED, variable: value})
    assert f"{variable}={value!r}" in str(refused.value)


def test_all_wrong_values_are_named_at_once():
    with pytest.raises(SettingsError, match=r"PITWALL_SPEED.*PITWALL_FEED|PITWALL_FEED.*PITWALL_SPEED"):
        Settings.from_env({**EMULATED, "PITWALL_SPEED": "x", "PITWALL_FEED": "F 1"})


def test_lease_that_would_expire_between_two_renewals_is_refused():
    with pytest.raises(SettingsError, match="PITWALL_LEASE_RENEW_S"):
        Settings.from_env({**EMULATED, "PITWALL_LEASE_RENEW_S": "5", "PITWALL_LEASE_TTL_S": "10"})


def test_thresholds_of_the_budget_in_the_wrong_order_are_refused():
    with pytest.raises(SettingsError, match="PITWALL_ECONOMY_SLOW_AT"):
        Settings.from_env({**EMULATED, "PITWALL_ECONOMY_SLOW_AT": "1.1"})


@pytest.mark.parametrize(("opened", "closed"), [("1", ""), ("", "1"), ("1", "1")])
def test_rules_that_could_be_closed_but_not_opened_again_are_refused(opened: str, closed: str):
    rulesets = {"PITWALL_RULES_OPEN": opened, "PITWALL_RULES_CLOSED": closed}
    named = {name: f"projects/p/rulesets/{ruleset}" for name, ruleset in rulesets.items() if ruleset}
    with pytest.raises(SettingsError, match="PITWALL_RULES_OPEN and PITWALL_RULES_CLOSED"):
        Settings.from_env({**EMULATED, **named})


def test_tokens_that_nobody_signed_are_not_believed_in_the_cloud():
    emulated = {**EMULATED, "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9099"}
    assert Settings.from_env(emulated)
    with pytest.raises(SettingsError, match="FIREBASE_AUTH_EMULATOR_HOST"):
        Settings.from_env({**emulated, "K_SERVICE": "api"})


def test_private_addresses_are_no_kart_tracks_in_the_cloud():
    local = {**EMULATED, "PITWALL_PRIVATE_HOSTS": "on"}
    assert Settings.from_env(local).private_hosts
    assert not Settings.from_env({**EMULATED, "K_SERVICE": "karts"}).private_hosts
    with pytest.raises(SettingsError, match="PITWALL_PRIVATE_HOSTS"):
        Settings.from_env({**local, "K_SERVICE": "karts"})


def test_settings_survive_the_way_through_an_environment():
    made = Settings(
        speed=math.inf,
        source="recording:/tmp/a b",
        feed="kart-genk",
        raw_bucket="my-raw",
        telemetry_bucket="my-telemetry",
        instance="poller-a",
        history=(),
        invocation_s=42.5,
    )
    assert Settings.from_env(made.to_env()) == made


def test_every_variable_is_in_the_table():
    assert settings.__doc__ is not None
    missing = [name for name in settings.variables() if f"| {name} |" not in settings.__doc__]
    assert missing == []


def test_example_has_every_variable_and_no_other():
    example = (Path(__file__).resolve().parents[1] / ".env.example").read_text()
    named = set(re.findall(r"^#? ?([A-Z0-9_]+)=", example, re.MULTILINE))
    of_the_local_stack = {"PITWALL_JAVA", "PITWALL_FIRESTORE_JAR", "PITWALL_PUBSUB_JAR"}
    assert named - of_the_local_stack == set(settings.variables())


@pytest.mark.parametrize(("env", "proxies"), [({}, 0), ({"K_SERVICE": "api"}, 1), ({"PITWALL_PROXIES": "2"}, 2)])
def test_only_on_cloud_run_a_proxy_is_believed_unless_told(env: dict[str, str], proxies: int):
    assert Settings.from_env({"GOOGLE_CLOUD_PROJECT": "p", **env}).proxies == proxies
