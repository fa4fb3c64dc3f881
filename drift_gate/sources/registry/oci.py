"""Images in a registry, through the HTTP API of the OCI distribution specification.

Every document is held against its digest, so that it is the one that was asked for, whoever delivered it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import SplitResult, urlencode, urlsplit

from pydantic import BaseModel, Field, SecretStr

from drift_gate.errors import SourceError
from drift_gate.evidence.image import Image, Reference
from drift_gate.runtime.deadline import Deadline
from drift_gate.runtime.memory import Recent
from drift_gate.sources.http.client import Answer, Http
from drift_gate.sources.http.network import is_loopback
from drift_gate.sources.lazy_answer import LazyAnswer
from drift_gate.sources.one_line import one_line

#: What an index and a manifest are called, by the OCI and by Docker.
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
#: Bytes of a document that are read: registries themselves take no manifest over 4 MB.
DOCUMENT_LIMIT = 4_000_000
#: A label that is longer than this many characters names no commit, and more of them are no labels.
_LABEL_LENGTH, _MOST_LABELS = 1000, 200
#: Where Cloud Run runs, whatever else an image was built for.
_PLATFORM = ("linux", "amd64")

#: Docker Hub answers under another name than its images have, and lets yet another one check passwords.
_API_HOSTS = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
REALMS: Mapping[str, Collection[str]] = {"registry-1.docker.io": ("auth.docker.io",)}

#: A Google access token that is good at this moment, inside the deadline. Raises ``SourceError``.
Token = Callable[[Deadline], str]
#: User and password for a registry, by its host.
Logins = Mapping[str, tuple[str, SecretStr]]

#: Images by their digest, which never change.
Cache = Recent[str, Image]

D = TypeVar("D", bound=BaseModel)


class _Platform(BaseModel):
    os: str = ""
    architecture: str = ""


class _Descriptor(BaseModel):
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    platform: _Platform | None = None


class _Manifest(BaseModel):
    """An index has ``manifests``, a manifest has a ``config``; what has neither is of a form before both."""

    config: _Descriptor | None = None
    manifests: list[_Descriptor] | None = Field(default=None, max_length=1000)


class _Settings(BaseModel):
    labels: dict[str, str] | None = Field(default=None, alias="Labels")


class _Config(BaseModel):
    config: _Settings | None = None
    created: str | None = None


class Oci:
    """The registries of one check.

    ``token`` is asked for Google's registries alone, ``logins`` only for the host that it names. A
    password goes to the registry's own host, and to those that ``realms`` allows for it.
    """

    def __init__(
        self,
        http: Http,
        deadline: Deadline,
        *,
        cache: Cache,
        token: Token | None = None,
        logins: Logins | None = None,
        realms: Mapping[str, Collection[str]] = REALMS,
    ) -> None:
        self._http = http
        self._cache = cache
        self._logins = logins or {}
        self._realms = realms
        self._google = LazyAnswer(lambda: token(deadline)) if token else None
        self._granted: dict[tuple[str, str], str] = {}

    def image(self, reference: Reference) -> Image:
        """The image that ``reference`` names by its digest, or else that its tag holds now.

        Of several platforms it is linux/amd64, or the only one. Raises ``SourceError``.
        """
        known = self._cache.get(reference.digest) if reference.digest else None
        if known:
            return known
        digest, manifest = self._manifest(reference)
        known = self._cache.get(digest)
        if known:
            return known
        if manifest.manifests is not None:
            manifest = self._child(reference, _chosen(manifest.manifests, reference).digest)
        if manifest.config is None:
            raise _nonsense(reference, "a manifest without a configuration")
        image = self._configured(reference, digest, manifest.config.digest)
        self._cache.put(digest, image)
        return image

    def _manifest(self, reference: Reference) -> tuple[str, _Manifest]:
        """The manifest or index and its digest, which the bytes must have where it is known."""
        path = f"manifests/{reference.digest or reference.tag}"
        answer = self._get(reference, path, f"the manifest of {reference}", (*_INDEXES, *_MANIFESTS))
        digest = _verified(answer, reference.digest or answer.headers.get("docker-content-digest"), reference)
        return digest, _parsed(_Manifest, answer, reference)

    def _child(self, reference: Reference, digest: str) -> _Manifest:
        """A manifest out of an index. That it is not there is no answer: the image itself was found."""
        try:
            return self._manifest(Reference(reference.host, reference.name, digest=digest))[1]
        except SourceError as error:
            if error.cause != "not-found":
                raise
            raise SourceError(f"of {reference}: {error.message}", "unavailable", True) from error

    def _configured(self, reference: Reference, digest: str, config: str) -> Image:
        answer = self._get(reference, f"blobs/{config}", f"the configuration of {reference}", ("*/*",))
        _verified(answer, config, reference)
        said = _parsed(_Config, answer, reference)
        labels = ((said.config.labels if said.config else None) or {}).items()
        short = [(key, value) for key, value in labels if len(key) + len(value) <= _LABEL_LENGTH]
        return Image(
            digest=digest,
            config=config,
            labels=dict(short[:_MOST_LABELS]),
            created=_moment(said.created),
        )

    # The way in

    def _get(self, reference: Reference, path: str, what: str, accept: Collection[str]) -> Answer:
        base = _base(reference.host)
        url = f"{base}/v2/{reference.name}/{path}"
        headers = {"Accept": ", ".join(accept)}
        known = self._known(reference)
        asks = (401,) if known is None else ()
        credentials = {"Authorization": known} if known else {}
        answer = self._http.get(
            url, what, headers=headers, credentials=credentials, limit=DOCUMENT_LIMIT, also=asks
        )
        if answer.status != 401:
            return answer
        if urlsplit(answer.url).hostname != urlsplit(base).hostname:
            sentence = f"asked about {what}, {reference.host} sent us to a host that asks for a password"
            raise SourceError(sentence, "credentials", False)
        granted = self._enter(reference, answer.headers.get("www-authenticate", ""), what)
        self._granted[reference.host, reference.name] = granted
        return self._http.get(
            url, what, headers=headers, credentials={"Authorization": granted}, limit=DOCUMENT_LIMIT
        )

    def _known(self, reference: Reference) -> str | None:
        """What opens the door without knocking; None where the registry has to say what it wants."""
        if self._google and is_google(reference.host):
            return f"Bearer {self._google.get()}"
        return self._granted.get((reference.host, reference.name))

    def _enter(self, reference: Reference, challenge: str, what: str) -> str:
        """The header that answers ``challenge``, a ``WWW-Authenticate``. Raises ``SourceError``."""
        login = self._logins.get(reference.host)
        wanted = re.search(r"\bBearer\s+(.*)", challenge, re.IGNORECASE | re.DOTALL)
        if wanted:
            parameters = dict(re.findall(r'(?<!\w)(\w+)="([^"]*)"', wanted[1]))
            return f"Bearer {self._grant(reference, parameters, login, what)}"
        if login and re.search(r"\bBasic\b", challenge, re.IGNORECASE):
            return _basic(login)
        raise SourceError(f"{reference.host} asks for a password to show {what}", "credentials", False)

    def _grant(
        self,
        reference: Reference,
        parameters: Mapping[str, str],
        login: tuple[str, SecretStr] | None,
        what: str,
    ) -> str:
        """A token from the realm that the registry names, for reading this one repository and no more."""
        realm = parameters.get("realm", "")
        credentials = {"Authorization": _basic(login)} if login else {}
        self._trusted(reference, realm, bool(login))
        query = {"scope": f"repository:{reference.name}:pull"}
        if "service" in parameters:
            query["service"] = parameters["service"]
        url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"
        answer = self._http.get(url, f"a token for {what}", credentials=credentials)
        try:
            said = answer.json()
            token = said.get("token") or said.get("access_token")
        except (ValueError, AttributeError) as error:
            raise _nonsense(reference, "a token that is no JSON") from error
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,20000}", token):
            raise _nonsense(reference, "a token that is none")
        return token

    def _trusted(self, reference: Reference, realm: str, secret: bool) -> None:
        """Nothing is asked of a realm that its registry may not name; a password goes to few of them.

        A registry of the network must not make us talk to this machine, and not without TLS.
        """
        base, there = urlsplit(_base(reference.host)), _split(realm)
        if there is not None:
            if (there.scheme, there.netloc) == (base.scheme, base.netloc):
                return
            allowed = there.netloc in self._realms.get(base.netloc, ())
            if there.scheme == "https" and (allowed or not secret):
                return
        sentence = (
            f"{reference.host} wants a token fetched from {one_line(realm) or 'nowhere'}, where nobody asks"
        )
        raise SourceError(sentence, "credentials", False)


def is_google(host: str) -> bool:
    """Whether ``host`` is one of Google's registries, which alone may see a Google token."""
    return host == "gcr.io" or host.endswith((".gcr.io", ".pkg.dev"))


def _base(host: str) -> str:
    scheme = "http" if is_loopback(host.partition(":")[0]) else "https"
    return f"{scheme}://{_API_HOSTS.get(host, host)}"


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _basic(login: tuple[str, SecretStr]) -> str:
    user, password = login
    return f"Basic {base64.b64encode(f'{user}:{password.get_secret_value()}'.encode()).decode()}"


def _chosen(manifests: list[_Descriptor], reference: Reference) -> _Descriptor:
    """The image for Cloud Run's platform, or the only one; what a build attests of itself is no image."""
    known = [each for each in manifests if each.platform is None or each.platform.os != "unknown"]
    fitting = [
        each
        for each in known
        if each.platform and (each.platform.os, each.platform.architecture) == _PLATFORM
    ]
    if fitting or len(known) == 1:
        return (fitting or known)[0]
    raise SourceError(f"{reference} holds no image for linux/amd64", "not-found", False)


def _verified(answer: Answer, wanted: str | None, reference: Reference) -> str:
    """The digest of the bytes, if it is the ``wanted`` one (None: any). Raises ``SourceError``."""
    digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
    if wanted not in (None, digest):
        raise _nonsense(reference, "a document that has another digest")
    return digest


def _parsed(kind: type[D], answer: Answer, reference: Reference) -> D:
    try:
        return kind.model_validate_json(answer.body)
    except ValueError as error:
        raise _nonsense(reference, "a document of another form") from error


def _nonsense(reference: Reference, what: str) -> SourceError:
    sentence = f"{reference.host} answered nonsense about {reference}: {what}"
    return SourceError(sentence, "invalid-response", False)


def _moment(text: str | None) -> datetime | None:
    """A time of a configuration, in UTC; None where it makes no sense: it only adds to what is known."""
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
