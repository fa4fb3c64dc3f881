"""A message as Slack takes it: blocks inside its limits, whatever comes, and all of it text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from drift_gate.journal.last_looks import LastLooks
from drift_gate.journal.message_text import Message
from drift_gate.sources.one_line import one_line

#: Slack's limits in characters, as the reference of its Block Kit has them, and the most fields of a section.
HEADER, SECTION, FIELD, FIELDS = 150, 3000, 2000, 10
#: Its limits of a chart: characters of the name of a line and of a title. All cells of a message's tables may
#: have 10,000 characters together, of which ours have less than half.
SERIES, TITLE, CELL = 20, 50, 30
#: Characters of one line of a list: whole subjects are for git.
_LINE = 200
_CONTROL = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

Block = dict[str, Any]


def escaped(text: str, limit: int) -> str:
    """``text`` on one line, its control characters as Slack wants them, at most ``limit`` of them."""
    line = one_line(text, limit) or "–"
    pieces = [_CONTROL.get(char, char) for char in line]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    ends = accumulate(map(len, pieces))
    return "".join(piece for piece, end in zip(pieces, ends, strict=True) if end < limit) + "…"


def text(message: Message) -> str:
    """What stands for the message where no blocks are shown: in a notification, or where they are refused."""
    lines = [escaped(message.title, HEADER), *_lines(message.news, 0, SECTION - HEADER - 300)]
    return "\n".join([*_mentions(message), *lines])


def news(message: Message) -> str:
    """What goes into the message's thread: what just happened."""
    return "\n".join([*_mentions(message), *_lines(message.news, 0, SECTION - 300)])


def blocks(message: Message) -> list[Block]:
    """Header, news, facts, what is missing, and what happened so far."""
    found: list[Block] = [{"type": "header", "text": _plain_text(escaped(message.title, HEADER))}]
    if mentions := list(_mentions(message)):
        # The only markup: ids out of the settings, of a shape that the settings have checked.
        found.append({"type": "section", "text": {"type": "mrkdwn", "text": " ".join(mentions)}})
    if message.news:
        found.append(_section(_lines(message.news, 0, SECTION)))
    if message.facts:
        fields = [_field(word, value) for word, value in message.facts[:FIELDS]]
        found.append({"type": "section", "fields": fields})
    for head, lines, more in (
        ("Missing:", message.commits, message.more_commits),
        ("So far:", message.history, 0),
        *((f"{escaped(title, HEADER)}:", lines, 0) for title, lines in message.sections),
    ):
        if lines:
            found.append(_section([head, *_lines(lines, more, SECTION - len(head) - 1)]))
    return found


def data_blocks(message: Message) -> list[Block]:
    """The last looks as a table and as a chart, which not every workspace takes; none where nobody looked."""
    looks = message.looks
    if not looks.rows:
        return []
    return [_table(looks), *_chart(looks)]


def _table(looks: LastLooks) -> Block:
    more = f", without {looks.more_services:,} more services" if looks.more_services else ""
    head = ["Look (UTC)", *looks.services]
    rows = [[f"{row.at:%Y-%m-%d %H:%M}", *row.words] for row in reversed(looks.rows)]
    return {
        "type": "data_table",
        "caption": f"The last looks, the newest first{more}",
        "rows": [
            [{"type": "raw_text", "text": escaped(cell, CELL)} for cell in cells] for cells in (head, *rows)
        ],
    }


def _chart(looks: LastLooks) -> Iterator[Block]:
    """A line for each service, over the looks that found out about all of them: a gap is no zero.

    Two looks of one minute are one point, as their labels have to differ. None where that leaves no line.
    """
    points = {f"{row.at:%m-%d %H:%M}": row.behind for row in looks.rows if None not in row.behind}
    if len(points) < 2:
        return
    yield {
        "type": "data_visualization",
        "title": "Undeployed commits, look by look",
        "chart": {
            "type": "line",
            "series": [
                {
                    "name": name,
                    "data": [{"label": label, "value": behind[at]} for label, behind in points.items()],
                }
                for at, name in enumerate(_series(looks.services))
            ],
            "axis_config": {
                "categories": list(points),
                "x_label": "look (UTC)",
                "y_label": "undeployed commits",
            },
        },
    }


def _series(services: Sequence[str]) -> list[str]:
    """Their names, cut to what a chart takes; numbered where they no longer differ, as they have to."""
    names = [escaped(each, SERIES) for each in services]
    if len(set(names)) == len(names):
        return names
    return [f"{number}: {escaped(each, SERIES - 4)}" for number, each in enumerate(services, 1)]


def _section(lines: Iterable[str]) -> Block:
    return {"type": "section", "text": _plain_text("\n".join(lines))}


def _field(word: str, value: str) -> Block:
    head = escaped(word, HEADER)
    return _plain_text(f"{head}\n{escaped(value, FIELD - len(head) - 1)}")


def _plain_text(text: str) -> Block:
    # A commit's `:tada:` stays what it is.
    return {"type": "plain_text", "text": text, "emoji": False}


def _lines(lines: Iterable[str], more: int, limit: int) -> list[str]:
    """As many ``lines`` as ``limit`` characters hold, and how many are left out, with ``more``."""
    told = [escaped(line, _LINE) for line in lines]
    last = f"and {len(told) + more:,} more"
    shown: list[str] = []
    room = limit - len(last)
    for line in told:
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    left_out = len(told) - len(shown) + more
    return [*shown, f"and {left_out:,} more"] if left_out else shown


def _mentions(message: Message) -> Iterator[str]:
    for each in message.owners:
        if "@" not in each:
            yield f"<!subteam^{each}>" if each.startswith("S") else f"<@{each}>"
