#!/bin/sh
# docker-py 7.2.0 (the package docker), held against buildah 1.28.2, on Linux. Guessed: images.build(path=...) sends
# the files that Docker's own client would send of the same folder. Seen: its patterns do not tell large letters from
# small ones, so that the line `models/Base.py` of .dockerignore keeps models/base.py out of the image, too; and
# `[^a].md`, to Docker each letter but a, is to it an a or a ^, so that what Docker leaves out goes in, and the other
# way round. Of one commit and one Dockerfile the one image has a module that the other lacks, and no comparison of
# commits shows it. The docstring of build likens it to the command `docker build`, and names no difference.
# Ours reads the file as Docker does, which its client bears out (tests/relevance/test_dockerignore.py), and says in
# docs/relevance.md that it cannot see who sent a context; how docker-py fares with the rows of that test stands in
# docs/decisions/0020-dockerfile-parser.md.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check docker==7.2.0
buildah --version
mkdir -p "$folder/context/models"
cd "$folder/context"
touch a.md b.md models/Base.py models/base.py
printf '%s\n' 'FROM scratch' 'COPY . /' >Dockerfile
by_docker_py() {
    "$folder/venv/bin/python" - "$1" <<'PYTHON'
import sys, tarfile
from docker.utils.build import tar

# the file as docker.api.build reads it, and the archive that it posts
with tarfile.open(fileobj=tar(".", exclude=[sys.argv[1], ".dockerignore", "Dockerfile"])) as archive:
    print(*sorted(member.name for member in archive if member.isfile() and member.name[0] not in ".D"))
PYTHON
}
by_buildah() {
    printf '%s\n' "$1" .dockerignore Dockerfile >.dockerignore
    rm -rf "$folder/made"
    buildah --root "$folder/root" --runroot "$folder/run" --storage-driver vfs build --isolation chroot --quiet \
        --output "type=local,dest=$folder/made" . >/dev/null
    (cd "$folder/made" && find . -type f | sed 's,^./,,' | LC_ALL=C sort | xargs)
}
"$folder/venv/bin/python" -c 'from importlib.metadata import version; print("docker-py", version("docker"))'
all="a.md b.md models/Base.py models/base.py"
[ "$(by_docker_py none)" = "$all" ]
[ "$(by_buildah none)" = "$all" ]
one="$(by_docker_py models/Base.py) | $(by_buildah models/Base.py)"
two="$(by_docker_py '[^a].md') | $(by_buildah '[^a].md')"
echo "sent by docker-py | copied by buildah, of $all"
echo "models/Base.py: $one"
echo "[^a].md: $two"
[ "$one" = "a.md b.md | a.md b.md models/base.py" ]
[ "$two" = "b.md models/Base.py models/base.py | a.md models/Base.py models/base.py" ]
