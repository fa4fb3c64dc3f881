#!/bin/sh
# buildah 1.28.2. Guessed: a build is given COMMIT, `LABEL org.opencontainers.image.revision=$COMMIT` says it, and the
# image names that commit. Seen: with --layers (with podman the default) and the same files as in the build before, the
# second build is that image, and says the commit of the first: the cache compares the line as it is written, and an
# ARG counts only for a RUN. A step that cannot be taken from the cache mends the label, and `--label` on the command
# line is right in either case. Known for ENV (buildah's issue 5501, open). The label names a commit whose files are
# those, which need not be one of the target's history: a branch's that was squashed, say.
# Ours builds with --label and reads the label of what was pushed (drift_gate/delivery/builders/); files that are equal
# are no difference, whichever commit is named, and a commit that the history lacks is `commit-not-in-history`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
buildah --version
cd "$folder"
echo 1 >worker.py
echo 1 >model.txt
# shellcheck disable=SC2016 # the builder expands it
printf '%s\n' 'FROM scratch' 'COPY worker.py /' 'ARG COMMIT' 'LABEL org.opencontainers.image.revision=$COMMIT' \
    'COPY model.txt /' >Dockerfile
printf '%s\n' 'FROM scratch' 'COPY worker.py /' >Labelled
kept() {
    buildah --root "$folder/root" --runroot "$folder/run" --storage-driver vfs "$@"
}
built() {
    kept build --isolation chroot --quiet --layers --tag image "$@" . >/dev/null
    kept inspect --type image --format '{{index .OCIv1.Config.Labels "org.opencontainers.image.revision"}}' image
}
first=$(built --build-arg COMMIT=1111111)
second=$(built --build-arg COMMIT=2222222)
echo 2 >model.txt
third=$(built --build-arg COMMIT=3333333)
one=$(built --file Labelled --label org.opencontainers.image.revision=1111111)
two=$(built --file Labelled --label org.opencontainers.image.revision=2222222)
echo "built for 1111111: $first; for 2222222, the same files: $second; for 3333333, another file: $third"
echo "by --label, the same files: $one, $two"
[ "$first $second $third" = "1111111 1111111 3333333" ]
[ "$one $two" = "1111111 2222222" ]
