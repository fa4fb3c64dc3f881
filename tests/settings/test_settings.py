"""drift.toml and the environment: what is accepted, who wins, and how each mistake is named."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import pytest

from drift_gate.errors import DriftConfigError
from drift_gate.facts import Fact
from drift_gate.relevance.rules import Rules
from drift_gate.settings.file import Settings, load
from drift_gate.settings.keys import (
    Batch,
    Defaults,
    Inventory,
    PolicyKeys,
    ServiceSettings,
    Sinks,
    seconds,
)
from drift_gate.settings.stores import firestore

MINIMAL = """
[defaults]
live = "ledger"
[services.worker]
"""


def written(folder: Path, text: str, **environ: str) -> Settings:
    (folder / "drift.toml").write_text(text)
    return load(folder, environ)


def mistake(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(DriftConfigError) as caught:
        written(folder, text, **environ)
    return str(caught.value)


def test_what_is_built_in(tmp_path: Path) -> None:
    """An empty service table has the documented defaults."""
    service = written(tmp_path, MINIMAL).service("worker")
    assert (service.kind, service.repository, service.target_ref) == ("service", ".", "origin/main")
    assert (service.deadline, service.stale_target_limit) == (10, 3600)
    policy = service.policy
    assert (policy.max_commits_behind, policy.max_drift_age) == (3, 12 * 3600)
    assert (policy.failure_policy, policy.enforcement) == ("fail", "deny")
    assert (service.paths, service.ignore) == (None, ())


def test_a_file_that_was_read_before_is_read_anew_where_anything_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    strict = "DRIFT_MAX_COMMITS_BEHIND"

    def told(text: str, **environ: str) -> tuple[int, int]:
        settings = written(tmp_path, text, DRIFT_NO_KEY="1", **environ)
        return settings.service("worker").policy.max_commits_behind, len(settings.services)

    assert [told(MINIMAL), told(MINIMAL), told(MINIMAL, **{strict: "1"}), told(MINIMAL)] == [
        *((3, 1), (3, 1), (1, 1), (3, 1))
    ]
    assert "no valid TOML" in mistake(tmp_path, "[")
    assert told(f"{MINIMAL}[services.other]\n") == (3, 2)
    assert len([each for each in caplog.messages if "DRIFT_NO_KEY" in each]) == 5
    (tmp_path / "drift.toml").unlink()
    with pytest.raises(DriftConfigError):
        load(tmp_path, {})


def test_what_stands_nearer_wins(tmp_path: Path) -> None:
    """Environment over the service's table over [policy] and [defaults] over what is built in."""
    text = """
    [defaults]
    live = "ledger"
    deadline = "20s"
    target_ref = "main"
    [policy]
    max_commits_behind = 1
    enforcement = "warn"
    [services.worker]
    deadline = 30
    max_commits_behind = 2
    """
    plain = written(tmp_path, text).service("worker")
    assert (plain.deadline, plain.max_commits_behind) == (30, 2)
    assert (plain.target_ref, plain.enforcement) == ("main", "warn")
    near = written(tmp_path, text, DRIFT_DEADLINE="40s", DRIFT_MAX_COMMITS_BEHIND="7").service("worker")
    assert (near.deadline, near.max_commits_behind) == (40, 7)


@pytest.mark.parametrize(
    ("text", "value"),
    [(90, 90), ("90", 90), ("90s", 90), ("10m", 600), ("12h", 43_200), ("7d", 604_800), ("1.5h", 5400)],
)
def test_durations(text: object, value: float) -> None:
    """Seconds, or text with a unit."""
    assert seconds(text) == value


def test_an_age_limit_can_be_taken_off(tmp_path: Path) -> None:
    """``max_drift_age = "off"`` leaves the count alone to judge."""
    text = MINIMAL + 'max_drift_age = "off"'
    assert written(tmp_path, text).service("worker").policy.max_drift_age is None


MISTAKES = [
    (
        "a misspelt key",
        MINIMAL + "max_comits_behind = 3",
        "max_comits_behind",
        "did you mean max_commits_behind?",
    ),
    ("a misspelt table", MINIMAL + "[polcy]", "'polcy'", "did you mean policy?"),
    ("a key of a later time", MINIMAL + 'quorum = "x"', "[services.worker] quorum", "unknown key"),
    (
        "a policy key under defaults",
        MINIMAL.replace("[services", "enforcement='warn'\n[services"),
        "[defaults]",
        "unknown",
    ),
    (
        "a negative limit",
        MINIMAL + "max_commits_behind = -1",
        "max_commits_behind",
        "at least 0",
    ),
    ("a boolean for a count", MINIMAL + "max_commits_behind = true", "max_commits_behind", "not a boolean"),
    ("a boolean like flase", MINIMAL + "max_commits_behind = flase", ":5: is no valid TOML", "column 22"),
    ("a byte order mark", "\ufeff" + MINIMAL, ":1: is no valid TOML", "byte order mark (BOM); save it as"),
    ("a broken file", "[defaults\n", ":1: is no valid TOML", "column 10"),
    ("a bad duration", MINIMAL + 'deadline = "soon"', "deadline", "'soon' is no duration"),
    ("no time at all", MINIMAL + "deadline = 0", "deadline", "more than 0"),
    ("an endless duration", MINIMAL + "deadline = inf", "deadline", "finite"),
    (
        "a word that is no policy",
        MINIMAL + 'failure_policy = "maybe"',
        "failure_policy",
        '"fail" or "ignore"',
    ),
    ("an unknown reason code", MINIMAL + "reasons = {ahed = 'deny'}", "reasons", "did you mean ahead"),
    ("an unknown as a reason", MINIMAL + "reasons = {unknown-drift = 'warn'}", "reasons", "failure_policy"),
    ("no service", '[defaults]\nlive = "ledger"', "nothing to check", "[services.NAME]"),
    ("an impossible name", MINIMAL + "[services.'../etc']", "../etc", "no valid service name"),
    ("services as a value", "services = 1", "services", "table"),
    ("cloud run without a place", "[services.worker]", "project", "region"),
    ("an odd address", MINIMAL + 'repository = "git://example.invalid/r"', "repository", "is a path"),
    ("plain http", MINIMAL + 'repository = "http://example.invalid/r"', "repository", "https://"),
    (
        "an address as a checkout",
        MINIMAL + 'repository = "https://example.invalid/r.git"\nhistory = "checkout"',
        "[services.worker]",
        "needs the path",
    ),
    (
        "a Dockerfile elsewhere",
        MINIMAL + 'dockerfile = "../Dockerfile"',
        "dockerfile",
        "inside the repository",
    ),
    ("a bad expression", MINIMAL + 'deny_subjects = ["("]', "deny_subjects", "no regular expression"),
    ("a star upon a star", MINIMAL + 'deny_subjects = ["(a+)+$"]', "deny_subjects", "'a+' in the place of"),
    ("two stars in a row", MINIMAL + 'deny_subjects = [".*a.*b"]', "deny_subjects", "leave out a '.*'"),
    ("a bad tag pattern", MINIMAL + 'image_tag_pattern = "("', "image_tag_pattern", "no regular expression"),
    ("a tag without a commit", MINIMAL + 'image_tag_pattern = "v.*"', "image_tag_pattern", "(?P<commit>…)"),
    (
        "a tag pattern without an end",
        MINIMAL + "image_tag_pattern = '(a+)+(?P<commit>b)'",
        "image_tag_pattern",
        "'a+' in the place of",
    ),
    ("a project that is a path", MINIMAL + 'project = "../../x"', "project", "lower-case letters"),
    (
        "a batch that needs nobody known",
        MINIMAL + '[batch]\nrequires = ["workr"]',
        "workr",
        "did you mean worker?",
    ),
    ("paths as a number", MINIMAL + "paths = 3", "paths", 'a list of texts such as ["a", "b"]'),
    ("a pattern that is none", MINIMAL + 'paths = ["!"]', "paths", "pattern"),
    ("a set without an end", MINIMAL + 'ignore = ["docs/[a"]', "ignore", "can never match: a [ has no ]"),
    ("a base that is nobody", MINIMAL + 'base = "workr"', "base", "no service 'workr'; did you mean worker?"),
    ("a base upon itself", MINIMAL + 'base = "worker"', "base", "built upon itself"),
    ("a base outside", MINIMAL + 'base = "../Dockerfile"', "base", "no path inside"),
    ("a context outside", MINIMAL + 'build_contexts = {a = "../b"}', "build_contexts", "no path inside"),
    ("what something is made from", MINIMAL + 'generated = {"a/" = ["[b"]}', "generated", "can never match"),
    ("an upload of no kind", MINIMAL + 'upload = "docker"', "upload", '"auto", "gcloud" or "git"'),
    ("a stage of nothing", MINIMAL + 'stage = "prod"', "stage", "needs dockerfile"),
    ("nothing taken back", MINIMAL + 'paths = ["/w/", "!/w/tests/"]', "paths", "takes nothing back"),
]


@pytest.mark.parametrize(
    ("text", "place", "words"), [row[1:] for row in MISTAKES], ids=[r[0] for r in MISTAKES]
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, place: str, words: str) -> None:
    """Each stops with the file, the place and what is wrong."""
    message = mistake(tmp_path, text)
    assert str(tmp_path / "drift.toml") in message
    assert place in message
    assert words in message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Each with its line, in the order of the file, and once where it holds for several services."""
    text = """
    [defaults]
    live = "legder"
    deadline = [
        1,
    ]
    enforcement = "warn"
    [policy]
    max_commits_behind = "many"
    [services.worker]
    paths = {a = 1}
    reasons = {ahed = "deny"}
    [services.other]
    ignored = 1
    [[services.other.pins]]
    env = "A"
    equals = "1"
    [[services.other.pins]]
    evn = "B"
    [batch]
    requires = "workr"
    [[acknowledged]]
    [[acknowledged]]
    service = "othr"
    codes = "ahead"
    live_commit = "main"
    """
    told = mistake(tmp_path, text, DRIFT_DEADLINE="later", DRIFT_CACHE_TTL="soon").splitlines()
    file = f"{tmp_path}/drift.toml:"
    words = [line.removeprefix(file) for line in told]
    assert words == [
        '3: [defaults] live: must be "cloud-run" or "ledger"; did you mean ledger?',
        "7: [defaults] enforcement: unknown key",
        "9: [policy] max_commits_behind: must be a whole number such as 3",
        '11: [services.worker] paths: must be a list of texts such as ["a", "b"]',
        "12: [services.worker] reasons: no reason code 'ahed'; did you mean ahead?",
        "14: [services.other] ignored: unknown key; did you mean ignore or generated?",
        "19: [services.other] pins 2 evn: unknown key; did you mean env?",
        "21: [batch] requires: no service 'workr'; did you mean worker?",
        "22: [[acknowledged]] 1 service: is missing; it is a text",
        "22: [[acknowledged]] 1 live_commit: is missing; it is a full commit id (40 or 64 hex digits)",
        '22: [[acknowledged]] 1 codes: is missing; it is a list of texts such as ["a", "b"]',
        "22: [[acknowledged]] 1 reason: is missing; it is a text that says why",
        '22: [[acknowledged]] 1 until: is missing; it is a date or time such as "2026-12-07"',
        "23: [[acknowledged]] 2 reason: is missing; it is a text that says why",
        '23: [[acknowledged]] 2 until: is missing; it is a date or time such as "2026-12-07"',
        "24: [[acknowledged]] 2 service: no service 'othr'; did you mean other?",
        "26: [[acknowledged]] 2 live_commit: must be a full commit id (40 or 64 hex digits)",
        "environment DRIFT_DEADLINE: 'later' is no duration: write 90, '90s', '10m', '12h' or '7d'",
        "environment DRIFT_CACHE_TTL: 'soon' is no duration: write 90, '90s', '10m', '12h' or '7d'",
    ]


def test_a_text_where_a_list_is_wanted_is_a_list_of_one(tmp_path: Path) -> None:
    """For every key that takes a list of texts."""
    text = 'paths = "/w/"\ndeny_subjects = "fix"\nrequired_env = "A"\ngenerated = "g/"\n'
    text += 'evidence = "registry"\nproject = "p"\nregion = "r"\nlive = "cloud-run"\n'
    text += '[batch]\nrequires = "worker"\n[inventory]\nignore = "*"\n'
    settings = written(tmp_path, MINIMAL.replace('live = "ledger"', "") + text)
    service = settings.service("worker")
    assert (service.paths, service.deny_subjects, service.required_env) == (("/w/",), ("fix",), ("A",))
    assert (service.generated, service.evidence) == (("g/",), ("registry",))
    assert (settings.batch.requires, settings.inventory.ignore) == (("worker",), ("*",))


def test_the_words_are_ours_for_every_key(tmp_path: Path) -> None:
    """Whatever type a value has that no key takes: nobody has to know what reads the file."""
    tables: dict[str, type[Fact]] = {
        "defaults": Defaults,
        "policy": PolicyKeys,
        "services.worker": ServiceSettings,
        "batch": Batch,
        "inventory": Inventory,
        "sinks": Sinks,
    }
    for table, model in tables.items():
        for key in model.model_fields:
            for value in ("[[[]]]", "{'' = {}}", "[{}]", "09:00:00", "nan", "-1", "''", "['']", "true"):
                text = f"[{table}]\n{key} = {value}\n"
                try:
                    written(tmp_path, text if table == "services.worker" else MINIMAL + text)
                except DriftConfigError as error:
                    said = str(error)
                else:
                    continue
                assert "validation error" not in said
                assert not re.search(
                    r"[Ii]nput should|[Vv]alue error|pydantic|valid (string|tuple|int)|None", said
                )


def test_a_pipe_of_that_name_is_told_as_such(tmp_path: Path) -> None:
    """And nobody waits for whoever may write to it, or takes a file further up for it."""
    (tmp_path / "drift.toml").write_text(MINIMAL)
    (tmp_path / "below").mkdir()
    os.mkfifo(tmp_path / "below" / "drift.toml")
    with pytest.raises(DriftConfigError, match=r"below/drift\.toml: cannot be read: it is a named pipe"):
        load(tmp_path / "below", {})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DRIFT_ENFORCEMENT", "flase", '"deny" or "warn"'),
        ("DRIFT_MAX_COMMITS_BEHIND", "many", "a whole number such as 3"),
        ("DRIFT_DEADLINE", "later", "no duration"),
        ("CLOUD_RUN_EMULATOR_HOST", "http://localhost:1", "not host:port"),
    ],
)
def test_mistakes_in_known_variables(tmp_path: Path, name: str, value: str, words: str) -> None:
    """A known variable with a bad value stops, and says that it came from the environment."""
    message = mistake(tmp_path, MINIMAL, **{name: value})
    assert f"environment {name}: " in message
    assert words in message


def test_an_unknown_variable_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Kubernetes and others use the prefix; the near miss is named all the same."""
    with caplog.at_level(logging.WARNING, "drift_gate"):
        written(tmp_path, MINIMAL, DRIFT_DEADLIN="3s", DRIFT_GATE_PORT_80_TCP="x")
    assert "DRIFT_DEADLIN; did you mean DRIFT_DEADLINE" in caplog.text


def test_the_file_is_sought_upwards_to_the_repository_root(tmp_path: Path) -> None:
    """From a subfolder up; never beyond the folder that holds ``.git``."""
    root = tmp_path / "repo"
    inner = root / "a" / "b"
    inner.mkdir(parents=True)
    (root / ".git").mkdir()
    (tmp_path / "drift.toml").write_text(MINIMAL)
    with pytest.raises(DriftConfigError, match=r"no drift\.toml"):
        load(inner, {})
    (root / "drift.toml").write_text(MINIMAL)
    assert load(inner, {}).file == root / "drift.toml"


def test_the_file_can_be_named(tmp_path: Path) -> None:
    """``DRIFT_CONFIG`` names it; a name that leads nowhere is an error that says so."""
    other = tmp_path / "other.toml"
    other.write_text(MINIMAL)
    assert load(tmp_path, {"DRIFT_CONFIG": str(other)}).file == other
    with pytest.raises(DriftConfigError, match="cannot be read: No such file"):
        load(tmp_path, {"DRIFT_CONFIG": str(tmp_path / "gone.toml")})


def test_relative_paths_stand_beside_the_file(tmp_path: Path) -> None:
    """Not beside the working directory, which differs from caller to caller."""
    settings = written(tmp_path, MINIMAL)
    assert settings.beside("x/y") == tmp_path / "x/y"
    assert settings.beside("/x") == Path("/x")


def test_which_service_gates_a_batch(tmp_path: Path) -> None:
    """The only one, or the one that [batch] names; else an error that lists them."""
    assert written(tmp_path, MINIMAL).batch_service() == "worker"
    two = MINIMAL + "[services.other]\n"
    with pytest.raises(DriftConfigError, match="worker, other"):
        written(tmp_path, two).batch_service()
    assert written(tmp_path, two + '[batch]\nrequires = ["other"]').batch_service() == "other"


def test_an_undeclared_service_is_named_with_its_near_misses(tmp_path: Path) -> None:
    """A typing mistake on the command line is told from a missing service."""
    with pytest.raises(DriftConfigError, match=r"no service 'workr'; did you mean worker\?"):
        written(tmp_path, MINIMAL).service("workr")


def test_settings_do_not_print_the_environment(tmp_path: Path) -> None:
    """Whatever secret another program put there stays out of logs and tracebacks."""
    settings = written(tmp_path, MINIMAL, SOME_TOKEN="s3cr3t")
    assert "s3cr3t" not in repr(settings) + str(settings)


def test_where_a_history_comes_from(tmp_path: Path) -> None:
    """A path is a checkout, an address a mirror, unless it is said otherwise."""
    address = 'repository = "git@example.invalid:a/b.git"\n'
    assert not written(tmp_path, MINIMAL).service("worker").mirrored
    assert written(tmp_path, MINIMAL + address).service("worker").mirrored
    mirrored = written(tmp_path, MINIMAL + 'history = "mirror"\nrepository = "r"')
    assert mirrored.service("worker").mirrored
    assert mirrored.address("r") == (tmp_path / "r").as_uri()


def test_where_mirrors_are_kept(tmp_path: Path) -> None:
    """A folder of the user's own, never one that everybody may write to."""
    assert written(tmp_path, MINIMAL, DRIFT_CACHE_DIR="/c", HOME="/h").cache_dir == Path("/c")
    assert written(tmp_path, MINIMAL, XDG_CACHE_HOME="/x", HOME="/h").cache_dir == Path("/x/drift-gate")
    assert written(tmp_path, MINIMAL, HOME="/h").cache_dir == Path("/h/.cache/drift-gate")
    with pytest.raises(DriftConfigError, match="DRIFT_CACHE_DIR"):
        _ = written(tmp_path, MINIMAL).cache_dir


def test_the_rules_of_a_service_know_those_of_its_base(tmp_path: Path) -> None:
    """A base is a service, which may have a base of its own, or a Dockerfile that nobody deploys."""
    text = MINIMAL + 'dockerfile = "w/Dockerfile"\nbase = "middle"\n'
    text += '[services.middle]\ndockerfile = "m/Dockerfile"\nbase = "base/Dockerfile"\n'
    text += 'generated = {"a/" = ["b/"]}\n'
    settings = written(tmp_path, text)
    lowest = Rules(dockerfile="base/Dockerfile")
    middle = Rules(
        dockerfile="m/Dockerfile",
        generated=("a/",),
        made_from=(("a/", ("b/",)),),
        base=lowest,
        images=("worker",),
    )
    assert settings.rules("middle") == middle
    assert settings.rules("worker") == Rules(dockerfile="w/Dockerfile", base=middle, images=("middle",))


class TestWhereTheJournalIs:
    """A file, a database, or nowhere."""

    @pytest.mark.parametrize(
        ("store", "database"),
        [
            ("firestore://example-project/drift", ("example-project", "drift")),
            ("firestore://example-project", ("example-project", "(default)")),
            ("firestore://example-project/(default)", ("example-project", "(default)")),
            ("firestore://example.com:project-1/drift", ("example.com:project-1", "drift")),
            ("off", None),
            ("kept/journal.sqlite", None),
        ],
    )
    def test_is_what_it_names(self, store: str, database: tuple[str, str] | None, tmp_path: Path) -> None:
        text = MINIMAL + f'[journal]\nstore = "{store}"\n'
        assert firestore(written(tmp_path, text).journal.store) == database

    @pytest.mark.parametrize(
        "store",
        ["firestore://", "firestore:///drift", "firestore://p/a/b", "firestore://No/x", "postgres://host/db"],
    )
    def test_an_address_that_is_none_is_named(self, store: str, tmp_path: Path) -> None:
        told = mistake(tmp_path, MINIMAL + f'[journal]\nstore = "{store}"\n')
        assert "store" in told
        assert "firestore://PROJECT/DATABASE" in told


def test_a_copy_has_a_policy_and_rules_of_its_own() -> None:
    """Whatever was asked of the service before it was copied."""
    service = ServiceSettings(live="ledger", max_commits_behind=3, paths=("/a/",))
    assert (service.policy.max_commits_behind, service.rules.paths) == (3, ("/a/",))
    copied = service.model_copy(update={"max_commits_behind": 0, "paths": ("/b/",)})
    assert (copied.policy.max_commits_behind, copied.rules.paths) == (0, ("/b/",))
