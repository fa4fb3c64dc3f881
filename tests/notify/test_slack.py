"""Slack: messages that change, inside its limits, as text; and what becomes of each of its refusals."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from support.limits import ENOUGH_S, OVER_S
from support.web import dead, raw, silent

from drift_gate.errors import SourceError
from drift_gate.journal.last_looks import LastLooks, Row
from drift_gate.journal.message_text import Message
from drift_gate.notify import slack_blocks
from drift_gate.notify.slack import Bot, IncomingWebhook
from drift_gate.runtime.deadline import Deadline
from drift_gate.sources.http.client import Http

CHANNEL = "C012ABCDEF"
TOKEN = "xoxb-1234-abcdefghijkl"
NOW = datetime(2026, 2, 5, 16, 37, tzinfo=UTC)
#: Slack's own models of its blocks. Of the two blocks of data it has none yet.
MODELS = importlib.import_module("slack_sdk.models.blocks")


class Workspace:
    """A Slack that keeps its messages; ``refusals`` are what it answers next, each once."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refusals: list[tuple[int, dict[str, str], str]] = []
        self.scopes = "chat:write,channels:read"
        self.takes_data = True
        self.channel: dict[str, Any] = {"id": CHANNEL, "is_member": True}
        workspace = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                method, _, query = self.path.removeprefix("/api/").partition("?")
                self.answer(method, dict(parse_qsl(query)))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(self.path.removeprefix("/api/"), body)

            def answer(self, method: str, body: dict[str, Any]) -> None:
                workspace.calls.append((method, body))
                status, headers, text = workspace.answer(method, body, self.headers["Authorization"])
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Workspace:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def refuse(self, error: str) -> None:
        """Answer the next call so."""
        self.refusals.append((200, {}, json.dumps({"ok": False, "error": error})))

    def answer(self, method: str, body: dict[str, Any], token: str | None) -> tuple[int, dict[str, str], str]:
        if self.refusals:
            return self.refusals.pop(0)
        refused = bool(kinds(body) & DATA) and not self.takes_data
        if method == "/hook":
            return (400, {}, "invalid_blocks") if refused else (200, {}, "ok")
        if token != f"Bearer {TOKEN}":
            return 200, {}, json.dumps({"ok": False, "error": "invalid_auth"})
        if method == "auth.test":
            said = {"ok": True, "user": "drift", "team": "Example"}
            return 200, {"x-oauth-scopes": self.scopes}, json.dumps(said)
        if method == "conversations.info":
            return 200, {}, json.dumps(self._info(body["channel"]))
        if refused:
            return 200, {}, json.dumps({"ok": False, "error": "invalid_blocks"})
        if method == "chat.update":
            if body["ts"] not in self.messages:
                return 200, {}, json.dumps({"ok": False, "error": "message_not_found"})
            stamp = body["ts"]
        else:
            stamp = f"17000000.{len(self.messages):06}"
        self.messages[stamp] = body
        return 200, {}, json.dumps({"ok": True, "channel": "C1", "ts": stamp})

    def _info(self, channel: str) -> dict[str, Any]:
        """A private channel is there only for whoever may see it."""
        scope = "groups:read" if self.channel.get("is_private") else "channels:read"
        if scope not in self.scopes.split(","):
            hidden = "channels:read" in self.scopes and not self.channel.get("is_member")
            return {"ok": False, "error": "channel_not_found" if hidden else "missing_scope"}
        found = channel == self.channel["id"]
        return {"ok": True, "channel": self.channel} if found else {"ok": False, "error": "channel_not_found"}


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as found:
        yield found


@pytest.fixture
def http() -> Iterator[Http]:
    with Http(Deadline(ENOUGH_S)) as found:
        yield found


@pytest.fixture
def bot(workspace: Workspace, http: Http) -> Bot:
    return Bot(http, SecretStr(TOKEN), "#deployments", f"{workspace.url}/api")


def told(**more: Any) -> Message:
    """A message about one incident."""
    made: dict[str, Any] = {
        "id": "worker#1/opened",
        "kind": "incident",
        "at": NOW,
        "title": "Critical: worker is 7 commits behind",
        "news": ("worker opened",),
    }
    return Message(**made | more)


DATA = {"data_table", "data_visualization"}
LOOKS = LastLooks(
    services=("worker", "api"),
    rows=tuple(
        Row(at=NOW + timedelta(hours=hours), words=words, behind=behind)
        for hours, words, behind in (
            (0, ("identical", "identical"), (0, 0)),
            (2, ("behind, 3", "identical"), (3, 0)),
            (4, ("behind, 3", "unknown: timeout"), (3, None)),
            (6, ("behind, 7", "not looked at"), (7, None)),
            (8, ("identical", "identical"), (0, 0)),
        )
    ),
    more_services=2,
)


def kinds(body: dict[str, Any]) -> set[str]:
    """The types of the blocks in what Slack was sent."""
    return {block["type"] for block in body.get("blocks", [])}


class TestABot:
    def test_posts_a_message_and_then_changes_it_with_its_history_in_a_thread(
        self, bot: Bot, workspace: Workspace
    ) -> None:
        place = bot.send(told()).place
        assert place == "C1:17000000.000000"
        again = bot.send(told(place=place, title="Resolved after 3 h", news=("worker was resolved",)))
        assert again.place == place
        assert [method for method, _ in workspace.calls] == [
            "chat.postMessage",
            "chat.update",
            "chat.postMessage",
        ]
        assert workspace.messages["17000000.000000"]["text"].startswith("Resolved after 3 h")
        reply = workspace.calls[-1][1]
        assert (reply["thread_ts"], reply["text"]) == ("17000000.000000", "worker was resolved")

    def test_posts_a_new_one_where_the_old_one_was_deleted(self, bot: Bot, workspace: Workspace) -> None:
        assert bot.send(told(place="C1:1.0")).place == "C1:17000000.000000"
        assert [method for method, _ in workspace.calls] == ["chat.update", "chat.postMessage"]

    def test_says_it_without_blocks_where_they_are_refused(self, bot: Bot, workspace: Workspace) -> None:
        workspace.refuse("invalid_blocks")
        bot.send(told())
        assert ["blocks" in body for _, body in workspace.calls] == [True, False]
        assert workspace.calls[1][1]["text"] == "Critical: worker is 7 commits behind\nworker opened"

    def test_says_it_without_the_last_looks_where_only_those_are_refused(
        self, bot: Bot, workspace: Workspace
    ) -> None:
        workspace.takes_data = False
        bot.send(told(looks=LOOKS))
        bot.send(told(place="C1:17000000.000000", looks=LOOKS))
        assert [kinds(body) & DATA for _, body in workspace.calls] == [DATA, set(), DATA, set(), set()]
        assert "header" in kinds(workspace.messages["17000000.000000"])

    def test_waits_as_long_as_it_is_asked_to(self, bot: Bot, workspace: Workspace) -> None:
        workspace.refusals.append((429, {"Retry-After": "0"}, '{"ok":false,"error":"ratelimited"}'))
        bot.send(told())
        assert len(workspace.calls) == 2

    def test_does_not_wait_longer_than_there_is_time(self, workspace: Workspace, http: Http) -> None:
        workspace.refusals.append((429, {"Retry-After": "3600"}, '{"ok":false,"error":"ratelimited"}'))
        with pytest.raises(SourceError) as caught:
            Bot(http, SecretStr(TOKEN), "#x", f"{workspace.url}/api").send(told())
        assert (caught.value.cause, caught.value.retry_after) == ("rate-limited", 3600)

    @pytest.mark.parametrize(
        ("code", "cause", "retryable"),
        [
            ("channel_not_found", "not-found", False),
            ("token_revoked", "credentials", False),
            ("not_in_channel", "permission-denied", False),
            ("ratelimited", "rate-limited", True),
            ("internal_error", "unavailable", True),
            ("who_knows", "invalid-response", False),
        ],
    )
    def test_names_what_slack_refuses(
        self, bot: Bot, workspace: Workspace, code: str, cause: str, retryable: bool
    ) -> None:
        workspace.refuse(code)
        with pytest.raises(SourceError, match=code) as caught:
            bot.send(told())
        assert (caught.value.cause, caught.value.retryable) == (cause, retryable)
        assert TOKEN not in f"{caught.value!r} {bot!r}"

    def test_is_not_sent_again_where_it_may_have_arrived(self, bot: Bot, workspace: Workspace) -> None:
        workspace.refusals.append((503, {}, ""))
        with pytest.raises(SourceError):
            bot.send(told())
        assert len(workspace.calls) == 1

    def test_of_nobody_and_of_nonsense(self, bot: Bot, workspace: Workspace, http: Http) -> None:
        workspace.refusals.append((200, {}, "<html>"))
        with pytest.raises(SourceError, match="no JSON"):
            bot.send(told())
        workspace.refusals.append((200, {}, "[]"))
        with pytest.raises(SourceError, match="refuses"):
            bot.send(told())
        with dead() as port, pytest.raises(SourceError):
            Bot(http, SecretStr(TOKEN), "#x", f"http://127.0.0.1:{port}/api").send(told())

    def test_of_somebody_who_says_nothing_ends_with_the_deadline(self) -> None:
        with raw(silent) as port, Http(Deadline(OVER_S)) as http, pytest.raises(SourceError) as caught:
            Bot(http, SecretStr(TOKEN), "#x", f"http://127.0.0.1:{port}/api").send(told())
        assert (caught.value.cause, caught.value.retryable) == ("timeout", True)

    def test_is_looked_at_without_a_message(self, workspace: Workspace, http: Http) -> None:
        bot = Bot(http, SecretStr(TOKEN), CHANNEL, f"{workspace.url}/api")
        assert bot.look() == f"drift of Example may write; it has joined {CHANNEL}"
        workspace.scopes = "channels:read"
        with pytest.raises(SourceError, match="lacks chat:write"):
            bot.look()
        assert workspace.messages == {}

    @pytest.mark.parametrize(
        ("scopes", "channel", "says"),
        [
            ("", {"is_member": True}, "is not known: for that the token needs channels:read"),
            ("channels:read", {"is_private": True}, "is not known: for that the token needs"),
            ("channels:read,chat:write.public", {}, "and may write there all the same"),
        ],
    )
    def test_says_why_it_does_not_know_whether_it_is_in_the_channel(
        self, workspace: Workspace, http: Http, scopes: str, channel: dict[str, Any], says: str
    ) -> None:
        workspace.scopes, workspace.channel = f"chat:write,{scopes}", {"id": CHANNEL} | channel
        assert says in Bot(http, SecretStr(TOKEN), CHANNEL, f"{workspace.url}/api").look()

    def test_is_not_asked_about_a_channel_that_it_has_the_name_of(
        self, bot: Bot, workspace: Workspace
    ) -> None:
        assert "#deployments is not known: Slack says that of an id alone" in bot.look()
        assert [method for method, _ in workspace.calls] == ["auth.test"]

    @pytest.mark.parametrize(
        ("channel", "says"),
        [
            ({"is_member": False}, "until somebody invites @drift: not_in_channel"),
            ({"is_member": False, "is_private": True}, "invites @drift: not_in_channel"),
            ({"is_member": True, "is_archived": True}, "is_archived"),
            ({"id": "C999999999"}, "channel_not_found"),
        ],
    )
    def test_whose_messages_cannot_arrive_says_so(
        self, workspace: Workspace, http: Http, channel: dict[str, Any], says: str
    ) -> None:
        anywhere = ",chat:write.public" if channel.get("is_private") else ""
        workspace.scopes = f"chat:write,channels:read,groups:read{anywhere}"
        workspace.channel = {"id": CHANNEL} | channel
        with pytest.raises(SourceError, match=says):
            Bot(http, SecretStr(TOKEN), CHANNEL, f"{workspace.url}/api").look()


class TestAnIncomingWebhook:
    def test_posts_a_new_message_each_time(self, workspace: Workspace, http: Http) -> None:
        hook = IncomingWebhook(http, SecretStr(f"{workspace.url}/hook"))
        place = hook.send(told()).place
        assert hook.send(told(place=place)).place == place == "worker#1/opened"
        assert [sorted(body) for _, body in workspace.calls] == [["blocks", "text"]] * 2

    def test_says_it_without_blocks_where_they_are_refused(self, workspace: Workspace, http: Http) -> None:
        workspace.refusals.append((400, {}, "invalid_blocks"))
        IncomingWebhook(http, SecretStr(f"{workspace.url}/hook")).send(told())
        assert [sorted(body) for _, body in workspace.calls] == [["blocks", "text"], ["text"]]

    def test_says_it_without_the_last_looks_where_only_those_are_refused(
        self, workspace: Workspace, http: Http
    ) -> None:
        workspace.takes_data = False
        IncomingWebhook(http, SecretStr(f"{workspace.url}/hook")).send(told(looks=LOOKS))
        assert [kinds(body) & DATA for _, body in workspace.calls] == [DATA, set()]

    def test_keeps_its_address_to_itself(self, workspace: Workspace, http: Http) -> None:
        with raw(silent) as port, Http(Deadline(OVER_S)) as brief, pytest.raises(SourceError) as late:
            IncomingWebhook(brief, SecretStr(f"http://127.0.0.1:{port}/hook/T0/B0/s3cret")).send(told())
        assert (late.value.cause, "s3cret" in f"{late.value!r}") == ("timeout", False)
        hook = IncomingWebhook(http, SecretStr(f"{workspace.url}/hook/T0/B0/s3cret"))
        for status, text in ((400, "invalid_payload"), (404, "no_service"), (500, "")):
            workspace.refusals.append((status, {}, text))
            with pytest.raises(SourceError) as caught:
                hook.send(told())
            assert "s3cret" not in f"{caught.value!r} {hook!r}"


def strings(value: object) -> Iterator[str]:
    """Every text in a block."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "text" and isinstance(each, str):
                yield each
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def assert_inside_the_limits(message: Message) -> None:
    """Slack's limits, as its reference and its own models have them."""
    plain, data = slack_blocks.blocks(message), slack_blocks.data_blocks(message)
    assert len([*plain, *data]) <= 50
    for block in plain:
        MODELS.Block.parse(block).validate_json()
        # What the models leave to Slack.
        assert all(1 <= len(each["text"]) <= 2000 for each in block.get("fields", []))
        assert len(block.get("text", {"text": "x"})["text"]) >= 1
    for block in data:
        {"data_table": assert_is_a_table, "data_visualization": assert_is_a_chart}[block["type"]](block)
    assert 1 <= len(slack_blocks.text(message)) <= 3000
    assert len(slack_blocks.news(message)) <= 3000
    for each in (*strings([*plain, *data]), slack_blocks.text(message), slack_blocks.news(message)):
        assert "<" not in each
        assert ">" not in each
        assert all(char.isprintable() or char == "\n" for char in each)


def assert_is_a_table(block: dict[str, Any]) -> None:
    """The limits of https://docs.slack.dev/reference/block-kit/blocks/data-table-block."""
    assert block["caption"]
    rows = block["rows"]
    assert 2 <= len(rows) <= 101
    assert 1 <= len(rows[0]) <= 20
    assert {len(row) for row in rows} == {len(rows[0])}
    cells = [cell for row in rows for cell in row]
    assert all(cell["type"] == "raw_text" and cell["text"] for cell in cells)
    assert sum(len(cell["text"]) for cell in cells) <= 10_000


def assert_is_a_chart(block: dict[str, Any]) -> None:
    """The limits of https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block."""
    assert 1 <= len(block["title"]) <= 50
    chart, axes = block["chart"], block["chart"]["axis_config"]
    assert chart["type"] == "line"
    assert max(len(axes["x_label"]), len(axes["y_label"])) <= 50
    labels, names = axes["categories"], [each["name"] for each in chart["series"]]
    assert 1 <= len(names) <= 6
    assert 1 <= len(labels) <= 20
    for words in (labels, names):
        assert len(set(words)) == len(words)
        assert all(1 <= len(word) <= 20 for word in words)
    for series in chart["series"]:
        assert [point["label"] for point in series["data"]] == labels
        assert all(isinstance(point["value"], int) for point in series["data"])


HOSTILE = ("x" * 3000, "&" * 3000, "<!channel> <@U012ABCDEF> `rm`", "\x1b[31mred\u202e", "", ":tada: *b*")


class TestBlocks:
    @pytest.mark.heavy
    def test_of_two_hundred_commits_say_how_many_are_left_out(self) -> None:
        message = told(commits=tuple(f"{n:012x} {'s' * 3000} (ann)" for n in range(200)), more_commits=41)
        assert_inside_the_limits(message)
        last = slack_blocks.blocks(message)[-1]["text"]["text"].split("\n")
        assert (last[0], last[-1]) == ("Missing:", f"and {241 - (len(last) - 2):,} more")
        assert len(last) > 10

    @given(
        texts=st.lists(st.sampled_from(HOSTILE) | st.text(max_size=400), min_size=1, max_size=40),
        more=st.integers(0, 10_000),
        minutes=st.lists(st.floats(0, 1e5), max_size=20),
    )
    def test_stay_inside_the_limits_and_are_text_whatever_comes(
        self, texts: list[str], more: int, minutes: list[float]
    ) -> None:
        few = texts[:6]
        looks = LastLooks(
            services=tuple(few),
            rows=tuple(
                Row(at=NOW + timedelta(minutes=each), words=tuple(few), behind=(more,) * len(few))
                for each in minutes
            ),
            more_services=more,
        )
        assert_inside_the_limits(
            told(
                title=texts[0] or "-",
                news=tuple(texts),
                facts=tuple((each, each) for each in texts),
                commits=tuple(texts),
                history=tuple(texts),
                more_commits=more,
                looks=looks,
            )
        )

    def test_of_the_last_looks_draw_no_line_through_what_nobody_knows(self) -> None:
        table, chart = slack_blocks.data_blocks(told(looks=LOOKS))
        assert table["caption"] == "The last looks, the newest first, without 2 more services"
        assert [[cell["text"] for cell in row] for row in table["rows"]][:3] == [
            ["Look (UTC)", "worker", "api"],
            ["2026-02-06 00:37", "identical", "identical"],
            ["2026-02-05 22:37", "behind, 7", "not looked at"],
        ]
        assert chart["chart"]["axis_config"]["categories"] == ["02-05 16:37", "02-05 18:37", "02-06 00:37"]
        assert {
            each["name"]: [point["value"] for point in each["data"]] for each in chart["chart"]["series"]
        } == {"worker": [0, 3, 0], "api": [0, 0, 0]}

    def test_of_no_look_and_of_one_are_no_chart(self) -> None:
        assert slack_blocks.data_blocks(told()) == []
        once = LOOKS.model_copy(update={"rows": LOOKS.rows[:1]})
        assert [each["type"] for each in slack_blocks.data_blocks(told(looks=once))] == ["data_table"]

    def test_show_a_stranger_s_markup_as_it_is(self) -> None:
        message = told(commits=("abc Fix <!channel> & `this` <@U012ABCDEF> (e\x1bve)",))
        shown = slack_blocks.blocks(message)[-1]["text"]
        assert shown == {
            "type": "plain_text",
            "emoji": False,
            "text": "Missing:\nabc Fix &lt;!channel&gt; &amp; `this` &lt;@U012ABCDEF&gt; (e ve)",
        }

    def test_mention_the_owners_and_nobody_else(self) -> None:
        message = told(owners=("U012ABCDEF", "S012ABCDEF", "ann@example.com"))
        mentions = "<@U012ABCDEF> <!subteam^S012ABCDEF>"
        assert slack_blocks.blocks(message)[1]["text"] == {"type": "mrkdwn", "text": mentions}
        assert slack_blocks.text(message).split("\n")[:2] == mentions.split()
