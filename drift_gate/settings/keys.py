"""The keys of ``drift.toml``: their types, defaults and what makes sense together. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from string import Formatter
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from drift_gate.errors import CAUSES
from drift_gate.evidence.requirements import Pin, VariableName
from drift_gate.facts import Fact, Kind
from drift_gate.policy.codes import REASONS, Decision
from drift_gate.policy.verdict import Enforcement, FailurePolicy, Policy
from drift_gate.relevance.gitignore import powerless
from drift_gate.relevance.patterns import PathRules
from drift_gate.relevance.rules import IMAGE_CONTEXT, Rules, Upload
from drift_gate.runtime.pattern_shape import more_than_linear
from drift_gate.runtime.spelling import near_misses
from drift_gate.runtime.values import Moment, OneOrMore, Texts, is_address
from drift_gate.settings import stores
from drift_gate.settings.deploy_keys import DeployKeys
from drift_gate.settings.quantities import Count as Count
from drift_gate.settings.quantities import Duration as Duration
from drift_gate.settings.quantities import DurationOrOff
from drift_gate.settings.quantities import PositiveDuration as PositiveDuration
from drift_gate.settings.quantities import seconds as seconds

_TRANSPORT = re.compile(r"(https|ssh|file)://|[\w.-]+@")


def by_cause(value: object) -> object:
    """Refuses a table for causes that do not exist: it would fail where it was meant to ignore."""
    known = ("default", *CAUSES)
    for cause in value if isinstance(value, Mapping) else ():
        if cause not in known:
            raise ValueError(f"no cause {cause!r}{near_misses(str(cause), known)}")
    return value


def _gitignore(patterns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    PathRules(patterns)
    for line, folder in powerless(patterns or ()):
        raise ValueError(
            f"the pattern {line!r} takes nothing back: the folder {folder}/ is matched as a whole, and git "
            f"does not look into it; match what is in it by '{folder}/*' in its place"
        )
    return patterns


def _made(generated: tuple[str, ...] | Mapping[str, tuple[str, ...]]) -> object:
    _gitignore(tuple(generated))
    for sources in generated.values() if isinstance(generated, Mapping) else ():
        _gitignore(sources)
    return generated


def _contexts(folders: Mapping[str, str]) -> Mapping[str, str]:
    return {
        name: folder if folder.startswith(IMAGE_CONTEXT) else _inside(folder)
        for name, folder in folders.items()
    }


def _inside(path: str) -> str:
    """A path inside the repository, in its shortest form."""
    shortest = posixpath.normpath(path)
    if not path or shortest.startswith(("/", "../")) or shortest == "..":
        raise ValueError(f"{path!r} is no path inside the repository")
    return shortest


def _expressions(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        _expression(pattern)
    return patterns


def _expression(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    if why := more_than_linear(pattern):
        raise ValueError(f"{pattern!r} may not end on a long text: {why}")
    return compiled


def _tag_pattern(pattern: str | None) -> str | None:
    if pattern is not None and "commit" not in _expression(pattern).groupindex:
        raise ValueError(f"{pattern!r} does not say where the commit stands: name a group, (?P<commit>…)")
    return pattern


def _path(path: str) -> str:
    if not path or "\0" in path:
        raise ValueError(f"{path!r} is no path")
    return path


def _reachable(repository: str) -> str:
    if is_address(repository) and not _TRANSPORT.match(repository):
        raise ValueError("a repository is a path, or https://…, ssh://…, git@host:… or file://…")
    return repository


def _judged(reasons: Mapping[str, Decision]) -> Mapping[str, Decision]:
    for code in reasons:
        if code not in REASONS:
            raise ValueError(f"no reason code {code!r}{near_misses(code, REASONS)}")
    if "unknown-drift" in reasons:
        raise ValueError("unknown-drift is judged by failure_policy")
    if "freeze" in reasons:
        raise ValueError("freeze is a note, and decides nothing")
    return reasons


#: What a template of ``[batch]`` may speak of.
PLACEHOLDERS = ("service", "date", "commit")


def _template(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("a template is one line of text")
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"a brace stands alone; write {{{{ or }}}} for one, or one of {known}") from error
    for _, name, form, conversion in parts:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            hint = near_misses(name, PLACEHOLDERS)
            raise ValueError(f"no placeholder {{{name}}}{hint} (known: {known}; {{{{ and }}}} are braces)")
    return text


EvidenceSourceName = Literal["registry", "health"]
Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9](?:[a-z0-9.:-]{0,98}[a-z0-9])?$",
        title="a name of lower-case letters, digits and '-'",
        examples=["example-project"],
    ),
]
ContainerName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$",
        title="a name of lower-case letters, digits and '-'",
        examples=["worker"],
    ),
]
StageName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        title="the name of a stage, or its number",
        examples=["production"],
    ),
]
RepositoryPath = Annotated[
    str,
    AfterValidator(_inside),
    Field(title="a path inside the repository", examples=["predictions/worker/Dockerfile"]),
]
Patterns = Annotated[Texts, AfterValidator(_gitignore)]
Made = Annotated[
    Texts | Mapping[str, Texts],
    AfterValidator(_made),
    Field(
        title='a list of patterns such as ["worker/_pb2/"], or a table',
        examples=[{"worker/common/": ["shared/common/"]}],
    ),
]
Contexts = Annotated[
    Mapping[str, str],
    AfterValidator(_contexts),
    Field(title="a table", examples=[{"shared": "packages/shared"}]),
]
PathText = Annotated[str, AfterValidator(_path)]
Template = Annotated[str, AfterValidator(_template)]
FailurePolicies = Annotated[
    FailurePolicy | Mapping[str, FailurePolicy],
    BeforeValidator(by_cause),
    Field(
        title='"fail" or "ignore", or a table by cause',
        examples=[{"default": "fail", "unavailable": "ignore"}],
    ),
]


class Defaults(Fact, defer_build=True):  # nobody makes one: its keys are those of a service
    """``[defaults]``: where a service lives, where its history is, and how long to wait."""

    project: Name | None = None
    region: Name | None = None
    kind: Kind = "service"
    live: Literal["cloud-run", "ledger"] = "cloud-run"
    ledger: PathText = ".drift/ledger.jsonl"
    repository: Annotated[PathText, AfterValidator(_reachable)] = "."
    history: Literal["auto", "checkout", "mirror"] = "auto"
    clone_timeout: PositiveDuration = 120.0
    target_ref: Annotated[str, Field(min_length=1)] = "origin/main"
    deadline: PositiveDuration = 10.0
    stale_target_limit: Duration = 3600.0
    rollout_timeout: PositiveDuration = 1800.0
    commit_labels: Texts = ("commit-sha", "commit_sha", "git-sha", "git-commit")
    commit_env: Texts = ("BUILD_COMMIT", "GIT_SHA", "COMMIT_SHA", "GIT_COMMIT")
    evidence: Annotated[tuple[EvidenceSourceName, ...], OneOrMore()] = ()
    image_tag_pattern: Annotated[str | None, AfterValidator(_tag_pattern)] = None
    image_labels: Texts = ("org.opencontainers.image.revision",)
    health_path: Annotated[
        str, Field(pattern=r"^/[!-~]*$", title="a path of an address", examples=["/version"])
    ] = "/version"
    health_timeout: PositiveDuration = 2.0
    cache_ttl: Duration = 0.0


class PolicyKeys(Fact, defer_build=True):  # as Defaults
    """``[policy]``: what is tolerated."""

    max_commits_behind: Count = 3
    max_drift_age: DurationOrOff = 43_200.0
    grace_period: Duration = 0.0
    deny_paths: Patterns = ()
    warn_paths: Patterns = ()
    deny_subjects: Annotated[Texts, AfterValidator(_expressions)] = ()
    failure_policy: FailurePolicies = "fail"
    enforcement: Enforcement = "deny"
    enforce_from: Moment | None = None
    reasons: Annotated[
        Mapping[str, Decision],
        AfterValidator(_judged),
        Field(
            title="a table by reason code",
            examples=[{"traffic-split": "deny"}],
            json_schema_extra={"propertyNames": {"enum": sorted(REASONS.keys() - {"unknown-drift"})}},
        ),
    ] = Field(default_factory=dict)


class ServiceSettings(Defaults, PolicyKeys, DeployKeys, defer_build=False):
    """Everything that holds for one service, all layers merged."""

    paths: Patterns | None = None
    ignore: Patterns = ()
    dockerfile: RepositoryPath | None = None
    stage: StageName | None = None
    context: RepositoryPath = "."
    build_files: Annotated[tuple[RepositoryPath, ...], OneOrMore()] = ()
    generated: Made = ()
    build_contexts: Contexts = Field(default_factory=dict)
    upload: Upload = "auto"
    base: RepositoryPath | None = None
    entrypoint: Texts = ()
    import_roots: Texts = ()
    container: ContainerName | None = None
    required_env: Annotated[tuple[VariableName, ...], OneOrMore()] = ()
    pins: tuple[Pin, ...] = ()

    @model_validator(mode="after")
    def _placed(self) -> ServiceSettings:
        missing = [key for key in ("project", "region") if getattr(self, key) is None]
        if self.live == "cloud-run" and missing:
            raise ValueError(f'live = "cloud-run" needs {" and ".join(missing)}')
        for key in ("container", "required_env", "pins", "evidence"):
            if self.live == "ledger" and getattr(self, key):
                raise ValueError(f'{key} needs live = "cloud-run": a ledger knows nothing but commits')
        if "health" in self.evidence and self.kind != "service":
            raise ValueError(f'evidence = ["health"] needs kind = "service": a {self.kind} has no address')
        if self.history == "checkout" and is_address(self.repository):
            raise ValueError('history = "checkout" needs the path of a repository, not an address')
        if self.stage is not None and self.dockerfile is None:
            raise ValueError("stage needs dockerfile: it is a stage of that")
        return self

    @property
    def mirrored(self) -> bool:
        """Whether the history comes from a mirror: of an address, or where it is asked for."""
        return self.history == "mirror" or (self.history == "auto" and is_address(self.repository))

    @property
    def rules(self) -> Rules:
        """What this service declares about its relevant paths; ``Settings.rules`` adds other services."""
        return Rules(
            paths=self.paths,
            ignore=self.ignore,
            dockerfile=self.dockerfile,
            stage=self.stage,
            context=self.context,
            build_files=self.build_files,
            generated=tuple(self.generated),
            made_from=tuple(self.generated.items()) if isinstance(self.generated, Mapping) else (),
            build_contexts=tuple(self.build_contexts.items()),
            upload=self.upload,
            entrypoint=self.entrypoint,
            import_roots=self.import_roots,
        )

    @property
    def policy(self) -> Policy:
        """The policy of this service."""
        return Policy(**{key: self[key] for key in PolicyKeys.model_fields})


class Batch(Fact):
    """``[batch]``: ``requires`` names the service that gates a batch.

    ``foreign_results``: whether results of a commit that was not judged ``fail`` the batch, or are kept.
    ``tolerate``: how many requests a batch may lack and still be completed; they are listed. ``again``,
    ``bypass``, ``deploy``: the lines to paste after a refusal, with ``PLACEHOLDERS``; None: whoever asks says
    his own.
    """

    requires: Annotated[tuple[str, ...], Field(max_length=1), OneOrMore()] = ()
    foreign_results: Literal["fail", "keep"] = "fail"
    tolerate: Count = 0
    again: Template | None = None
    bypass: Template | None = None
    deploy: Template | None = None


class Inventory(Fact):
    """``[inventory]``: ``ignore`` names live services that need no declaration, ``*`` and ``?`` allowed."""

    ignore: Texts = ()


class Sinks(Fact):
    """``[sinks]``: ``decisions`` is the SQLite file of the versions before the journal, which takes it over.

    None: there is none.
    """

    decisions: PathText | None = None


class JournalKeys(Fact):
    """``[journal]``: ``store`` is the SQLite file that keeps every verdict, or the address of a Firestore
    database; ``off``: none is kept.

    ``keep``: for how many seconds; the monitor forgets what is older. ``bigquery``: the dataset that every
    decision and look is copied to; None: none is.
    """

    store: Annotated[PathText, AfterValidator(stores.checked)] = ".drift/journal.sqlite"
    keep: PositiveDuration = 34_560_000.0
    bigquery: Annotated[str, Field(pattern=stores.DATASET)] | None = None
