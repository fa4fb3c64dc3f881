#!/usr/bin/env bash
# Stands in for gcloud: remembers what was made, says what is there, and keeps each call.
# KEPT is its folder: `calls`, `there/NAME` with a state each, `variables/SERVICE/NAME`, and what was handed in.
set -euo pipefail

printf '%s\037' "$@" >>"$KEPT/calls"
printf '\n' >>"$KEPT/calls"
mkdir -p "$KEPT/there" "$KEPT/variables"

DIGEST=sha256:$(printf 'd1%.0s' {1..32})
words=() display='' filter='' format='' database='' file='' substitutions='' source='' updated='' removed=''
for argument in "$@"; do
    value=${argument#*=}
    case $argument in
        --display-name=*) display=$value ;;
        --filter=*) filter=$value ;;
        --format=*) format=$value ;;
        --database=*) database=$value ;;
        --policy-from-file=*) file=$value ;;
        --substitutions=*) substitutions=$value ;;
        --source=*) source=$value ;;
        --update-env-vars=*) updated=$value ;;
        --remove-env-vars=*) removed=$value ;;
        --*) ;;
        http) ;;
        *) words+=("$argument") ;;
    esac
done
last=${words[${#words[@]} - 1]}

failed() {
    printf 'ERROR: (gcloud) %s\n' "$*" >&2
    exit 1
}

# GROUP NAME as a file; an account is called with its domain and without.
place() {
    local name=${2%@*.iam.gserviceaccount.com}
    printf '%s/there/%s' "$KEPT" "$(printf '%s %s' "$1" "$name" | tr '/' '%')"
}

# The words before the verb $1.
group() {
    local word found=()
    for word in "${words[@]}"; do
        [ "$word" != "$1" ] || break
        found+=("$word")
    done
    printf '%s' "${found[*]}"
}

moved() {
    local at
    at=$(place "scheduler jobs" "$last")
    [ "$(cat "$at")" = "$1" ] || failed "FAILED_PRECONDITION: $last is $(cat "$at")"
    printf %s "$2" >"$at"
}

case " ${words[*]} " in
    " functions deploy "*)
        cp -r "${source%/}" "$KEPT/function"
        for each in "functions $last" "run services $last" "eventarc triggers $last-1" \
            "pubsub subscriptions eventarc-$last-1"; do
            printf ENABLED >"$KEPT/there/$each"
        done
        ;;
    *" jobs run "*) [ ! -e "$KEPT/when-run" ] || bash "$KEPT/when-run" ;;
    *" tags delete "*) rm -f "$(place 'artifacts docker images' "$last")" ;;
    *" policies delete "*) rm -f "$KEPT/there/$(group delete) "* ;;
    *" delete "*)
        at=$(place "$(group delete)" "$last")
        [ -e "$at" ] || failed "NOT_FOUND: $last"
        rm -f "$at"
        ;;
    " auth print-identity-token ") printf '%s\n' "$STAND_IN_TOKEN" ;;
    " secrets versions add "*) cat >"$KEPT/secret" ;;
    *" describe "*)
        at=$(place "$(group describe)" "${database:-$last}")
        [ -e "$at" ] || failed "NOT_FOUND: $last"
        case $format in
            *digest*) printf '%s\n' "$DIGEST" ;;
            *eventTrigger*) printf '%s-1\n' "$last" ;;
            *subscription*) printf 'eventarc-%s\n' "$last" ;;
            *) cat "$at" ;;
        esac
        ;;
    *" create "*)
        name=${database:-${display:-$last}}
        [ -z "$file" ] || name=$(sed -n 's/^displayName: "\(.*\)"$/\1/p' "$file")
        at=$(place "$(group create)" "$name")
        [ ! -e "$at" ] || failed "ALREADY_EXISTS: $name"
        printf ENABLED >"$at"
        ;;
    *" list "*)
        name=${filter#displayName=\"}
        [ ! -e "$(place "$(group list)" "${name%\"}")" ] || printf 'projects/p/%s/1\n' "${words[2]}"
        ;;
    *" submit "*)
        image=${substitutions#_IMAGE=}
        cp "$last" "$KEPT/"
        printf ENABLED >"$(place 'artifacts docker images' "${image%%,*}")"
        ;;
    *" replace "*) cp "$last" "$KEPT/" ;;
    *" pause "*) moved ENABLED PAUSED ;;
    *" resume "*) moved PAUSED ENABLED ;;
    *" services update "*)
        mkdir -p "$KEPT/variables/$last"
        for pair in ${updated//,/ }; do printf '%s' "${pair#*=}" >"$KEPT/variables/$last/${pair%%=*}"; done
        for name in ${removed//,/ }; do rm -f "$KEPT/variables/$last/$name"; done
        ;;
esac
