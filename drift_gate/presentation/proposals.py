"""What ``init`` found and what is left to do, for people. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from rich.text import Text

from drift_gate.presentation.plain_text import plain
from drift_gate.presentation.render import counted
from drift_gate.relevance.rules import Rules
from drift_gate.settings.proposal.gcloud import Told
from drift_gate.settings.proposal.plan import Proposal, Service

#: Columns of the words before what was found.
_WIDTH = 10
#: Places, entry points and names that are listed one by one.
_MOST = 3
_MOST_NAMES = 9
_ROLE = "roles/run.viewer"


def report(proposal: Proposal) -> Iterator[Text]:
    """What was found: where, and each service with what it is made of, one line each."""
    where = {"project": proposal.project, "region": proposal.region, "target": proposal.ref}
    for name, told in where.items():
        yield _row(name, f"{told.value}  ({told.by})" if told else "not known", indent="")
    for service in proposal.services:
        yield Text("")
        kind = "" if service.match.kind == "service" else f"  {service.match.kind.replace('-', ' ')}"
        title = Text(service.match.name, "bold").append(kind, "not bold")
        yield title.append("  (a guess)", "yellow") if service.match.guess else title
        yield from _service(service)
    if proposal.elsewhere:
        yield Text("")
        names = _some(proposal.elsewhere, _MOST_NAMES)
        yield Text(plain(f"also live there, tied to nothing here: {names}"), "dim")


def _service(service: Service) -> Iterator[Text]:
    match, rules, found = service.match, service.rules, service.counted
    if rules.dockerfile is not None:
        built = "" if rules.context == "." else f", built from {rules.context}/"
        stage = f", the stage {rules.stage}" if rules.stage else ""
        why = f"  ({match.made.because})" if match.made.because else ""
        yield _row("made of", f"{rules.dockerfile}{stage}{built}{why}")
    elif rules.paths is not None:
        yield _row("made of", f"{', '.join(rules.paths)}  ({match.made.because})")
    else:
        alike = f"not known; it may be {match.made.resembling}, by its name" if match.made.resembling else ""
        yield _row("made of", match.made.because or alike or "not known: no Dockerfile has its name")
    if found.entries:
        yield _row("starts", _some(found.entries, _MOST))
    narrow = f"; not narrowed down: {found.doubt}" if found.doubt else ""
    yield _row("files", f"{counted(found.files, 'file')} of the repository may change it{narrow}")
    yield from _commit(service)


def _commit(service: Service) -> Iterator[Text]:
    """What names the commit, or the line that would and where it belongs."""
    deploys = service.match.deploys
    if service.carrier:
        yield _row("commit", f"its newest deploy names one: {service.carrier}")
    elif deploys and not service.unstamped:
        first = deploys[0]
        yield _row("commit", f"{first.where} names it: {first.stamp}")
    elif service.unstamped:
        places = service.unstamped
        yield _row("commit", "nothing names it; add this to the deploy:")
        for each in places[:_MOST]:
            yield _row("", f"{each.where}  {each.addition}")
        if len(places) > _MOST:
            yield _row("", f"and {len(places) - _MOST} more")
    else:
        told = "nothing names it, and no deploy was found here; the command that deploys it needs:"
        yield _row("commit", told)
        yield _row("", '--labels "commit-sha=$(git rev-parse HEAD)"')


def left(proposal: Proposal, file: str) -> Iterator[str]:
    """What only a person can do, one sentence each, with the line to paste behind a line break."""
    places = (("project", proposal.project), ("region", proposal.region))
    if missing := [name for name, told in places if told is None]:
        anew = f"rm {file} && deployment-drift init {' '.join(f'--{name} …' for name in missing)}"
        yield f"say the {' and the '.join(missing)}: in {file}, or with\n{anew}"
    yield from _access(proposal)
    here = proposal.services
    if guessed := [each.match.name for each in here if each.match.guess]:
        yield f"write the name that Cloud Run knows for {_some(guessed, _MOST)}\ngcloud run services list"
    if unknown := [each.match.name for each in here if each.rules == Rules(start=each.rules.start)]:
        yield f"say what {_some(unknown, _MOST)} is made of (dockerfile, or paths): so far every file counts"
    if silent := [each.match.name for each in here if each.silent]:
        yield f"name the commit in the deploy of {_some(silent, _MOST)}, as said above, and deploy once"
    yield f"commit {file}\ngit add {file} && git commit -m 'Compare what is live with the default branch'"


def _access(proposal: Proposal) -> Iterator[str]:
    """What keeps Cloud Run from being asked, each reason once."""
    told: set[str] = set()
    for unknown in proposal.unasked.values():
        if proposal.project is None or proposal.region is None or unknown.cause in told:
            continue
        told.add(unknown.cause)
        if unknown.cause == "permission-denied":
            who = proposal.account or "the account in use"
            yield f"let {who} read Cloud Run\n{grant(proposal.project, proposal.account)}"
        elif unknown.cause == "credentials":
            yield "log in\ngcloud auth application-default login"
        else:
            yield f"Cloud Run did not answer: {plain(unknown.message)}"
    if not proposal.answered:
        yield "then look again\ndeployment-drift doctor && deployment-drift check --verbose"


def offers(proposal: Proposal) -> Iterator[tuple[str, str]]:
    """What may be added, each with the line to paste."""
    yield (
        "judge every push and every hour, in GitHub Actions (the file comes with the gate; docs/ci.md)",
        "cp GATE/examples/github/check.yml .github/workflows/drift.yml",
    )
    yield "say after each commit and merge what services then lack", "deployment-drift hooks install"
    if proposal.project is not None:
        whose = proposal.account if proposal.answered else None
        yield (
            "let the account that starts your batches read Cloud Run"
            + (f" (so far {whose} does)" if whose else ""),
            grant(proposal.project, None),
        )


def grant(project: Told, account: str | None) -> str:
    """The line that lets ``account`` read Cloud Run; None: whoever it is for fills it in."""
    member = account or f"serviceAccount:ACCOUNT@{project.value}.iam.gserviceaccount.com"
    return (
        f"gcloud projects add-iam-policy-binding {shlex.quote(project.value)} "
        f"--member {shlex.quote(member)} --role {_ROLE}"
    )


def _row(name: str, said: str, indent: str = "  ") -> Text:
    return Text.assemble(indent, (f"{name:{_WIDTH}}", "dim"), plain(said))


def _some(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
