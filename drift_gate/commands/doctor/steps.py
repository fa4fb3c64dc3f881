"""What the doctor says: steps, and for each cause the line to paste. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from drift_gate.facts import Unknown
from drift_gate.presentation.render import plain
from drift_gate.runtime.values import is_address
from drift_gate.settings.file import Settings
from drift_gate.settings.keys import ServiceSettings
from drift_gate.sources.git.remote import shown

State = Literal["ok", "warn", "fail", "skipped"]

STYLES: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "bold red", "skipped": "dim"}
#: The configuration is the only step whose failure leaves nothing else to look at.
CONFIGURATION = "configuration"
#: Columns of the word for the state and of a step's name.
_STATE_WIDTH, _NAME_WIDTH = 7, 15
#: A command in a message that the gate itself wrote; others there may be a stranger's words.
_OWN_COMMAND = re.compile(r"`((?:gcloud|git config --global) [^`]+)`")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at: what (``name``), of which service or place (``about``, may be empty).

    ``says`` is one sentence; ``line`` is what to paste for a warning or a failure, empty otherwise.
    """

    name: str
    about: str
    state: State
    says: str
    line: str = ""

    def drawn(self) -> Text:
        """The step for a terminal: state, name, sentence, and the line to paste below."""
        words = f"{plain(self.about)}: {plain(self.says)}" if self.about else plain(self.says)
        text = Text.assemble(
            (f"{self.state:{_STATE_WIDTH}}", STYLES[self.state]),
            " ",
            (f"{self.name:{_NAME_WIDTH}}", "bold"),
            " ",
            words,
        )
        if self.line:
            text.append(f"\n{'':{_STATE_WIDTH}} → {plain(self.line)}")
        return text


def summary(steps: Sequence[Step]) -> str:
    """How many of ``steps`` need somebody, in one line, and which of them comes first."""
    needing = [step for step in steps if step.state in ("warn", "fail")]
    if not needing:
        return f"all {len(steps)} are well"
    first = " ".join(filter(None, (needing[0].name, plain(needing[0].about))))
    return f"{len(needing)} of {len(steps)} need you; first: {first}"


def exit_code(steps: Sequence[Step]) -> int:
    """0: nothing fails; 1: something does; 2: there is no configuration to look at anything with."""
    failed = [step for step in steps if step.state == "fail"]
    if any(step.name == CONFIGURATION for step in failed):
        return 2
    return 1 if failed else 0


def folder(settings: Settings, service: ServiceSettings) -> str:
    """The repository as a word of a shell line: its folder, or its address."""
    if is_address(service.repository):
        return shlex.quote(shown(service.repository))
    return shlex.quote(str(settings.beside(service.repository)))


def live_line(unknown: Unknown, name: str, service: ServiceSettings, settings: Settings) -> str:
    """What to paste where it could not be read what serves ``name``."""
    if service.live == "ledger":
        return f'deployment-drift record {name} --commit "$SHA"'
    where = f"--project={service.project} --region={service.region}"
    match unknown.cause:
        case "credentials":
            return "gcloud auth application-default login"
        case "permission-denied":
            found = _OWN_COMMAND.search(unknown.message)
            return found[1] if found else f"gcloud run services get-iam-policy {name} {where}"
        case "not-found":
            return f"gcloud {_group(service)} list {where}"
        case "no-serving-revision":
            split = "update-instance-split" if service.kind == "worker-pool" else "update-traffic"
            return f"gcloud {_group(service)} {split} {name} {where} --to-latest"
        case _ if settings.emulator:
            return "unset CLOUD_RUN_EMULATOR_HOST"
        case _:
            return "curl --max-time 10 --head https://run.googleapis.com/"


def _group(service: ServiceSettings) -> str:
    """The group of gcloud's commands for its kind; that of worker pools is beta alone (gcloud 528)."""
    return {"service": "run services", "worker-pool": "beta run worker-pools", "job": "run jobs"}[
        service.kind
    ]


def history_line(unknown: Unknown, service: ServiceSettings, settings: Settings) -> str:
    """What to paste where the repository or its target ref could not be read."""
    where = folder(settings, service)
    found = _OWN_COMMAND.search(unknown.message) if unknown.cause == "history-unavailable" else None
    if found:
        return found[1]
    if service.mirrored:
        warm = unknown.cause in ("timeout", "history-unavailable")
        return "deployment-drift warm" if warm else f"git ls-remote {where}"
    match unknown.cause:
        case "shallow-history":
            return f"git -C {where} fetch --unshallow"
        case "target-not-found":
            return f"git -C {where} for-each-ref --format='%(refname)'"
        case "commit-not-in-history":
            return f"git -C {where} fetch --all"
        case "history-unavailable":
            return f"git -C {where} status"
        case _:
            return f"git -C {where} ls-remote {shlex.quote(service.target_ref.split('/', 1)[0])}"


def evidence_line(name: str, service: ServiceSettings) -> str:
    """How the next deploy says which commit it is: a running revision must never be stamped afterwards."""
    if service.live == "ledger":
        return f'deployment-drift record {name} --commit "$SHA"'
    key = service.commit_labels[0] if service.commit_labels else "commit-sha"
    where = f"--project={service.project} --region={service.region}"
    command = "run deploy" if service.kind == "service" else f"{_group(service)} deploy"
    return f'gcloud {command} {name} {where} --image="$IMAGE" --labels="{key}=$SHA"'
