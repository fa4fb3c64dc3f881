#!/usr/bin/env bash
# Step 1: the project's services, the accounts and what each of them may, and where things are kept.
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cloud services enable run.googleapis.com pubsub.googleapis.com firestore.googleapis.com \
    artifactregistry.googleapis.com cloudbuild.googleapis.com cloudscheduler.googleapis.com \
    secretmanager.googleapis.com logging.googleapis.com monitoring.googleapis.com

for name in "$COORDINATOR" "$WORKER" prediction-push prediction-scheduler prediction-bypass; do
    ensure iam service-accounts describe "$(account "$name")" -- iam service-accounts create "$name"
done

ensure artifacts repositories describe "$REGISTRY" "--location=$REGION" -- \
    artifacts repositories create "$REGISTRY" "--location=$REGION" --repository-format=docker
ensure firestore databases describe '--database=(default)' -- \
    firestore databases create '--database=(default)' "--location=$DATABASE_LOCATION"
# The secret alone: the token goes in by hand, so that it is in no script, no file and no history.
if [ -n "${GITHUB_SECRET:-}" ]; then
    ensure secrets describe "$GITHUB_SECRET" -- secrets create "$GITHUB_SECRET" --replication-policy=automatic
fi

# What the coordinator reads: services and revisions, the labels of images, its batches, its token.
coordinator=serviceAccount:$(account "$COORDINATOR")
grant "$coordinator" roles/run.viewer projects add-iam-policy-binding "$PROJECT" --condition=None
grant "$coordinator" roles/datastore.user projects add-iam-policy-binding "$PROJECT" --condition=None
grant "$coordinator" roles/artifactregistry.reader \
    artifacts repositories add-iam-policy-binding "$REGISTRY" "--location=$REGION"
if [ -n "${GITHUB_SECRET:-}" ]; then
    grant "$coordinator" roles/secretmanager.secretAccessor secrets add-iam-policy-binding "$GITHUB_SECRET"
fi
if [[ $SLATE == bigquery://* ]]; then
    grant "$coordinator" roles/bigquery.jobUser projects add-iam-policy-binding "$PROJECT" --condition=None
    grant "$coordinator" roles/bigquery.dataViewer projects add-iam-policy-binding "$PROJECT" --condition=None
fi

# From a telephone: see the schedules, resume, run and pause one; change none. No role of Google's is just that.
ensure iam roles describe predictionOnCall -- iam roles create predictionOnCall '--title=Prediction on call' \
    "--permissions=cloudscheduler.jobs.enable,cloudscheduler.jobs.fullView,cloudscheduler.jobs.get,\
cloudscheduler.jobs.list,cloudscheduler.jobs.pause,cloudscheduler.jobs.run,cloudscheduler.locations.get,\
cloudscheduler.locations.list,resourcemanager.projects.get"
for person in $ONCALL; do
    grant "user:$person" "projects/$PROJECT/roles/predictionOnCall" \
        projects add-iam-policy-binding "$PROJECT" --condition=None
done
