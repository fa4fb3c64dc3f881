"""Settings into the builder that they name."""

from __future__ import annotations

from collections.abc import Callable

from drift_gate.delivery.contracts import Builder
from drift_gate.evidence.image import Image, Reference
from drift_gate.runtime.deadline import Deadline
from drift_gate.settings.file import Settings, registry_logins
from drift_gate.settings.keys import ServiceSettings
from drift_gate.wiring.plans import process


def builder_of(
    name: str, service: ServiceSettings, settings: Settings, say: Callable[[str], object]
) -> Builder:
    """Who builds the image of the service ``name``, all of whose keys are there; ``say`` takes its lines."""
    from drift_gate.delivery.builders import cloud_build, local
    from drift_gate.delivery.builders.image import ImageBuilder
    from drift_gate.delivery.builders.tool import Tool

    image = str(service.image).replace("{service}", name)
    ask = _Asking(settings)
    if service.builder == "image":
        return ImageBuilder(image=image, ask=ask)
    source = local.Source(
        dockerfile=str(service.dockerfile),
        context="" if service.context == "." else service.context,
        target=service.stage,
        build_contexts=service.build_contexts,
    )
    if service.builder == "cloud-build":
        gcloud = Tool(name="gcloud", brings=cloud_build.BRINGS, environ=settings.environ, say=say)
        return cloud_build.CloudBuilder(image=image, project=str(service.project), tool=gcloud, source=source)
    run = local.tool(str(service.builder), settings.environ, say)
    return local.LocalBuilder(image=image, tool=run, ask=ask, source=source)


class _Asking:
    """What a registry holds under a name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, reference: Reference, within: Deadline) -> Image:
        from drift_gate.sources.http.client import Http
        from drift_gate.sources.registry.oci import Cache, Oci

        settings = self._settings
        with Http(within, ca_file=settings.ca_file, proxy=settings.proxy) as http:
            oci = Oci(
                http,
                within,
                cache=Cache(),
                token=process().clients(settings.emulator).token,
                logins=registry_logins(settings.environ),
            )
            return oci.image(reference)
