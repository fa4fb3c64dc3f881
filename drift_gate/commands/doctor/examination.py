"""Looks at the real set-up step by step and says what to fix, in order, with the line to paste.

What a check would ask is asked here in the same way, one side after the other, so that the first thing
that is wrong is named and not its last consequence. Nothing is changed but what every check refreshes:
the last confirmed target, and the mirror of an address.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drift_gate.commands.doctor.service import NOT_REACHED, Patient, examined
from drift_gate.commands.doctor.steps import CONFIGURATION, Step, folder, history_line, live_line
from drift_gate.errors import DriftConfigError, JournalError, SourceError
from drift_gate.facts import Live, Target, Unknown
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings, load, unknown_variables
from drift_gate.settings.keys import ServiceSettings
from drift_gate.settings.location import FILE_NAME, environment
from drift_gate.settings.stores import firestore
from drift_gate.sources.git.process import Git
from drift_gate.wiring import checks, notifications
from drift_gate.wiring.journals import OFF, opened

#: Seconds that a look at git itself may take.
GIT_SECONDS = 10.0
#: And one at a journal that is no file.
STORE_SECONDS = 5.0
#: Clocks of one data centre differ by milliseconds, those of people's machines by seconds.
SKEW = timedelta(minutes=1)
#: A token that ends so soon is renewed by Google's library; a person's may not be.
SOON = timedelta(minutes=5)
_SQLITE = b"SQLite format 3\0"


def examine(
    *,
    start: Path | None = None,
    environ: Mapping[str, str] | None = None,
    now: Callable[[], datetime] = checks.utc_now,
) -> Iterator[Step]:
    """Every step, in the order in which to fix things; a step that an earlier failure hides is skipped.

    ``start`` and ``environ`` as for ``settings.load``; ``now`` is the clock (UTC). No step takes longer
    than the deadline of its service. Raises nothing that a broken set-up may cause.
    """
    environ = environment() if environ is None else environ
    try:
        settings = load(start, environ)
    except DriftConfigError as error:
        *others, last = map(str, error.args)
        for mistake in others:
            yield Step(CONFIGURATION, "", "fail", mistake)
        yield Step(CONFIGURATION, "", "fail", last, _write_or_edit(last, environ))
        return
    declared = ", ".join(settings.services)
    yield Step(CONFIGURATION, "", "ok", f"{settings.file}: {len(settings.services)} declared: {declared}")
    for name, hint in unknown_variables(environ).items():
        yield Step("variable", "", "warn", f"{name} sets nothing{hint}", f"unset {name}")
    git = _git(settings)
    yield git
    patients: list[Patient] = []
    told: set[object] = set()
    for name, service in settings.services.items():
        with _asked(name, service, settings, git) as patient:
            patients.append(patient)
            yield from _examined(patient, told, now)
    yield from _decisions(settings)
    yield from _channels(settings)
    yield _clock(patients, now())


def _examined(patient: Patient, told: set[object], now: Callable[[], datetime]) -> Iterator[Step]:
    """The steps of one service; ``told`` are those of places that several share."""
    service = patient.service
    yield from _once(("repository", service.repository, service.history), told, _repository(patient))
    yield from _once(("target", service.repository, service.target_ref), told, _target(patient))
    if service.live == "cloud-run":
        yield from _once("credentials", told, _credentials(patient, now))
        yield from _once(("api", service.project, service.region), told, _api(patient))
    yield from examined(patient)


def _once(key: object, told: set[object], steps: Iterator[Step]) -> Iterator[Step]:
    """``steps``, unless another service has had them told already."""
    if key not in told:
        told.add(key)
        yield from steps


def _write_or_edit(message: str, environ: Mapping[str, str]) -> str:
    if message.startswith(f"no {FILE_NAME}"):
        return "deployment-drift init"
    named = re.match(rf"(.*?{re.escape(FILE_NAME)}):(?:\d+:)? ", message)
    file = named[1] if named else environ.get("DRIFT_CONFIG", FILE_NAME)
    if message.startswith("environment "):
        return f"unset {message.split()[1].rstrip(':')}"
    return f'"${{EDITOR:-vi}}" {shlex.quote(file)}'


def _git(settings: Settings) -> Step:
    git = Git(cwd=str(settings.file.parent), environ=settings.environ, deadline=Deadline(GIT_SECONDS))
    try:
        answer = os.fsdecode(git.run("version")).strip()
    except SourceError as error:
        return Step("git", "", "fail", error.message, "sudo apt-get install git")
    return Step("git", "", "ok", answer)


@contextmanager
def _asked(name: str, service: ServiceSettings, settings: Settings, git: Step) -> Iterator[Patient]:
    """Both sides of the service, each with its answer or its error; no history without git."""
    with ExitStack() as open_plan:
        try:
            plan = open_plan.enter_context(checks.plan(name, settings=settings))
        except SourceError as error:
            yield Patient(name, service, settings, None, error, error)
            return
        yield Patient.of(name, service, settings, plan, git.state == "ok")


def _repository(patient: Patient) -> Iterator[Step]:
    """The repository, or the folder of its mirror."""
    service, settings = patient.service, patient.settings
    where = folder(settings, service)
    if service.mirrored:
        yield _cache(settings)
        return
    opened = patient.repository
    if isinstance(opened, SourceError):
        unknown = Unknown.of(opened)
        yield Step("repository", "", "fail", opened.message, history_line(unknown, service, settings))
    elif opened == "shallow":
        says = f"{where} is a shallow clone: nothing can be counted over a cut history"
        yield Step("repository", "", "fail", says, f"git -C {where} fetch --unshallow")
    elif opened == "partial":
        says = f"{where} is a partial clone: what it lacks cannot be read where its remote does not answer"
        yield Step("repository", "", "warn", says, f"git -C {where} fetch --refetch --no-filter")
    elif opened == "skipped":
        yield Step("repository", "", "skipped", "because of git")
    else:
        yield Step("repository", "", "ok", f"{where} opens, with full history")


def _cache(settings: Settings) -> Step:
    try:
        cache = settings.cache_dir
    except DriftConfigError as error:
        return Step("mirror folder", "", "fail", str(error), "export DRIFT_CACHE_DIR=/var/cache/drift-gate")
    problem = _unwritable(cache)
    if problem:
        line = f"export DRIFT_CACHE_DIR=/var/cache/drift-gate  # instead of {shlex.quote(str(cache))}"
        return Step("mirror folder", "", "fail", problem, line)
    return Step("mirror folder", "", "ok", f"{cache} can be written")


def _unwritable(wanted: Path) -> str | None:
    """Why the folder ``wanted`` cannot be written or made; None where it can. Tries nothing out."""
    for place in (wanted, *wanted.parents):
        if os.path.lexists(place):
            if not place.is_dir():
                return f"{place} is no folder"
            return None if os.access(place, os.W_OK | os.X_OK) else f"{place} may not be written"
    return f"{wanted} has no parent folder"


def _target(patient: Patient) -> Iterator[Step]:
    target, service = patient.target, patient.service
    if isinstance(target, SourceError):
        if patient.hidden:
            yield Step("target ref", "", "skipped", "because of the repository")
            return
        line = history_line(Unknown.of(target), service, patient.settings)
        yield Step("target ref", "", "fail", f"{service.target_ref}: {target.message}", line)
        return
    confirmed = f"{target.confirmed_at:%Y-%m-%d %H:%M:%S} UTC"
    told = f"{target.ref} is at {target.commit[:12]}, confirmed {confirmed}"
    if target.ref == "HEAD" and not service.mirrored:
        says = f"{told}; HEAD is what this folder has checked out, and not what should be live"
        line = f'# in {patient.settings.file}: target_ref = "origin/main"'
        yield Step("target ref", "", "warn", says, line)
    for finding in target.findings:
        line = f"git -C {folder(patient.settings, service)} pull --ff-only"
        yield Step("target ref", "", "warn", f"{told}; {finding.message}", line)
    if target.ref != "HEAD" and not target.findings:
        yield Step("target ref", "", "ok", told)


def _credentials(patient: Patient, now: Callable[[], datetime]) -> Iterator[Step]:
    live, settings = patient.live, patient.settings
    if isinstance(live, SourceError) and live.cause == "credentials":
        line = live_line(Unknown.of(live), patient.name, patient.service, settings)
        yield Step("credentials", "", "fail", live.message, line)
        return
    if settings.emulator:
        yield Step(
            "credentials", "", "ok", f"none needed: the emulator at {settings.emulator} is asked, not Google"
        )
        return
    try:
        who, ends = checks.caller(settings.emulator)
    except SourceError as error:
        yield Step("credentials", "", "fail", error.message, "gcloud auth application-default login")
        return
    yield _token(who or "somebody whose name the credentials do not tell", ends, now())


def _token(who: str, ends: datetime | None, now: datetime) -> Step:
    if ends is None:
        return Step("credentials", "", "ok", f"found, for {who}; when the token ends is not known")
    told = f"found, for {who}; the token ends {ends:%Y-%m-%d %H:%M:%S} UTC"
    if ends - now > SOON:
        return Step("credentials", "", "ok", told)
    line = "gcloud auth application-default print-access-token"
    return Step("credentials", "", "warn", f"{told}, which is now or soon", line)


def _api(patient: Patient) -> Iterator[Step]:
    live, place = patient.live, f"{patient.service.project}/{patient.service.region}"
    if isinstance(live, SourceError) and live.cause == "credentials":
        yield Step("Cloud Run", place, "skipped", "because of the credentials")
    elif isinstance(live, SourceError) and live.cause in NOT_REACHED:
        line = live_line(Unknown.of(live), patient.name, patient.service, patient.settings)
        yield Step("Cloud Run", place, "fail", live.message, line)
    else:
        asked = f"the emulator at {patient.settings.emulator}" if patient.settings.emulator else "Google"
        yield Step("Cloud Run", place, "ok", f"{asked} answers")


def _decisions(settings: Settings) -> Iterator[Step]:
    """Whether verdicts can be kept, without keeping one."""
    if settings.journal.store == OFF:
        return
    if firestore(settings.journal.store):
        yield _shared_journal(settings)
        return
    file = settings.beside(settings.journal.store)
    problem = _unwritable(file.parent)
    if problem is None and file.exists():
        problem = _no_store(file)
    if problem is None:
        yield Step("journal", "", "ok", f"{file} can be written")
        return
    line = f'# in {settings.file}: [journal] store = ".drift/journal.sqlite"'
    yield Step("journal", "", "fail", f"verdicts are not kept: {problem}", line)


def _shared_journal(settings: Settings) -> Step:
    """Whether a journal that is no file answers; that it may be written only a verdict shows."""
    journal = opened(settings, busy_s=STORE_SECONDS)
    try:
        if journal:
            journal.incidents(unresolved=True)
    except JournalError as error:
        line = f'# in {settings.file}: [journal] store = ".drift/journal.sqlite"'
        return Step("journal", "", "fail", f"verdicts are not kept: {error}", line)
    return Step("journal", "", "ok", f"{settings.journal.store} answers")


def _channels(settings: Settings) -> Iterator[Step]:
    """Whether people would be told, without telling them anything."""
    for name, found in notifications.looks(settings).items():
        if isinstance(found, str):
            yield Step("channel", name, "ok", found)
        else:
            missing = re.match(r"environment (\w+):", str(found))
            line = f"export {missing[1]}=…" if missing else f"deployment-drift notify test {name}"
            yield Step("channel", name, "fail", str(found), line)


def _no_store(file: Path) -> str | None:
    """Why verdicts cannot be added to ``file``; None where they can."""
    if not file.is_file():
        return f"{file} is no file"
    if not os.access(file, os.R_OK | os.W_OK):
        return f"{file} may not be written"
    with suppress(OSError), file.open("rb") as stream:
        head = stream.read(len(_SQLITE))
        return None if head in (b"", _SQLITE) else f"{file} is no SQLite file"
    return f"{file} cannot be read"


def _clock(patients: list[Patient], now: datetime) -> Step:
    """This machine's clock against moments that have passed elsewhere: none of them can lie ahead."""
    made = [
        (one.created_at, f"the revision {one.revision} was made by Google's clock")
        for patient in patients
        if isinstance(patient.live, Live)
        for one in patient.live.revisions
        if one.created_at is not None
    ]
    landed = [
        (when, f"{patient.target.commit[:12]} was committed")
        for patient in patients
        if isinstance(patient.target, Target) and (when := patient.committed_at()) is not None
    ]
    line = "sudo timedatectl set-ntp true"
    for when, what in (*made, *landed):
        if when - now > SKEW:
            says = (
                f"{what} at {when:%Y-%m-%d %H:%M:%S} UTC, which lies ahead of this machine's {now:%H:%M:%S}"
            )
            return Step("clock", "", "fail" if (when, what) in made else "warn", says, line)
    if not made and not landed:
        return Step("clock", "", "skipped", "because there is nothing to hold it against")
    says = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC is later than every deploy and commit seen; "
    return Step("clock", "", "ok", says + "whether it runs ahead cannot be known from here")
