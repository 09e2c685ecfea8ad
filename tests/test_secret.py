"""Secrets, read over a real channel from a service that answers as Secret Manager does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import secretmanager
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

from pitwall.secret import SecretError, read_secret

LATEST = "projects/p/secrets/f1tv-token/versions/latest"
_METHOD = "/google.cloud.secretmanager.v1.SecretManagerService/AccessSecretVersion"


class SecretManager(grpc.GenericRpcHandler):
    """The one call of Secret Manager that is made. `versions`: what is held; `asked`: what was asked for."""

    def __init__(self) -> None:
        self.versions: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.denied = False

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if call.method != _METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._access,
            secretmanager.AccessSecretVersionRequest.deserialize,
            secretmanager.AccessSecretVersionResponse.serialize,
        )

    def _access(
        self, request: secretmanager.AccessSecretVersionRequest, context: grpc.ServicerContext
    ) -> secretmanager.AccessSecretVersionResponse:
        self.asked.append(request.name)
        if self.denied:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"Permission denied on {request.name}")
        if request.name not in self.versions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"{request.name} not found")
        return secretmanager.AccessSecretVersionResponse(
            name=request.name, payload=secretmanager.SecretPayload(data=self.versions[request.name])
        )


@pytest.fixture
def held() -> SecretManager:
    return SecretManager()


@pytest.fixture
def client(held: SecretManager) -> Iterator[secretmanager.SecretManagerServiceClient]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((held,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    with secretmanager.SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel)) as made:
        yield made
    server.stop(None).wait()


def test_secret_is_read_without_the_line_it_ends_with(
    held: SecretManager, client: secretmanager.SecretManagerServiceClient
) -> None:
    held.versions[LATEST] = b"eyJ.a.b\n"
    assert read_secret(LATEST, client) == "eyJ.a.b"
    assert held.asked == [LATEST]


def test_new_version_counts_at_the_next_reading(
    held: SecretManager, client: secretmanager.SecretManagerServiceClient
) -> None:
    held.versions[LATEST] = b"one"
    first = read_secret(LATEST, client)
    held.versions[LATEST] = b"two"
    assert (first, read_secret(LATEST, client)) == ("one", "two")


def test_secret_that_is_not_there_is_said(client: secretmanager.SecretManagerServiceClient) -> None:
    with pytest.raises(SecretError, match="Secret Manager does not give it: not found"):
        read_secret(LATEST, client)


def test_secret_that_may_not_be_read_is_said(
    held: SecretManager, client: secretmanager.SecretManagerServiceClient
) -> None:
    held.denied = True
    with pytest.raises(SecretError, match="Secret Manager does not give it: permission denied"):
        read_secret(LATEST, client)


def test_secret_that_is_no_text_is_said_without_it(
    held: SecretManager, client: secretmanager.SecretManagerServiceClient
) -> None:
    held.versions[LATEST] = b"\xff\xfe secret"
    with pytest.raises(SecretError, match="no text") as error:
        read_secret(LATEST, client)
    assert error.value.__suppress_context__


def test_no_credentials_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_credentials(*_: object, **__: object) -> None:
        raise DefaultCredentialsError("none")

    monkeypatch.setattr("google.auth.default", no_credentials)
    with pytest.raises(SecretError, match="default credentials error"):
        read_secret(LATEST)
