"""A Firestore listener for the local programs: many documents over one stream, which is taken up again when it breaks.

Firestore's own client has `on_snapshot`, but one of it takes a thread and a stream for each target and ends for good,
without a word, at what it cannot recover from; and of a collection the emulator sends every document again at each
change of one (docs/emulators.md). So this speaks the same Listen call, with a target for each document. Only for the
emulator: it brings no credentials. What the documents mean is not known here.

The emulator garbles or drops an answer now and then when a document is followed while others on the same stream change.
A garbled answer breaks the stream; after a dropped one only the document's next change, or `again`, tells it.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterator
from datetime import UTC
from types import TracebackType
from typing import Any, Self

import grpc
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import ListenRequest, ListenResponse, StructuredQuery, Target, TargetChange, Value

_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_NO_CHANGE = TargetChange.TargetChangeType.NO_CHANGE
_REMOVE = TargetChange.TargetChangeType.REMOVE


class Stored:
    """A document as it is stored now; its fields are decoded when they are asked for."""

    __slots__ = ("_document", "path")

    def __init__(self, path: str, document: Any) -> None:
        self.path = path
        self._document = document

    def __getitem__(self, name: str) -> Any:
        """One field. Raises KeyError."""
        if name not in self._document.fields:
            raise KeyError(name)
        return _decoded(self._document.fields[name])

    @property
    def fields(self) -> dict[str, Any]:
        """All fields, instants as datetimes in UTC."""
        return {name: _decoded(value) for name, value in self._document.fields.items()}


class Listener:
    """Calls `on_change` with each followed document when it is there, and each time it has changed.

    Calls come from one thread, in the order in which the database changed, once what belongs together has come.
    Versions of a document that follow each other fast may be left out, the last one never. After a broken stream,
    documents are told again as they are. A document that is not there, or no longer, is not told. Use it as a
    context manager.
    """

    def __init__(self, project: str, on_change: Callable[[Stored], None]) -> None:
        self._database = f"projects/{project}/databases/(default)"
        self._prefix = f"{self._database}/documents"
        self._on_change = on_change
        self._lock = threading.Lock()
        self._targets: dict[str, Target] = {}
        self._requests: queue.Queue[ListenRequest | None] = queue.Queue()
        self._ids = itertools.count(1)
        self._closing = threading.Event()
        self._call: Any = None
        self._thread = threading.Thread(target=self._run, name="firestore-listener", daemon=True)
        self.broken = 0
        """How often the stream broke."""

    def __enter__(self) -> Self:
        options = [("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(os.environ["FIRESTORE_EMULATOR_HOST"], options=options)
        self._transport = FirestoreGrpcTransport(channel=self._channel)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        with self._lock:
            self._requests.put(None)
            if self._call is not None:
                self._call.cancel()
        self._thread.join(5)
        self._channel.close()

    def follow(self, path: str) -> None:
        """Listens to the document at `path` as well; nothing if it is followed already."""
        with self._lock:
            if path not in self._targets:
                documents = Target.DocumentsTarget(documents=[f"{self._prefix}/{path}"])
                self._add(path, Target(target_id=next(self._ids), documents=documents))

    def follow_last(self, parent: str, collection: str, order_by: str, where: tuple[str, str] | None = None) -> None:
        """Listens to the document of a collection under `parent` whose field `order_by` is the highest.

        parent: path of a document, "" for the database itself. where: field and the value it has to have.
        """
        with self._lock:
            key = f"{parent}/{collection}"
            if key not in self._targets:
                descending = StructuredQuery.Direction.DESCENDING
                field = StructuredQuery.FieldReference(field_path=order_by)
                query = StructuredQuery(
                    from_=[StructuredQuery.CollectionSelector(collection_id=collection)],
                    order_by=[StructuredQuery.Order(field=field, direction=descending)],
                    where=None if where is None else _is(*where),
                    limit=1,
                )
                below = f"{self._prefix}/{parent}" if parent else self._prefix
                found = Target.QueryTarget(parent=below, structured_query=query)
                self._add(key, Target(target_id=next(self._ids), query=found))

    def again(self) -> None:
        """Breaks the stream, so that every document is told again as it is now."""
        with self._lock:
            if self._call is not None:
                self._call.cancel()

    def _add(self, key: str, target: Target) -> None:
        self._targets[key] = target
        self._requests.put(ListenRequest(database=self._database, add_target=target))

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                for changes in self._snapshots():
                    failures = 0
                    for stored in changes:
                        self._on_change(stored)
            except grpc.RpcError:
                pass  # told by `broken`: whatever it was, the stream is opened anew
            if not self._closing.is_set():
                self.broken += 1
                self._closing.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1

    def _snapshots(self) -> Iterator[list[Stored]]:
        """What one stream tells, a list for each consistent state. Ends when targets and what was told disagree."""
        with self._lock:
            if self._closing.is_set():
                return
            self._requests.put(None)  # ends what the stream before still waits for
            self._requests = queue.Queue()
            for target in self._targets.values():
                self._requests.put(ListenRequest(database=self._database, add_target=target))
            metadata = (("google-cloud-resource-prefix", self._database), ("authorization", "Bearer owner"))
            # The transport's own call: the client around it waits for the first answer, which needs a first target.
            self._call = self._transport.listen(iter(self._requests.get, None), metadata=metadata)
        try:
            yield from self._read(self._call)
        finally:
            self._call.cancel()

    def _read(self, responses: Any) -> Iterator[list[Stored]]:
        changed: dict[str, Stored] = {}
        held: dict[int, set[str]] = {}
        for wrapped in responses:
            response = ListenResponse.pb(wrapped)
            match response.WhichOneof("response_type"):
                case "document_change":
                    change = response.document_change
                    path = change.document.name.removeprefix(f"{self._prefix}/")
                    for target in change.target_ids:
                        held.setdefault(target, set()).add(path)
                    for target in change.removed_target_ids:
                        held.setdefault(target, set()).discard(path)
                    if change.target_ids:
                        changed[path] = Stored(path, change.document)
                case "document_delete" | "document_remove" as kind:
                    gone = getattr(response, kind)
                    path = gone.document.removeprefix(f"{self._prefix}/")
                    changed.pop(path, None)
                    for target in gone.removed_target_ids:
                        held.setdefault(target, set()).discard(path)
                case "filter":
                    if response.filter.count != len(held.get(response.filter.target_id, ())):
                        return
                case "target_change":
                    target_change = response.target_change
                    if target_change.target_change_type == _REMOVE:
                        return
                    consistent = target_change.target_change_type == _NO_CHANGE and not target_change.target_ids
                    if consistent and changed:
                        yield list(changed.values())
                        changed.clear()


def _is(field: str, value: str) -> StructuredQuery.Filter:
    path = StructuredQuery.FieldReference(field_path=field)
    equal = StructuredQuery.FieldFilter.Operator.EQUAL
    return StructuredQuery.Filter(
        field_filter=StructuredQuery.FieldFilter(field=path, op=equal, value=Value(string_value=value))
    )


def _decoded(value: Any) -> Any:
    kind = value.WhichOneof("value_type")
    if kind == "map_value":
        return {name: _decoded(item) for name, item in value.map_value.fields.items()}
    if kind == "array_value":
        return [_decoded(item) for item in value.array_value.values]
    if kind == "timestamp_value":
        return value.timestamp_value.ToDatetime(tzinfo=UTC)
    return None if kind in (None, "null_value") else getattr(value, kind)
