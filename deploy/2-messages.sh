#!/usr/bin/env bash
# Step 2: the topics, a push subscription each, and what becomes of a message that nobody can take.
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for topic in "$REQUESTS" "$COMPLETIONS" "$DEAD_LETTERS"; do
    ensure pubsub topics describe "$topic" -- pubsub topics create "$topic"
done
# Without a subscription a dead letter is gone.
ensure pubsub subscriptions describe "$DEAD_LETTERS" -- \
    pubsub subscriptions create "$DEAD_LETTERS" "--topic=$DEAD_LETTERS" --expiration-period=never \
    --message-retention-duration=7d

# The token is for the service and not, as it would be without a word, for the path that is pushed to.
pushed() {
    local topic=$1 address=$2 path=$3
    ensure pubsub subscriptions describe "$topic" -- \
        pubsub subscriptions create "$topic" "--topic=$topic" --expiration-period=never --ack-deadline=60 \
        "--push-endpoint=$address$path" "--push-auth-service-account=$(account prediction-push)" \
        "--push-auth-token-audience=$address" --min-retry-delay=10s --max-retry-delay=600s \
        "--dead-letter-topic=$DEAD_LETTERS" --max-delivery-attempts=20
}
pushed "$REQUESTS" "$WORKER_URL" /push
pushed "$COMPLETIONS" "$URL" /complete

# Pub/Sub itself moves what is dead: it takes it from the one and puts it into the other.
grant "serviceAccount:$PUBSUB_AGENT" roles/pubsub.publisher pubsub topics add-iam-policy-binding "$DEAD_LETTERS"
for subscription in "$REQUESTS" "$COMPLETIONS"; do
    grant "serviceAccount:$PUBSUB_AGENT" roles/pubsub.subscriber \
        pubsub subscriptions add-iam-policy-binding "$subscription"
done

grant "serviceAccount:$(account "$COORDINATOR")" roles/pubsub.publisher \
    pubsub topics add-iam-policy-binding "$REQUESTS"
grant "serviceAccount:$(account "$WORKER")" roles/pubsub.publisher \
    pubsub topics add-iam-policy-binding "$COMPLETIONS"
