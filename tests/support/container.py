"""Images without a container engine: Debian's buildah builds and unpacks them, chroot starts what they hold.

Needs root, and Debian's buildah and debootstrap.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What a Python is linked to, in the words of the Debian whose libraries the machine's own Python has.
DEBIAN, LIBRARIES = (
    "bookworm",
    (
        *("ca-certificates", "libbz2-1.0", "libexpat1", "libffi8", "liblzma5", "libreadline8"),
        *("libsqlite3-0", "libssl3", "libuuid1", "zlib1g"),
    ),
)
#: Where python:3.12-slim has its programs, and where the base keeps the certificates that builds trust.
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = "/usr/local/share/ca-certificates.pem"
#: A process in a root of its own: devices and processes as in a container, user and folder as its image says.
_INSIDE = """
root=$0 user=$1 place=$2; shift 2
mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc"
exec chroot --userspec="$user" "$root" env --chdir="$place" "$@"
"""


def run(*command: str | Path) -> str:
    """What ``command`` prints; raises with all that it said where it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@dataclass(frozen=True)
class Images:
    """The images that are kept below ``folder``."""

    folder: Path

    def buildah(self, *arguments: str | Path) -> str:
        kept = ("--root", self.folder / "root", "--runroot", self.folder / "run", "--storage-driver", "vfs")
        return run("buildah", *kept, *arguments)

    def build(self, name: str, context: Path, dockerfile: str = "Dockerfile", **arguments: str) -> None:
        """Build ``name`` out of what is here; no registry is asked for a base."""
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        how = ["build", "--isolation", "chroot", "--network", "host", "--pull-never", "--tag", name]
        self.buildah(*how, *given, "--file", context / dockerfile, context)

    def push(self, name: str, place: str) -> str:
        """Push ``name`` to ``place`` of a registry on this machine; its name by digest."""
        noted = self.folder / "digest"
        self.buildah("push", "--tls-verify=false", "--digestfile", noted, name, f"docker://{place}")
        return f"{place.rpartition(':')[0]}@{noted.read_text()}"

    def unpack(self, image: str) -> Container:
        """Pull ``image`` from a registry on this machine and lay its files out."""
        container = self.buildah("from", "--tls-verify=false", f"docker://{image}").strip()
        config = json.loads(self.buildah("inspect", container))["OCIv1"]["config"]
        return Container(Path(self.buildah("mount", container).strip()), config)


@dataclass(frozen=True)
class Container:
    """An image's files at ``root``, and what its configuration says."""

    root: Path
    config: Mapping[str, Any]

    def start(self, log: Path, **environ: str) -> subprocess.Popen[bytes]:
        """The program of the image, as its user, in its folder; ``environ`` is what the platform sets."""
        command = [*self.config.get("Entrypoint", ()), *self.config.get("Cmd", ())]
        place = (str(self.root), self.config["User"], self.config.get("WorkingDir") or "/")
        own = dict(each.split("=", 1) for each in self.config["Env"])
        with log.open("wb") as said:
            return subprocess.Popen(
                ["unshare", "--mount", "sh", "-ec", _INSIDE, *place, *command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=own | environ,
            )


def python_of(version: str) -> Path:
    """Where a Python ``version`` of this machine is installed, by PATH or pyenv; raises where none is."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [shutil.which(f"python{version}"), *versions.glob(f"{version}.*/bin/python{version}")]
    for each in filter(None, found):
        asked = [str(each), "-c", "import sys; print(sys.base_prefix)"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if told and told != "/usr":  # there it would be all of Debian
            return Path(told)
    raise RuntimeError(f"no Python {version} with a folder of its own is here")


def make_base(images: Images, name: str, version: str) -> None:
    """Make the image ``name``: a small Debian with this machine's Python ``version`` in /usr/local."""
    context = images.folder / "base"
    root = context / "root"
    root.mkdir(parents=True)
    run("debootstrap", "--variant=minbase", f"--include={','.join(LIBRARIES)}", DEBIAN, root)
    _copy_python(python_of(version), root / "usr/local", version)
    run("chroot", root, "ldconfig")
    run("chroot", root, "/usr/local/bin/python3", "-m", "ensurepip", "--default-pip")
    variables = {"PATH": PATH, **_trust(root)}
    lines = (f'ENV {key}="{value}"' for key, value in variables.items())
    (context / "Dockerfile").write_text("\n".join(["FROM scratch", "ADD root.tar /", *lines, ""]))
    run("tar", "-C", root, "-cf", context / "root.tar", ".")
    images.build(name, context)
    shutil.rmtree(context)


def _copy_python(prefix: Path, place: Path, version: str) -> None:
    """Copy the interpreter and its library, and nothing that was installed into it."""
    library = f"lib/python{version}"
    left = (
        f"{library}/site-packages",
        f"{library}/test",
        f"{library}/config-*",
        "__pycache__",
        "bin",
        "share",
    )

    def left_out(folder: str, names: list[str]) -> Iterator[str]:
        here = Path(folder).relative_to(prefix)
        return (each for each in names if any((here / each).match(pattern) for pattern in left))

    shutil.copytree(prefix, place, symlinks=True, dirs_exist_ok=True, ignore=lambda *at: set(left_out(*at)))
    (place / library / "site-packages").mkdir()
    for program in (f"python{version}", "python3", "python"):
        shutil.copy2(prefix / "bin" / program, place / "bin" / program, follow_symlinks=False)


def _trust(root: Path) -> dict[str, str]:
    """The environment of builds: this machine's certificates, and what it says of pip's index."""
    named = {key: value for key, value in os.environ.items() if key.startswith("PIP_") and value[:1] != "/"}
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if bundle:
        shutil.copyfile(bundle, root / CERTIFICATES[1:])
        named |= {"PIP_CERT": CERTIFICATES, "SSL_CERT_FILE": CERTIFICATES}
    return named
