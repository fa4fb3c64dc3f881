"""3. and 4. The image of a commit, from a clean export of it, by digest."""

from __future__ import annotations

from drift_gate.delivery.run import Run
from drift_gate.runtime.deadline import Deadline


def make(run: Run) -> str:
    """``IMAGE@sha256:…``; one that this deploy has pushed before is that. Raises ``BuildError``."""
    if run.deploy.image is not None:
        return run.deploy.image
    parts, commit = run.parts, run.deploy.commit
    within = Deadline(parts.limits.build_timeout, parts.clock.monotonic)
    with run.step("build") as step:
        with parts.export(commit) as export:
            built = parts.builder.build(export, within)
        step.said = f"built from a clean export of {commit[:12]}"
    with run.step("push") as step:
        image = parts.builder.push(built, within)
        step.said, step.fields = image, {"image": image}
    return image
