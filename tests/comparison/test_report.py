"""Facts into a report, from values alone: what is counted, what is shown, which revision is the worst."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_gate.comparison.lineage import Landing, Reach
from drift_gate.comparison.report import Compared, DriftReport, LiveReport, Status, compare, unknown_report
from drift_gate.comparison.tally import Pair, Tally, fold
from drift_gate.comparison.watch import Watch
from drift_gate.evidence.marks import Weighed
from drift_gate.facts import Commit, Evidence, Finding, Live, LiveRevision, Tagged, Target, Unknown
from drift_gate.relevance.patterns import PathRules

NOW = datetime(2026, 2, 5, 16, 37, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
OLD, NEW = "a" * 40, "b" * 40
#: A commit that only the target has, only live commit 0, or both; landed first-parent 3 deep, an hour ago.
LANDED = Landing(3, SECONDS - 3600)
MISSING, OWN, SHARED = Reach(True, 0, LANDED), Reach(False, 1, None), Reach(True, 1, LANDED)
TARGET = Target(ref="refs/heads/main", commit=NEW, confirmed_at=NOW)


def commit(*paths: str, sha: str = OLD, **more: Any) -> Commit:
    """A commit that changes ``paths``."""
    values: dict[str, Any] = {"parents": (), "committed_at": SECONDS - 60}
    return Commit(sha=sha, paths=paths, **values | {"author": "Ann", "subject": "a change"} | more)


def pair(net: Sequence[str] = ("worker/a.py",), **more: Any) -> Pair:
    """The comparison of live commit 0, in which all below ``worker/`` counts, by its own path."""
    values: dict[str, Any] = {"bit": 0, "relevant": _of_worker, "because": lambda path: (path,)}
    return Pair(net=frozenset(net), **values | more)


def _of_worker(path: str) -> bool:
    return path.startswith("worker/")


def tally(*commits: tuple[Commit, Reach], **more: Any) -> Tally:
    (folded,) = fold(commits, [pair(**more)])
    return folded


def revision(name: str | None = "worker-1", percent: int = 100, **more: Any) -> LiveRevision:
    return LiveRevision(revision=name, percent=percent, **more)


def live(*revisions: LiveRevision, **more: Any) -> Live:
    values: dict[str, Any] = {"kind": "service", "project": "p", "region": "us-west2"}
    return Live(revisions=revisions, **values | more)


def behind(count: int, ahead: int = 0, landed: Landing | None = LANDED) -> Compared:
    """A live commit that lacks ``count`` commits and has ``ahead`` of its own, which account for all."""
    counted = Tally(pair(), behind=count, ahead=ahead, landed=landed)
    if count or ahead:
        counted.unaccounted.clear()
    return Compared(Weighed(OLD), counted)


def report_on(*each: Compared, **more: Any) -> DriftReport:
    """The report on as many revisions, worker-0 and so on."""
    revisions = tuple(revision(f"worker-{number}", 100 // len(each)) for number in range(len(each)))
    return compare("worker", live(*revisions, **more), TARGET, each, {}, (), NOW)


# which side has the commit, which paths it changes → behind, ahead, neutral
COUNTED: list[tuple[str, Reach, tuple[str, ...], tuple[int, int, int]]] = [
    ("missing", MISSING, ("worker/a.py",), (1, 0, 0)),
    ("live only", OWN, ("worker/a.py",), (0, 1, 0)),
    ("on both sides", SHARED, ("worker/a.py",), (0, 0, 0)),
    ("on neither", Reach(False, 0, None), ("worker/a.py",), (0, 0, 0)),
    ("live elsewhere", Reach(True, 2, LANDED), ("worker/a.py",), (1, 0, 0)),
    ("nothing relevant", MISSING, ("docs/a.md",), (0, 0, 0)),
    ("no path at all", MISSING, (), (0, 0, 0)),
    ("one relevant path of two", MISSING, ("docs/a.md", "worker/a.py"), (1, 0, 0)),
    ("no net difference", MISSING, ("worker/b.py",), (0, 0, 1)),
    ("a part of it with one", MISSING, ("worker/b.py", "worker/a.py"), (1, 0, 0)),
    ("an own commit without one", OWN, ("worker/b.py",), (0, 0, 0)),
]


class TestWhatCounts:
    @pytest.mark.parametrize(
        ("reach", "paths", "numbers"), [r[1:] for r in COUNTED], ids=[r[0] for r in COUNTED]
    )
    def test_one_commit(self, reach: Reach, paths: tuple[str, ...], numbers: tuple[int, int, int]) -> None:
        """On one side only, with a relevant path; with no net difference it is neutral."""
        one = tally((commit(*paths), reach))
        assert (one.behind, one.ahead, one.neutral) == numbers

    def test_numbers_add_up(self) -> None:
        """Three of a kind are three."""
        of = [(commit("worker/a.py"), reach) for reach in (MISSING, OWN) for _ in range(3)]
        neutral = [(commit("worker/b.py"), MISSING)] * 3
        one = tally(*of, *neutral)
        assert (one.behind, one.ahead, one.neutral) == (3, 3, 3)

    def test_each_comparison_has_its_own_bit_rules_and_net_difference(self) -> None:
        """One pass over the commits; what one live commit has, another may lack."""
        pairs = [pair(), pair(bit=1), pair(relevant=lambda _: False), pair(net=())]
        tallies = fold([(commit("worker/a.py"), Reach(True, 2, LANDED))], pairs)
        assert [(one.behind, one.neutral) for one in tallies] == [(1, 0), (0, 0), (0, 0), (0, 1)]

    @pytest.mark.parametrize("order", [(1, 3, 2), (3, 2, 1), (1, 2, 3)])
    def test_the_deepest_landing_dates_the_drift(self, order: tuple[int, ...]) -> None:
        """The oldest missing commit is the one that landed deepest, whenever it comes by."""
        landings = [Landing(depth, SECONDS - depth) for depth in order]
        one = tally(*((commit("worker/a.py"), Reach(True, 0, each)) for each in landings))
        assert one.landed == Landing(3, SECONDS - 3)

    def test_what_never_landed_dates_nothing(self) -> None:
        """The first of two that landed equally deep stays; one without a landing changes nothing."""
        first, same = Landing(2, 20), Landing(2, 10)
        reaches = [Reach(True, 0, each) for each in (None, first, None, same)]
        assert tally(*((commit("worker/a.py"), each) for each in reaches)).landed == first
        assert tally((commit("worker/a.py"), Reach(True, 0, None))).landed is None

    def test_a_landing_that_a_wrong_clock_dated_is_not_young(self) -> None:
        """The last second that a clock may be ahead is young like any other; a second later is told."""
        latest, skewed = SECONDS + 300, Landing(2, SECONDS + 301)
        watch = Watch(young_after=SECONDS - 60)
        right = (commit("worker/a.py", sha="1" * 40), Reach(True, 0, Landing(1, latest)))
        wrong = [(commit("worker/a.py", sha=digit * 40), Reach(True, 0, skewed)) for digit in "23"]
        one = tally(right, *wrong, watch=watch, latest=latest)
        assert (one.behind, one.caught.young, one.misdated, one.since) == (3, 1, 2, None)
        (finding,) = one.findings()
        when = "2026-02-05T16:42:01+00:00"
        assert finding.data == {"commits": 2, "commit": "3" * 40, "landed_at": when}
        assert finding.message == (
            f"2 missing commits landed at a time that is still to come (the oldest, {'3' * 12}, at {when}): "
            "not young, and as old as the landing before"
        )
        alone = tally(right, wrong[0], watch=watch, latest=latest)
        assert [each.message[:16] for each in alone.findings()] == ["1 missing commit"]
        assert not list(tally(right, watch=watch, latest=latest).findings())

    def test_the_landing_before_dates_the_drift_then(self) -> None:
        """Never 0: as old as it may be. A deeper one that a right clock dated needs no other."""
        skewed = (commit("worker/a.py"), Reach(True, 0, Landing(2, SECONDS + 301)))
        one = tally(skewed, latest=SECONDS + 300)
        assert report_on(Compared(Weighed(OLD), one)).drift_age_s is None
        one.below = SECONDS - 77
        assert report_on(Compared(Weighed(OLD), one)).drift_age_s == 77
        both = tally(skewed, (commit("worker/a.py"), MISSING), latest=SECONDS + 300)
        assert (both.misdated, both.since) == (None, LANDED.at)

    def test_a_commit_landed_after_the_target_was_last_seen_without_it(self) -> None:
        """The later of the two times dates the drift and decides on the grace; it is told which one did."""
        young = Watch(young_after=SECONDS - 60)
        without = (None, SECONDS - 7200, SECONDS - 50)
        seen = [(commit("worker/a.py"), Reach(True, 0, LANDED, lacked)) for lacked in (0, 1, 2)]
        for reached, since, by, count in [
            (seen[2:], SECONDS - 50, "confirmation", 1),
            (seen[1:2], LANDED.at, "landing", 0),
            (seen[:1], LANDED.at, "landing", 0),
            (seen[1:], LANDED.at, "landing", 1),  # one of them may have landed earlier than the other
            (seen[::2], LANDED.at, "landing", 1),
        ]:
            for order in (reached, reached[::-1]):
                one = tally(*order, watch=young, without=without)
                assert (one.since, one.dated_by, one.caught.young) == (since, by, count)
        assert (tally().since, tally().dated_by) == (None, None)

    def test_it_dates_what_a_wrong_clock_did_not(self) -> None:
        """What the gate saw itself needs no clock but its own."""
        young, wrong = Watch(young_after=SECONDS - 60), Landing(2, SECONDS + 301)
        one = tally(
            (commit("worker/a.py"), Reach(True, 0, wrong, 1)),
            watch=young,
            latest=SECONDS + 300,
            without=(None, SECONDS - 50),
        )
        one.below = SECONDS - 9999
        assert (one.since, one.dated_by, one.caught.young) == (SECONDS - 50, "confirmation", 1)

    def test_only_missing_commits_are_looked_at_by_the_rules(self) -> None:
        """By their relevant paths and their landing: neither an own nor a neutral commit breaks a rule."""
        watch = Watch(young_after=SECONDS - 60, paths=[("deny-path", PathRules(["*.py", "*.md"]))])
        young = Reach(True, 0, Landing(0, SECONDS))
        commits = [
            (commit("docs/x.md", "worker/a.py", sha="1" * 40), MISSING),
            (commit("worker/a.py", sha="2" * 40), OWN),
            (commit("worker/b.py", sha="3" * 40), MISSING),
            (commit("worker/a.py", sha="4" * 40), young),
            (commit("worker/a.py", sha="5" * 40), Reach(True, 0, None)),
        ]
        one = tally(*commits, watch=watch)
        (finding,) = one.caught.findings()
        assert (one.behind, one.caught.young) == (3, 1)
        assert (finding.data["commit"], finding.data["commits"]) == ("5" * 40, 2)
        assert (finding.data["matched"], finding.data["rule"]) == ("worker/a.py", "*.py")


class TestWhatIsShown:
    def test_a_missing_commit(self) -> None:
        """Its id, subject, author and time in UTC, and why each relevant path counts."""
        one = tally((commit("docs/x.md", "worker/a.py", sha="1" * 40), MISSING))
        (shown,) = one.undeployed
        assert shown.model_dump() == {
            "sha": "1" * 40,
            "subject": "a change",
            "author": "Ann",
            "committed_at": datetime(2026, 2, 5, 16, 36, tzinfo=UTC),
            "paths": ({"path": "worker/a.py", "because": ("worker/a.py",)},),
            "paths_omitted": 0,
        }
        assert shown.committed_at.utcoffset() is not None

    @pytest.mark.parametrize("count", [19, 20, 21, 30])
    def test_the_newest_twenty_commits(self, count: int) -> None:
        """They come newest first, so the first ones stay; the count is full."""
        each = [(commit("worker/a.py", sha=f"{number:040}"), MISSING) for number in range(count)]
        one = tally(*each)
        assert one.behind == count
        assert [int(shown.sha) for shown in one.undeployed] == list(range(min(count, 20)))

    @pytest.mark.parametrize(("count", "omitted"), [(19, 0), (20, 0), (21, 1), (30, 10)])
    def test_twenty_paths_of_each(self, count: int, omitted: int) -> None:
        """How many more there are is said."""
        paths = [f"worker/{number}.py" for number in range(count)]
        (shown,) = tally((commit(*paths), MISSING), net=paths).undeployed
        assert ([each.path for each in shown.paths], shown.paths_omitted) == (paths[:20], omitted)

    def test_a_subject_and_an_author_of_two_hundred_characters(self) -> None:
        """Both are anybody's text; nobody reads further."""
        long = commit("worker/a.py", subject="s" * 201, author="a" * 201)
        (shown,) = tally((long, MISSING)).undeployed
        assert (shown.subject, shown.author) == ("s" * 200, "a" * 200)

    def test_bytes_that_are_no_utf8(self) -> None:
        r"""In a path and in a reason they read ``\xNN``; all other text stays as it is."""
        odd = pair(relevant=bool, because=lambda path: (path, "ünï"), net=["\udcff/ünï"])
        (one,) = fold([(commit("\udcff/ünï"), MISSING)], [odd])
        (shown,) = one.undeployed
        assert shown.paths[0].model_dump() == {"path": "\\xff/ünï", "because": ("\\xff/ünï", "ünï")}


# behind, ahead, net difference → status
STATUSES: list[tuple[int, int, bool, Status]] = [
    (0, 0, False, "identical"),
    (2, 0, True, "behind"),
    (0, 2, True, "ahead"),
    (2, 2, True, "diverged"),
    (0, 0, True, "diverged"),
    (2, 2, False, "identical"),
]


class TestOneRevision:
    @pytest.mark.parametrize(("missing", "own", "differs", "status"), STATUSES)
    def test_the_status(self, missing: int, own: int, differs: bool, status: Status) -> None:
        """The net difference decides whether there is any, the counts on which side."""
        net = ("worker/a.py",) if differs else ()
        counted = Tally(pair(net=net), behind=missing, ahead=own, neutral=7, landed=LANDED)
        report = report_on(Compared(Weighed(OLD), counted))
        (only,) = report.live
        assert (report.status, only.status) == (status, status)
        assert (only.commits_behind, only.commits_ahead, only.commits_neutral) == (missing, own, 7)
        assert only.content_differs is report.content_differs is differs
        assert only.drift_age_s == (0 if status == "identical" else 3600)

    def test_the_same_commit_needs_no_count(self) -> None:
        """Everything is zero, and known to be."""
        report = report_on(Compared(Weighed(NEW)))
        assert (report.status, report.drift_age_s, report.content_differs) == ("identical", 0, False)
        assert (report.commits_behind, report.commits_ahead, report.commits_neutral) == (0, 0, 0)
        assert (report.undeployed, report.unknown, report.live[0].commits_within_grace) == ((), None, 0)

    def test_another_commit_that_nobody_counted_is_an_error(self) -> None:
        """A slip in the gate must not end in a verdict that all is well; the error names both."""
        with pytest.raises(ValueError, match=f"^{OLD} was not counted against {NEW}: it must not pass"):
            report_on(Compared(Weighed(OLD)))

    @pytest.mark.parametrize(("landed", "age"), [(None, None), (LANDED, 3600), (Landing(0, SECONDS + 9), 0)])
    def test_the_age(self, landed: Landing | None, age: int | None) -> None:
        """Since the oldest missing commit landed; never negative; None where nothing dates it."""
        assert report_on(behind(1, landed=landed)).drift_age_s == age

    def test_what_is_told_of_it(self) -> None:
        """What the platform said of the revision, and what came out, side by side."""
        evidence = (Evidence(carrier="revision-label", key="commit-sha", value=OLD),)
        young = Watch(young_after=SECONDS - 3600)
        counted = tally((commit("worker/a.py"), MISSING), watch=young)
        facts = revision("worker-7", 40, evidence=evidence, image="worker:7", created_at=NOW)
        report = compare("worker", live(facts), TARGET, [Compared(Weighed(OLD), counted)], {}, (), NOW)
        assert report.live == (
            LiveReport(
                revision="worker-7",
                percent=40,
                status="behind",
                commit=OLD,
                commits_behind=1,
                commits_ahead=0,
                commits_picked=0,
                image="worker:7",
                created_at=NOW,
                evidence=evidence,
                commits_neutral=0,
                commits_within_grace=1,
                content_differs=True,
                drift_age_s=3600,
                dated_by="landing",
                undeployed=tuple(counted.undeployed),
            ),
        )

    def test_what_was_picked_is_in_neither_count_and_accounts_for_nothing(self) -> None:
        """It is told apart, it dates nothing, and what differs all the same is told."""
        each = [
            (commit("worker/a.py", sha=digit * 40), reach) for digit, reach in (("1", MISSING), ("2", OWN))
        ]
        counted = tally(*each, picked=frozenset({"1" * 40, "2" * 40}))
        (only,) = report_on(Compared(Weighed(OLD), counted)).live
        assert (only.commits_behind, only.commits_ahead, only.commits_picked) == (0, 0, 1)
        assert (only.drift_age_s, only.undeployed, only.unaccounted) == (None, (), ("worker/a.py",))

    @pytest.mark.parametrize("reach", [MISSING, OWN])
    def test_a_path_that_no_counted_commit_changes_is_told_beside_the_count(self, reach: Reach) -> None:
        """Not by one that both sides have, and not by one without a net difference."""
        net = ("worker/a.py", "worker/b.py", "worker/\udcff")
        commits = [(commit("worker/a.py", "docs/x"), reach), (commit("worker/b.py"), SHARED)]
        counted = tally(*commits, (commit("worker/c.py"), reach), net=net)
        (only,) = report_on(Compared(Weighed(OLD), counted)).live
        assert (only.unaccounted, only.unaccounted_count) == (("worker/b.py", "worker/\\xff"), 2)
        assert (only.commits_behind or 0) + (only.commits_ahead or 0) == 1

    def test_either_side_accounts_for_a_path(self) -> None:
        """Each commit for its own paths; together for all."""
        each = [(commit("worker/a.py"), MISSING), (commit("worker/b.py"), OWN)]
        assert tally(*each, net=("worker/a.py", "worker/b.py")).unaccounted == set()

    def test_twenty_unaccounted_paths_are_named_and_all_counted(self) -> None:
        """A tree may have a million."""
        counted = tally(net=[f"worker/{number:02}.py" for number in range(25)])
        (only,) = report_on(Compared(Weighed(OLD), counted)).live
        *shown, rest = only.unaccounted
        assert shown == [f"worker/{number:02}.py" for number in range(20)]
        assert rest.startswith("5 more (")
        assert only.unaccounted_count == 25


@given(st.integers(0, 10**6), st.floats(0, 0.999))
def test_the_age_counts_whole_seconds(age: int, part: float) -> None:
    """A part of a second is none."""
    now = datetime.fromtimestamp(SECONDS + part, UTC)
    one = behind(1, landed=Landing(0, SECONDS - age))
    report = compare("worker", live(revision()), TARGET, [one], {}, (), now)
    assert report.drift_age_s == int(now.timestamp() - (SECONDS - age))


class TestTheWhole:
    def test_what_is_compared_with_what(self) -> None:
        """Whose report it is, both sides, and the revisions in their order, each with its own result."""
        tagged = (Tagged(revision="worker-9", tag="next"),)
        report = report_on(behind(1), behind(2), tagged=tagged)
        assert (report.service, report.kind, report.project, report.region) == (
            "worker",
            "service",
            "p",
            "us-west2",
        )
        assert (report.target, report.tagged) == (TARGET, tagged)
        assert [(each.revision, each.percent, each.commits_behind) for each in report.live] == [
            ("worker-0", 50, 1),
            ("worker-1", 50, 2),
        ]

    @pytest.mark.parametrize("count", [1, 3])
    def test_as_many_comparisons_as_revisions(self, count: int) -> None:
        """One too few would leave a live revision out."""
        with pytest.raises(ValueError, match="zip"):
            compare("worker", live(revision(), revision()), TARGET, [behind(1)] * count, {}, (), NOW)

    @pytest.mark.parametrize("worst_first", [True, False])
    @pytest.mark.parametrize(
        ("worst", "better"),
        [
            (behind(3), behind(2)),
            (behind(1), behind(0, ahead=9)),
            (behind(2, landed=Landing(0, 0)), behind(2)),
            (behind(2, landed=Landing(0, SECONDS - 1)), behind(2, landed=None)),
            (behind(0, ahead=2), behind(0, ahead=1)),
            (behind(1, ahead=1), behind(1)),
            (behind(0), behind(9)),  # a difference that no commit accounts for
            (behind(0, landed=None), behind(0, ahead=9)),
            (behind(1), Compared(Weighed(NEW))),
        ],
        ids=[
            "count",
            "missing over own",
            "age",
            "any age",
            "own",
            "own beside missing",
            "unaccounted",
            "undated",
            "any",
        ],
    )
    def test_the_worst_revision_gives_the_totals(
        self, worst: Compared, better: Compared, worst_first: bool
    ) -> None:
        """Whatever its place; an average would hide it."""
        each = [worst, better] if worst_first else [better, worst]
        report, alone = report_on(*each), report_on(worst)
        names = ("status", "commits_behind", "commits_ahead", "content_differs", "drift_age_s", "undeployed")
        assert [report[name] for name in names] == [alone[name] for name in names]

    def test_one_revision_that_is_not_known_leaves_no_totals(self) -> None:
        """None, never 0; what is known of the other stays with it. The first cause stands for the whole."""
        first = Unknown(cause="timeout", message="no answer")
        other = Unknown(cause="no-commit-evidence", message="no label")
        report = report_on(behind(2), Compared(Weighed(OLD), first), Compared(Weighed(other)))
        assert (report.status, report.unknown) == ("unknown", first)
        totals = ("commits_behind", "commits_ahead", "commits_neutral", "content_differs", "drift_age_s")
        assert {report[name] for name in totals} == {None}
        assert [(each.status, each.commit, each.commits_behind, each.unknown) for each in report.live] == [
            ("behind", OLD, 2, None),
            ("unknown", OLD, None, first),
            ("unknown", None, None, other),
        ]

    def test_a_revision_that_is_not_known_keeps_what_the_platform_said(self) -> None:
        """Only the comparison is missing."""
        evidence = (Evidence(carrier="env", key="GIT_SHA", value="main"),)
        facts = revision("worker-7", 40, evidence=evidence, image="worker:7", created_at=NOW)
        unknown = Unknown(cause="timeout", message="no answer")
        told = LiveReport(
            revision="worker-7",
            percent=40,
            status="unknown",
            image="worker:7",
            created_at=NOW,
            unknown=unknown,
            evidence=evidence,
        )
        report = compare("worker", live(facts), TARGET, [Compared(Weighed(unknown))], {}, (), NOW)
        assert report.live == (told,)
        assert unknown_report("worker", "service", unknown, live=live(facts)).live == (told,)


def finding(code: str) -> Finding:
    return Finding(code=code, message=f"{code} it is", data={"by": "hand"})


class TestFindings:
    def test_all_are_kept_in_the_order_of_their_sources(self) -> None:
        """The platform's, the target's, relevance's, each revision's, the service's own claims."""
        target = TARGET.model_copy(update={"findings": (finding("target-may-be-stale"),)})
        watch = Watch(paths=[("deny-path", PathRules(["*.py"]))])
        counted = tally((commit("worker/a.py"), MISSING), watch=watch)
        compared = Compared(Weighed(OLD, (finding("dirty-build"),)), counted)
        claim = Evidence(carrier="service-label", key="commit-sha", value="c" * 40)
        facts = live(revision(), findings=(finding("traffic-split"),), service_claims=(claim,))
        report = compare(
            "worker", facts, target, [compared], {"c" * 40: NEW}, [finding("computed-import")], NOW
        )
        assert [each.code for each in report.findings] == [
            "traffic-split",
            "target-may-be-stale",
            "computed-import",
            "dirty-build",
            "deny-path",
            "service-label-disagrees",
        ]

    def test_a_service_label_that_names_what_serves_is_no_finding(self) -> None:
        claim = Evidence(carrier="service-label", key="commit-sha", value=OLD)
        facts = live(revision(), service_claims=(claim,))
        assert compare("worker", facts, TARGET, [behind(1)], {OLD: OLD}, (), NOW).findings == ()

    def test_a_finding_about_a_revision_names_it(self) -> None:
        """In the sentence and in the data; a job has no revision to name."""
        compared = Compared(Weighed(OLD, (finding("dirty-build"),)), Tally(pair()))
        for name, message, data in [
            ("worker-1", "worker-1: dirty-build it is", {"by": "hand", "revision": "worker-1"}),
            (None, "dirty-build it is", {"by": "hand"}),
        ]:
            (about,) = compare("worker", live(revision(name)), TARGET, [compared], {}, (), NOW).findings
            assert (about.code, about.message, about.data) == ("dirty-build", message, data)

    def test_an_unknown_revision_keeps_the_findings_of_its_evidence(self) -> None:
        """It was weighed before the comparison failed."""
        compared = Compared(Weighed(OLD, (finding("dirty-build"),)), Unknown(cause="timeout", message="-"))
        assert [each.code for each in report_on(compared).findings] == ["dirty-build"]


class TestWhereNothingCouldBeCompared:
    UNKNOWN = Unknown(cause="history-unavailable", message="no git")

    def test_with_nothing_known_at_all(self) -> None:
        """Only whose report it is, and why."""
        report = unknown_report("worker", "job", self.UNKNOWN)
        assert report == DriftReport(service="worker", kind="job", status="unknown", unknown=self.UNKNOWN)

    def test_what_is_known_of_either_side_is_kept(self) -> None:
        """The place, the revisions, the tags, the target and the findings of both."""
        tagged = (Tagged(revision="worker-9", tag="next"),)
        unread = Unknown(cause="permission-denied", message="not this one")
        revisions = (revision(), revision("worker-2", 0, unknown=unread))
        facts = live(*revisions, tagged=tagged, findings=(finding("traffic-split"),))
        target = TARGET.model_copy(update={"findings": (finding("target-may-be-stale"),)})
        report = unknown_report("worker", "service", self.UNKNOWN, live=facts, target=target)
        assert (report.service, report.kind, report.project, report.region) == (
            "worker",
            "service",
            "p",
            "us-west2",
        )
        assert (report.status, report.unknown, report.target) == ("unknown", self.UNKNOWN, target)
        assert [(each.revision, each.unknown) for each in report.live] == [
            ("worker-1", self.UNKNOWN),
            ("worker-2", unread),
        ]
        assert report.tagged == tagged
        assert [each.code for each in report.findings] == ["traffic-split", "target-may-be-stale"]
