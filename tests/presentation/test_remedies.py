"""What a refusal and a check say about what to do: the cure first, in the words of the adopter's program."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support.heavy import light
from support.times import soon
from support.world import CLOUD_RUN, WORKER, World

from drift_gate.comparison.report import unknown_report
from drift_gate.errors import DeploymentDriftError, DriftConfigError
from drift_gate.facts import Kind, Unknown
from drift_gate.policy.codes import CAUSE_MEANINGS, CURED_BY_DEPLOY, REASONS
from drift_gate.policy.verdict import NO_START, Outcome, Policy, Reason, Start, Verdict, judge
from drift_gate.presentation import render
from drift_gate.settings import keys
from drift_gate.settings.file import load
from drift_gate.wiring.enforcement import require

DAY = date(2026, 2, 5)
OURS_AT = datetime(2026, 2, 5, tzinfo=UTC)
OURS = Start(date=DAY, again="nightly run", bypass="nightly run --now")
TEMPLATES = """
[batch]
again = "make predict DATE={date}"
bypass = "make predict DATE={date} FORCE={service}"
deploy = "make deploy SERVICE={service} SHA={commit} # {{kept}}"
"""


def behind(world: World, commits: int = 7) -> None:
    world.cloud.deploy(WORKER, commit=world.first)
    for _ in range(commits):
        world.change()


def refused(world: World, start: Start = NO_START) -> str:
    with pytest.raises(DeploymentDriftError) as raised:
        require(WORKER, skip=False, reason=None, actor=None, settings=world.settings(), start=start)
    return str(raised.value)


def steps(text: str) -> dict[str, str]:
    """The first line of each kind below *What to do*, by its label."""
    found: dict[str, str] = {}
    for line in text.split("What to do:\n")[1].splitlines():
        if line.startswith("  "):
            found.setdefault(line[2:11].strip(), line[11:])
    return found


def denied(*codes: str, cause: str | None = None) -> Verdict:
    """A verdict that is denied for ``codes``, or because of not knowing for ``cause``."""
    unknown = Unknown(cause="timeout", message="no answer")
    judged = judge(unknown_report(WORKER, "service", unknown), Policy(), OURS_AT)
    data = {"cause": cause} if cause else {}
    reasons = tuple(Reason(code=code, decision="deny", message="so", data=data) for code in codes)
    return judged.model_copy(update={"reasons": reasons})


class TestTheWordsAreThoseOfTheProgram:
    def test_templates_have_the_last_word(self, world: World) -> None:
        """Service, date and commit are filled in; doubled braces are braces."""
        world.toml += TEMPLATES
        behind(world)
        said = steps(refused(world, OURS))
        target = world.history.git("rev-parse", "main").strip()
        assert said["again"] == "make predict DATE=2026-02-05"
        assert said["bypass"] == f"make predict DATE=2026-02-05 FORCE={WORKER}"
        assert said["deploy"] == f"make deploy SERVICE={WORKER} SHA={target} # {{kept}}"

    def test_without_them_those_of_the_caller(self, world: World) -> None:
        behind(world)
        said = steps(refused(world, OURS))
        assert (said["again"], said["bypass"]) == ("nightly run", "nightly run --now")

    def test_without_either_they_are_words(self, world: World) -> None:
        """No program is named that the team may not have, and the exit works for each one."""
        behind(world)
        message = refused(world)
        assert "prediction-coordinator" not in message
        assert steps(message)["again"] == "start the batch again"
        assert "DRIFT_SKIP_CHECK=1 and DRIFT_SKIP_CHECK_UNTIL=" in steps(message)["bypass"]

    def test_a_date_that_nobody_said_is_left_to_the_reader(self, world: World) -> None:
        world.toml += TEMPLATES
        behind(world)
        assert steps(refused(world))["again"] == "make predict DATE=DATE"


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("run {day}", "no placeholder {day}"),
        ("run {dat}", "did you mean date?"),
        ("run {date:%Y}", "no placeholder {date}"),
        ("run {date!r}", "no placeholder {date}"),
        ("run {0}", "no placeholder {0}"),
        ("run {}", "no placeholder {}"),
        ("run {service.__class__}", "no placeholder {service.__class__}"),
        ("run {", "a brace stands alone"),
        ("run }", "a brace stands alone"),
        (" ", "a template is one line"),
        ("run\\nmore", "a template is one line"),
        ("run \\u001b[31m", "a template is one line"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused_at_load(
    tmp_path: Path, template: str, sentence: str
) -> None:
    """In one sentence that names the key, before anything is asked."""
    for key in ("again", "bypass", "deploy"):
        (tmp_path / "drift.toml").write_text(f'{CLOUD_RUN}\n[batch]\n{key} = "{template}"\n')
        with pytest.raises(DriftConfigError) as raised:
            load(tmp_path, {})
        message = str(raised.value)
        assert f"[batch] {key}: " in message
        assert sentence in message
        assert "\n" not in message


class TestTheCureComesFirst:
    def test_of_each_code(self, world: World) -> None:
        """Its own next step is the first line, and a deploy is advised where it is the cure."""
        settings = world.settings()
        for code in sorted(REASONS.keys() - {"unknown-drift"}):
            message = render.refusal(denied(code), settings)
            first = message.split("What to do:\n")[1].splitlines()[0]
            assert first.startswith(f"  cure     {code}: {REASONS[code].todo[:10]}")
            assert ("  deploy   " in message) == (code in CURED_BY_DEPLOY), code

    def test_of_each_cause_of_not_knowing(self, world: World) -> None:
        settings = world.settings()
        for cause, (_, todo) in CAUSE_MEANINGS.items():
            message = render.refusal(denied("unknown-drift", cause=cause), settings)
            assert steps(message)["cure"].startswith(f"{cause}: {todo[:10]}")
            assert ("  deploy   " in message) == (cause in CURED_BY_DEPLOY), cause

    def test_one_cure_of_two_codes_is_said_once(self, world: World) -> None:
        message = render.refusal(denied("too-many-commits-behind", "drift-too-old"), world.settings())
        assert message.count("  cure ") == 1
        assert "too-many-commits-behind, drift-too-old: deploy" in message

    def test_its_command_names_the_service_and_where_it_lives(self, world: World) -> None:
        message = render.refusal(denied("required-env-missing"), world.settings())
        placed = f"{WORKER} --project test-project --region us-west2"
        assert f"gcloud run services update {placed} --update-env-vars NAME=VALUE" in message

    @pytest.mark.parametrize(
        ("kind", "verb"),
        [
            ("service", "run services update-traffic"),
            ("worker-pool", "beta run worker-pools update-instance-split"),
        ],
    )
    def test_a_command_that_the_source_knows_is_said_once_and_as_it_says_it(
        self, world: World, kind: Kind, verb: str
    ) -> None:
        """A pin is freed by another line for each kind of workload."""
        world.toml += f'kind = "{kind}"\n'
        world.cloud.deploy(WORKER, commit=world.first, kind=kind)
        world.cloud.deploy(WORKER, commit=world.change(), kind=kind, traffic=False)
        message = refused(world)
        line = f"gcloud {verb} {WORKER} --to-latest --project=test-project --region=us-west2"
        assert steps(message)["cure"] == f"traffic-pinned: free the traffic: `{line}`"
        assert message.count("--to-latest") == 1

    @pytest.mark.parametrize(
        ("image", "named"),
        [
            ("us-west2-docker.pkg.dev/p/images/w:1f0c5a2", "us-west2-docker.pkg.dev/p/images/w"),
            ("localhost:5000/w@sha256:" + "a" * 64, "localhost:5000/w"),
            ("localhost:5000/images/w:v1@sha256:" + "a" * 64, "localhost:5000/images/w"),
            ("us-west2-docker.pkg.dev/p/w;reboot:1", "IMAGE"),
            ("", "IMAGE"),
        ],
    )
    def test_the_deploy_names_the_repository_of_the_image_that_serves(
        self, world: World, image: str, named: str
    ) -> None:
        world.cloud.deploy(WORKER, labels={"commit-sha": world.first}, image=image)
        for _ in range(7):
            world.change()
        target = world.history.git("rev-parse", "main").strip()
        assert f" --image {named}:{target} --labels commit-sha={target}" in steps(refused(world))["deploy"]

    def test_and_none_where_two_serve(self, world: World) -> None:
        for image in ("example.com/a/w", "example.com/b/w"):
            world.cloud.deploy(WORKER, labels={"commit-sha": world.first}, image=f"{image}:1")
        world.cloud.set_traffic(WORKER, {f"{WORKER}-00001": 50, f"{WORKER}-00002": 50})
        for _ in range(7):
            world.change()
        assert " --image IMAGE:" in steps(refused(world))["deploy"]

    def test_every_code_that_a_deploy_cures_is_one(self) -> None:
        assert REASONS.keys() | CAUSE_MEANINGS.keys() >= CURED_BY_DEPLOY


def table(outcome: Outcome, world: World, width: int = 80, **more: Any) -> str:
    """What a terminal of ``width`` columns shows."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(render.table(outcome, world.settings(), **more), crop=False)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]  # it is the StringIO from above


class TestACheck:
    def test_ends_a_denial_with_the_first_commits_and_what_to_do(self, world: World) -> None:
        """Five by name, the others by number, and the very lines of the refusal."""
        behind(world)
        shown = table(world.outcome(), world)
        assert shown.count("missing  ") == 5
        assert "… and 2 more" in shown
        told = render.refusal(world.verdict(), world.settings())
        assert shown.split("What to do:")[1].split() == told.split("What to do:")[1].split()

    @pytest.mark.parametrize("width", light([40, 60, 80], [40]))
    def test_cuts_no_id_and_no_line_to_paste(self, world: World, width: int) -> None:
        """However narrow the terminal is: each word that a wide one shows is there, whole."""
        behind(world)
        narrow, wide = table(world.outcome(), world, width), table(world.outcome(), world, 200)
        assert "…" not in narrow.replace("… and 2 more", "")
        ids = {word for word in wide.split() if len(word) >= 12 and set(word) <= set("0123456789abcdef")}
        assert len(ids) == 6
        assert ids <= set(narrow.split())
        pasted = [line for line in wide.splitlines() if line[2:8].strip() in ("deploy", "look", "accept")]
        assert len(pasted) == 3
        assert set(pasted) <= set(narrow.splitlines())

    def test_advises_nothing_where_nothing_is_denied_or_somebody_took_it_on(self, world: World) -> None:
        behind(world, 1)
        assert "What to do" not in table(world.outcome(), world)
        behind(world, 5)
        live = world.verdict().report.live[0].commit
        world.toml += (
            f'\n[[acknowledged]]\nservice = "{WORKER}"\nlive_commit = "{live}"\n'
            'codes = ["too-many-commits-behind"]\nreason = "known"\n'
            f"until = {soon().isoformat()}\n"
        )
        assert "What to do" not in table(world.outcome(), world)

    def test_says_the_cure_in_a_soft_start_and_no_emergency_exit(self, world: World) -> None:
        """Nothing is refused, so that there is nothing to go past."""
        behind(world)
        world.toml = world.toml.replace("[services.", '[policy]\nenforcement = "warn"\n\n[services.')
        assert {"cure", "deploy"} <= steps(table(world.outcome(), world)).keys()
        assert not {"bypass", "again", "accept"} & steps(table(world.outcome(), world)).keys()


class TestSeveralServices:
    NAMES = [f"worker-{number}" for number in range(9)] + ["a-worker-with-a-name-" + "x" * 42]

    def fleet(self, world: World) -> None:
        for name in self.NAMES:
            world.toml += f'\n[services.{name}]\npaths = ["/docs/"]\n'
            world.cloud.deploy(name, commit=world.first)
        world.toml += "\n[services.warned]\n"
        world.cloud.deploy("warned", commit=world.first)

    def test_have_a_line_each_and_a_sum(self, world: World) -> None:
        """The ones to which there is nothing to say come first; what is wrong is told in full."""
        self.fleet(world)
        behind(world)
        world.toml = world.toml.replace("[services.warned]", "[services.warned]\nmax_commits_behind = 9")
        lines = table(world.outcome(), world, 120).splitlines()
        assert lines[-1] == "12 services: 10 allow, 1 warn, 1 deny"
        for name, line in zip(self.NAMES, lines, strict=False):
            assert line.split()[:2] == [name, "ALLOW"]
        assert sum("What to do" in line for line in lines) == 1

    def test_are_each_told_in_full_where_that_is_asked_for(self, world: World) -> None:
        self.fleet(world)
        behind(world, 1)
        shown = table(world.outcome(), world, 120, verbose=True)
        assert shown.count("\ntarget ") == 12
        assert shown.splitlines()[-1] == "12 services: 10 allow, 2 warn"

    def test_are_counted_apart_where_a_denial_does_not_hold(self, world: World) -> None:
        self.fleet(world)
        behind(world)
        world.toml = world.toml.replace("[services.warned]", '[services.warned]\nenforcement = "warn"')
        assert table(world.outcome(), world).splitlines()[-1] == (
            "12 services: 10 allow, 1 deny, 1 deny (not enforced)"
        )

    def test_keep_their_names_and_ids_in_a_narrow_terminal(self, world: World) -> None:
        self.fleet(world)
        behind(world, 1)
        shown = table(world.outcome(), world, 60)
        assert "…" not in shown
        assert shown.count(world.first[:12]) >= len(self.NAMES)


def test_the_text_is_what_the_command_prints_into_a_pipe(world: World) -> None:
    """The server answers the command line's own words."""
    behind(world)
    outcome = world.outcome()
    assert render.text(outcome, world.settings()) == table(outcome, world, render.PIPED_WIDTH) + "\n"


def test_the_placeholders_are_those_that_are_promised() -> None:
    assert keys.PLACEHOLDERS == ("service", "date", "commit")


def test_a_pin_may_be_a_rollback_which_a_deploy_heeds(world: World) -> None:
    """Whoever is advised to deploy is told when that will be refused, and what undoes it."""
    world.toml = world.toml.replace("[services", '[deploy]\nbuilder = "buildah"\n\n[services')
    behind(world)
    assert "replace" not in steps(refused(world))
    world.cloud.deploy(WORKER, commit=world.first, traffic=False)
    said = steps(refused(world))
    assert said["deploy"] == f"deployment-drift deploy {WORKER}"
    assert said["replace"].startswith(
        f"if {WORKER}-00001 was rolled back to on purpose, that deploy is refused"
    )
    assert said["replace"].endswith(f": deployment-drift deploy {WORKER} --replace {WORKER}-00001")


def test_a_service_that_is_deployed_by_us_is_told_the_command(world: World) -> None:
    """And a template of drift.toml stands before it."""
    behind(world)
    world.toml = world.toml.replace("[services", '[deploy]\nbuilder = "buildah"\n\n[services')
    assert steps(refused(world))["deploy"] == f"deployment-drift deploy {WORKER}"
    world.toml += TEMPLATES
    assert steps(refused(world))["deploy"].startswith("make deploy")
