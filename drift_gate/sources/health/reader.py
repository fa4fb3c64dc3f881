"""Asks what runs what it holds: the live revisions themselves, at the service's own addresses alone.

Nothing that is heard here is worse than not having asked: a revision that does not answer in time, or answers
nonsense, keeps the evidence that it had, and a finding says why no more was learned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from drift_gate.errors import SourceError
from drift_gate.facts import Finding, Live, LiveRevision
from drift_gate.runtime.deadline import Deadline, gather
from drift_gate.sources.health.document import Reply, read
from drift_gate.sources.health.tokens import TOKENS, Token
from drift_gate.sources.http.client import Answer, Http
from drift_gate.sources.http.network import is_loopback
from drift_gate.sources.one_line import one_line

#: Bytes of an answer: 20,000 files take less than that.
ANSWER_LIMIT = 2_000_000
#: Seconds of the deadline that are left to whoever waits for what was learned.
HANDOVER_S = 0.1
#: Requests to an address behind which several revisions serve: which one answers is up to the platform.
MOST_GUESSES = 5

_PATH = re.compile(r"/[!-~]*")
_HOST = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]")
_DOCS = "docs/adoption.md, “Let the worker say what it holds”"
_NEXT_STEP = {
    "credentials": "let a service account ask that has `roles/run.invoker` on the service",
    "permission-denied": "grant `roles/run.invoker` on the service to the account that asks",
    "not-found": f"let the worker answer there: {_DOCS}",
    "timeout": "raise `health_timeout`, or keep an instance running (`--min-instances 1`)",
    "unavailable": "see the service's log, and check again in a moment",
    "rate-limited": "check again in a minute",
    "invalid-response": f"see what the worker answers there: {_DOCS}",
}


@dataclass(frozen=True, slots=True)
class _Question:
    """One request: where to, and to which revision alone that address leads (None: to any)."""

    origin: str
    revision: str | None = None


class Health:
    """What the live revisions say of their own files, within ``deadline``.

    ``path`` is where they answer. ``patience`` is how many seconds one of them is waited for; what is
    left of the deadline bounds that. ``token`` brings the ID token for an audience; ``http`` makes the way
    out for a deadline. ``allow_loopback``: an address on this machine counts as the service's, over plain
    http and without a token (for an emulator); otherwise only https is asked. Raises ``ValueError`` for a
    path that is none.
    """

    def __init__(
        self,
        *,
        deadline: Deadline,
        path: str = "/version",
        patience: float = 2.0,
        token: Token = TOKENS.get,
        http: Callable[[Deadline], Http] = Http,
        allow_loopback: bool = False,
    ) -> None:
        if not _PATH.fullmatch(path):
            raise ValueError(f"{one_line(path)!r} is no path of a web address")
        self._deadline = deadline
        #: Of now, and not of the start: a worker that knows nothing of it answers as ever.
        self._path = f"{path}{'&' if '?' in path else '?'}fresh=1"
        self._patience = patience
        self._token = token
        self._http = http
        self._allow_loopback = allow_loopback

    def with_evidence(self, live: Live) -> Live:
        """``live`` with what its revisions say of themselves; see ``facts.EvidenceSource``.

        A revision with an address of its own is asked there; the others share the service's, where each
        answer says whom it speaks for. An answer of a revision without traffic does not count.
        """
        known = [each for each in live.revisions if each.unknown is None and each.revision]
        live = replace(
            live,
            findings=(
                *live.findings,
                *(_unanswered(each, _BEHIND) for each in known if not _reachable(each)),
            ),
        )
        revisions = list(filter(_reachable, known))
        if not revisions:
            return live
        within = self._deadline.sooner(max(HANDOVER_S, self._deadline.remaining() - self._patience))
        try:
            answers = self._answers(live, revisions, within)
        except SourceError as error:
            return replace(live, findings=(*live.findings, *(_unanswered(each, error) for each in revisions)))
        heard = _Answers.of(answers, [str(each.revision) for each in revisions])
        return replace(
            live,
            revisions=tuple(
                _with_answer(each, heard.said.get(str(each.revision))) if _reachable(each) else each
                for each in live.revisions
            ),
            findings=(*live.findings, *(found for each in revisions for found in heard.findings(each))),
        )

    def _answers(
        self, live: Live, revisions: Sequence[LiveRevision], within: Deadline
    ) -> list[tuple[_Question, Reply | SourceError]]:
        questions = list(self._questions(live, revisions))
        with self._http(within) as http:
            credentials, missing = self._credentials(live, within)
            jobs = {
                f"answer {number} of {question.origin}": self._asking(http, question, credentials, missing)
                for number, question in enumerate(questions)
            }
            answers = gather(jobs, within)
        return list(zip(questions, answers.values(), strict=True))

    def _questions(self, live: Live, revisions: Sequence[LiveRevision]) -> Iterator[_Question]:
        """One for each revision. Raises ``SourceError`` where an address may not be asked."""
        shared = [each for each in revisions if each.url is None]
        for each in revisions:
            if each.url is not None:
                yield _Question(self._origin(each.url), each.revision)
        if shared:
            yield from [_Question(self._origin(live.url))] * min(len(shared), MOST_GUESSES)

    def _origin(self, url: str | None) -> str:
        """Scheme, host and port of ``url``, which the platform named as the service's own."""
        if url is None:
            raise SourceError("the workload has no address of its own that could be asked", "not-found")
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.netloc.lower(), parts.port
        except ValueError:
            scheme, host, port = "", "", None
        host = host.removesuffix(f":{port}")
        here = is_loopback(host.strip("[]"))
        fit = self._allow_loopback and scheme == "http" if here else scheme == "https"
        if not fit or not _HOST.fullmatch(host):
            shown = one_line(url.rpartition("@")[2], 100)  # before an @ stands a password
            sentence = f"{shown} is no https address of a service, so nobody is asked there"
            raise SourceError(sentence, "invalid-response")
        return f"{scheme}://{host}" + (f":{port}" if port else "")

    def _credentials(self, live: Live, within: Deadline) -> tuple[Mapping[str, str], SourceError | None]:
        """The header with the ID token, or why there is none: a public service answers without one.

        The audience is the service's address also where a tag's is asked:
        https://cloud.google.com/run/docs/configuring/custom-audiences
        """
        audience = self._origin(live.url) if live.url else ""
        if not audience.startswith("https:"):
            return {}, None
        try:
            token = self._token(audience, within.sooner(within.remaining() / 2))
        except SourceError as error:
            return {}, error
        return {"Authorization": f"Bearer {token}"}, None

    def _asking(
        self, http: Http, question: _Question, credentials: Mapping[str, str], missing: SourceError | None
    ) -> Callable[[], Reply]:
        """The request, still to be made; ``missing`` explains why it goes without credentials."""

        def ask() -> Reply:
            try:
                answer = http.get(
                    question.origin + self._path,
                    f"what it holds ({self._path})",
                    headers={"Accept": "application/json"},
                    credentials=credentials,
                    limit=ANSWER_LIMIT,
                    redirects=False,
                )
            except SourceError as error:
                if missing is None or error.cause not in ("credentials", "permission-denied"):
                    raise
                raise SourceError(f"{error.message}; {missing.message}", error.cause) from error
            return _read(answer, question)

        return ask


@dataclass(frozen=True, slots=True)
class _Answers:
    """What was heard of each revision, and what stands against the rest."""

    said: Mapping[str, Reply]
    errors: Mapping[str, SourceError]
    common: SourceError | None

    @classmethod
    def of(cls, answers: Sequence[tuple[_Question, Reply | SourceError]], names: Sequence[str]) -> _Answers:
        """``answers`` by the revision that each speaks for; ``names`` are the live ones."""
        said: dict[str, Reply] = {}
        errors: dict[str, SourceError] = {}
        common: SourceError | None = None
        for question, answer in answers:
            outcome = answer if isinstance(answer, SourceError) else _revision_of(answer, question, names)
            if isinstance(outcome, str) and isinstance(answer, Reply):
                said[outcome] = answer
            elif isinstance(outcome, SourceError) and question.revision:
                errors[question.revision] = outcome
            elif isinstance(outcome, SourceError):
                common = common or outcome
        return cls(said, errors, common)

    def findings(self, revision: LiveRevision) -> Iterator[Finding]:
        """What could not be learned of ``revision``, if anything."""
        name = str(revision.revision)
        said = self.said.get(name)
        if said is None:
            yield _unanswered(revision, self.errors.get(name) or self.common or _UNMET)
        elif said.problem:
            yield _unanswered(revision, SourceError(f"it says itself: {said.problem}", "unavailable"))
        elif said.content is None and said.commit is None:
            sentence = "its answer holds neither a fingerprint nor a commit"
            yield _unanswered(revision, SourceError(sentence, "invalid-response"))


_UNMET = SourceError(
    "only others answered at the service's address; a traffic tag would give it an address of its own",
    "unavailable",
)


_BEHIND = SourceError("the platform sends it no requests; another container answers there", "not-found")


def _reachable(revision: LiveRevision) -> bool:
    """Whether an answer at the revision's address is its own: another container's vouches for nobody else."""
    return revision.takes_requests


def _revision_of(said: Reply, question: _Question, names: Sequence[str]) -> str | SourceError:
    """The live revision that ``said`` speaks for, or why it speaks for none."""
    own = question.revision or (names[0] if len(names) == 1 else None)
    if said.revision is None and own is None:
        return SourceError("an answer does not say of which revision it is", "invalid-response")
    if said.revision in (None, own):
        return str(own)
    if said.revision not in names:
        return SourceError(f"{said.revision} answered, which gets no traffic", "invalid-response")
    return said.revision


def _read(answer: Answer, question: _Question) -> Reply:
    """What ``answer`` says. Raises ``SourceError`` (``invalid-response``) where it makes no sense."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if not re.fullmatch(r"application/([!-~]+\+)?json", kind):
            raise ValueError(f"it is called {one_line(kind, 40) or 'nothing'}, not JSON")
        return read(answer.json())
    except ValueError as error:
        sentence = f"{question.origin} answered nonsense: {one_line(str(error))}"
        raise SourceError(sentence, "invalid-response") from error


def _with_answer(revision: LiveRevision, said: Reply | None) -> LiveRevision:
    """``revision`` with what was said added; its commit last, since nothing is weaker."""
    if said is None:
        return revision
    evidence = (*revision.evidence, said.commit) if said.commit else revision.evidence
    return replace(revision, content=said.content or revision.content, evidence=evidence)


def _unanswered(revision: LiveRevision, error: SourceError) -> Finding:
    step = _NEXT_STEP.get(error.cause)
    return Finding(
        code="evidence-unreachable",
        message=f"{revision.called} did not say what it holds: {error.message}"
        + (f"; {step}" if step else ""),
        data={"carrier": "fingerprint", "cause": error.cause, "revision": revision.revision},
    )
