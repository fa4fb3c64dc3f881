#!/usr/bin/env bash
# Step 3, and each later deploy: build both images from one commit, deploy them by digest, say who may call.
# shellcheck source=deploy/lib.sh disable=SC2034 # the manifests name what seems unused
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

COMMIT=$(commit)
# A container has no checkout, and nobody has written into a ledger there.
declared "$COMMIT" '^repository *= *"([a-z]+://|git@)' 'address (repository = "https://…")'
[ -z "${READINESS:-}" ] || git -C "$ROOT" cat-file -e "$COMMIT:$READINESS" ||
    fail "$READINESS is not in ${COMMIT:0:12}, and without it no batch would start"

# Build the image of the commit where the registry has none under its name: once, so that the tag never
# moves. From an archive of the commit: what was not committed cannot get in.
build() {
    local tagged=$1 dockerfile=$2 archive=$MADE/$COMMIT.tar.gz
    ! there artifacts docker images describe "$tagged" || return 0
    if [ -z "$DRY_RUN" ]; then
        mkdir -p "$MADE"
        git -C "$ROOT" archive --format=tar.gz -o "$archive" "$COMMIT"
    fi
    cloud builds submit "$archive" "--config=$HERE/build.yaml" "--region=$REGION" \
        "--substitutions=_IMAGE=$tagged,_DOCKERFILE=$dockerfile,_COMMIT=$COMMIT"
}

# The digest that the registry has for an image; where nobody is asked, zeros.
digest() {
    local said
    if [ -n "$DRY_RUN" ]; then
        cloud artifacts docker images describe "$1" '--format=value(image_summary.digest)' >&2
        printf 'sha256:%064d' 0
        return
    fi
    said=$(cloud artifacts docker images describe "$1" '--format=value(image_summary.digest)')
    [[ $said =~ ^sha256:[0-9a-f]{64}$ ]] || fail "the registry names no digest for $1, but: $said"
    printf '%s' "$said"
}

# NAME DOCKERFILE MANIFEST: what is there is replaced, variables and traffic too.
deploy() {
    local tagged=$IMAGES/$1:$COMMIT
    build "$tagged" "$2"
    IMAGE=$IMAGES/$1@$(digest "$tagged")
    made "$3"
    cloud run services replace "$MADE/$3" "--region=$REGION"
}

invoker() {
    grant "$2" roles/run.invoker run services add-iam-policy-binding "$1" "--region=$REGION"
}

CALLERS=$(account prediction-scheduler)
BYPASS_CALLERS=$(account prediction-bypass)
for person in $ONCALL; do BYPASS_CALLERS+=,$person; done
PUSH_CALLERS=$(account prediction-push)
COORDINATOR_ACCOUNT=$(account "$COORDINATOR")
WORKER_ACCOUNT=$(account "$WORKER")

deploy "$WORKER" predictions/worker/Dockerfile worker.yaml
deploy "$COORDINATOR" predictions/coordinator/Dockerfile coordinator.yaml

# The coordinator asks the worker which files it holds; Pub/Sub brings both their messages.
invoker "$WORKER" "serviceAccount:$(account "$COORDINATOR")"
invoker "$WORKER" "serviceAccount:$(account prediction-push)"
for name in prediction-push prediction-scheduler prediction-bypass; do
    invoker "$COORDINATOR" "serviceAccount:$(account "$name")"
done
for person in $ONCALL; do invoker "$COORDINATOR" "user:$person"; done
