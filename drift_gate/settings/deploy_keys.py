"""The keys of ``[deploy]``: their types and defaults. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from drift_gate.facts import Fact
from drift_gate.runtime.values import Texts
from drift_gate.settings.quantities import Duration, PositiveDuration, whole

BuilderName = Literal["cloud-build", "buildah", "docker", "image"]
_UpToHundred = Annotated[int, Field(ge=1, le=100), BeforeValidator(whole)]


def _all_at_last(steps: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({*steps, 100}))


#: Rising percents; the last is 100, written or not.
Steps = Annotated[
    tuple[_UpToHundred, ...],
    AfterValidator(_all_at_last),
    Field(title="a list of percents such as [10, 50]"),
]


class DeployKeys(Fact, defer_build=True):  # nobody makes one: its keys are those of a service
    """``[deploy]``: how a service is built, released, proved and watched.

    ``builder`` None: ``deployment-drift deploy`` does not deploy it. ``image``: where its images are kept,
    with ``{service}`` for its name; of the builder ``image`` the image itself, with ``{commit}``.
    ``traffic``: the percents that the new revision gets one after the other. ``watch``: seconds after each of
    them in which it has to stay healthy. ``smoke``: a command with its arguments, run against the candidate.
    """

    builder: BuilderName | None = None
    image: Annotated[
        str | None,
        Field(
            pattern=r"^(?:[a-z0-9._:/@-]|\{service\}|\{commit\})+$",
            title="the name of an image",
            examples=["us-west2-docker.pkg.dev/example-project/images/{service}"],
        ),
    ] = None
    traffic: Steps = (100,)
    healthy_answers: _UpToHundred = 3
    watch: Duration = 60.0
    smoke: Texts = ()
    smoke_timeout: PositiveDuration = 300.0
    build_timeout: PositiveDuration = 1800.0
    release_timeout: PositiveDuration = 600.0
