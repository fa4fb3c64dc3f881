"""What a Cloud Run service or worker pool says about itself, read without being fooled. Pure.

Google's messages come in as plain values (``Workload``); who serves how much, what answers at a tag
only, and what is odd about the state come out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from drift_gate.errors import SourceError
from drift_gate.evidence import marks
from drift_gate.facts import Finding, Kind, Live, LiveRevision, Tagged, Unknown
from drift_gate.sources.one_line import one_line

#: A link longer than this is not shown: cut, it would lead nowhere.
LINK_LIMIT = 2000

Rollout = Literal["settled", "in-progress", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the traffic as it is now (not as it was asked for).

    ``revision`` is a short name, empty where the entry just follows the latest ready revision
    (``latest``). ``tag`` and ``url`` are empty for an entry without a tag URL.
    """

    latest: bool
    revision: str
    percent: int
    tag: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A service or worker pool at the moment of reading; all revisions by short name, "" for none.

    ``changing`` says that the platform itself calls its answer transient; ``failure`` is its message
    about a condition that failed for good, None while there is none. ``follows`` says whether all of the
    traffic is asked to go to the latest ready revision.
    """

    name: str
    kind: Kind
    project: str
    region: str
    entries: tuple[Entry, ...]
    ready: str
    created: str
    changing: bool
    failure: str | None
    follows: bool = True

    def named(self, entry: Entry) -> str:
        """The revision that ``entry`` stands for; "" where the platform does not say."""
        return entry.revision or (self.ready if entry.latest else "")

    @property
    def rollout(self) -> Rollout:
        """A newest revision that is not the newest ready one is on its way, or failed on it."""
        if self.changing:
            return "in-progress"
        if self.created == self.ready:
            return "settled"
        return "in-progress" if self.failure is None else "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """What a rollout brings, and for how long it has been at it.

    ``revisions`` is the newest revision as it was read, by its containers that count (none: it could not
    be), ``log_uri`` the link that it carries, "" for none. ``under_way_s`` is in seconds, None where the
    platform gives no time; over ``timeout_s`` the rollout counts as stalled.
    """

    revisions: tuple[LiveRevision, ...] = ()
    log_uri: str = ""
    under_way_s: float | None = None
    timeout_s: float = 0.0

    @property
    def stalled(self) -> bool:
        """Never without a time: what is not known to be old is still in progress."""
        return self.under_way_s is not None and self.under_way_s > self.timeout_s

    @property
    def claim(self) -> marks.Claim | None:
        """The strongest claim that names a commit; whether the history knows it is not asked here."""
        claims = marks.read(claim for each in self.revisions for claim in each.evidence)
        return next((claim for claim in claims if claim.id), None)


#: Nothing is known beside the workload itself.
UNREAD = Newest()


def shares(workload: Workload) -> dict[str, int]:
    """Percent by short revision name, the largest first, without those that get none.

    One revision may stand in several entries (an own share and one as the latest, say): they are
    summed. Raises ``SourceError``: ``no-serving-revision``, or ``invalid-response`` for an entry that
    means no revision or no percentage.
    """
    summed: dict[str, int] = {}
    for entry in workload.entries:
        if not 0 <= entry.percent <= 100:
            raise _nonsense(workload, f"an entry of {entry.percent} percent")
        if entry.percent:
            name = workload.named(entry)
            if not name and not entry.latest:
                raise _nonsense(workload, "traffic for a revision without a name")
            summed[name] = summed.get(name, 0) + entry.percent
    if not summed or "" in summed:
        raise _nothing_serves(workload)
    return dict(sorted(summed.items(), key=lambda item: -item[1]))


def incomplete(workload: Workload, serving: Mapping[str, int]) -> Unknown | None:
    """Why it is not known what serves, where the ``serving`` percents do not sum to 100; else None."""
    total = sum(serving.values())
    if total == 100:
        return None
    sentence = f"the traffic percents of {workload.name} sum to {total}, not to 100; check again in a moment"
    return Unknown(cause="invalid-response", message=sentence, retryable=True)


def tagged(workload: Workload, serving: Mapping[str, int]) -> tuple[Tagged, ...]:
    """The revisions that answer at a tag URL only, getting none of the traffic."""
    return tuple(
        Tagged(revision=workload.named(entry), tag=entry.tag, url=entry.url or None)
        for entry in workload.entries
        if entry.tag and workload.named(entry) not in ("", *serving)
    )


def findings(workload: Workload, serving: Mapping[str, int], newest: Newest = UNREAD) -> tuple[Finding, ...]:
    """What the policy may want to judge about the rollout and about the ``serving`` split."""
    return (*_rollout(workload, newest), *_pinned(workload, serving), *_split(serving))


def _rollout(workload: Workload, newest: Newest) -> Iterator[Finding]:
    """The rollout that is not over or failed: how it stands, and which commit would be live after it."""
    claim = newest.claim
    data: dict[str, str | int | None] = {
        "created": workload.created or None,
        "ready": workload.ready or None,
        "commit": claim.id if claim else None,
        "log_uri": _link(newest.log_uri),
    }
    if workload.rollout == "in-progress":
        age = None if newest.under_way_s is None else max(0, int(newest.under_way_s))
        code = "rollout-stalled" if newest.stalled else "rollout-in-progress"
        sentence = f"a rollout of {workload.name} is under way{_for(age)}{_outlook(workload, newest)}"
        yield Finding(code=code, message=sentence, data={**data, "under_way_s": age})
    if workload.rollout == "failed" and workload.failure is not None:
        words = one_line(workload.failure)
        still = f"; {workload.ready} is the newest that did" if workload.ready else ""
        sentence = (
            f"the revision {workload.created} never became ready{still}{_outlook(workload, newest)}: {words}"
        )
        link = _log_uri(workload.failure) or data["log_uri"]
        yield Finding(
            code="rollout-failed", message=sentence, data={**data, "platform_message": words, "log_uri": link}
        )


def _for(age_s: int | None) -> str:
    return "" if age_s is None else f" for {age_s // 60} min" if age_s >= 60 else f" for {age_s} s"


def _outlook(workload: Workload, newest: Newest) -> str:
    """Which revision and commit would serve after the rollout, as far as anything says so."""
    failed = workload.rollout == "failed"
    name = f"; its newest revision is {workload.created}" if workload.created and not failed else ""
    if not workload.follows:
        return f"{name}; the traffic is pinned by name and would stay where it is"
    if claim := newest.claim:
        would = "would have made" if failed else "would make"
        return f"{name}; it {would} the commit {str(claim.id)[:12]} live (says {claim})"
    return name


def _pinned(workload: Workload, serving: Mapping[str, int]) -> Iterator[Finding]:
    """A pin by name outlives every later deploy: the deploys succeed and move nothing."""
    follows = any(entry.latest and entry.percent for entry in workload.entries)
    if follows or not workload.ready or workload.ready in serving:
        return
    sentence = (
        f"the traffic of {workload.name} is pinned to {' and '.join(serving)}, "
        f"while the newest ready revision {workload.ready} gets none"
    )
    yield Finding(
        code="traffic-pinned",
        message=sentence,
        data={"pinned": list(serving), "ready": workload.ready, "command": _free_line(workload)},
    )


def _split(serving: Mapping[str, int]) -> Iterator[Finding]:
    parts = [f"{name} {percent} %" for name, percent in serving.items()]
    if len(serving) > 1:
        sentence = f"the traffic is split over {len(serving)} revisions: {', '.join(parts)}"
        yield Finding(code="traffic-split", message=sentence, data={"revisions": list(serving)})
    total = sum(serving.values())
    if total != 100:
        sentence = f"the traffic percents sum to {total}, not to 100: {', '.join(parts)}"
        yield Finding(code="traffic-incomplete", message=sentence, data={"sum": total})


def _free_line(workload: Workload) -> str:
    verb = {
        "service": "run services update-traffic",
        "worker-pool": "beta run worker-pools update-instance-split",
    }[workload.kind]
    place = f"--project={workload.project} --region={workload.region}"
    return f"gcloud {verb} {workload.name} --to-latest {place}"


def _log_uri(message: str) -> str | None:
    """The platform writes the link to the logs into its message; the workload has no field for it."""
    link = re.search(r"https://console\.cloud\.google\.com/logs/[!-~]+", message)
    return _link(link[0]) if link else None


def _link(uri: str) -> str | None:
    """``uri`` if it is a whole link to Google's console; anything else is not shown."""
    fits = re.fullmatch(r"https://console\.cloud\.google\.com/[!-~]+", uri)
    return uri if fits and len(uri) <= LINK_LIMIT else None


def _nothing_serves(workload: Workload) -> SourceError:
    """``no-serving-revision``, with the reason where the platform gives one; it heals by a rollout only."""
    why = {
        "settled": "no traffic is assigned to any",
        "in-progress": "a rollout is under way",
        "failed": one_line(workload.failure or ""),
    }[workload.rollout]
    place = f"{workload.name} in {workload.project}/{workload.region}"
    return SourceError(f"no revision of {place} serves: {why}", "no-serving-revision", False)


def _nonsense(workload: Workload, what: str) -> SourceError:
    sentence = f"Cloud Run's answer about {workload.name} makes no sense: {what}"
    return SourceError(sentence, "invalid-response", False)


def rest(workload: Workload, serving: Mapping[str, int]) -> tuple[LiveRevision, ...]:
    """The share of the traffic of which nobody says where it goes, if any."""
    why = incomplete(workload, serving)
    if why is None:
        return ()
    return (LiveRevision(revision=None, percent=max(0, 100 - sum(serving.values())), unknown=why),)


def passing(live: Live) -> bool:
    """Whether a second look may tell more: a revision was deleted meanwhile, or the split is in motion."""
    return any(
        one.unknown is not None and (one.unknown.cause == "not-found" or one.revision is None)
        for one in live.revisions
    )


def tag_urls(workload: Workload) -> dict[str, str]:
    """For each revision with a tag the address at which it alone answers."""
    return {workload.named(entry): entry.url for entry in workload.entries if entry.tag and entry.url}
