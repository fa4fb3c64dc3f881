"""What each key of ``drift.toml`` means, in Markdown: for the reference and for the schema. Pure."""

from __future__ import annotations

from collections.abc import Mapping

#: What each key means, by the table that it stands in.
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "[defaults]": {
        "project": "Google Cloud project; needed with `cloud-run`",
        "region": "region of the service; needed with `cloud-run`",
        "kind": "what runs the predictions",
        "live": "who says what is live: the Cloud Run API, or a local file",
        "ledger": "path of that file, relative to `drift.toml`",
        "repository": "path of a local repository, a checkout or a bare one, relative to `drift.toml`; "
        "or its address",
        "history": "how the repository is read: as a checkout, or through a mirror of its own; `auto` "
        "takes a path for a checkout and an address for a mirror",
        "clone_timeout": "the longest that the first clone of a mirror may take (`deployment-drift warm`)",
        "target_ref": "what should be live: `origin/main` is the remote's branch, asked for at each check; "
        "`main` is the local branch; `HEAD` is what is checked out",
        "deadline": "the longest that a whole check may take",
        "stale_target_limit": "how long the last confirmed commit of the remote's branch may be used when "
        "the remote cannot be reached",
        "rollout_timeout": "how long a rollout may be under way before it counts as stalled",
        "commit_labels": "labels of a revision that name its commit",
        "commit_env": "environment variables of a revision that name its commit",
        "evidence": "who is asked besides Cloud Run: `registry` reads the labels of the running image, "
        "`health` asks the worker what its own files hold; silence is `evidence-unreachable`",
        "image_tag_pattern": "a regular expression for tags of the image that name its commit in other words "
        "than `<commit>` and `sha-<commit>`: `v[0-9.]+-[0-9]+-g(?P<commit>[0-9a-f]{7,40})` knows "
        "git-describe's `v1.4.2-12-gabc1234`; a tag that it does not match as a whole is read as without it",
        "image_labels": "labels of an image that name its commit (`registry`)",
        "health_path": "where the worker answers (`health`)",
        "health_timeout": "the longest that the gate waits for a worker (`health`)",
        "cache_ttl": "how long one process may reuse what Cloud Run and the remote said before; a "
        "rollout, an unknown and a refusal are never reused",
    },
    "[policy]": {
        "max_commits_behind": "how many relevant commits may be missing",
        "max_drift_age": "how long ago the oldest missing relevant commit may have landed",
        "grace_period": "commits that landed less than this ago are shown, not counted",
        "deny_paths": "gitignore patterns: one missing commit that changes such a relevant path denies",
        "warn_paths": "the same, but it warns",
        "deny_subjects": "regular expressions: one missing relevant commit with such a subject denies",
        "failure_policy": "what an unknown does: `fail` denies, `ignore` warns; or a table by cause, such as "
        '`{default = "fail", unavailable = "ignore"}`',
        "enforcement": "`warn` judges as usual and refuses nothing: for a soft start",
        "enforce_from": "nothing is refused before this date or time (UTC where it names no zone)",
        "reasons": 'the decision of single reason codes, such as `{traffic-split = "deny"}`; '
        "`unknown-drift` is left to `failure_policy`",
    },
    "[deploy]": {
        "builder": "who builds the image: `cloud-build`, `buildah`, `docker`, or `image` where something "
        "else has built it; without it `deployment-drift deploy` leaves the service alone",
        "image": "where its images are kept, without tag; `{service}` is its name; with `image` the image "
        "itself, with `{commit}`",
        "traffic": "percents of the traffic that the new revision gets one after the other, before all of it",
        "healthy_answers": "how many healthy answers in a row the new revision gives before it gets traffic "
        "(with the evidence `health`)",
        "watch": "for how long it has to stay healthy after each step of the traffic; else the traffic goes "
        "back",
        "smoke": "a command of your own that tries the new revision at `CANDIDATE_URL`, a list of its "
        "words, run beside `drift.toml`",
        "smoke_timeout": "the longest that it may take",
        "build_timeout": "the longest that building and pushing may take",
        "release_timeout": "the longest that the new revision may take to be ready, and each step of the "
        "traffic to land",
    },
    "[services.NAME]": {
        "paths": "gitignore patterns of the relevant paths; without it every path is relevant",
        "ignore": "gitignore patterns of paths that are not relevant after all",
        "dockerfile": "the image's Dockerfile: what it copies is relevant",
        "stage": "the stage of the Dockerfile that is built, as with `docker build --target`; without it the "
        "last one",
        "context": "the folder that the image is built from",
        "build_files": "further files that decide how the image is built, such as `cloudbuild.yaml`",
        "generated": "gitignore patterns of what the build makes or fetches before it is copied; or a table "
        'with what it is made from, `{"worker/common/" = ["shared/common/"]}`: that counts in its place',
        "build_contexts": "the folder of each named build context, or `docker-image://…`: `{shared = "
        '"packages/shared"}`',
        "upload": "what the build is given: `gcloud` what `gcloud` sends, `git` all that git holds; `auto` "
        "goes by a `.gcloudignore` where there is one",
        "base": "the service, or the path of the Dockerfile, that makes the image which the last stage is "
        "built upon",
        "entrypoint": "where the worker starts (a module or a `.py` file), if not as the Dockerfile says",
        "import_roots": "folders that imports start from, if not as the Dockerfile says",
        "container": "the container of a revision that counts, by its name; without it each whose image is "
        "your own counts; needs `cloud-run`",
        "required_env": "environment variables that each live revision must set, not empty; a secret's name "
        "counts, a variable of the image's Dockerfile does not; needs `cloud-run`",
        "pins": "variables and labels that each live revision must have with a value, see below; needs "
        "`cloud-run`",
    },
    "[[services.NAME.pins]]": {
        "env": "the variable that is pinned; a secret's value cannot be compared and denies",
        "label": "or the label",
        "equals": "the value that it must have",
        "file": "or the file of the target commit that says the value: "
        "`models/manifest.json#production.path` (JSON or TOML, keys after `#`), or the whole text of a file",
    },
    "[batch]": {
        "requires": "the one service that gates a batch, where several are declared",
        "foreign_results": "results of a commit that was not judged: `fail` the batch, or `keep` them",
        "tolerate": "how many requests may fail in a batch that is completed; they are named",
        "again": "the line that starts your batch again, as a refusal says it; `{service}`, `{date}` and "
        "`{commit}` (the target's) are filled in",
        "bypass": "the line that starts it past the gate; the same placeholders",
        "deploy": "the line that deploys the target commit; the same placeholders",
    },
    "[inventory]": {"ignore": "live services that nobody has to declare; `*` and `?` stand for anything"},
    "[[acknowledged]]": {
        "service": "the service whose denial is acknowledged",
        "live_commit": "its live commit, the full id; the acknowledgement ends when another one is live",
        "codes": "the reason codes that are acknowledged, with what each is for, where it is, "
        "such as `required-env-missing: ODDS_URL`; `unknown-drift` cannot be",
        "reason": "why, for those who read the verdict",
        "until": "when it ends, 90 days ahead at most (UTC unless it names a zone; a date: its first moment)",
    },
    "[[freeze]]": {
        "from": "when it begins (a date: its first moment), in `time_zone` unless it names a zone itself",
        "until": "when it ends, written in the same way",
        "on": 'in place of both, its begin and its end in each week, such as `["fri 16:00", "mon 07:00"]`',
        "time_zone": "the zone of these times, such as `America/Los_Angeles`",
        "services": "the services that it is for; without it all",
        "reason": "why, for those who read the verdict",
    },
    "[sinks]": {"decisions": "SQLite file of the versions before the journal, which takes its rows over"},
    "[journal]": {
        "store": "SQLite file that keeps every verdict, relative to `drift.toml`, or "
        "`firestore://PROJECT/DATABASE` (extra `firestore`); `off`: none is kept",
        "keep": "for how long; the monitor forgets what is older, but no incident that goes on",
        "bigquery": "`PROJECT.DATASET` of BigQuery (extra `bigquery`): decisions and looks are copied there "
        "from then on; without it none are",
    },
    "[monitor]": {
        "name": "the name of the monitor; several that look at the same services share it",
        "heartbeat_url": "address that is asked before and after each look, as healthchecks.io wants it; "
        "it is a secret, and `DRIFT_HEARTBEAT_URL` stands before it",
    },
    "[dashboard]": {
        "every": "how far apart looks should lie; after twice that without one nothing is known",
        "public_badges": "whether the coordinator shows badges to everybody, not only to those who may look",
    },
    "[notify]": {
        "hold": "how long after landing a drift opens an incident: a normal deploy makes no noise",
        "remind": "how long after an incident opened people are reminded, then daily; `[]`: never",
        "digest": "the time of day of the daily digest, or `off`",
        "time_zone": "the time zone of `digest`",
        "owners": "who is mentioned once for each incident, by service: ids of Slack or addresses",
        "authors": "who is mentioned once for each incident that lacks a commit of theirs, by the author's "
        "name in git",
        "slack": "a channel of Slack, `[notify.slack]`",
        "webhook": "an address of your own, `[notify.webhook]`",
        "email": "mail, `[notify.email]`",
    },
    "[notify.slack]": {
        "channel": "the channel that the bot of `DRIFT_SLACK_TOKEN` writes to; without one, the incoming "
        "webhook of `DRIFT_SLACK_WEBHOOK` is used",
        "api": "where Slack's methods are asked for",
        "min_severity": "the mildest incident that the channel is told of",
    },
    "[notify.webhook]": {
        "url": "where messages are posted, signed with `DRIFT_WEBHOOK_SECRET`",
        "min_severity": "the mildest incident that the address is told of",
    },
    "[notify.email]": {
        "host": "the SMTP server",
        "port": "its port",
        "security": "how the connection is encrypted; what is asked for is required",
        "user": "who logs in, with the password of `DRIFT_SMTP_PASSWORD`",
        "sender": "the address that it comes from",
        "to": "the addresses that it goes to",
        "min_severity": "the mildest incident that they are told of",
    },
}
