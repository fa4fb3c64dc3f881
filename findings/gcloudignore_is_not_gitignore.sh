#!/bin/sh
# Google Cloud SDK 528.0.0: `.gcloudignore`, said to have gitignore's syntax, leaves out x/a/b by the line `a/b`
# (to git a slash inside binds to the root), and *.md by the line `\*.md` (to git the star is quoted).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export CLOUDSDK_CONFIG="$folder/config"
gcloud version | head -n 1
git init -q "$folder/tree"
cd "$folder/tree"
mkdir -p x/a a
touch x/a/b a/b kept.md
sent() {
    printf '%s\n' .git .gcloudignore "$1" >.gcloudignore
    gcloud meta list-files-for-upload . | sort | tr '\n' ' '
}
kept_by_git() {
    printf '%s\n' "$1" >.git/info/exclude
    git ls-files --others --exclude-from=.git/info/exclude --exclude=.gcloudignore | sort | tr '\n' ' '
}
slash=$(sent 'a/b')
quoted=$(sent '\*.md')
echo "a/b:   gcloud sends $slash; git would keep $(kept_by_git 'a/b')"
echo "\\*.md: gcloud sends $quoted; git would keep $(kept_by_git '\*.md')"
[ "$slash" = "kept.md " ]
[ "$(kept_by_git 'a/b')" = "kept.md x/a/b " ]
[ "$quoted" = "a/b x/a/b " ]
[ "$(kept_by_git '\*.md')" = "a/b kept.md x/a/b " ]
