"""What an update does to a loopback Cloud Run: what is refused, what is changed, and when that has landed.

The sentences are the platform's own, as people have posted them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

import grpc
from google.cloud import run_v2
from google.longrunning import operations_pb2
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import code_pb2

from drift_gate.testing.cloud_run.deployed import FOLDERS, Deployed, Kind, State, asked_for, short

#: What may be asked for; all other fields are the platform's own.
_SETTABLE = (
    *("description", "labels", "annotations", "client", "client_version", "ingress", "launch_stage"),
    *("binary_authorization", "template", "traffic", "instance_splits", "scaling", "invoker_iam_disabled"),
    *("default_uri_disabled", "custom_audiences"),
)
#: Letters of a revision's name, and of a tag with its service's name.
_LONGEST_REVISION, _LONGEST_TAG = 63, 46
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")

_Refusal = tuple[grpc.StatusCode, str]


class _Begun(NamedTuple):
    """An update under way: its operation, the workload at that generation, its own revision or ""."""

    operation: str
    kind: Kind
    name: str
    generation: int
    revision: str


def etag(message: Any) -> str:
    """A mark of all that ``message`` says, unless a test has given it one."""
    if message.etag:
        return str(message.etag)
    raw = type(message).pb(message).SerializeToString(deterministic=True)
    return f'"{base64.b64encode(hashlib.sha256(raw).digest()[:12]).decode()}"'


class Updates:
    """The updates of one loopback Cloud Run, and their operations.

    ``may_land`` holds back what is under way while it is cleared. Without ``heeds_etags`` an update with the
    etag of an older version overwrites what came between, as one person reports of Cloud Run's v2.
    """

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self._operations: dict[str, operations_pb2.Operation] = {}
        self._ended = threading.Condition(deployed.lock)
        self._landing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fake-cloud-run-rollout")
        self.may_land = threading.Event()
        self.may_land.set()
        self.heeds_etags = True

    def stop(self) -> None:
        self.may_land.set()
        self._landing.shutdown(wait=True, cancel_futures=True)

    def begin(self, kind: Kind, request: Any, context: grpc.ServicerContext) -> operations_pb2.Operation:
        """The operation of an update, which goes on behind the answer."""
        asked = getattr(request, kind.replace("-", "_"))
        with self._deployed.lock:
            held = self._deployed.held(FOLDERS[kind])
            before = held.get(short(asked.name))
            if before is None or before.name != asked.name:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Resource '{short(asked.name)}' was not found.")
            try:
                after = _merged(before, asked, request)
            except ValueError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            for status, sentence in self._refusals(before, asked, after):
                context.abort(status, sentence)
            if request.validate_only or after == before:
                return self._new(after, done=True)
            after.generation += 1
            after.reconciling = True
            after.terminal_condition = run_v2.Condition(type_="Ready", state=State.CONDITION_RECONCILING)
            made = ""
            if self._makes(before, after, request):
                named = after.template.revision or None
                made = self._deployed.make_revision(after, kind, named, datetime.now(UTC)).name
                after.latest_created_revision = made
            held[short(asked.name)] = after
            operation = self._new(after, done=False)
            begun = _Begun(operation.name, kind, short(asked.name), after.generation, short(made))
            self._landing.submit(self._land, begun)
            return operation

    def operation(
        self, name: str, context: grpc.ServicerContext, seconds: float = 0
    ) -> operations_pb2.Operation:
        """How far ``name`` has got, once it is over or ``seconds`` later."""
        with self._ended:
            if name not in self._operations:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Operation '{short(name)}' was not found.")
            self._ended.wait_for(lambda: self._operations[name].done, timeout=seconds)
            return self._operations[name]

    def _refusals(self, before: Any, asked: Any, after: Any) -> Iterator[_Refusal]:
        """What stands against it, the first first."""
        name, now = short(before.name), etag(before)
        if asked.etag and asked.etag != now and self.heeds_etags:
            sentence = f"Conflict for resource '{name}': version '{asked.etag}' was specified but current "
            yield grpc.StatusCode.ABORTED, f"{sentence}version is '{now}'."
        yield from ((grpc.StatusCode.INVALID_ARGUMENT, each) for each in self._invalid(after))
        named = getattr(after.template, "revision", "")
        known = self._deployed.revisions.get(named)
        if known is not None and _content(after.template) != (dict(known.labels), list(known.containers)):
            sentence = f"Revision named '{named}' with different configuration already exists."
            yield grpc.StatusCode.ALREADY_EXISTS, sentence

    def _invalid(self, after: Any) -> Iterator[str]:
        name, template = short(after.name), after.template
        labels, containers = _content(template)
        if not containers or not containers[0].image:
            yield "template.containers: Must have at least one container with an image."
        for key, value in {**after.labels, **labels}.items():
            if not _LABEL_VALUE.fullmatch(value):
                yield f"labels: the value '{value}' of '{key}' is not valid: at most 63 of [a-z0-9_-]."
        revision = getattr(template, "revision", "")
        if revision and not (_NAME.fullmatch(revision) and revision.startswith(f"{name}-")):
            yield f"template.revision: '{revision}' has to start with '{name}-' and be of [a-z0-9-]."
        if len(revision) > _LONGEST_REVISION:
            yield f"template.revision: '{revision}' is longer than {_LONGEST_REVISION} characters."
        yield from self._invalid_traffic(name, revision, asked_for(after))

    def _invalid_traffic(self, name: str, coming: str, entries: list[Any]) -> Iterator[str]:
        if entries and sum(each.percent for each in entries) != 100:
            yield "traffic: The percents have to sum up to 100."
        own = {key for key, each in self._deployed.revisions.items() if each.service == name} | {coming}
        for each in entries:
            if each.revision and short(each.revision) not in own:
                yield f"traffic.revision: Revision '{each.revision}' does not exist."
        tags = [each.tag for each in entries if getattr(each, "tag", "")]
        for tag in tags:
            if not _NAME.fullmatch(tag) or tags.count(tag) > 1:
                yield f"traffic.tag: '{tag}' is no tag, or that of two entries."
            if len(tag) + len(name) > _LONGEST_TAG:
                yield (
                    f"traffic[].tag: traffic tag '{tag}' and service name '{name}' together are too long. "
                    f"Combined traffic tag and service name cannot exceed {_LONGEST_TAG} characters."
                )

    def _makes(self, before: Any, after: Any, request: Any) -> bool:
        """Whether it makes a revision: by what it says, or by a name that there is none of yet."""
        named = getattr(after.template, "revision", "")
        if isinstance(after, run_v2.Job) or named in self._deployed.revisions:
            return False
        forced = getattr(request, "force_new_revision", False)
        return bool(named or forced or _unnamed(after.template) != _unnamed(before.template))

    def _land(self, begun: _Begun) -> None:
        """Start what has to run, and then let all of it be seen at once."""
        self.may_land.wait()
        held = self._deployed.held(FOLDERS[begun.kind])
        made = self._deployed.revisions.get(begun.revision)
        ready = made is None or self._deployed.ready(made)
        with self._ended:
            after = type(held[begun.name])(held[begun.name])
            if after.generation == begun.generation:
                ready = self._deployed.land_update(after) and ready
                held[begun.name] = after
                self._deployed.lead(begun.name)
            operation = self._operations[begun.operation]
            operation.done = True
            operation.metadata.CopyFrom(_packed(after))
            if ready:
                operation.response.CopyFrom(_packed(after))
            else:
                operation.error.code = code_pb2.FAILED_PRECONDITION
                operation.error.message = after.terminal_condition.message
            self._ended.notify_all()

    def _new(self, message: Any, *, done: bool) -> operations_pb2.Operation:
        name = f"{self._deployed.parent}/operations/{len(self._operations) + 1:08d}"
        operation = operations_pb2.Operation(name=name, metadata=_packed(message), done=done)
        if done:
            operation.response.CopyFrom(_packed(message))
        self._operations[name] = operation
        return operation


def _merged(before: Any, asked: Any, request: Any) -> Any:
    """``before`` with the fields of ``asked`` that the mask names; without a mask, with all that may be set.

    Raises ``ValueError`` for a mask that names no field.
    """
    after = type(before)(before)
    kept, given = type(before).pb(after), type(before).pb(asked)
    fields = kept.DESCRIPTOR.fields_by_name
    paths = (list(request.update_mask.paths) if hasattr(request, "update_mask") else []) or list(fields)
    heads = {path: path.partition(".")[0] for path in paths}
    own = [path for path, head in heads.items() if head in _SETTABLE or head not in fields]
    try:
        FieldMask(paths=own).MergeMessage(given, kept, True, True)
    except KeyError as error:
        raise ValueError(f"update_mask: there is no field {error}") from error
    return after


def _unnamed(template: Any) -> Any:
    """``template`` without the name of its next revision."""
    nameless = type(template)(template)
    if hasattr(nameless, "revision"):
        nameless.revision = ""
    return nameless


def _content(template: Any) -> tuple[dict[str, str], list[run_v2.Container]]:
    """The labels and the containers of a template; a job's containers are one floor deeper."""
    inner = template.template if isinstance(template, run_v2.ExecutionTemplate) else template
    return dict(template.labels), list(inner.containers)


def _packed(message: Any) -> Packed:
    packed = Packed()
    packed.Pack(type(message).pb(message))
    return packed
