"""Every setting is set in the cloud, on purpose, to a value the functions accept."""

from __future__ import annotations

import re

from pitwall.settings import Settings, variables
from tests.infra.hcl import local, text

LEFT = {
    "PITWALL_PRIVATE_HOSTS": "the functions do not start with it: it is for the local stack",
    "PITWALL_INSTANCE": "it names a process, and all instances of a function have the same environment",
    "PITWALL_F1_TOKEN": "a token in the environment stays as it was at the start; PITWALL_F1_TOKEN_SECRET is read anew",
}
"""Settings that are left at their default, and why."""

DEFAULTS = {name: text(value) for name, value in local("functions.tf", "defaults").items()}
WIRED = local("functions.tf", "wired")
OF_FUNCTION = local("functions.tf", "of_function")
SECRETS = local("functions.tf", "secrets")
SECRETS_OF = local("functions.tf", "secrets_of")


def test_every_setting_is_set_or_left_for_a_reason() -> None:
    own = [name for given in (*OF_FUNCTION.values(), *SECRETS_OF.values()) for name in given]
    assert sorted([*DEFAULTS, *WIRED, *own, *LEFT]) == sorted(variables())


def test_defaults_are_those_of_the_settings() -> None:
    assert Settings.from_env({"GOOGLE_CLOUD_PROJECT": "p", "PITWALL_INSTANCE": "here"}) == Settings.from_env(
        {"GOOGLE_CLOUD_PROJECT": "p", "PITWALL_INSTANCE": "here", **DEFAULTS, "PITWALL_PROXIES": ""}
    )
    assert DEFAULTS["PITWALL_PROXIES"] == "1"  # Google's front end, as the settings assume on Cloud Run


def test_topics_are_those_that_functions_assume() -> None:
    settings = Settings(project="p").to_env()
    topics = {name: text(value) for name, value in WIRED.items() if name.startswith("PITWALL_TOPIC_")}
    assert topics == {name: settings[name] for name in topics}
    assert sorted(topics.values()) == sorted(local("main.tf", "topics"))


def test_a_secret_is_never_a_plain_variable() -> None:
    from dataclasses import fields

    secret = {spec.metadata["variable"] for spec in fields(Settings) if spec.metadata["secret"]}
    assert not secret & {*DEFAULTS, *WIRED}
    assert secret - set(LEFT) == {name for given in SECRETS_OF.values() for name in given}


def test_there_is_a_secret_for_each_variable_that_is_given_one() -> None:
    given = {text(secret) for of in SECRETS_OF.values() for secret in of.values()}
    [token] = re.findall(r"/secrets/([a-z0-9-]+)/", WIRED["PITWALL_F1_TOKEN_SECRET"])
    assert given | {token} == set(SECRETS)
