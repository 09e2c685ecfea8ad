"""What holds for every module of infra/: typed and described variables, one provider, rights in one place."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.infra.hcl import INFRA, blocks, parsed, text

VARIABLES = [pytest.param(body, id=f"{path.parent.name}-{names[0]}") for path, names, body in blocks("variable")]


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_has_a_type_and_says_what_it_is(variable: dict[str, Any]) -> None:
    assert variable["type"] != "any"
    assert len(text(variable["description"])) > 10


def test_an_output_says_what_it_is() -> None:
    assert not [f"{path.parent.name} {names[0]}" for path, names, body in blocks("output") if "description" not in body]


GIVING = [
    (path.parent.name, kind)
    for path, (kind, _), _ in blocks("resource")
    if re.search(r"_iam(_|$)|_acl$|_access_control$", kind)
]


def test_only_the_module_access_gives_rights() -> None:
    assert {module for module, _ in GIVING} == {"access"}


def test_rights_are_added_and_those_of_others_left() -> None:
    kinds = {kind for _, kind in GIVING}
    assert {kind for kind in kinds if not kind.endswith("_member")} == {"google_project_iam_custom_role"}


def test_no_secrets_value_and_no_key_is_made() -> None:
    kinds = {names[0] for kind in ("resource", "data") for _, names, _ in blocks(kind)}
    assert not [kind for kind in kinds if re.search(r"secret_version|service_account_key|hmac_key|access_token", kind)]


def test_the_only_provider_is_googles_at_one_version() -> None:
    [terraform] = parsed(INFRA / "versions.tf")["terraform"]
    [providers] = terraform["required_providers"]
    google = {name: provider for name, provider in providers.items() if not name.startswith("__")}
    assert list(google) == ["google"]
    assert text(google["google"]["source"]) == "hashicorp/google"
    assert re.fullmatch(r"\d+\.\d+\.\d+", text(google["google"]["version"]))


def test_every_module_is_used() -> None:
    used = {text(body["source"]) for path, _, body in blocks("module") if path.parent == INFRA}
    assert used == {f"./modules/{folder.name}" for folder in (INFRA / "modules").iterdir() if folder.is_dir()}
