"""Who is known, by real tokens of the Auth emulator: good, expired, of another project, revoked; profiles and roles."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from tests.api.accounts import Accounts, altered, bearer, expired
from tests.api.conftest import Serve, Stored, problem, problem_name
from tests.documents.examples import EXAMPLES

FUNCTIONS = Path(__file__).parents[2] / "functions"


def test_what_needs_an_account_says_so(api: httpx.Client, accounts: Accounts):
    response = api.get("/api/me")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="pitwall"'
    assert problem_name(response) == "unauthenticated"


def test_a_token_of_the_project_is_known(api: httpx.Client, accounts: Accounts):
    account = accounts.create()
    token = accounts.sign_in(account)
    assert api.get("/api/me", headers=bearer(token)).status_code == 404, "not registered yet"
    assert api.post("/api/users", headers=bearer(token)).json()["uid"] == account.uid


def test_an_expired_token_is_refused(api: httpx.Client, accounts: Accounts):
    response = api.get("/api/me", headers=bearer(expired(accounts.token())))
    assert problem_name(response) == "unauthenticated"
    assert "expired" in problem(response)["detail"]


def test_a_token_of_another_project_is_refused(api: httpx.Client, accounts: Accounts, auth_emulator: Emulator):
    elsewhere = Accounts(auth_emulator, f"{accounts.project}-other")
    response = api.get("/api/me", headers=bearer(elsewhere.token("admin")))
    assert problem_name(response) == "unauthenticated"
    assert accounts.project not in response.text


@pytest.mark.parametrize(
    "claims",
    [{"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 129}, {"iss": "https://evil.example"}, {"exp": None},
     {"exp": "later"}],
    ids=str,
)  # fmt: skip
def test_a_token_without_what_it_has_to_say_is_refused(api: httpx.Client, accounts: Accounts, claims: dict[str, Any]):
    assert problem_name(api.get("/api/me", headers=bearer(altered(accounts.token(), **claims)))) == "unauthenticated"


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "bearer x", "Bearer a.b.c", "Bearer W10.W10.W10", "Bearer " + "x" * 6000, "Basic YTpi",
     "Bearer bnVsbA.bnVsbA.bnVsbA", "Bearer " + ".".join(["W1tbW1tb"] * 3), "Token x", "Bearer é"],
)  # fmt: skip
def test_what_is_no_token_is_refused(api: httpx.Client, accounts: Accounts, header: str):
    response = api.get("/api/me", headers={"Authorization": header.encode("latin-1")})
    assert problem_name(response) == "unauthenticated"


def test_who_was_disabled_or_deleted_or_signed_out_everywhere_changes_nothing_any_more(
    api: httpx.Client, accounts: Accounts
):
    disabled, deleted, signed_out = (accounts.create("admin") for _ in range(3))
    tokens = [accounts.sign_in(account) for account in (disabled, deleted, signed_out)]
    assert [api.get("/api/keys", headers=bearer(token)).status_code for token in tokens] == [200] * 3
    accounts.update(disabled, disableUser=True)
    accounts.delete(deleted)
    accounts.update(signed_out, validSince=str(int(time.time()) + 1))
    for method, path in (("GET", "/api/keys"), ("POST", "/api/users"), ("DELETE", "/api/me")):
        answers = [api.request(method, path, headers=bearer(token)) for token in tokens]
        assert [problem_name(answer) for answer in answers] == ["unauthenticated"] * 3, path


def test_who_is_no_admin_any_more_is_none_at_once(api: httpx.Client, accounts: Accounts):
    account = accounts.create("admin")
    token = accounts.sign_in(account)
    accounts.update(account, customAttributes=json.dumps({"role": "viewer"}))
    assert problem_name(api.get("/api/keys", headers=bearer(token))) == "forbidden"


def test_public_routes_do_not_look_at_a_token(api: httpx.Client, accounts: Accounts, store: Stored):
    store(EXAMPLES)
    assert api.get("/api/sessions/9845", headers=bearer(expired(accounts.token()))).status_code == 200


class TestClosed:
    """Sessions where the settings close them."""

    @pytest.fixture
    def api(self, store: Stored, serve: Serve, accounts: Accounts) -> httpx.Client:
        store(EXAMPLES)
        return serve(public=False)

    def test_nobody_reads_without_an_account_with_a_role(self, api: httpx.Client, accounts: Accounts):
        assert problem_name(api.get("/api/sessions/9845")) == "unauthenticated"
        assert problem_name(api.get("/api/sessions/9845", headers=bearer(accounts.token()))) == "forbidden"
        for role in ("viewer", "service", "admin"):
            assert api.get("/api/sessions/9845", headers=bearer(accounts.token(role))).status_code == 200

    def test_a_role_that_there_is_not_is_none(self, api: httpx.Client, accounts: Accounts):
        for role in ("owner", "", "ADMIN"):
            assert problem_name(api.get("/api/sessions/9845", headers=bearer(accounts.token(role)))) == "forbidden"

    def test_no_cache_between_keeps_what_was_read(self, api: httpx.Client, accounts: Accounts):
        response = api.get("/api/sessions/9845", headers=bearer(accounts.token("viewer")))
        assert "private" in response.headers["cache-control"]
        assert "public" not in response.headers["cache-control"]
        vary = response.headers["vary"].lower()
        assert "authorization" in vary
        assert "x-api-key" in vary

    def test_who_has_it_already_is_asked_who_they_are_all_the_same(self, api: httpx.Client, accounts: Accounts):
        headers = bearer(accounts.token("viewer"))
        tag = {"If-None-Match": api.get("/api/sessions/9845", headers=headers).headers["etag"]}
        assert api.get("/api/sessions/9845", headers={**headers, **tag}).status_code == 304
        assert api.get("/api/sessions/9845", headers=tag).status_code == 401
        assert api.head("/api/sessions/9845").status_code == 401


class TestProfile:
    @pytest.fixture
    def me(self, api: httpx.Client, accounts: Accounts) -> httpx.Client:
        """Somebody who is registered."""
        api.headers.update(bearer(accounts.token()))
        assert api.post("/api/users").status_code == 201
        return api

    def test_registering_again_changes_nothing(self, me: httpx.Client):
        me.patch("/api/me", json={"displayName": "Ayrton"})
        again = me.post("/api/users")
        assert again.status_code == 200
        assert again.json()["displayName"] == "Ayrton"

    def test_only_what_is_named_changes_and_null_takes_out(self, me: httpx.Client):
        whole = {"displayName": "Ayrton", "favouriteDrivers": ["44", "LEC"], "notifications": {"results": True}}
        assert whole.items() <= me.patch("/api/me", json=whole).json().items()
        me.patch("/api/me", json={"displayName": None, "notifications": {"sessionStart": False}})
        kept = me.get("/api/me").json()
        assert "displayName" not in kept
        assert kept["favouriteDrivers"] == ["44", "LEC"]
        assert kept["notifications"] == {"results": True, "sessionStart": False}
        assert me.patch("/api/me", json={"notifications": {"results": None}}).json()["notifications"] == {
            "sessionStart": False
        }
        assert "notifications" not in me.patch("/api/me", json={"notifications": None}).json()

    def test_each_change_is_a_version_and_a_tag(self, me: httpx.Client):
        before = me.get("/api/me")
        assert me.get("/api/me", headers={"If-None-Match": before.headers["etag"]}).status_code == 304
        after = me.patch("/api/me", json={"displayName": "Ayrton"})
        assert after.json()["v"] == before.json()["v"] + 1
        assert after.headers["etag"] != before.headers["etag"]
        assert before.headers["cache-control"] == "private, no-cache"

    @pytest.mark.parametrize(
        ("body", "parameter"),
        [
            ({"uid": "x"}, "uid"),
            ({"role": "admin"}, "role"),
            ({"createdAt": "2025-01-01T00:00:00Z"}, "createdAt"),
            ({"v": 7}, "v"),
            ({"displayName": ""}, "displayName"),
            ({"displayName": "x" * 65}, "displayName"),
            ({"displayName": "a\nb"}, "displayName"),
            ({"displayName": "Ayrton\n"}, "displayName"),
            ({"favouriteDrivers": ["44\n"]}, "favouriteDrivers"),
            ({"displayName": 7}, "displayName"),
            ({"favouriteDrivers": ["44"] * 31}, "favouriteDrivers"),
            ({"favouriteDrivers": ["../x"]}, "favouriteDrivers"),
            ({"notifications": {"everything": True}}, "everything"),
            ({"notifications": {"results": "yes"}}, "notifications.results"),
            ([], "body"),
        ],
        ids=str,
    )
    def test_what_cannot_be_changed_is_refused_by_name(self, me: httpx.Client, body: Any, parameter: str):
        before = me.get("/api/me").content
        refused = me.patch("/api/me", json=body)
        assert refused.status_code == 400
        assert problem(refused)["parameter"] == parameter
        assert me.get("/api/me").content == before

    def test_who_is_forgotten_leaves_nothing(self, me: httpx.Client, firestore: firestore_api.Client):
        assert me.delete("/api/me").status_code == 204
        assert me.delete("/api/me").status_code == 204
        assert me.get("/api/me").status_code == 404
        assert me.patch("/api/me", json={"displayName": "Ayrton"}).status_code == 404
        assert list(firestore.collection("users").stream()) == []

    def test_another_account_sees_and_changes_nothing_of_it(self, me: httpx.Client, accounts: Accounts):
        mine = me.get("/api/me").content
        other = bearer(accounts.token())
        assert me.get("/api/me", headers=other).status_code == 404
        assert me.delete("/api/me", headers=other).status_code == 204
        assert me.get("/api/me").content == mine

    def test_a_body_has_to_be_json_and_short(self, me: httpx.Client):
        assert me.patch("/api/me", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
        assert me.patch("/api/me", content=b"{}").status_code == 415
        json_type = {"Content-Type": "application/merge-patch+json"}
        assert me.patch("/api/me", content=b"{}", headers=json_type).status_code == 200
        assert problem_name(me.patch("/api/me", content=b"{", headers=json_type)) == "bad-request"
        assert problem_name(me.patch("/api/me", content=b"[" * 10_000, headers=json_type)) == "bad-request"
        assert me.patch("/api/me", json={"displayName": "x" * 20_000}).status_code == 413


class TestRoles:
    def test_an_admin_gives_and_takes_a_role_and_leaves_other_claims(self, api: httpx.Client, accounts: Accounts):
        admin = bearer(accounts.token("admin"))
        account = accounts.create()
        accounts.update(account, customAttributes=json.dumps({"team": "blue"}))
        path = f"/api/users/{account.uid}/role"
        assert api.patch(path, headers=admin, json={"role": "viewer"}).json() == {"uid": account.uid, "role": "viewer"}
        assert accounts.claims(account) == {"team": "blue", "role": "viewer"}
        assert api.patch(path, headers=admin, json={"role": None}).json() == {"uid": account.uid}
        assert accounts.claims(account) == {"team": "blue"}

    @pytest.mark.parametrize("body", [{}, {"role": "owner"}, {"role": 1}, {"role": "viewer", "uid": "x"}], ids=str)
    def test_a_role_that_there_is_not_is_refused(self, api: httpx.Client, accounts: Accounts, body: dict[str, Any]):
        account = accounts.create()
        response = api.patch(f"/api/users/{account.uid}/role", headers=bearer(accounts.token("admin")), json=body)
        assert problem_name(response) == "bad-request"
        assert accounts.claims(account) == {}

    @pytest.mark.parametrize("uid", ["nobody", "x" * 200, "%20", "a@b"])
    def test_an_account_that_there_is_not_is_not_found(self, api: httpx.Client, accounts: Accounts, uid: str):
        response = api.patch(f"/api/users/{uid}/role", headers=bearer(accounts.token("admin")), json={"role": "viewer"})
        assert problem_name(response) == "not-found"

    @pytest.mark.parametrize("by", ["email", "uid"])
    def test_the_first_admin_is_made_by_a_command(self, api: httpx.Client, accounts: Accounts, by: str):
        account = accounts.create()
        made = give(getattr(account, by), "admin")
        assert made.returncode == 0, made.stderr
        assert account.email not in made.stdout
        assert api.get("/api/keys", headers=bearer(accounts.sign_in(account))).status_code == 200
        assert give(getattr(account, by), "none").returncode == 0
        assert accounts.claims(account) == {}

    def test_the_command_says_what_is_wrong(self, accounts: Accounts):
        assert give("nobody@example.com", "admin").stderr == "There is no such account.\n"
        assert "invalid choice" in give("nobody@example.com", "owner").stderr


def give(account: str, role: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pitwall.api.roles", account, role]
    return subprocess.run(command, cwd=FUNCTIONS, capture_output=True, text=True, check=False, timeout=60)


def test_no_line_of_the_log_says_who_it_was(api: httpx.Client, accounts: Accounts, capsys: pytest.CaptureFixture[str]):
    account = accounts.create("admin")
    token = accounts.sign_in(account)
    headers = bearer(token)
    api.post("/api/users", headers=headers)
    api.patch("/api/me", headers=headers, json={"displayName": "Ayrton"})
    key = api.post("/api/keys", headers=headers, json={"name": "a bot of Ayrton"}).json()
    api.get("/api/me", headers={"X-API-Key": key["key"]})
    api.get("/api/me", headers=bearer(expired(token)))
    api.get("/api/me", headers=bearer(token[:-9]))
    api.patch(f"/api/users/{account.uid}/role", headers=headers, json={"role": "viewer"})
    api.delete(f"/api/keys/{key['id']}", headers=headers)
    written = "".join(capsys.readouterr())
    assert written.count('"route":"/api/me"') == 4
    for secret in (account.uid, account.email, token, token.split(".")[1], key["key"], key["id"], "Ayrton"):
        assert secret not in written
