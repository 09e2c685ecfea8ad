"""Somebody with the Firebase SDK: what they ask Firestore for, and whether its rules let them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import jwt
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

Answer = Callable[[], bool]
"""Waits for the answer to what was asked: whether the rules let it through."""

_REQUEST_TIME = types.DocumentTransform.FieldTransform.ServerValue.REQUEST_TIME
_REMOVE = types.TargetChange.TargetChangeType.REMOVE


def id_token(project: str, uid: str, **claims: Any) -> str:
    """An ID token as Firebase Authentication's emulator makes them: nobody has signed it."""
    now = int(time.time())
    issuer = f"https://securetoken.google.com/{project}"
    own = {"sub": uid, "aud": project, "iss": issuer, "iat": now, "auth_time": now, "exp": now + 3600}
    return jwt.encode({**own, **claims}, None, algorithm="none")


def at_request_time(write: Any, *names: str) -> Any:
    """A write with instants that Firestore sets, as `serverTimestamp()` does."""
    for name in names:
        write.update_transforms.add(field_path=name, set_to_server_value=_REQUEST_TIME)
    return write


class Somebody:
    """A client of the Firestore of a project. token: an ID token; empty for who is not signed in."""

    def __init__(self, channel: grpc.Channel, project: str, token: str) -> None:
        self._database = f"projects/{project}/databases/(default)"
        self._root = f"{self._database}/documents"
        self._transport = FirestoreGrpcTransport(channel=channel)
        self._metadata = [("google-cloud-resource-prefix", self._database)]
        if token:
            self._metadata.append(("authorization", f"Bearer {token}"))

    def get(self, path: str) -> Answer:
        request = types.GetDocumentRequest(name=f"{self._root}/{path}")
        return _answer_of(self._transport.get_document.future(request, metadata=self._metadata))

    def list(self, collection: str, limit: int | None = None, offset: int = 0) -> Answer:
        return self._query(collection, limit=limit, offset=offset)

    def list_everywhere(self, name: str, limit: int) -> Answer:
        """The collections of a name under all documents: a collection group."""
        return self._query(name, limit=limit, everywhere=True)

    def commit(self, write: Any) -> Answer:
        """write: as `pitwall.pipeline.database` makes them."""
        request = types.CommitRequest(database=self._database, writes=[types.Write.wrap(write)])
        return _answer_of(self._transport.commit.future(request, metadata=self._metadata))

    def hears(self, collection: str, limit: int | None) -> bool:
        """Whether a listener to a collection that has documents is told one."""
        parent, query = self._selected(collection, limit=limit)
        target = types.Target(query=types.Target.QueryTarget(parent=parent, structured_query=query), target_id=1)
        asked = types.ListenRequest(database=self._database, add_target=target)
        call = self._transport.listen(iter([asked]), metadata=self._metadata)
        try:
            for told in call:
                if "document_change" in told:
                    return True
                if told.target_change.target_change_type == _REMOVE:
                    assert told.target_change.cause.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
                    return False
        finally:
            call.cancel()
        raise AssertionError("the listener was told nothing")

    def _query(self, collection: str, **query: Any) -> Answer:
        parent, selected = self._selected(collection, **query)
        request = types.RunQueryRequest(parent=parent, structured_query=selected)
        call = self._transport.run_query(request, metadata=self._metadata)
        return lambda: _let_through(lambda: [*call])

    def _selected(
        self, collection: str, *, limit: int | None, offset: int = 0, everywhere: bool = False
    ) -> tuple[str, types.StructuredQuery]:
        parent, _, name = f"{self._root}/{collection}".rpartition("/")
        selector = {"collection_id": name, "all_descendants": everywhere}
        return parent, types.StructuredQuery(from_=[selector], limit=limit, offset=offset)


def _answer_of(future: Any) -> Answer:
    return lambda: _let_through(future.result)


def _let_through(wait: Callable[[], Any]) -> bool:
    """What was let through may fail, as the document is not there, or is there already."""
    try:
        wait()
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.PERMISSION_DENIED:
            return False
        if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS):
            raise
    return True
