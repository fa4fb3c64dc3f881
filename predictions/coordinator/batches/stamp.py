"""The verdict that a batch starts on, and what a batch was ordered as. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from drift_gate.comparison.report import LiveReport
from drift_gate.facts import Fact, Live
from drift_gate.policy.verdict import Verdict

#: The fewest digits that git itself shortens a commit's id to.
_SHORTEST = 7
#: What a result says of the verdict that let it, in the order of ``batch.Result``.
_COLUMNS = ("gate_decision", "live_revision", "live_commit", "target_commit", "policy_hash")


class Terms(Fact):
    """What a batch was ordered as, and on which terms it is done.

    ``caller``: who ordered it; None: nobody said. ``slate`` and ``min_minutes``: as they were asked for.
    ``foreign_results``: whether results of a commit that was not judged ``fail`` the batch. ``tolerate``: how
    many requests may fail in a batch that is completed.
    """

    caller: str | None = None
    slate: str | None = None
    min_minutes: float | None = None
    foreign_results: Literal["fail", "keep"] = "fail"
    tolerate: int = 0


class Stamp(Fact):
    """The verdict that a batch started on, short enough to travel with each request and result.

    ``service``: the workload that was judged; None: a batch of an older version, which did not keep it.
    ``live_revisions`` and ``live_commits`` belong together by position, the one with most traffic first; a
    None in them is not known. ``live_url``: where the only one of them answers alone (its tag URL); None:
    there are several, or it has no tag. ``target_commit`` None: not known. ``policy_hash``: which policy
    judged; None: there was none to read (a bypass with a broken configuration). ``addresses``: all at which
    the workload, or one tag of it, answers; empty: nobody can say.
    """

    service: str | None = None
    gate_decision: str
    enforced: bool
    not_enforced_because: str | None = None
    live_revisions: tuple[str | None, ...] = ()
    live_commits: tuple[str | None, ...] = ()
    live_url: str | None = None
    target_commit: str | None = None
    policy_hash: str | None = None
    addresses: tuple[str, ...] = ()

    @classmethod
    def of(cls, verdict: Verdict) -> Stamp:
        """The stamp of ``verdict``."""
        serving = Serving.of(verdict.report.live)
        return cls(
            service=verdict.service,
            gate_decision=verdict.decision,
            enforced=verdict.enforced,
            not_enforced_because=verdict.not_enforced_because,
            live_revisions=serving.revisions,
            live_commits=serving.commits,
            live_url=verdict.report.live[0].url if len(set(serving.revisions)) == 1 else None,
            target_commit=verdict.report.target.commit if verdict.report.target else None,
            policy_hash=verdict.policy.hash if verdict.policy else None,
            addresses=verdict.report.addresses,
        )

    def judged(self, commit: str | None) -> bool | None:
        """Whether this verdict judged ``commit``, in full or as a short id; None: nobody knows."""
        if commit is None or not self.live_commits:
            return None
        if any(same_commit(commit, each) for each in self.live_commits if each):
            return True
        return None if None in self.live_commits else False

    def names(self, live: Live) -> bool:
        """Whether ``live`` is what this verdict judged, as far as names alone can say that; else False.

        A revision never changes. What has none (a ledger's entry, a job) is named by its marks, each of them
        the full id of the commit.
        """
        if not self.live_commits or None in self.live_commits:
            return False
        ordered = sorted(live.revisions, key=lambda each: (-each.percent, each.revision or ""))
        serving = dict.fromkeys(each.revision for each in ordered)
        marks = dict.fromkeys(claim.value for each in ordered for claim in each.evidence)
        same = [*serving] == [*dict.fromkeys(self.live_revisions)]
        return same and (None not in serving or (len(ordered) == 1 and (*marks,) == self.live_commits))

    def attributes(self) -> dict[str, str]:
        """The stamp as the attributes of a message: text only, and what is not known is left out."""
        told = {
            "gate_decision": self.gate_decision,
            "gate_enforced": "true" if self.enforced else "false",
            "live_revision": ",".join(filter(None, self.live_revisions)),
            "live_commit": ",".join(dict.fromkeys(filter(None, self.live_commits))),
            "target_commit": self.target_commit or "",
            "policy_hash": self.policy_hash or "",
        }
        return {name: value for name, value in told.items() if value}

    def columns(self) -> tuple[str, ...]:
        """The last columns of a ``Result``; what is not known is empty."""
        told = self.attributes()
        return tuple(told.get(name, "") for name in _COLUMNS)


class Serving(NamedTuple):
    """The revisions that get traffic, most first, and their commits by position; None: not known."""

    revisions: tuple[str | None, ...]
    commits: tuple[str | None, ...]

    @classmethod
    def of(cls, live: Iterable[LiveReport]) -> Serving:
        """What ``live`` says; equal for two reports when the same revisions serve, whatever their share."""
        ordered = sorted(live, key=lambda each: (-each.percent, each.revision or "", each.commit or ""))
        known = dict.fromkeys((each.revision, each.commit) for each in ordered)  # containers of one revision
        return cls(tuple(revision for revision, _ in known), tuple(commit for _, commit in known))


def same_commit(one: str, other: str) -> bool:
    """Whether both may name one commit: a worker may say a short id, though not one that fits any."""
    short, long = sorted((one, other), key=len)
    return len(short) >= _SHORTEST and long.startswith(short)
