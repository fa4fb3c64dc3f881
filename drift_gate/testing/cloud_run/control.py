"""A way for the command line to change a loopback Cloud Run that another process serves."""

from __future__ import annotations

import json
from typing import Any

import grpc

from drift_gate.testing.cloud_run.deployed import FOLDERS, Deployed, Kind, short

_SERVICE, _METHOD = "drift_gate.testing.CloudRun", "Change"
#: The methods that a command may call; ``describe`` is a function here.
_CHANGES = ("deploy", "pin", "set_traffic", "roll_out", "land", "fail")


def control(cloud: Deployed) -> grpc.GenericRpcHandler:
    """What gRPC serves beside the API: ``{"do": a method, …}`` calls that with the other values."""

    def change(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = json.loads(request)
        method = asked.pop("do")
        if method not in (*_CHANGES, "describe"):
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"no method {method!r}")
        try:
            if method == "describe":
                return json.dumps(_described(cloud, **asked)).encode()
            return json.dumps(getattr(cloud, method)(**asked)).encode()
        except (KeyError, TypeError, ValueError) as error:
            said = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, said)

    return grpc.method_handlers_generic_handler(
        _SERVICE, {_METHOD: grpc.unary_unary_rpc_method_handler(change)}
    )


def _described(cloud: Deployed, name: str, kind: Kind) -> dict[str, Any]:
    """What serves, what is on its way to, and why nothing is."""
    with cloud.lock:
        workload = cloud.held(FOLDERS[kind])[name]
        ready = short(getattr(workload, "latest_ready_revision", ""))
        entries = getattr(workload, "traffic_statuses", getattr(workload, "instance_split_statuses", ()))
        shares = [(each.revision or ready, each.percent) for each in entries if each.percent]
        serving = [
            {"revision": each, "percent": percent, "labels": dict(cloud.revisions[each].labels)}
            for each, percent in shares
            if each
        ]
        if kind == "job":
            serving = [{"revision": name, "percent": 100, "labels": dict(workload.template.labels)}]
        coming = short(getattr(workload, "latest_created_revision", "")) if workload.reconciling else ""
        failure = "" if workload.reconciling else workload.terminal_condition.message
        return {"serving": serving, "coming": coming, "failure": failure}


def ask(host: str, do: str, **arguments: Any) -> Any:
    """What the Cloud Run at ``host`` comes to; raises ``grpc.RpcError``, with its sentence in the details."""
    with grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call: Any = channel.unary_unary(f"/{_SERVICE}/{_METHOD}")
        answer: bytes = call(json.dumps({"do": do, **arguments}).encode(), timeout=60)
    return json.loads(answer)
