"""The step of the action: runs one command of the gate, and tells GitHub what came of it.

Reads ``DRIFT_ACTION_…`` (the inputs of action.yml) and what a runner sets: ``GITHUB_OUTPUT``,
``GITHUB_STEP_SUMMARY``, ``GITHUB_EVENT_PATH``, ``GITHUB_REPOSITORY``, ``GITHUB_API_URL``, ``RUNNER_TEMP``
(https://docs.github.com/en/actions/reference/workflows-and-actions/variables). Exit code: the command's own.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

PROGRAM = Path(sys.executable).with_name("deployment-drift")
USAGE = 2
WRITTEN_WITH = "DRIFT_ACTION_TOKEN"
#: GitHub refuses a longer comment (https://docs.github.com/en/rest/issues/comments).
COMMENT_LIMIT = 65_536
#: A comment is a courtesy: it may take this long and no longer.
API_TIMEOUT_S = 10.0
PAGE = 100


def _denied(report: Mapping[str, Any]) -> list[str]:
    return [each["service"] for each in report["services"] if each["decision"] == "deny"]


def _stale(report: Mapping[str, Any]) -> list[str]:
    return [each["service"] for each in report["services"] if each["action"] == "deploy"]


def _affected(report: Mapping[str, Any]) -> list[str]:
    return [each["service"] for each in report["services"] if each["affected"]]


#: The services that a command's JSON names as those that somebody has to do something about.
NAMES: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "check": _denied,
    "plan": _stale,
    "affected": _affected,
}


class UsageError(Exception):
    """An input that cannot be used: one sentence."""


def main(environ: Mapping[str, str]) -> int:
    """Run the command, and hand its words to the run, its summary and the pull request."""
    try:
        command, arguments = _line(environ)
    except UsageError as error:
        print(f"::error title=drift gate::{error}")
        return USAGE
    # The command, and a builder or a smoke command that it runs, write no comments.
    theirs = {name: value for name, value in environ.items() if name != WRITTEN_WITH}
    if command == "deploy":
        code = subprocess.run([PROGRAM, "deploy", *arguments], check=False, env=theirs).returncode
        _append(environ["GITHUB_OUTPUT"], f"exit-code={code}\n")
        return code
    folder = Path(environ["RUNNER_TEMP"])
    report, text = folder / f"drift-{command}.json", folder / f"drift-{command}.md"
    for file in (report, text):
        file.unlink(missing_ok=True)  # an earlier step's must not pass for this one's
    files = [f"--output=json={report}", f"--output=markdown={text}"]
    line = [str(PROGRAM), command, *arguments, "--format=github", *files]
    code = subprocess.run(line, check=False, env=theirs).returncode
    _append(environ["GITHUB_OUTPUT"], _outputs(command, code, report))
    if text.is_file():
        words = text.read_text(encoding="utf-8")
        _append(environ["GITHUB_STEP_SUMMARY"], words)
        if environ.get("DRIFT_ACTION_COMMENT") == "true":
            _comment(environ, command, words)
    return code


def _line(environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """The command and its arguments, by the inputs. Raises ``UsageError``."""
    command = environ["DRIFT_ACTION_COMMAND"]
    services = environ["DRIFT_ACTION_SERVICES"].split()
    if command not in (*NAMES, "deploy"):
        raise UsageError(f"command is {command!r}: it is one of {', '.join(NAMES)}, deploy")
    if command == "deploy" and len(services) != 1:
        raise UsageError(f"deploy takes one service, and services names {len(services)}")
    try:
        further = shlex.split(environ["DRIFT_ACTION_ARGUMENTS"])
    except ValueError as error:
        raise UsageError(f"arguments cannot be read: {error}") from error
    where = [environ["DRIFT_ACTION_RANGE"] or _range(_event(environ))] if command == "affected" else []
    return command, [*where, *services, *further]


def _event(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """What started the run, as the webhook of that event says it; empty where nothing did."""
    path = environ.get("GITHUB_EVENT_PATH")
    return dict(json.loads(Path(path).read_text(encoding="utf-8"))) if path else {}


def _range(event: Mapping[str, Any]) -> str:
    """What a pull request, or else a push, brings. Raises ``UsageError`` for any other event."""
    if pull := event.get("pull_request"):
        return f"{pull['base']['sha']}..{pull['head']['sha']}"
    # The first push of a branch has no before: forty zeros.
    if "before" in event and int(event["before"], 16):
        return f"{event['before']}..{event['after']}"
    raise UsageError("range is empty, and the event is neither a pull request nor a push to a known branch")


def _outputs(command: str, code: int, report: Path) -> str:
    """The lines of the outputs. Without a report they name nobody, and only the exit code says why."""
    names: list[str] = []
    if report.is_file():
        names = NAMES[command](json.loads(report.read_text(encoding="utf-8")))
    told = {
        "exit-code": str(code),
        "services": json.dumps(names),
        "matrix": json.dumps({"service": names}),
        "report": str(report) if report.is_file() else "",
    }
    # JSON without indentation is one line: nothing in it can begin another output.
    return "".join(f"{name}={value}\n" for name, value in told.items())


def _append(file: str, text: str) -> None:
    with Path(file).open("a", encoding="utf-8") as out:
        out.write(text)


def _comment(environ: Mapping[str, str], command: str, words: str) -> None:
    """Keep one comment with these words on the pull request; where that fails, a warning says why."""
    pull = _event(environ).get("pull_request")
    if pull is None:
        print("::warning title=drift gate::no comment: this run belongs to no pull request")
        return
    mark = f"<!-- drift gate: {command} -->"
    left_out = "\n\n… cut: the whole of it is in the summary of the run.\n"
    body = f"{mark}\n{words}"
    if len(body) > COMMENT_LIMIT:
        body = body[: COMMENT_LIMIT - len(left_out)] + left_out
    headers = {
        "Authorization": f"Bearer {environ[WRITTEN_WITH]}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    address = f"{environ['GITHUB_API_URL']}/repos/{environ['GITHUB_REPOSITORY']}/issues"
    try:
        with httpx.Client(headers=headers, timeout=API_TIMEOUT_S) as api:
            if own := _own(api, f"{address}/{pull['number']}/comments", mark):
                answer = api.patch(f"{address}/comments/{own}", json={"body": body})
            else:
                answer = api.post(f"{address}/{pull['number']}/comments", json={"body": body})
            answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        print(
            f"::warning title=drift gate::no comment: GitHub answers {error.response.status_code}; "
            "it needs pull-requests: write, which a run for a fork never has"
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        print(f"::warning title=drift gate::no comment: {type(error).__name__}")
    except (ValueError, TypeError, LookupError, AttributeError):
        print("::warning title=drift gate::no comment: what GitHub answers is no list of comments")


def _own(api: httpx.Client, comments: str, mark: str) -> int | None:
    """The id of the comment that bears ``mark`` and a program wrote; None: there is none yet.

    Anybody may quote the mark in a comment of their own, which is theirs.
    """
    page = 1
    while True:
        answer = api.get(comments, params={"per_page": PAGE, "page": page})
        answer.raise_for_status()
        found: Sequence[Mapping[str, Any]] = answer.json()
        for each in found:
            # The author of a deleted account is null.
            bot = (each["user"] or {}).get("type") == "Bot"
            if bot and (each["body"] or "").startswith(mark):
                return int(each["id"])
        if len(found) < PAGE:
            return None
        page += 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
