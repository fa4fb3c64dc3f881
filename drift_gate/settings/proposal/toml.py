"""A proposal as the text of ``drift.toml``."""

from __future__ import annotations

import json
from collections.abc import Iterator

from drift_gate.settings.proposal.gcloud import Told
from drift_gate.settings.proposal.plan import Proposal, Service

#: Where the first line of the file finds the schema.
SCHEMA = ".drift/drift.schema.json"
#: The column at which a remark begins, where the line leaves room.
_REMARK = 36
#: Columns of a line with its remark; a longer remark stands above.
_LONGEST = 110


def written(proposal: Proposal) -> str:
    """The whole file."""
    return "\n".join([*_head(proposal), *(line for each in proposal.services for line in _service(each)), ""])


def _head(proposal: Proposal) -> Iterator[str]:
    yield f"#:schema {SCHEMA}"
    yield ""
    yield "[defaults]"
    yield _told("project", proposal.project, "gcloud projects list")
    yield _told("region", proposal.region, "gcloud run services list, for instance us-west2")
    yield _line("target_ref", proposal.ref.value, proposal.ref.by)
    yield ""
    yield "[policy]"
    yield _line("enforcement", "warn", "judges and refuses nothing; delete this line to refuse")
    if proposal.batch is not None:
        yield ""
        yield "[batch]"
        yield _line("requires", proposal.batch, "the one that has to be current before a batch starts")


def _service(service: Service) -> Iterator[str]:
    match, rules = service.match, service.rules
    yield ""
    yield f"[services.{match.name}]" + ("  # a guess: the name that Cloud Run knows" if match.guess else "")
    if match.kind != "service":
        yield _line("kind", match.kind)
    if rules.dockerfile is not None:
        yield _line("dockerfile", rules.dockerfile, match.made.because)
        if rules.stage is not None:
            yield _line("stage", rules.stage)
        if rules.context != ".":
            yield _line("context", rules.context)
    elif rules.paths is not None:
        yield _line("paths", list(rules.paths), match.made.because)
    else:
        if match.made.resembling:
            yield _line(
                "# dockerfile", match.made.resembling, "if it is built from that: nothing here says so"
            )
        yield _line(
            "ignore", ["/drift.toml"], "everything else in the repository counts, until paths says less"
        )


def _told(key: str, told: Told | None, where: str) -> str:
    return (
        _line(key, told.value, told.by)
        if told
        else f'# {key} = "…"'.ljust(_REMARK) + f"# left to you: {where}"
    )


def _line(key: str, value: str | list[str], remark: str = "") -> str:
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    whole = f"{line.ljust(_REMARK - 1)} # {remark}" if remark else line
    return whole if len(whole) <= _LONGEST else f"# {remark}\n{line}"
