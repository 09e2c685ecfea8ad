"""Tokens as the cloud has them, signed: by Google's keys, which here are ours and served on this machine.

What is checked is firebase-admin's own check, with nothing set that belongs to an emulator; only where it gets Google's
public keys from is another address.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from firebase_admin import _token_gen, app_check

from tests.api.accounts import altered, bearer
from tests.api.conftest import Serve, Stored, problem, problem_name
from tests.documents.examples import EXAMPLES

KEY_ID = "google-1"


class Signer:
    """A pair of keys. Its tokens are those of `project`, good for an hour, unless `claims` says otherwise."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def id_token(self, key_id: str = KEY_ID, algorithm: str = "RS256", **claims: Any) -> str:
        now = int(time.time())
        issuer = f"https://securetoken.google.com/{self.project}"
        said = {"iss": issuer, "aud": self.project, "sub": "u1", "iat": now - 5, "exp": now + 3600, "role": "viewer"}
        return self._signed({**said, **claims}, key_id, algorithm)

    def app_token(self, **claims: Any) -> str:
        now = int(time.time())
        said = {
            "iss": "https://firebaseappcheck.googleapis.com/1",
            "aud": ["projects/1", f"projects/{self.project}"],
            "sub": "1:1:web:1",
            "iat": now - 5,
            "exp": now + 3600,
        }
        return self._signed({**said, **claims}, KEY_ID, "RS256")

    def _signed(self, claims: dict[str, Any], key_id: str, algorithm: str) -> str:
        key: Any = self.private if algorithm == "RS256" else self.pem(public=True)[:64]
        return jwt.encode(claims, key, algorithm, {"kid": key_id})

    def pem(self, *, public: bool = False) -> str:
        if public:
            return base64.b64encode(self.private.public_key().public_numbers().n.to_bytes(256, "big")).decode()
        encoded = self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return encoded.decode()

    def certificate(self) -> str:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "securetoken")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self.private, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def jwks(self) -> dict[str, Any]:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        return {"keys": [{**key, "kid": KEY_ID, "alg": "RS256", "use": "sig"}]}


@pytest.fixture
def google(project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Signer]:
    """Who signs the tokens that are good."""
    signer = Signer(project)
    served = {"/certificates": {KEY_ID: signer.certificate()}, "/jwks": signer.jwks()}

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(served[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(_token_gen, "ID_TOKEN_CERT_URI", f"{base}/certificates")
    monkeypatch.setattr(app_check._AppCheckService, "_JWKS_URL", f"{base}/jwks")
    monkeypatch.delenv("FIREBASE_AUTH_EMULATOR_HOST", raising=False)
    identity = {
        "type": "service_account",
        "project_id": project,
        "client_email": f"api@{project}.iam.gserviceaccount.com",
        "token_uri": f"{base}/token",
        "private_key": signer.pem(),
    }
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps(identity))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
    yield signer
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(store: Stored, serve: Serve, google: Signer) -> httpx.Client:
    """An API that only an account with a role may read."""
    store({"sessions/9845": EXAMPLES["sessions/9845"]})
    return serve(public=False)


def test_what_google_signed_for_the_project_is_believed(api: httpx.Client, google: Signer):
    assert api.get("/api/sessions/9845", headers=bearer(google.id_token())).status_code == 200


def test_what_google_did_not_sign_for_the_project_is_refused(api: httpx.Client, google: Signer):
    now = int(time.time())
    good = google.id_token()
    wrong = {
        "expired": google.id_token(iat=now - 7200, exp=now - 3600),
        "another audience": google.id_token(aud="another"),
        "another issuer": google.id_token(iss="https://securetoken.google.com/another"),
        "signed by another": Signer(google.project).id_token(),
        "an unknown key": google.id_token(key_id="google-2"),
        "signed with what is public": google.id_token(algorithm="HS256"),
        "altered": altered(good, role="admin"),
        "signed by nobody": jwt.encode(jwt.decode(good, options={"verify_signature": False}), None, algorithm="none"),
        "signature cut off": good.rpartition(".")[0] + ".",
        "an App Check token": google.app_token(),
    }
    answers = {name: api.get("/api/sessions/9845", headers=bearer(token)) for name, token in wrong.items()}
    assert {name: problem_name(answer) for name, answer in answers.items()} == dict.fromkeys(wrong, "unauthenticated")
    assert "expired" in problem(answers["expired"])["detail"]


def test_when_googles_keys_cannot_be_had_nobody_is_refused_for_good(
    api: httpx.Client, google: Signer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_token_gen, "ID_TOKEN_CERT_URI", "http://127.0.0.1:1/")
    response = api.get("/api/sessions/9845", headers=bearer(google.id_token()))
    assert problem_name(response) == "unavailable"
    assert response.headers["retry-after"]


class TestAppCheck:
    @pytest.fixture
    def api(self, store: Stored, serve: Serve, google: Signer) -> httpx.Client:
        """A public API that answers attested apps only."""
        store({"sessions/9845": EXAMPLES["sessions/9845"]})
        return serve(app_check=True)

    def test_an_attested_app_is_answered_and_no_cache_between_keeps_it(self, api: httpx.Client, google: Signer):
        response = api.get("/api/sessions/9845", headers={"X-Firebase-AppCheck": google.app_token()})
        assert response.status_code == 200
        assert "private" in response.headers["cache-control"]
        assert "x-firebase-appcheck" in response.headers["vary"].lower()

    def test_any_other_is_refused(self, api: httpx.Client, google: Signer):
        now = int(time.time())
        wrong = {
            "none": "",
            "no token": "x.y.z",
            "expired": google.app_token(iat=now - 7200, exp=now - 3600),
            "another audience": google.app_token(aud=["projects/another"]),
            "another issuer": google.app_token(iss="https://evil.example"),
            "signed by another": Signer(google.project).app_token(),
            "an ID token": google.id_token(),
            "too long": "x" * 6000,
        }
        answers = {
            name: problem_name(api.get("/api/sessions/9845", headers={"X-Firebase-AppCheck": token}))
            for name, token in wrong.items()
        }
        assert answers == dict.fromkeys(wrong, "unauthenticated")
        assert problem_name(api.get("/api/sessions/9845")) == "unauthenticated"

    def test_a_problem_says_nothing_of_the_token(self, api: httpx.Client, google: Signer):
        refused = api.get("/api/sessions/9845", headers={"X-Firebase-AppCheck": google.app_token(aud=["projects/x"])})
        assert google.project not in refused.text
