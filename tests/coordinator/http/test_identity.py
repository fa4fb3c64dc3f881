"""Who sends a request is proven by Google's signature, or was proven by the platform; nothing else counts."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.google_tokens import AUDIENCE, CertsServer, certs_server, key, passed_on

from drift_gate.errors import SourceError
from predictions.coordinator import variables
from predictions.coordinator.exceptions import (
    BypassForbiddenError,
    ForbiddenError,
    IdentityUnavailableError,
    UnauthenticatedError,
)
from predictions.coordinator.http import access, identity
from predictions.coordinator.http.identity import CertStore, Doorkeeper, Presented

ID_TOKEN = {
    variables.MODE: "id-token",
    variables.AUDIENCE: AUDIENCE,
    variables.CALLERS: "nightly@example.com",
    variables.BYPASS_CALLERS: "on-call@example.com",
    variables.PUSH_CALLERS: "push@example.com",
}


@pytest.fixture
def server() -> Iterator[CertsServer]:
    with certs_server(key("one")) as made:
        yield made


def keeper(environ: dict[str, str], url: str, **store: Any) -> Doorkeeper:
    return Doorkeeper(access.read(environ, "0.0.0.0"), CertStore(url, **store))  # noqa: S104 (read, not bound)


def bearer(token: str) -> Presented:
    return Presented(authorization=f"Bearer {token}")


def presented(**said: Any) -> Presented:
    """What a request with these says; names that a test puts together."""
    return Presented(**said)


class TestATokenOfGoogle:
    def test_names_its_caller(self, server: CertsServer) -> None:
        """The e-mail address in a proven token is who the log names."""
        caller = keeper(ID_TOKEN, server.url).admit(bearer(key("one").token("Nightly@example.com")))
        assert caller.actor == "Nightly@example.com"
        assert caller.may == {"read", "start"}

    @pytest.mark.parametrize(
        ("wrong", "claims"),
        [
            ("expired", {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600}),
            ("not yet valid", {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200}),
            ("for somebody else", {"aud": "https://other.example.com"}),
            ("for nobody", {"aud": None}),
            ("for a list", {"aud": [AUDIENCE]}),
            ("by another issuer", {"iss": "https://securetoken.google.com/x"}),
            ("by none", {"iss": None}),
            ("without an end", {"exp": None}),
            ("of an unverified address", {"email_verified": False}),
            ("of a claimed address", {"email_verified": "true"}),
            ("without an address", {"email": None}),
        ],
    )
    def test_holds_in_each_part_or_not_at_all(
        self, server: CertsServer, wrong: str, claims: dict[str, Any]
    ) -> None:
        """A real signature is not enough."""
        with pytest.raises(UnauthenticatedError):
            keeper(ID_TOKEN, server.url).admit(bearer(key("one").token(**claims)))

    def test_a_clock_may_differ_a_little(self, server: CertsServer) -> None:
        now = int(time.time())
        token = key("one").token(iat=now + 15, exp=now + 3600)
        assert keeper(ID_TOKEN, server.url).admit(bearer(token)).actor == "nightly@example.com"

    def test_signed_by_a_stranger_is_nothing(self, server: CertsServer) -> None:
        """A key with the same id and another secret."""
        forged = key("stranger")._replace(key_id="one")
        with pytest.raises(UnauthenticatedError):
            keeper(ID_TOKEN, server.url).admit(bearer(forged.token()))

    @pytest.mark.parametrize("algorithm", ["none", "HS256", "", None, ["RS256"]])
    def test_no_other_algorithm_will_do(self, server: CertsServer, algorithm: object) -> None:
        """``none`` and a shared secret (the public certificate) are the classic ways in."""
        _, payload, signature = key("one").token().split(".")
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": "one"}).encode()).decode()
        with pytest.raises(UnauthenticatedError):
            keeper(ID_TOKEN, server.url).admit(bearer(f"{header.rstrip('=')}.{payload}.{signature}"))

    @given(st.text(max_size=60) | st.from_regex(r"Bearer [\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
    def test_any_other_text_is_refused(self, text: str) -> None:
        """Whatever stands in the header, it is refused as unknown, and never an unexpected error."""
        ours = keeper(ID_TOKEN, "http://127.0.0.1:9/", get=lambda _: ({"one": key("one").certificate}, 60.0))
        with pytest.raises(UnauthenticatedError):
            ours.admit(Presented(authorization=text))

    def test_whose_signature_the_platform_removed_is_explained(self, server: CertsServer) -> None:
        with pytest.raises(UnauthenticatedError, match="COORDINATOR_ACCESS=platform"):
            keeper(ID_TOKEN, server.url).admit(bearer(passed_on(key("one").token())))

    def test_never_reaches_the_log(self, server: CertsServer, caplog: pytest.LogCaptureFixture) -> None:
        """Some messages of google-auth quote what they were given."""
        token = key("one").token(exp=1)
        for text in (token, f"{token}.x", token[:-20], "x." + token):
            with pytest.raises(UnauthenticatedError):
                keeper(ID_TOKEN, server.url).admit(bearer(text))
        assert caplog.records
        assert not any(part in caplog.text for part in token.split("."))


class TestCertificates:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What fails is tried again until the time is over: here that is soon."""
        monkeypatch.setattr(identity, "FETCH_S", 0.5)

    def test_are_fetched_once(self, server: CertsServer) -> None:
        ours = keeper(ID_TOKEN, server.url)
        for _ in range(5):
            ours.admit(bearer(key("one").token()))
        assert server.asked == 1

    def test_are_fetched_anew_for_a_new_key(self, server: CertsServer) -> None:
        """Google rotates its keys; a token signed with the new one is good at once."""
        now = [0.0]
        ours = keeper(ID_TOKEN, server.url, clock=lambda: now[0])
        ours.admit(bearer(key("one").token()))
        server.certs["two"] = key("two").certificate
        now[0] += identity.PAUSE_S
        assert ours.admit(bearer(key("two").token())).actor == "nightly@example.com"

    def test_made_up_keys_do_not_become_requests_to_google(self, server: CertsServer) -> None:
        ours = keeper(ID_TOKEN, server.url)
        for number in range(20):
            with pytest.raises(UnauthenticatedError):
                ours.admit(bearer(key("one")._replace(key_id=f"made up {number}").token()))
        assert server.asked == 1

    def test_serve_past_their_time_while_google_is_silent(self, server: CertsServer) -> None:
        """Hours without Google's certificates lock nobody out who holds a good token; days do."""
        now = [0.0]
        ours = keeper(ID_TOKEN, server.url, clock=lambda: now[0])
        ours.admit(bearer(key("one").token()))
        server.status = 500
        now[0] = 20_000 + identity.STALE_S - 1
        assert ours.admit(bearer(key("one").token())).actor == "nightly@example.com"
        now[0] += 2 + identity.PAUSE_S
        with pytest.raises(IdentityUnavailableError):
            ours.admit(bearer(key("one").token()))

    @pytest.mark.parametrize("body", ["[]", "{}", '{"one": 1}', "nonsense", '{"one": "no certificate"}'])
    def test_that_are_none_let_nobody_in(self, body: str) -> None:
        def get(_: str) -> tuple[dict[str, str], float]:
            return json.loads(body), 60.0

        with pytest.raises((IdentityUnavailableError, UnauthenticatedError)):
            keeper(ID_TOKEN, "http://127.0.0.1:9/", get=get).admit(bearer(key("one").token()))

    def test_that_cannot_be_fetched_are_no_reason_to_call_a_token_bad(self) -> None:
        """Nothing listens there: the caller is told to ask again, not that the token is wrong."""
        with pytest.raises(IdentityUnavailableError):
            keeper(ID_TOKEN, "http://127.0.0.1:9/certs").admit(bearer(key("one").token()))

    def test_that_never_come_end_at_the_deadline_for_everybody(self, server: CertsServer) -> None:
        """Five requests at once wait for one fetch, and for no longer than it may take."""
        server.answers.clear()
        ours = keeper(ID_TOKEN, server.url)
        errors: list[Exception] = []

        def ask() -> None:
            try:
                ours.admit(bearer(key("one").token()))
            except IdentityUnavailableError as error:
                errors.append(error)

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(errors) == 5
        assert server.asked == 1

    @pytest.mark.parametrize(
        ("header", "seconds"), [("max-age=5", 60.0), ("public, max-age=999999999", 86_400.0), ("", 60.0)]
    )
    def test_are_kept_within_bounds(self, server: CertsServer, header: str, seconds: float) -> None:
        server.cache_control = header
        assert identity.fetch(server.url)[1] == seconds

    def test_larger_than_any_are_not_read(self, server: CertsServer) -> None:
        server.certs["large"] = "x" * 300_000
        with pytest.raises(SourceError, match="more than"):
            identity.fetch(server.url)


OPEN = {variables.MODE: "platform"}
LISTED = {variables.MODE: "platform", variables.CALLERS: "nightly@example.com"}


class TestThePlatform:
    @pytest.mark.parametrize("header", ["authorization", "serverless_authorization"])
    def test_passes_on_who_called(self, header: str) -> None:
        sent = presented(**{header: "bearer " + passed_on(key("one").token())})
        assert keeper(LISTED, "").admit(sent).actor == "nightly@example.com"

    @pytest.mark.parametrize("beside", ["", "Basic bmlnaHRseTo=", "Bearer", "Bearer TOKEN"])
    @pytest.mark.parametrize("name", ["authorization", "serverless_authorization"])
    def test_names_nobody_by_two_headers(self, name: str, beside: str) -> None:
        """Of two it checks one and passes the other on as it came; whichever is odd, nobody knows which."""
        token = "Bearer " + passed_on(key("one").token())
        others = {"authorization": token, "serverless_authorization": token, name: beside}
        sent = presented(**{each: text.replace("TOKEN", token[7:]) for each, text in others.items()})
        with pytest.raises(UnauthenticatedError):
            keeper(LISTED, "").admit(sent)
        assert keeper(OPEN, "").admit(sent).actor == "a caller that the platform let through"

    @pytest.mark.parametrize(
        "header", ["", "Bearer", "Bearer ", "Basic TOKEN", "TOKEN", "Bearer TOKEN TOKEN"]
    )
    def test_names_nobody_by_what_is_no_bearer_token(self, header: str) -> None:
        presented = Presented(authorization=header.replace("TOKEN", passed_on(key("one").token())))
        with pytest.raises(UnauthenticatedError):
            keeper(LISTED, "").admit(presented)

    def test_is_not_believed_for_a_token_that_nobody_checked(self) -> None:
        """With its signature still there, the token did not pass Cloud Run's check."""
        with pytest.raises(UnauthenticatedError):
            keeper(LISTED, "").admit(bearer(key("one").token()))
        assert "platform" in keeper(OPEN, "").admit(bearer(key("one").token())).actor

    @given(st.from_regex(r"[\w-]*\.[\w-]*", fullmatch=True))
    def test_nonsense_in_its_place_names_nobody(self, text: str) -> None:
        presented = bearer(f"{text}.{identity.SIGNATURE_REMOVED}")
        with pytest.raises(UnauthenticatedError):
            keeper(LISTED, "").admit(presented)


SECOND = {
    variables.MODE: "platform",
    variables.AUDIENCE: AUDIENCE,
    variables.BYPASS_CALLERS: "on-call@example.com",
    variables.BYPASS_ACCESS: "id-token",
}


class TestABypassByASecondToken:
    """Where IAM guards nothing by mistake, anybody can write what the platform passes on."""

    def sent(self, second: str | None) -> Presented:
        first = f"Bearer {passed_on(key('one').token('on-call@example.com'))}"
        return Presented(authorization=first, bypass_authorization=second and f"Bearer {second}")

    def test_names_who_proved_it(self, server: CertsServer) -> None:
        caller = keeper(SECOND, server.url).admit(self.sent(key("one").token("On-Call@example.com")))
        assert (caller.actor, "bypass" in caller.may) == ("On-Call@example.com", True)

    def test_is_not_given_on_the_word_of_the_platform(self, server: CertsServer) -> None:
        caller = keeper(SECOND, server.url).admit(self.sent(None))
        assert caller.may == {"read", "start", "complete"}
        with pytest.raises(BypassForbiddenError, match=access.BYPASS_HEADER):
            caller.require("bypass")

    def test_is_not_given_to_whom_the_list_does_not_name(self, server: CertsServer) -> None:
        caller = keeper(SECOND, server.url).admit(self.sent(key("one").token()))
        assert "bypass" not in caller.may

    @pytest.mark.parametrize("second", ["nonsense", passed_on(key("one").token("on-call@example.com"))])
    def test_is_refused_with_a_token_that_does_not_hold(self, second: str, server: CertsServer) -> None:
        with pytest.raises(UnauthenticatedError):
            keeper(SECOND, server.url).admit(self.sent(second))


def unsigned(header: str, claims: str) -> str:
    """A token of these two texts."""
    parts = (base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, claims))
    return ".".join([*parts, identity.SIGNATURE_REMOVED])


DEEP = "[" * 2000
ODD = ["[]", "1", "null", '"a"', DEEP, '{"email": ' + DEEP, '{"kid": []}', '{"kid": {}, "alg": []}', "{"]


@pytest.mark.parametrize("text", ODD)
def test_whatever_is_in_a_token_it_holds_or_it_does_not(text: str, server: CertsServer) -> None:
    """401, never 500: a stranger writes what stands there."""
    for token in (unsigned(text, "{}"), unsigned("{}", text)):
        with pytest.raises(UnauthenticatedError):
            keeper(LISTED, "").admit(bearer(token))
        with pytest.raises(UnauthenticatedError):
            keeper(ID_TOKEN, server.url).admit(bearer(token.rpartition(".")[0] + ".c2lnbmVk"))


class TestAnOpenServer:
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST:1"])
    def test_takes_who_calls_it_by_its_name(self, host: str) -> None:
        ours = Doorkeeper(access.read({}, "127.0.0.1"), CertStore(""))
        assert "bypass" in ours.admit(Presented(host=host)).may

    @pytest.mark.parametrize("host", [None, "", "evil.example.com", "localhost.evil.example.com"])
    def test_refuses_the_page_that_found_a_name_for_it(self, host: str | None) -> None:
        """A web page may point a name of its own at 127.0.0.1 and then read what answers."""
        ours = Doorkeeper(access.read({}, "127.0.0.1"), CertStore(""))
        with pytest.raises(ForbiddenError):
            ours.admit(Presented(host=host))


class TestAnotherPage:
    """A web page may post to an address of this machine, and ask nobody first where the request is simple."""

    ours = Doorkeeper(access.read({}, "127.0.0.1"), CertStore(""))

    @pytest.mark.parametrize(
        "said",
        [
            {"origin": "https://evil.example.com"},
            {"origin": "null"},
            {"origin": ""},
            {"origin": "http://localhost:3000"},
            {"origin": "https://localhost:8080"},
            {"fetch_site": "cross-site"},
            {"fetch_site": "same-site"},
            {"fetch_site": "cross-site", "origin": "http://localhost:8080"},
            {"fetch_site": ""},
        ],
    )
    def test_changes_nothing(self, said: dict[str, str]) -> None:
        sent = presented(host="localhost:8080", **said)
        with pytest.raises(ForbiddenError, match="web page"):
            self.ours.admit(sent)
        assert self.ours.admit(sent._replace(changes=False)).may

    @pytest.mark.parametrize(
        "said", [{}, {"fetch_site": "none"}, {"fetch_site": "same-origin", "origin": "http://localhost:8080"}]
    )
    def test_is_none_that_is_ours_or_a_program(self, said: dict[str, str]) -> None:
        assert "start" in self.ours.admit(presented(host="localhost:8080", **said)).may


def test_keys_are_in_no_representation() -> None:
    secret = "correct-horse-battery"
    ours = partial(access.read, {variables.MODE: "api-key", variables.API_KEY: secret}, "0.0.0.0")()  # noqa: S104 (read, not bound)
    assert secret not in repr(ours)
