"""What the live revisions say of themselves: believed where it fits, and never worse than not asking."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.health import COMMIT, JSON, LABEL, NEW, OLD, ask, document, live, reply, unreachable
from support.limits import ENOUGH_S, OVER_S, in_time
from support.web import (
    HEAD,
    Handler,
    Reply,
    Web,
    certificates,
    dead,
    deaf,
    drips,
    floods,
    raw,
    says,
    silent,
)
from support.workers import Worker, fastapi_worker, flask_worker

from drift_gate.errors import SourceError
from drift_gate.facts import Evidence, Finding, Live, LiveRevision, Unknown
from drift_gate.fingerprint import answer, take
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.cloud_run.clients import Clients
from drift_gate.sources.cloud_run.reader import CloudRun
from drift_gate.sources.health.reader import ANSWER_LIMIT, Health
from drift_gate.sources.http.client import Http
from drift_gate.sources.http.network import Names
from drift_gate.testing import FakeCloudRun


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


class TestWhatIsHeard:
    @pytest.mark.parametrize("worker", [fastapi_worker, flask_worker])
    def test_a_real_worker_says_what_it_holds(self, worker: Worker, tmp_path: Path) -> None:
        """From the files in its folder to the content of the revision that it names."""
        (tmp_path / "worker.py").write_text("VERSION = 0\n")
        (tmp_path / "latest").symlink_to("größe.py")
        (tmp_path / "größe.py").write_bytes(b"a\r\n")
        taken = take(tmp_path, prefix="predictions", commit=COMMIT + "-dirty", environ={"K_REVISION": OLD})
        with worker(taken) as port:
            told = ask(live(f"http://127.0.0.1:{port}"))
        [revision] = told.revisions
        content = revision.content
        assert content is not None
        assert told.findings == ()
        assert (content.files, content.digest, content.covers) == (
            taken.files,
            taken.digest,
            ("predictions/",),
        )
        assert (content.commit, content.dirty) == (COMMIT, True)
        assert (content.ignored, content.unread) == (taken.ignored, frozenset())
        assert content.started_at is not None
        assert abs(content.started_at - datetime.now(UTC)).total_seconds() < 60
        assert revision.evidence == (LABEL, Evidence(carrier="health", key="commit", value=COMMIT))

    def test_names_that_are_no_utf8_arrive_as_git_has_them(self, web: Web, tmp_path: Path) -> None:
        (tmp_path / "b\udcff.py").write_text("")
        taken = take(tmp_path, environ={"K_REVISION": OLD})
        web.replies["/version"] = Reply(200, answer(taken)[2], JSON)
        content = ask(live(web.url)).revisions[0].content
        assert content is not None
        assert list(content.files) == ["b\udcff.py"]

    def test_a_document_inside_another_answer_counts(self, web: Web) -> None:
        web.replies["/health"] = reply({"status": "ok", "fingerprint": document()})
        told = ask(live(web.url), path="/health")
        assert told.revisions[0].content is not None

    @pytest.mark.parametrize(
        ("said", "key", "value"),
        [
            ({"commit": COMMIT}, "commit", COMMIT),
            ({"status": "ok", "git_sha": "4AA0C3B"}, "git_sha", "4AA0C3B"),
            ({"commit_sha": "4aa0c3b-dirty"}, "commit_sha", "4aa0c3b-dirty"),
            ({"commit": "unknown", "version": "4aa0c3b"}, "version", "4aa0c3b"),
            ({"commit": "4aa0c3b", "dirty": True}, "commit", "4aa0c3b-dirty"),
            ({"fingerprint": "4aa0c3b", "commit": "4aa0c3b"}, "commit", "4aa0c3b"),
        ],
    )
    def test_a_plain_health_answer_is_a_bare_claim(self, said: Any, key: str, value: str, web: Web) -> None:
        """The weakest evidence there is; that the worker offers no fingerprint is no fault."""
        web.replies["/version"] = reply(said)
        told = ask(live(web.url))
        assert told.findings == ()
        assert told.revisions[0].evidence == (LABEL, Evidence(carrier="health", key=key, value=value))
        assert told.revisions[0].content is None

    @pytest.mark.parametrize("said", [{}, {"status": "ok"}, {"version": "1.2.3"}, {"commit": "unknown"}])
    def test_an_answer_without_a_commit_is_said_to_be_one(self, said: Any, web: Web) -> None:
        web.replies["/version"] = reply(said)
        told = ask(live(web.url))
        assert "neither a fingerprint nor a commit" in unreachable(told).message
        assert told.revisions[0].evidence == (LABEL,)

    def test_a_worker_that_could_not_take_one_says_so(self, web: Web) -> None:
        """Its own words are passed on, and its claim stays."""
        taken = take("/nowhere", commit=COMMIT, environ={"K_REVISION": OLD})
        web.replies["/version"] = Reply(200, answer(taken)[2], JSON)
        told = ask(live(web.url))
        finding = unreachable(told)
        assert "No such file" in finding.message
        assert told.revisions[0].evidence[-1].value == COMMIT


class TestWhomItSpeaksFor:
    def test_each_revision_is_asked_at_its_own_address(self) -> None:
        with Web() as old, Web() as new, Web() as service:
            old.replies["/version"] = reply(document(OLD))
            new.replies["/version"] = reply(document(NEW, files={"a.py": "3" * 40}))
            told = ask(
                live(
                    service.url,
                    LiveRevision(revision=OLD, percent=60, url=old.url),
                    LiveRevision(revision=NEW, percent=40, url=new.url),
                )
            )
        contents = [each.content for each in told.revisions]
        assert [len(each.files) for each in contents if each] == [2, 1]
        assert service.seen == []

    def test_at_a_shared_address_the_answers_say_it(self, web: Web) -> None:
        """One request for each revision without an address of its own; the order does not matter."""
        web.replies["/version"] = [reply(document(NEW, files={"a.py": "3" * 40})), reply(document(OLD))]
        told = ask(
            live(web.url, LiveRevision(revision=OLD, percent=60), LiveRevision(revision=NEW, percent=40))
        )
        assert [len(each.content.files) for each in told.revisions if each.content] == [2, 1]
        assert len(web.seen) == 2

    def test_whoever_does_not_come_up_is_not_made_up(self, web: Web) -> None:
        """Both answers came from one revision; nothing is known of the other."""
        web.replies["/version"] = reply(document(NEW))
        told = ask(
            live(web.url, LiveRevision(revision=OLD, percent=60), LiveRevision(revision=NEW, percent=40))
        )
        assert [each.content is None for each in told.revisions] == [True, False]
        [finding] = told.findings
        assert finding.data == {"carrier": "fingerprint", "cause": "unavailable", "revision": OLD}
        assert "traffic tag" in finding.message

    def test_a_revision_without_traffic_does_not_count(self, web: Web) -> None:
        """Neither for the one that serves nor for another."""
        web.replies["/version"] = reply(document("prediction-worker-00001-old"))
        finding = unreachable(ask(live(web.url)))
        assert "prediction-worker-00001-old answered, which gets no traffic" in finding.message

    def test_a_tag_address_that_answers_for_another_live_revision(self) -> None:
        """A tag that has moved meanwhile: what was said counts for whom it was said."""
        with Web() as tag:
            tag.replies["/version"] = reply(document(NEW))
            told = ask(
                live(
                    None,
                    LiveRevision(revision=OLD, percent=60, url=tag.url),
                    LiveRevision(revision=NEW, percent=40, url=tag.url),
                )
            )
        assert [each.content is None for each in told.revisions] == [True, False]

    def test_an_answer_without_a_name_counts_only_where_one_revision_serves(self, web: Web) -> None:
        web.replies["/version"] = reply(document(None))
        assert ask(live(web.url)).revisions[0].content is not None
        two = (LiveRevision(revision=OLD, percent=60), LiveRevision(revision=NEW, percent=40))
        told = ask(live(web.url, *two))
        assert [each.content for each in told.revisions] == [None, None]
        assert {finding.data["cause"] for finding in told.findings} == {"invalid-response"}

    def test_many_revisions_behind_one_address_are_not_guessed_at_for_ever(self, web: Web) -> None:
        web.replies["/version"] = reply(document(OLD))
        ask(live(web.url, *(LiveRevision(revision=f"r-{number}", percent=10) for number in range(10))))
        assert len(web.seen) == 5

    def test_what_could_not_be_read_or_has_no_name_is_not_asked(self, web: Web) -> None:
        unread = LiveRevision(revision=OLD, percent=100, unknown=Unknown(cause="timeout", message="x"))
        job = LiveRevision(revision=None, percent=100)
        for asked in (live(web.url, unread), live(web.url, job)):
            assert ask(asked) == asked
        assert web.seen == []


class TestTheApisAddresses:
    """Where the platform says that a service is, there its worker is asked."""

    def test_the_services_own(self, fake_cloud_run: FakeCloudRun, tmp_path: Path) -> None:
        """The real client's answer leads to the real worker's."""
        (tmp_path / "worker.py").write_text("VERSION = 0\n")
        revision = fake_cloud_run.deploy("prediction-worker", commit="a" * 40)
        with fastapi_worker(take(tmp_path, environ={"K_REVISION": revision})) as port:
            fake_cloud_run.services["prediction-worker"].uri = f"http://127.0.0.1:{port}"
            told = ask(serving(fake_cloud_run))
        assert told.findings == ()
        assert [list(each.content.files) for each in told.revisions if each.content] == [["worker.py"]]

    def test_a_tags(self, fake_cloud_run: FakeCloudRun, tmp_path: Path) -> None:
        """A revision that serves and has a tag is asked by the tag's address, whatever the service's is."""
        revision = fake_cloud_run.deploy("prediction-worker", commit="a" * 40)
        with fastapi_worker(take(tmp_path, environ={"K_REVISION": revision})) as port:
            fake_cloud_run.set_traffic("prediction-worker", {revision: 100}, tags={"old": revision})
            service = fake_cloud_run.services["prediction-worker"]
            service.uri = "http://127.0.0.1:1"
            for each in service.traffic_statuses:
                each.uri = f"http://127.0.0.1:{port}" if each.tag else ""
            told = ask(serving(fake_cloud_run))
        assert [each.content is None for each in told.revisions] == [False]


def serving(cloud: FakeCloudRun) -> Live:
    """What the real reader makes of it."""
    return CloudRun(
        service="prediction-worker",
        project=cloud.project,
        region=cloud.region,
        deadline=Deadline(60),
        clients=Clients(cloud.host),
    ).read()


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            *(
                "http://192.0.2.1",
                "http://worker.example",
                "ftp://127.0.0.1",
                "file:///etc/passwd",
                "nonsense",
            ),
            *("https://", "https://a b", "https://ann:secret@worker.example", "https://worker.example:99999"),
            *("https://[bad", "https://[::1", "https://worker\u2100.example"),  # Python takes these for none
            *("https://worker.example\r\nX: y", "http://127.0.0.1@192.0.2.1", "https://127.0.0.1"),
        ],
    )
    def test_only_the_services_own_over_https_are_asked(self, url: str) -> None:
        """Nothing goes out; on this machine plain http is meant, for an emulator."""
        finding = unreachable(ask(live(url)))
        assert finding.data["cause"] == "invalid-response"
        assert "secret" not in finding.message

    @pytest.mark.parametrize("url", ["http://127.0.0.1:{}", "http://localhost:{}", "http://[::1]:{}"])
    def test_this_machine_is_asked_only_where_that_was_allowed(self, url: str, web: Web) -> None:
        """An address out of an API's answer must not lead to a door inside."""
        finding = unreachable(ask(live(url.format(web.port)), allow_loopback=False))
        assert finding.data["cause"] == "invalid-response"
        assert web.seen == []

    def test_a_workload_without_an_address_is_said_to_have_none(self) -> None:
        finding = unreachable(ask(live(None)))
        assert finding.data == {"carrier": "fingerprint", "cause": "not-found", "revision": OLD}

    def test_a_path_in_the_address_is_not_followed(self, web: Web) -> None:
        """Host from the platform, path from the settings."""
        web.replies["/version"] = reply(document())
        assert ask(live(f"{web.url}/elsewhere?a=b#c")).revisions[0].content is not None
        assert [path for path, _ in web.seen] == ["/version?fresh=1"]

    @pytest.mark.parametrize(
        ("path", "asked"), [("/v", "/v?fresh=1"), ("/v?", "/v?&fresh=1"), ("/v?key=a", "/v?key=a&fresh=1")]
    )
    def test_the_files_of_now_are_asked_for(self, path: str, asked: str, web: Web) -> None:
        ask(live(web.url), path=path)
        assert [path for path, _ in web.seen] == [asked]

    @pytest.mark.parametrize("path", ["version", "", "/a b", "/a\r\nX: y", "https://worker.example/"])
    def test_a_path_that_is_none_is_refused_at_once(self, path: str) -> None:
        with pytest.raises(ValueError, match="no path of a web address"):
            Health(deadline=Deadline(60), path=path)


class TestTokens:
    """On https the service wants to know who asks; its own address is the audience, also for a tag's."""

    @pytest.fixture
    def service(self, tmp_path: Path) -> Iterator[tuple[Web, Callable[[Deadline], Http]]]:
        """A service at https://worker.example and its tags, and a way there."""
        ca_file, tls = certificates(tmp_path, "worker.example", "old---worker.example")
        with Web(tls) as web:
            names = Names(lambda host: ["127.0.0.1"])
            yield web, partial(Http, ca_file=ca_file, names=names)

    def test_the_header_carries_it(self, service: tuple[Web, Callable[[Deadline], Http]]) -> None:
        web, http = service
        web.replies["/version"] = reply(document())
        audiences = []

        def token(audience: str, deadline: Deadline) -> str:
            audiences.append(audience)
            return "eyJ.s3cret.token"

        tag = LiveRevision(revision=OLD, percent=100, url=f"https://old---worker.example:{web.port}")
        told = ask(live(f"https://worker.example:{web.port}", tag), token=token, http=http)
        assert told.revisions[0].content is not None
        assert audiences == [f"https://worker.example:{web.port}"]
        [(_, headers)] = web.seen
        assert headers["authorization"] == "Bearer eyJ.s3cret.token"
        assert headers["host"].startswith("old---")

    def test_a_public_service_needs_none(self, service: tuple[Web, Callable[[Deadline], Http]]) -> None:
        """Whoever has no service account can still ask it."""
        web, http = service
        web.replies["/version"] = reply(document())
        told = ask(live(f"https://worker.example:{web.port}"), token=no_token, http=http)
        assert told.revisions[0].content is not None
        assert "authorization" not in web.seen[0][1]

    @pytest.mark.parametrize(("status", "cause"), [(401, "credentials"), (403, "permission-denied")])
    def test_a_private_one_tells_what_to_grant(
        self, status: int, cause: str, service: tuple[Web, Callable[[Deadline], Http]]
    ) -> None:
        """And why the request went without a token, which is the first thing to mend."""
        web, http = service
        web.replies["/version"] = Reply(status, b"no")
        url = f"https://worker.example:{web.port}"
        finding = unreachable(ask(live(url), token=no_token, http=http))
        assert finding.data["cause"] == cause
        assert "no service account here" in finding.message
        finding = unreachable(ask(live(url), token=lambda *_: "eyJ.s3cret.token", http=http))
        assert finding.data["cause"] == cause
        assert "roles/run.invoker" in finding.message
        assert "s3cret" not in finding.message

    def test_one_that_never_comes_leaves_time_to_ask_without(
        self, service: tuple[Web, Callable[[Deadline], Http]]
    ) -> None:
        """A metadata server that hangs costs half of the patience."""
        web, http = service
        web.replies["/version"] = reply(document())

        def hangs(audience: str, deadline: Deadline) -> str:
            time.sleep(deadline.remaining())
            return no_token(audience, deadline)

        told = in_time(
            lambda seconds: ask(live(f"https://worker.example:{web.port}"), seconds, token=hangs, http=http),
            late=lambda told: told.revisions[0].content is None,
        )
        assert told.revisions[0].content is not None

    def test_none_goes_to_another_host(self, service: tuple[Web, Callable[[Deadline], Http]]) -> None:
        """No redirect is followed at all."""
        web, http = service
        web.replies["/version"] = Reply(302, b"", {"Location": f"https://elsewhere.example:{web.port}/x"})
        told = ask(live(f"https://worker.example:{web.port}"), token=lambda *_: "eyJ.s3cret", http=http)
        assert unreachable(told).data["cause"] == "invalid-response"
        assert len(web.seen) == 1


def no_token(audience: str, deadline: Deadline) -> str:
    raise SourceError("no service account here", "credentials")


class TestFaults:
    """Each is a finding with its cause; the evidence that there was stays as it was."""

    @pytest.mark.parametrize(
        ("status", "cause"),
        [
            *((401, "credentials"), (403, "permission-denied"), (404, "not-found"), (429, "rate-limited")),
            *(
                (500, "unavailable"),
                (503, "unavailable"),
                (302, "invalid-response"),
                (418, "invalid-response"),
            ),
        ],
    )
    def test_a_status(self, status: int, cause: str, web: Web) -> None:
        web.replies["/version"] = Reply(status, b"{}", {"Location": "/elsewhere", "Retry-After": "60"})
        web.replies["/elsewhere"] = reply(document())
        told = in_time(
            lambda seconds: ask(live(web.url), seconds),
            late=lambda told: unreachable(told).data["cause"] == "timeout",
        )
        assert unreachable(told).data == {"carrier": "fingerprint", "cause": cause, "revision": OLD}
        assert told.revisions[0] == live(web.url).revisions[0]

    def test_a_moment_of_weakness_is_waited_out(self, web: Web) -> None:
        web.replies["/version"] = [Reply(503, b""), reply(document())]
        assert ask(live(web.url)).findings == ()

    @pytest.mark.parametrize(("patience", "seconds"), [(OVER_S, 3600), (3600, OVER_S)])
    @pytest.mark.parametrize(
        "handler",
        [
            pytest.param(silent, id="never a word"),
            pytest.param(drips(HEAD, b"X-A: b\r\n"), id="headers without end"),
            pytest.param(drips(HEAD + b"Content-Length: 999999\r\n\r\n", b"{"), id="a byte now and then"),
        ],
    )
    def test_whatever_hangs_costs_its_patience_and_no_more(
        self, handler: Handler, patience: float, seconds: float
    ) -> None:
        """Patience, and never more than the deadline: a worker that sleeps must not hold up the check."""
        with raw(handler) as port:
            health = Health(deadline=Deadline(seconds), patience=patience, allow_loopback=True)
            told = health.with_evidence(live(f"http://127.0.0.1:{port}"))
        assert unreachable(told).data["cause"] == "timeout"

    def test_a_machine_that_does_not_take_the_connection(self) -> None:
        with deaf() as port:
            finding = unreachable(ask(live(f"http://127.0.0.1:{port}"), OVER_S))
        assert finding.data["cause"] == "timeout"
        assert "health_timeout" in finding.message

    def test_nobody_is_there(self) -> None:
        with dead() as port:
            finding = in_time(
                lambda seconds: unreachable(ask(live(f"http://127.0.0.1:{port}"), seconds)),
                late=lambda finding: finding.data["cause"] == "timeout",
            )
        assert finding.data["cause"] == "unavailable"

    def test_no_time_is_left_at_all(self, web: Web) -> None:
        told = Health(deadline=Deadline(0), allow_loopback=True).with_evidence(live(web.url))
        assert unreachable(told).data["cause"] == "timeout"
        assert web.seen == []

    @pytest.mark.parametrize(
        ("handler", "cause"),
        [
            (says(b""), "unavailable"),
            (says(HEAD + b"Content-Length: 100\r\n\r\n{"), "unavailable"),
            (drips(b"SSH-2.0-OpenSSH_9.2\r\n", b"\r\n"), "invalid-response"),
            (floods(HEAD + b"Content-Type: application/json\r\n\r\n", b"[" * 999), "invalid-response"),
            (
                says(HEAD + b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n{}"),
                "invalid-response",
            ),
        ],
        ids=["hangs up", "cut off", "another protocol", "no end", "compressed"],
    )
    def test_what_is_no_answer(self, handler: Handler, cause: str) -> None:
        with raw(handler) as port:
            finding = in_time(
                lambda seconds: unreachable(ask(live(f"http://127.0.0.1:{port}"), seconds)),
                late=lambda finding: finding.data["cause"] == "timeout",
            )
        assert finding.data["cause"] == cause

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"<html>", "text/html"),
            (json.dumps(document()).encode(), "text/html"),
            (json.dumps(document()).encode(), ""),
            (b"<html>", "application/json"),
            (b"", "application/json"),
            (b"\xff\xfe{", "application/json"),
            (b"[" * 200_000, "application/json"),
            (b"1" * 10_000, "application/json"),
            (b" " * (ANSWER_LIMIT + 1), "application/json"),
            (b"null", "application/json"),
            (b"[1]", "application/json"),
            (b'"commit"', "application/json"),
        ],
    )
    def test_what_is_no_json_object_or_is_not_called_one(self, body: bytes, kind: str, web: Web) -> None:
        web.replies["/version"] = Reply(200, body, {"Content-Type": kind})
        assert unreachable(ask(live(web.url))).data["cause"] == "invalid-response"

    def test_one_fault_does_not_silence_the_others(self) -> None:
        with Web() as good, raw(silent) as port:
            good.replies["/version"] = reply(document(NEW))
            asked = live(
                None,
                LiveRevision(revision=OLD, percent=60, url=f"http://127.0.0.1:{port}"),
                LiveRevision(revision=NEW, percent=40, url=good.url),
            )
            told = in_time(
                lambda seconds: ask(asked, seconds), late=lambda told: told.revisions[1].content is None
            )
        assert [each.content is None for each in told.revisions] == [True, False]
        assert [finding.data["revision"] for finding in told.findings] == [OLD]

    def test_no_thread_stays_when_the_time_is_over(self) -> None:
        """What was left behind ends at its own deadline."""
        with raw(silent) as port:
            ask(live(f"http://127.0.0.1:{port}"), 0.3)
            until = time.monotonic() + ENOUGH_S
            while any("answer 0 of" in each.name for each in threading.enumerate()):
                assert time.monotonic() < until
                time.sleep(0.01)


def test_findings_that_there_were_stay(web: Web) -> None:
    """Evidence adds and takes nothing away."""
    before = replace(live(web.url), findings=(Finding(code="traffic-split", message="x"),))
    assert ask(before).findings[0].code == "traffic-split"
