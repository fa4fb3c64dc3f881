"""Every reason code and every cause: what it means, what it decides by default, what to do.

One table feeds the verdict, ``deployment-drift explain`` and docs/reference/codes.md. A code, once published,
keeps its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drift_gate.errors import Cause

Decision = Literal["allow", "warn", "deny"]

#: From best to worst; the worst reason decides.
DECISIONS: tuple[Decision, ...] = ("allow", "warn", "deny")


@dataclass(frozen=True, slots=True)
class Meaning:
    """One line of the table: the default decision, when the code appears, and the next step."""

    decision: Decision
    when: str
    todo: str


REASONS: dict[str, Meaning] = {
    "too-many-commits-behind": Meaning(
        "deny",
        "more relevant commits are missing on the live revision than `max_commits_behind` allows",
        "deploy the target commit",
    ),
    "drift-too-old": Meaning(
        "deny",
        "the oldest missing relevant commit landed on the target longer ago than `max_drift_age`",
        "deploy the target commit",
    ),
    "content-differs": Meaning(
        "deny",
        "relevant files differ although no commit that counts, on either side, accounts for it "
        "(a merge that dropped one side, say); whatever else is missing",
        "compare the two commits with `git diff`, then deploy the target commit",
    ),
    "unknown-drift": Meaning(
        "deny",
        "it could not be determined whether the live revision is current; the message carries the cause",
        "look up the cause with `deployment-drift explain CAUSE`; `failure_policy` decides how it counts",
    ),
    "dirty-build": Meaning(
        "deny",
        "the live revision's own mark says that it was built from a work tree with uncommitted changes",
        "commit the changes, build from a clean tree and deploy",
    ),
    "deny-path": Meaning(
        "deny",
        "a missing commit older than the grace period changes a relevant path that `deny_paths` names",
        "deploy the target commit",
    ),
    "deny-subject": Meaning(
        "deny",
        "the subject of a missing relevant commit older than the grace period matches `deny_subjects`",
        "deploy the target commit",
    ),
    "evidence-conflict": Meaning(
        "deny",
        "strong evidence about the live revision disagrees: a label and the image tag, say, or two of its "
        "containers name different commits, or one commit stands for two images",
        "deploy again with one commit in the image tag and the revision label",
    ),
    "content-mismatch": Meaning(
        "deny",
        "the worker's own fingerprint of its files is not that of the commit which the revision names: old "
        "layers under a new label, a changed work tree, or another application",
        "build the image again, without the cache and from a clean tree, and deploy it",
    ),
    "image-incomplete": Meaning(
        "deny",
        "a module that the worker imports is in the repository and not in the image of the Dockerfile",
        "copy the file named in the message in the Dockerfile, then deploy",
    ),
    "required-env-missing": Meaning(
        "deny",
        "the live revision lacks an environment variable that `required_env` names, or has it empty",
        "set the variable again: `gcloud run services update SERVICE --update-env-vars NAME=VALUE` "
        "(`--update-secrets` for a secret)",
    ),
    "pin-mismatch": Meaning(
        "deny",
        "a variable or label of the live revision does not have the value that `pins` declares, or cannot be "
        "compared with it",
        "set the value named in the message on the service, or correct what declares it",
    ),
    "rollout-failed": Meaning(
        "deny",
        "the newest revision never became ready and an older one still serves; "
        "warns while nothing relevant is missing",
        "read the platform's message, fix the revision and deploy again",
    ),
    "rollout-stalled": Meaning(
        "deny",
        "a rollout has been under way for longer than `rollout_timeout`; nobody knows how it will end",
        "read the newest revision's log, then deploy again or send the traffic to a revision that serves",
    ),
    "traffic-pinned": Meaning(
        "deny",
        "traffic is pinned by name to a revision that is not the newest ready one; "
        "warns while nothing relevant is missing",
        "free the traffic: `gcloud run services update-traffic SERVICE --to-latest`",
    ),
    "behind-within-limit": Meaning(
        "warn",
        "relevant commits are missing, within every limit of the policy",
        "deploy the target commit before the limit is reached",
    ),
    "warn-path": Meaning(
        "warn",
        "a missing commit older than the grace period changes a relevant path that `warn_paths` names",
        "deploy the target commit soon",
    ),
    "rollout-in-progress": Meaning(
        "warn",
        "a rollout is under way; what serves may change during the batch; "
        "denies where what it brings would be denied",
        "wait for the rollout to land: `deployment-drift check --wait 10m`",
    ),
    "traffic-split": Meaning(
        "warn",
        "more than one revision gets traffic; the worst of them decides",
        "send all traffic to one revision before the batch",
    ),
    "traffic-incomplete": Meaning(
        "warn",
        "the traffic percents do not sum to 100: the reading is transient or something is missing from it; "
        "what is missing is an `unknown-drift` as well",
        "check again in a moment",
    ),
    "weak-evidence-disagrees": Meaning(
        "warn",
        "only an environment variable or the worker's bare word names another commit than the stronger "
        "evidence; variables outlive deploys",
        "set the variable again on each deploy, or drop it",
    ),
    "evidence-unreachable": Meaning(
        "warn",
        "a registry or worker that `evidence` names could not be asked, or its fingerprint covers only some "
        "of the relevant files, so that only weaker evidence decides",
        "read the message: it names the carrier, the cause and the permission that is needed",
    ),
    "service-label-disagrees": Meaning(
        "warn",
        "the service's own label names another commit than the revision that serves",
        "check whether the last deploy got the traffic",
    ),
    "diverged": Meaning(
        "warn",
        "relevant commits are missing on the live revision, "
        "and it has relevant commits that the target lacks",
        "merge the live commits into the target ref, then deploy it",
    ),
    "ahead": Meaning(
        "warn",
        "the live revision has relevant commits that the target ref lacks",
        "merge them into the target ref or deploy the target commit",
    ),
    "path-matches-nothing": Meaning(
        "warn",
        "a pattern of `paths` matches no file at either end, or the Dockerfile or the entry points are "
        "missing at one end",
        "correct the pattern in drift.toml",
    ),
    "copy-not-in-git": Meaning(
        "warn",
        "the image takes something whose sources are not known: a path that git does not hold (misspelt, or "
        "made by the build), a named build context, a base image that this repository seems to build, one of "
        "several stages that start a program",
        "correct the Dockerfile, or declare in drift.toml what the message names: `generated`, "
        "`build_contexts`, `base`, `stage`",
    ),
    "computed-import": Meaning(
        "warn",
        "what the worker can reach could not be determined (a computed import or build argument, ONBUILD, an "
        "unknown start command): more paths count than need be",
        "name the entry points in drift.toml, or accept that more counts",
    ),
    "unparsed-module": Meaning(
        "warn",
        "a module that the worker imports cannot be parsed by the gate's Python: it is broken, or for a "
        "newer one; what it imports was read from its lines, and every change of it counts",
        "run the gate on the worker's own Python version, or correct the module",
    ),
    "closure-incomplete": Meaning(
        "warn",
        "the running worker has loaded a file that did not count by what is declared, so that what counts is "
        "incomplete (it counts in this check), or `drift.loaded.json` cannot be read",
        "keep what `deployment-drift trace SERVICE --write -- COMMAND` finds, or name it in `entrypoint`",
    ),
    "undeclared-service": Meaning(
        "warn",
        "`check --inventory` found a live service of the project and region that drift.toml does not name",
        "declare it, or add it to `[inventory] ignore`",
    ),
    "target-may-be-stale": Meaning(
        "warn",
        "the target ref could not be confirmed just now, or its upstream is ahead of it",
        "restore access to the remote, or pull, and check again",
    ),
    "clock-skew": Meaning(
        "warn",
        "missing commits landed, by their own clock, more than 5 minutes in the future: they are not young, "
        "and as old as the landing before theirs",
        "set the clock of the machine that made the commit named in the message, or of this one",
    ),
    "within-grace": Meaning(
        "allow",
        "some missing commits landed less than `grace_period` ago: they are shown and not counted",
        "nothing, while a deploy is on its way",
    ),
    "base-image-floating": Meaning(
        "allow",
        "Cloud Run replaces the live revision's base image by itself: what runs under the code changes "
        "without a deploy",
        "nothing, or deploy without automatic base image updates",
    ),
    "content-identical": Meaning(
        "allow",
        "the commits differ, the relevant files do not",
        "nothing",
    ),
    "freeze": Meaning(
        "allow",
        "a freeze window of `[[freeze]]` is on for the service; it changes no decision",
        "wait for its end, or agree with whoever wrote it on a deploy before that",
    ),
}

#: The codes and causes that end with a deploy of the target commit.
CURED_BY_DEPLOY = frozenset(
    {
        "too-many-commits-behind",
        "drift-too-old",
        "content-differs",
        "dirty-build",
        "deny-path",
        "deny-subject",
        "evidence-conflict",
        "content-mismatch",
        "image-incomplete",
        "rollout-failed",
        "behind-within-limit",
        "warn-path",
        "no-serving-revision",
        "no-commit-evidence",
        "commit-not-in-history",
        "ambiguous-commit",
    }
)

CAUSE_MEANINGS: dict[Cause, tuple[str, str]] = {
    "credentials": (
        "no usable credentials were found, or they were refused",
        "run `gcloud auth application-default login`, or attach a service account; "
        "for git, set up its credentials",
    ),
    "permission-denied": (
        "the caller is known but may not read this",
        "grant `roles/run.viewer` to the account named in the message",
    ),
    "not-found": (
        "the service, the revision or the ledger entry does not exist where it was looked for",
        "check name, project, region and kind in drift.toml; with a ledger, write down what is deployed: "
        "`deployment-drift record SERVICE --commit COMMIT`",
    ),
    "timeout": (
        "an outside system did not answer within the deadline",
        "check the network and the system named; raise `deadline` if it is only slow",
    ),
    "unavailable": ("an outside system is down or not reachable", "try again in a moment"),
    "rate-limited": ("an outside system refuses because of too many requests", "try again in a minute"),
    "no-serving-revision": (
        "no revision gets any traffic",
        "deploy the service, or send traffic to a revision",
    ),
    "no-commit-evidence": (
        "nothing about the live revision names a commit of this repository",
        "stamp the commit on each deploy: docs/adoption.md, “Stamp the commit”",
    ),
    "commit-not-in-history": (
        "the live revision names a commit that this repository does not have "
        "(a force-push, another repository)",
        "deploy a commit of the target ref; if the commit is on another branch, fetch it",
    ),
    "ambiguous-commit": (
        "the live revision names its commit by a short id that fits several commits",
        "stamp the full commit id",
    ),
    "shallow-history": (
        "the repository is a shallow clone; counts over a cut history are wrong",
        "run `git fetch --unshallow`, or clone with full history (`fetch-depth: 0` in GitHub Actions)",
    ),
    "target-not-found": (
        "the target ref does not exist",
        "correct the ref where it comes from (`--target`, else `DRIFT_TARGET_REF`, else `target_ref` in "
        "drift.toml), or push the branch",
    ),
    "history-unavailable": (
        "the repository could not be read: no git, no repository, no permission, or a git command failed",
        "read the message; it carries git's own words",
    ),
    "nothing-relevant": (
        "the declared paths, Dockerfile or entry points select no file at either end; "
        "such a check would stay silent forever",
        "correct `paths` in drift.toml",
    ),
    "invalid-response": (
        "an outside system answered something that makes no sense",
        "read the message; if it persists, report it with that text",
    ),
    "gate-error": (
        "the gate itself could not run: a broken configuration or an unexpected error under a bypass, or the "
        "process in which it reads repositories could not be started or was killed",
        "run `deployment-drift check` to see the error on its own; give the process memory, and room for "
        "another one",
    ),
}
