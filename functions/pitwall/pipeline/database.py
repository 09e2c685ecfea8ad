"""Firestore as pipeline and API use it: read some documents, query a collection, commit writes with preconditions.

Google's own generated client with raw protocol buffers: encoding a tower takes a twelfth of what
`firestore.Client` needs, and its channel may reconnect within a second after an outage, where
gRPC's default backs off for two minutes. Which documents there are is not known here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import grpc
from google.api_core import exceptions
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

from pitwall.pipeline import metrics

_Write = type(types.Write.pb(types.Write()))
_CommitRequest = type(types.CommitRequest.pb(types.CommitRequest()))
_BatchGetRequest = type(types.BatchGetDocumentsRequest.pb(types.BatchGetDocumentsRequest()))

_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
Comparison = Literal["==", "<=", ">=", "contains"]
"""`contains`: of a list, that the value is in it."""
_OPERATORS: dict[Comparison, Any] = {
    "==": types.StructuredQuery.FieldFilter.Operator.EQUAL,
    "<=": types.StructuredQuery.FieldFilter.Operator.LESS_THAN_OR_EQUAL,
    ">=": types.StructuredQuery.FieldFilter.Operator.GREATER_THAN_OR_EQUAL,
    "contains": types.StructuredQuery.FieldFilter.Operator.ARRAY_CONTAINS,
}
_NAME = "__name__"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Conflict(Exception):
    """A precondition of the commit did not hold; nothing was written."""


class InvalidWrite(Exception):
    """Firestore will never accept one of the writes; nothing was written."""


class Unavailable(Exception):
    """Firestore did not answer, or refused for a reason that is not in the writes.

    The writes may or may not have happened. reason: gRPC's word for it (`UNAVAILABLE`, `DEADLINE_EXCEEDED`); the text
    may name a document.
    """

    def __init__(self, detail: str, reason: str = "") -> None:
        super().__init__(detail)
        self.reason = reason


class Stored(NamedTuple):
    """A document as read, or that there is none.

    fields: None if it does not exist. updated: Firestore's update time, for a precondition.
    read_at: Firestore's own clock when it was read.
    """

    fields: dict[str, Any] | None
    updated: Any
    read_at: datetime


class Database:
    """The database `(default)` of a project, or of the emulator FIRESTORE_EMULATOR_HOST names."""

    def __init__(self, project: str, timeout_s: float = 8.0) -> None:
        emulator = os.environ.get("FIRESTORE_EMULATOR_HOST")
        self._name = f"projects/{project}/databases/(default)"
        self._root = f"{self._name}/documents/"
        self._timeout_s = timeout_s
        self._metadata = [("google-cloud-resource-prefix", self._name)]
        if emulator:
            channel = grpc.insecure_channel(emulator, options=_CHANNEL_OPTIONS)
            self._metadata.append(("authorization", "Bearer owner"))
        else:
            channel = FirestoreGrpcTransport.create_channel(options=_CHANNEL_OPTIONS)
        self._channel = channel
        self._reads = self._writes = self._deletes = 0
        self._client = FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))

    def close(self) -> None:
        self._channel.close()

    def operations(self) -> dict[str, int]:
        """Documents read, written and deleted since this was last asked, for a log line; roughly what is billed.

        One caller a database: what is asked of it by several threads at once is counted roughly.
        """
        counted = {
            "firestoreReads": self._reads,
            "firestoreWrites": self._writes,
            "firestoreDeletes": self._deletes,
        }
        self._reads = self._writes = self._deletes = 0
        return counted

    def write(self, path: str, fields: dict[str, Any], after: Any = None, *, must_be_new: bool = False) -> Any:
        """A write of a whole document, to be committed.

        after: update time the document must still have. must_be_new: it must not exist.
        Raises ValueError, TypeError or OverflowError for a value that Firestore cannot hold.
        """
        write = _Write()
        write.update.name = self._root + path
        for key, value in fields.items():
            _encode(value, write.update.fields[key])
        return self.expect(write, after, must_be_new=must_be_new)

    def change(self, path: str, fields: dict[str, Any], gone: Sequence[str], after: Any) -> Any:
        """A write of some fields of a document that is there, to be committed; what else it holds stays.

        gone: names of fields that are taken out. after: update time the document must still have.
        Raises as `write` does.
        """
        write = self.write(path, fields, after)
        write.update_mask.field_paths.extend([*fields, *gone])
        return write

    def delete(self, path: str, after: Any = None) -> Any:
        """A write that deletes a document, to be committed. after: update time the document must still have."""
        write = _Write()
        write.delete = self._root + path
        return self.expect(write, after)

    def add(self, path: str, field: str, number: int, fields: dict[str, Any]) -> Any:
        """A write that adds a number to a field of a document, new or not, and sets others; `commit_sums` has the sum.

        What else the document holds stays. Raises as `write` does.
        """
        write = self.write(path, fields)
        write.update_mask.field_paths.extend(fields)
        write.update_transforms.add(field_path=field).increment.integer_value = number
        return write

    def expect(self, write: Any, after: Any = None, *, must_be_new: bool = False) -> Any:
        """The write with another precondition."""
        write.ClearField("current_document")
        if must_be_new:
            write.current_document.exists = False
        elif after is not None:
            write.current_document.update_time.CopyFrom(after)
        return write

    def commit(self, writes: Sequence[Any]) -> list[Any]:
        """All of the writes or none; returns the update time of each (of a delete: nothing that means anything).

        Raises Conflict, InvalidWrite, Unavailable.
        """
        return [result.update_time for result in self._commit(writes)]

    def commit_sums(self, writes: Sequence[Any]) -> list[int]:
        """Commits writes that `add` made; returns the sum that each has come to. Raises as `commit` does."""
        return [int(result.transform_results[0].integer_value) for result in self._commit(writes)]

    def _commit(self, writes: Sequence[Any]) -> Any:
        request = types.CommitRequest.wrap(_CommitRequest(database=self._name, writes=writes))
        try:
            answer = self._client.commit(request=request, metadata=self._metadata, retry=None, timeout=self._timeout_s)
        except (exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.NotFound, exceptions.Aborted) as no:
            raise Conflict(str(no)) from None
        except (exceptions.InvalidArgument, exceptions.OutOfRange) as no:
            raise InvalidWrite(no.message) from None
        except (exceptions.GoogleAPIError, grpc.RpcError) as no:
            raise Unavailable(str(no), _reason(no)) from None
        deletes = sum(write.WhichOneof("operation") == "delete" for write in writes)
        self._deletes += deletes
        self._writes += len(writes) - deletes
        metrics.operations("delete", deletes)
        metrics.operations("write", len(writes) - deletes)
        return types.CommitResponse.pb(answer).write_results

    def read(self, paths: Iterable[str], only: Sequence[str] = (), timeout_s: float | None = None) -> dict[str, Stored]:
        """The documents at `paths`, all at one instant; of their fields those named in `only`, else all.

        timeout_s: instead of the database's own.

        Raises Unavailable.
        """
        request = _BatchGetRequest(database=self._name, documents=[self._root + path for path in paths])
        request.mask.field_paths.extend(only)
        if not only:
            request.ClearField("mask")
        found: dict[str, Stored] = {}
        try:
            for answer in self._client.batch_get_documents(
                request=types.BatchGetDocumentsRequest.wrap(request),
                metadata=self._metadata,
                retry=None,
                timeout=timeout_s or self._timeout_s,
            ):
                raw = types.BatchGetDocumentsResponse.pb(answer)
                read_at = _datetime(raw.read_time)
                if raw.missing:
                    found[raw.missing[len(self._root) :]] = Stored(None, None, read_at)
                else:
                    fields = {key: _decode(value) for key, value in raw.found.fields.items()}
                    found[raw.found.name[len(self._root) :]] = Stored(fields, raw.found.update_time, read_at)
        except (exceptions.GoogleAPIError, grpc.RpcError) as no:
            raise Unavailable(str(no), _reason(no)) from None
        self._reads += len(found)
        metrics.operations("read", len(found))
        return found

    def query(
        self,
        collection: str,
        *,
        where: Sequence[tuple[str, Comparison, Any]] = (),
        order_by: str | None = None,
        descending: bool = False,
        after: tuple[Any, str] | None = None,
        limit: int | None,
        only: Sequence[str] = (),
    ) -> list[tuple[str, dict[str, Any]]]:
        """Path and fields of up to `limit` documents of a collection, as `sessions/9845/laps`; None for all of them.

        where: fields, comparisons and values that all have to hold. only: paths of the fields that are read, else all.
        order_by: a field, or `__name__` for the order of ids alone, for which the value in `after` is of no use.
        after: value of `order_by` and path of a document, there or not, behind which to begin; of documents with the
        same value those behind it in the order of their ids.
        A document without the field `order_by` is not found. Raises Unavailable.
        """
        query = types.StructuredQuery(from_=[{"collection_id": collection.rpartition("/")[2]}], limit=limit)
        if where:
            query.where = _all_of(where)
        if order_by:
            direction = types.StructuredQuery.Direction
            towards = direction.DESCENDING if descending else direction.ASCENDING
            names = dict.fromkeys((order_by, _NAME))
            query.order_by = [{"field": {"field_path": name}, "direction": towards} for name in names]
            if after is not None:
                query.start_at = self._behind(*after, by_name=order_by == _NAME)
        if only:
            query.select = {"fields": [{"field_path": field} for field in only]}
        parent = f"{self._root}{collection}".rpartition("/")[0]
        found: list[tuple[str, dict[str, Any]]] = []
        try:
            for answer in self._client.run_query(
                request=types.RunQueryRequest(parent=parent, structured_query=query),
                metadata=self._metadata,
                retry=None,
                timeout=self._timeout_s,
            ):
                raw = types.RunQueryResponse.pb(answer)
                if raw.HasField("document"):
                    fields = {key: _decode(value) for key, value in raw.document.fields.items()}
                    found.append((raw.document.name[len(self._root) :], fields))
        except (exceptions.GoogleAPIError, grpc.RpcError) as no:
            raise Unavailable(str(no), _reason(no)) from None
        self._reads += max(1, len(found))
        metrics.operations("read", max(1, len(found)))
        return found

    def _behind(self, value: Any, path: str, *, by_name: bool) -> types.Cursor:
        place = types.Value()
        _encode(value, types.Value.pb(place))
        name = types.Value(reference_value=self._root + path)
        return types.Cursor(values=[name] if by_name else [place, name], before=False)


def _reason(error: Exception) -> str:
    code = getattr(error, "grpc_status_code", None)
    return code.name if isinstance(code, grpc.StatusCode) else type(error).__name__


def _all_of(conditions: Sequence[tuple[str, Comparison, Any]]) -> types.StructuredQuery.Filter:
    filters = []
    for field, comparison, value in conditions:
        encoded = types.Value()
        _encode(value, types.Value.pb(encoded))
        filters.append(
            {"field_filter": {"field": {"field_path": field}, "op": _OPERATORS[comparison], "value": encoded}}
        )
    every = types.StructuredQuery.CompositeFilter.Operator.AND
    return types.StructuredQuery.Filter(composite_filter={"op": every, "filters": filters})


def _encode(value: Any, into: Any) -> None:
    if isinstance(value, bool):
        into.boolean_value = value
    elif isinstance(value, int):
        into.integer_value = value
    elif isinstance(value, str):
        into.string_value = value
    elif isinstance(value, dict):
        into.map_value.SetInParent()
        fields = into.map_value.fields
        for key, item in value.items():
            _encode(item, fields[key])
    elif isinstance(value, list | tuple):
        into.array_value.SetInParent()
        for item in value:
            _encode(item, into.array_value.values.add())
    elif isinstance(value, float):
        into.double_value = value
    elif isinstance(value, datetime):
        into.timestamp_value.FromDatetime(value)
    elif isinstance(value, bytes):
        into.bytes_value = value
    else:
        raise TypeError(f"Firestore does not store {type(value).__name__}")


def _decode(value: Any) -> Any:
    kind = value.WhichOneof("value_type")
    if kind == "map_value":
        return {key: _decode(item) for key, item in value.map_value.fields.items()}
    if kind == "array_value":
        return [_decode(item) for item in value.array_value.values]
    if kind == "timestamp_value":
        return _datetime(value.timestamp_value)
    if kind == "geo_point_value":
        return {"latitude": value.geo_point_value.latitude, "longitude": value.geo_point_value.longitude}
    return None if kind == "null_value" else getattr(value, kind)


def _datetime(timestamp: Any) -> datetime:
    return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
