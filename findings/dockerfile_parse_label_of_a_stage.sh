#!/bin/sh
# dockerfile-parse 2.0.1, held against buildah 1.28.2. Guessed: DockerfileParser(..., build_args=...).labels are the
# labels that a build with those arguments gives the image. Seen: a label of the stage that the last one is built FROM
# is not there, though the image has it: what lies below a stage is not looked at (its issue 117, open, asks for
# stages). And `${COMMIT:-unknown}` with COMMIT given is the value with `:-unknown}` behind it, which is neither the
# commit nor the text. Whoever reads there which commit an image is going to name finds none, or one that no
# repository has.
# Ours reads the label of what was pushed (drift_gate/delivery/builders/pushed.py), and of a Dockerfile knows stages
# and defaults (tests/relevance/test_dockerfile.py, test_dockerfile_words.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dockerfile-parse==2.0.1
buildah --version
mkdir "$folder/context"
cd "$folder/context"
touch worker.py
label=org.opencontainers.image.revision
# shellcheck disable=SC2016 # the builder expands them
{
    printf '%s\n' 'FROM scratch' 'ARG COMMIT' "LABEL $label="'$COMMIT' 'COPY worker.py /' >plain
    printf '%s\n' 'FROM scratch AS base' 'ARG COMMIT' "LABEL $label="'$COMMIT' 'FROM base' 'COPY worker.py /' >staged
    printf '%s\n' 'FROM scratch' 'ARG COMMIT' "LABEL $label="'${COMMIT:-unknown}' 'COPY worker.py /' >default
}
kept() {
    buildah --root "$folder/root" --runroot "$folder/run" --storage-driver vfs "$@"
}
built() {
    kept build --isolation chroot --quiet --build-arg COMMIT=1111111 --file "$1" --tag image . >/dev/null
    kept inspect --type image --format "{{index .OCIv1.Config.Labels \"$label\"}}" image
}
[ "$(built plain) $(built staged) $(built default)" = "1111111 1111111 1111111" ]
"$folder/venv/bin/python" - "$label" <<'PYTHON'
import io, sys
from importlib.metadata import version
from pathlib import Path

from dockerfile_parse import DockerfileParser

told = {}
for name in ("plain", "staged", "default"):
    parser = DockerfileParser(fileobj=io.BytesIO(Path(name).read_bytes()), build_args={"COMMIT": "1111111"})
    told[name] = parser.labels.get(sys.argv[1])
print("dockerfile-parse", version("dockerfile-parse"))
print("built, each image says 1111111; read:", told)
assert told == {"plain": "1111111", "staged": None, "default": "1111111:-unknown}"}
PYTHON
