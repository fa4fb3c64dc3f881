"""Dockerfiles as their reference describes them, row by row."""

from __future__ import annotations

import json

import pytest

from drift_gate.relevance.dockerfile.image import Image, Start, read_image

TREE = (
    "app/a.py",
    "app/b.py",
    "app/sub/c.py",
    "app/readme.md",
    "lib/x.py",
    "lib/y.txt",
    "hom.txt",
    "home.md",
    "my file.py",
    "arr[0].txt",
    "req.txt",
    "data.tar.gz",
)


def image_of(text: str, tree: tuple[str, ...] = TREE, **others: str) -> Image:
    """Read a Dockerfile at the root of a tree; ``others`` are further texts, ``_`` standing for ``.``."""
    texts = {"Dockerfile": text, **{name.replace("_", "."): content for name, content in others.items()}}
    image = read_image({*tree, *texts}, texts.get, dockerfile="Dockerfile", context=".")
    assert image is not None
    return image


def layout(image: Image) -> str:
    """The layout as one line: ``/image/path<repository/path``, separated by ``;``."""
    return ";".join(f"{path}<{source}" for path, source in sorted(image.layout.items()))


def copied(image: Image) -> str:
    """The sources without the Dockerfile."""
    return ";".join(sorted(set(image.sources) - {"Dockerfile"}))


#: What stands behind `FROM scratch` and `WORKDIR /w`, and where files then lie in the image.
COPIES = [
    # a file: trailing slashes are significant
    ("COPY req.txt /abs/", "/abs/req.txt<req.txt"),
    ("COPY req.txt /abs/r.txt", "/abs/r.txt<req.txt"),
    ("COPY req.txt rel/", "/w/rel/req.txt<req.txt"),
    ("COPY req.txt .", "/w/req.txt<req.txt"),
    ("COPY req.txt ./", "/w/req.txt<req.txt"),
    ("COPY req.txt /w", "/w/req.txt<req.txt"),
    ("COPY req.txt /a/.", "/a/req.txt<req.txt"),
    ("COPY req.txt ..", "/req.txt<req.txt"),
    ("COPY --link req.txt /bar", "/bar<req.txt"),
    ("COPY req.txt ../up/", "/up/req.txt<req.txt"),
    ("COPY req.txt /", "/req.txt<req.txt"),
    # it may be a folder of the base image, or not
    ("COPY req.txt /srv", "/srv<req.txt"),
    ("COPY req.txt /srv\nCOPY hom.txt /srv", "/srv<hom.txt"),
    # a file in it has made it a folder
    ("COPY req.txt /a/r.txt\nCOPY hom.txt /a", "/a/hom.txt<hom.txt;/a/r.txt<req.txt"),
    ("ADD data.tar.gz /d/\nCOPY req.txt /d", "/d/req.txt<req.txt"),
    # a folder: its content, not itself; slashes at its end mean nothing
    ("COPY lib /l", "/l/x.py<lib/x.py;/l/y.txt<lib/y.txt"),
    ("COPY lib/ /l/", "/l/x.py<lib/x.py;/l/y.txt<lib/y.txt"),
    ("COPY lib/. /l/", "/l/x.py<lib/x.py;/l/y.txt<lib/y.txt"),
    ("COPY ./lib l", "/w/l/x.py<lib/x.py;/w/l/y.txt<lib/y.txt"),
    ("COPY app/sub sub/", "/w/sub/c.py<app/sub/c.py"),
    # from the context's root, never above it
    ("COPY /req.txt /a/", "/a/req.txt<req.txt"),
    ("COPY ../req.txt /a/", "/a/req.txt<req.txt"),
    ("COPY lib/../req.txt /a/", "/a/req.txt<req.txt"),
    # several sources
    ("COPY req.txt hom.txt /a/", "/a/hom.txt<hom.txt;/a/req.txt<req.txt"),
    ("COPY req.txt hom.txt /a", "/a/hom.txt<hom.txt;/a/req.txt<req.txt"),
    ("COPY <<E req.txt /a.d\nx\nE", "/a.d/req.txt<req.txt"),
    ('COPY <<E "my file.py" /a/\nx\nE', "/a/my file.py<my file.py"),
    ("COPY lib app/sub /a/", "/a/c.py<app/sub/c.py;/a/x.py<lib/x.py;/a/y.txt<lib/y.txt"),
    # the JSON form, quotes, blanks
    ('COPY ["my file.py", "/a/"]', "/a/my file.py<my file.py"),
    ('COPY "my file.py" /a/', "/a/my file.py<my file.py"),
    ("COPY 'req.txt' /a/", "/a/req.txt<req.txt"),
    ("COPY my\\ file.py /a/", "/a/my file.py<my file.py"),
    # wildcards
    ("COPY hom* /d/", "/d/hom.txt<hom.txt;/d/home.md<home.md"),
    ("COPY hom?.md /d/", "/d/home.md<home.md"),
    ("COPY app/*.py /d/", "/d/a.py<app/a.py;/d/b.py<app/b.py"),
    ("COPY */*.md /d/", "/d/readme.md<app/readme.md"),
    ("COPY app/su* /d/", "/d/c.py<app/sub/c.py"),
    ("COPY l* /d/", "/d/x.py<lib/x.py;/d/y.txt<lib/y.txt"),
    ("COPY arr[[]0].txt /d/", "/d/arr[0].txt<arr[0].txt"),
    ("COPY app/[a]*.py /d/", "/d/a.py<app/a.py"),
    ("COPY **/c.py /d/", ""),
    ("COPY app/sub/*.py /d/", "/d/c.py<app/sub/c.py"),
    # options
    ("COPY --chown=1:1 --chmod=755 req.txt /a/", "/a/req.txt<req.txt"),
    ("COPY --exclude=*.txt hom* /d/", "/d/home.md<home.md"),
    ("COPY --exclude=*.txt --exclude=*.md hom* /d/", ""),
    ("COPY --exclude=*.py --exclude=sub app /d/", "/d/readme.md<app/readme.md"),
    ("COPY --exclude=**/*.py app /d/", "/d/readme.md<app/readme.md"),
    ("COPY --parents ./app/sub/c.py ./lib/x.py /p/", "/p/app/sub/c.py<app/sub/c.py;/p/lib/x.py<lib/x.py"),
    ("COPY --parents ./app/./sub/*.py /p/", "/p/sub/c.py<app/sub/c.py"),
    ("COPY --parents app/**/c.py /p/", "/p/app/sub/c.py<app/sub/c.py"),
    ("COPY --parents ./app/./sub/./c.py /p/", "/p/sub/c.py<app/sub/c.py"),
    ("COPY --parents req.txt /p", "/p/req.txt<req.txt"),
    ("COPY --parents lib /p/", "/p/lib/x.py<lib/x.py;/p/lib/y.txt<lib/y.txt"),
    # here-documents make files; the lines inside are no instructions
    ("COPY <<EOF /a/made.py\nCOPY lib /l\nEOF", ""),
    ("COPY <<'E' req.txt /a/\nCOPY lib /l\nE", "/a/req.txt<req.txt"),
    ("COPY <<-E /a/made\n\tCOPY lib /l\n\tE\nCOPY req.txt /a/", "/a/req.txt<req.txt"),
    ("COPY req.txt /a/\nCOPY <<E /a/req.txt\nnew\nE", ""),
    ("COPY <<E /a/made\n\tE\nCOPY lib /l\nE", ""),
    ("COPY <<-E /a/made\n E\nCOPY lib /l\nE", ""),
    ("RUN <<EOF\nCOPY lib /l\nEOF", ""),
    ('RUN echo "x" <<E\nCOPY lib /l\nE', ""),
    ("ENV A <<EOF\nCOPY req.txt /a/", "/a/req.txt<req.txt"),
    ("RUN <<A <<B\nCOPY lib /l\nA\nCOPY lib /l\nB\nCOPY req.txt /a/", "/a/req.txt<req.txt"),
    ("RUN cat << EOF > /x\nCOPY lib /l\nEOF", ""),
    ("RUN echo '<<EOF'\nCOPY req.txt /a/", "/a/req.txt<req.txt"),
    ("RUN cat <<< EOF\nCOPY req.txt /a/", "/a/req.txt<req.txt"),
    # ADD
    ("ADD req.txt /a/", "/a/req.txt<req.txt"),
    ("ADD https://example.com/req.txt git@example.com:a/b.git req.txt /a/", "/a/req.txt<req.txt"),
    ("ADD --unpack=false data.tar.gz /a/", "/a/data.tar.gz<data.tar.gz"),
    ("COPY data.tar.gz /a/", "/a/data.tar.gz<data.tar.gz"),
    # lines
    ("copy req.txt /a/", "/a/req.txt<req.txt"),
    ("COPY req.txt \\\n  # a comment\n\n  hom.txt \\\n /a/", "/a/hom.txt<hom.txt;/a/req.txt<req.txt"),
    ("  # COPY lib /l\n  COPY req.txt /a/", "/a/req.txt<req.txt"),
    ("COPY req.txt /a/\\ \nb/", "/a/b/req.txt<req.txt"),
    ("RUN echo \\\\\nCOPY req.txt /a/", "/a/req.txt<req.txt"),
    # variables
    ("ARG D=lib\nCOPY ${D}/x.py $D/", "/w/lib/x.py<lib/x.py"),
    ("ENV D=lib\nCOPY $D/x.py /a/", "/a/x.py<lib/x.py"),
    ("ENV D=lib\nARG D=app\nCOPY $D/x.py /a/", "/a/x.py<lib/x.py"),
    ("ENV A=lib B=$A\nCOPY lib/x.py /a$B/", "/a/x.py<lib/x.py"),  # nothing below sets it
    ("ARG D\nCOPY lib$D/x.py /a/", "/a/x.py<lib/x.py"),
    ("ENV D=lib.d\nCOPY ${D%.d}/x.py /a/", "/a/x.py<lib/x.py"),
    ("ENV A=1 B\nCOPY lib/x.py /a$B/", "/a/x.py<lib/x.py"),
    ("ARG A=lib\nARG B=$A\nCOPY $B/x.py /a/", "/a/x.py<lib/x.py"),
    ("ENV A=app\nENV A=lib B=$A\nCOPY $B/a.py /a/", "/a/a.py<app/a.py"),
    ("ENV D lib\nCOPY $D/x.py /a/", "/a/x.py<lib/x.py"),
    ("COPY ${D:-lib}/x.py /a/", "/a/x.py<lib/x.py"),
    ("ARG D=\nCOPY lib${D:+/none}/x.py /a/", "/a/x.py<lib/x.py"),
    ("ARG D=lib\nWORKDIR $D\nCOPY req.txt .", "/w/lib/req.txt<req.txt"),
    ("ARG TARGETARCH\nCOPY req.txt /$TARGETARCH/", "/amd64/req.txt<req.txt"),
    ('ENV D="lib"\nCOPY ["$D/x.py", "/a/"]', "/a/x.py<lib/x.py"),
    ("WORKDIR a\nWORKDIR b\nCOPY req.txt .", "/w/a/b/req.txt<req.txt"),
]


@pytest.mark.parametrize(("text", "expected"), COPIES)
def test_where_a_file_comes_to_lie(text: str, expected: str | None) -> None:
    """One statement of the Dockerfile reference; None: it cannot be told, and is not guessed."""
    image = image_of(f"FROM scratch\nWORKDIR /w\n{text}\n")
    assert (image.unresolved is None) is (expected is not None)
    assert layout(image) == (expected or "")
    if expected is not None:
        assert set(image.layout.values()) <= set(image.sources)


#: Whole Dockerfiles, and the files that can influence the image.
SOURCES = [
    ("FROM a\nCOPY lib /l\nFROM b\nCOPY req.txt /", "req.txt"),
    ("FROM a AS one\nCOPY req.txt /\nFROM b\nCOPY --from=one /out /out", "req.txt"),
    ("FROM a AS One\nCOPY req.txt /\nFROM b\nCOPY --from=ONE /out /out", "req.txt"),
    ("FROM a\nCOPY req.txt /\nFROM b\nCOPY --from=0 /out /out", "req.txt"),
    ("FROM a AS one\nCOPY req.txt /\nFROM one\nCOPY hom.txt /", "hom.txt;req.txt"),
    ("FROM a AS one\nCOPY req.txt /\nFROM one AS two\nFROM b\nCOPY --from=two /o /o", "req.txt"),
    ("FROM a AS one\nCOPY req.txt /\nFROM b\nRUN --mount=type=bind,from=one,target=/m true", "req.txt"),
    ("FROM a\nCOPY --from=nginx:latest /etc/nginx/nginx.conf /nginx.conf", ""),
    ("FROM a\nCOPY --from=nginx lib /l", ""),
    ("FROM a\nCOPY --from=1 lib /l", ""),
    # what it leaves out is another matter for each builder
    (
        "FROM a\nCOPY --exclude=*.py --exclude=sub app /d/",
        "app/a.py;app/b.py;app/readme.md;app/sub/c.py",
    ),
    ("# escape=`\nFROM a AS one\nCOPY req.txt /\nFROM o`ne", "req.txt"),
    ("FROM a\nRUN --mount=type=bind,source=req.txt,target=/r pip install -r /r", "req.txt"),
    ("FROM a\nRUN --mount=source=lib,target=/l true", "lib/x.py;lib/y.txt"),
    ("FROM a\nRUN --mount=type=bind,src=req.txt,target=/r true", "req.txt"),
    ("FROM a\nRUN --mount=type=cache,target=/c --mount=src=req.txt,target=/r true", "req.txt"),
    ("FROM a\nRUN --mount=type=bind,from=nginx,source=lib,target=/l true", ""),
    ("ARG A=one\nARG B=$A\nFROM a AS one\nCOPY req.txt /\nFROM $B", "req.txt"),
    ("FROM a\nRUN --mount=type=bind,target=/all true", ";".join(sorted(TREE))),
    ("FROM a\nRUN --mount=type=cache,target=/root --mount=type=secret,id=x true", ""),
    ("ARG D=lib\nFROM a\nARG D\nCOPY $D/x.py /", "lib/x.py"),
    ("ARG B=one\nFROM a AS one\nCOPY req.txt /\nFROM $B", "req.txt"),
    ("FROM --platform=$BUILDPLATFORM a AS one\nCOPY req.txt /\nFROM one", "req.txt"),
    ("FROM a AS one\nARG D=lib\nFROM one\nCOPY $D/x.py /", "lib/x.py"),
    ("FROM a\nADD data.tar.gz /d/", "data.tar.gz"),
    ("# escape=`\nFROM a\nCOPY req.txt `\n hom.txt /a/", "hom.txt;req.txt"),
    ("# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nCOPY lib\\x.py req.txt /a/", "req.txt"),
    ("# a comment\n# escape=`\nFROM a\nCOPY req.txt \\\n hom.txt /a/", "hom.txt;req.txt"),
    ("\ufeffFROM a\r\nCOPY req.txt /\r\n", "req.txt"),
    ("FROM a\nCOPY req.txt /a/ \\", "req.txt"),
    ("FROM a\r\nCOPY req.txt \\\r\n /a/\r\n", "req.txt"),
    ("FROM a\nCOPY nothing req.txt /", "req.txt"),
]


@pytest.mark.parametrize(("text", "expected"), SOURCES)
def test_which_files_can_influence_the_image(text: str, expected: str) -> None:
    """Only what the last stage depends on counts, through stages and mounts too."""
    image = image_of(text)
    assert (copied(image), image.unresolved) == (expected, None)


def test_a_folder_of_the_base_may_take_a_file() -> None:
    """`COPY req.txt /srv`: nobody can see whether the base has that folder, unless there is none below."""
    assert layout(image_of("FROM a\nCOPY req.txt /srv")) == "/srv<req.txt;/srv/req.txt<req.txt"
    text = "FROM a\nCOPY req.txt /srv\nCOPY hom.txt /srv"
    assert layout(image_of(text)) == "/srv<hom.txt;/srv/hom.txt<hom.txt;/srv/req.txt<req.txt"
    assert layout(image_of("FROM scratch AS s\nFROM s\nCOPY req.txt /srv")) == "/srv<req.txt"


#: What the whole context is taken for, and a part of what is said about it.
DOUBTS = [
    ("FROM a\nARG SRC\nCOPY $SRC /app/", "only the build knows SRC in COPY"),
    ("FROM a\nCOPY lib $HOME/", "only the build knows HOME in COPY"),
    ("FROM a\nCOPY ${X%.py} /app/", "line 2: only the build knows X in COPY"),
    ("FROM a\nCOPY ${X@Q} /app/", "line 2: only the build knows ${ in COPY"),
    ("FROM a\nCOPY ${D:-lib}/x.py /app/", "line 2: only the build knows D in COPY"),  # the base may set it
    ("FROM a:3-onbuild", "line 1: a:3-onbuild may run more (ONBUILD)"),
    ("ARG D=lib\nFROM a\nCOPY $D /", "only the build knows D"),  # an ARG before FROM is not inside the stage
    ("FROM a\nARG N\nENV D=$N/lib\nCOPY $D /", "only the build knows D"),
    ("FROM a\nWORKDIR $W\nCOPY lib .", "Dockerfile line 2: only the build knows W in WORKDIR"),
    ("FROM a\nCOPY lib .", "line 2: . in COPY counts from the WORKDIR of a, which is not known"),
    ("FROM host/python:3\nADD lib there/", "there/ in ADD counts from the WORKDIR of host/python:3"),
    ("FROM php:8\nWORKDIR w\nWORKDIR v", "line 2: w in WORKDIR counts from the WORKDIR of php:8"),
    ("FROM a AS one\nFROM one\nCOPY lib l/", "line 3: l/ in COPY counts from the WORKDIR of a"),
    (
        "FROM a\nARG N\nRUN --mount=source=$N,target=/n true",
        "Dockerfile line 3: only the build knows N in RUN",
    ),
    ("FROM a\nCOPY $Y$X /", "Dockerfile line 2: only the build knows X, Y in COPY"),
    ("FROM a AS one\nCOPY $X /\nFROM b\nCOPY $Y /\nCOPY --from=one /o /o", "only the build knows Y in COPY"),
    ("FROM a AS one\nARG STAGE\nFROM a\nCOPY --from=$STAGE /x /x", "only the build knows STAGE"),
    ("ARG BASE\nFROM a AS one\nFROM $BASE", "Dockerfile line 3: only the build knows BASE in FROM"),
    ("FROM a\nONBUILD COPY . /app", "line 2 has ONBUILD"),
    ("FROM a AS one\nONBUILD COPY . /app\nFROM one", "line 2 has ONBUILD"),
    ("FROM a\nCOPYY lib /", "unknown instruction 'COPYY'"),
    ("FROM a\nCOPY lib", "line 2: COPY needs a source and a destination"),
    ("FROM a\nCOPY <<EOF /x\nnever ends", "has no end"),
    ('FROM a\nCOPY "lib /', "a quote without an end"),
    ("FROM a\nCOPY [ /", "syntax error in pattern"),
    ("COPY lib /", "COPY before the first FROM"),
    ("FROM a AS", "line 1: FROM takes an image, or an image AS a name"),
    ("# nothing", "Dockerfile cannot be read: it has no FROM"),
]


@pytest.mark.parametrize(("text", "said"), DOUBTS)
def test_what_cannot_be_told_makes_the_whole_context_relevant(text: str, said: str) -> None:
    """Never a guess: every file of the context, and why."""
    image = image_of(text)
    assert image.unresolved is not None
    assert said in image.unresolved
    assert set(TREE) <= set(image.sources)
    assert f"the whole build context: {image.unresolved}" in image.sources.values()


def test_a_doubt_in_a_stage_that_is_not_used_does_not_matter() -> None:
    """A build skips such a stage."""
    assert image_of("FROM a AS tests\nARG S\nCOPY $S /\nFROM b\nCOPY req.txt /").unresolved is None


def test_layout_follows_files_through_stages() -> None:
    """COPY --from takes files from where the stage had put them."""
    text = "FROM a AS one\nWORKDIR /src\nCOPY app lib ./\nFROM b\nCOPY --from=one /src/sub /src/x.py /app/"
    assert layout(image_of(text)) == "/app/c.py<app/sub/c.py;/app/x.py<lib/x.py"


@pytest.mark.parametrize(
    "line",
    ["COPY lib /l", "COPY nothing /n", "COPY $X /x", "WORKDIR /made", "ENV D=lib", "ARG D=lib", "CMD y"],
)
def test_a_stage_built_upon_another_leaves_that_one_as_it_was(line: str) -> None:
    """What a sibling copies, sets or makes is not in the image."""
    text = (
        "FROM a AS one\nENV A=1\nCMD x\nFROM one AS two\n{}\nFROM one\nCOPY req.txt /made\nCOPY $D/x.py /d/"
    )
    assert image_of(text.format(line)) == image_of(text.format("USER me"))


def test_the_escape_character_counts_in_values_too() -> None:
    """A directive names the backtick; the words of COPY know it as well."""
    lines = "ENV D=l`ib\nARG E=x`.py\nCOPY $D/$E /a/\nCOPY my` file.py r`eq.txt /a/\nCMD x"
    image = image_of(f"# escape=`\nFROM a\n{lines}")
    assert layout(image) == "/a/my file.py<my file.py;/a/req.txt<req.txt;/a/x.py<lib/x.py"
    assert image.start is not None
    assert image.start.environment == {"D": "lib"}


@pytest.mark.parametrize("directive", ["", "# escape=`\n"])
@pytest.mark.parametrize("name", ["it's", 'q"x', "b\\s", "b`s", " b"])
def test_the_words_of_the_json_form_have_no_quotes_to_lose(name: str, directive: str) -> None:
    """JSON has its own escapes, whatever the Dockerfile's is."""
    text = f"{directive}FROM a\nCOPY {json.dumps([name, '/a/'])}"
    assert layout(image_of(text, tree=(name,))) == f"/a/{name}<{name}"


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nWORKDIR /\nCOPY req.txt w/",
        "FROM a AS one\nWORKDIR /\nFROM one\nCOPY req.txt w/",
        "FROM python:3.12-slim\nCOPY req.txt w/",
        "FROM mirror.example.com/library/debian@sha256:0\nWORKDIR w\nCOPY req.txt .",
        "FROM scratch\nWORKDIR w\nCOPY req.txt .",
    ],
)
def test_a_relative_place_counts_from_one_that_is_known(text: str) -> None:
    """An absolute WORKDIR says it, and so does an image of Docker Hub that sets none."""
    assert layout(image_of(text)) == "/w/req.txt<req.txt"


@pytest.mark.parametrize("name", ["E", "'E'", '"E"'])
def test_a_here_document_replaces_the_file_of_its_name(name: str) -> None:
    """The quotes are no part of it."""
    image = image_of(f"FROM a\nCOPY E req.txt /a/\nCOPY <<{name} /a/\nx\nE", tree=("E", "req.txt"))
    assert layout(image) == "/a/req.txt<req.txt"


def test_two_dashes_end_the_options() -> None:
    """What follows is a source, whatever it begins with."""
    assert layout(image_of("FROM a\nCOPY -- --odd /a/", tree=("--odd",))) == "/a/--odd<--odd"


def test_the_source_of_a_mount_may_hold_an_equals_sign() -> None:
    """The first one ends the option's name."""
    image = image_of("FROM a\nRUN --mount=source=a=b,target=/t true", tree=("a=b", "b"))
    assert copied(image) == "a=b"


def test_of_two_files_with_one_name_the_later_folder_stays() -> None:
    """A walk goes through ``a`` before ``a-b``, as the names are sorted folder by folder."""
    image = image_of("FROM a\nCOPY */x.txt /d/", tree=("a-b/x.txt", "a/x.txt", "a/b/x.txt"))
    assert layout(image) == "/d/x.txt<a-b/x.txt"


def test_a_later_copy_wins() -> None:
    """Conflicts are resolved in favour of what is added."""
    assert layout(image_of("FROM a\nCOPY lib/x.py /m.py\nCOPY app/a.py /m.py")) == "/m.py<app/a.py"


def test_a_file_goes_into_a_folder_that_exists() -> None:
    """An earlier WORKDIR or COPY has made the folder, so the name is not the file's."""
    assert layout(image_of("FROM a\nCOPY lib/ /l\nCOPY req.txt /l")).startswith("/l/req.txt<req.txt;/l/x.py")


def test_sources_carry_their_reason() -> None:
    """What `why` shows for a file that no import explains."""
    reasons = image_of("FROM a\nCOPY req.txt lib/ /l/\nRUN --mount=source=hom.txt,target=/h true").sources
    assert reasons["lib/x.py"] == "Dockerfile: COPY lib/"
    assert reasons["req.txt"] == "Dockerfile: COPY req.txt"
    assert reasons["hom.txt"] == "Dockerfile: RUN --mount=source=hom.txt,target=/h"
    assert reasons["Dockerfile"] == "Dockerfile: the image is built from it"
    below = image_of("FROM a AS one\nCOPY req.txt /\nFROM b\nCOPY --from=one /o /o").sources
    assert below["req.txt"] == "Dockerfile: COPY req.txt"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("COPY models/ /m/", ("models/",)),
        ("COPY models/*.pkl req.txt /m/", ("models/*.pkl",)),
        ("COPY models /m/\nCOPY models /n/", ("models",)),
        ("COPY req.tx[t] zzz*.tx[t] /app/*.whl req.txt /m/", ()),  # no builder takes this for a fault
        ("RUN --mount=source=models,target=/m true", ("models",)),
        ("COPY --parents models/a /m/", ("models/a",)),
        ("COPY --exclude=*.py lib/x.py /m/", ()),
        ("COPY one /\nFROM b\nCOPY two /\nCOPY --from=0 /o /o", ("two", "one")),
        ("ADD https://example.com/models /m/", ()),
        ("COPY --from=nginx /models /m/", ()),
    ],
)
def test_a_source_that_git_does_not_hold_is_named_once(text: str, missing: tuple[str, ...]) -> None:
    """As written, so that a person finds the line."""
    assert image_of(f"FROM a\n{text}").missing == missing


STARTS: list[tuple[str, Start | None]] = [
    ("RUN true", None),
    ('CMD ["python", "a.py"]', Start((), ("python", "a.py"), "/", {})),
    ("CMD python a.py", Start((), ("/bin/sh", "-c", "python a.py"), "/", {})),
    ("CMD one\nCMD two", Start((), ("/bin/sh", "-c", "two"), "/", {})),
    ('SHELL ["/bin/bash", "-c"]\nCMD two', Start((), ("/bin/bash", "-c", "two"), "/", {})),
    ('CMD ["x"]\nENTRYPOINT ["e"]', Start(("e",), ("x",), "/", {})),
    ("CMD ['x']", Start((), ("/bin/sh", "-c", "['x']"), "/", {})),
    ('WORKDIR app\nENV P=/a:$P Q="b c"\nCMD ["x"]', Start((), ("x",), "/app", {"P": "/a:", "Q": "b c"})),
    ('ARG V=1\nENV W=${V}\nCMD ["$W"]', Start((), ("$W",), "/", {"W": "1"})),
    ('CMD ["x"]\nCMD []', None),
    ("CMD", None),
    ("CMD [1]", Start((), ("/bin/sh", "-c", "[1]"), "/", {})),
    ('ENV A=1 B\nCMD ["x"]', Start((), ("x",), "/", {"A": "1", "B": ""})),
    ('ENV D=$N\nENV E=x$D\nCMD ["x"]', Start((), ("x",), "/", {"D": "", "E": "x"})),
]


@pytest.mark.parametrize(("text", "start"), STARTS)
def test_how_the_image_starts(text: str, start: Start | None) -> None:
    """The words as docker stores them: the shell form is a shell's, the JSON form expands nothing."""
    assert image_of(f"FROM a\n{text}").start == start


def test_a_new_entry_point_drops_the_command_below() -> None:
    """The reference, "Understand how CMD and ENTRYPOINT interact"."""
    text = 'FROM a AS one\nWORKDIR /o\nCMD ["old"]\nFROM one\n'
    assert image_of(text).start == Start((), ("old",), "/o", {})
    assert image_of(text + 'ENTRYPOINT ["e"]').start == Start(("e",), (), "/o", {})


def test_the_ignore_file_at_the_root_of_the_context() -> None:
    """What it leaves out is neither copied nor a source; it is a source itself."""
    image = image_of("FROM a\nCOPY . /all/", _dockerignore="**/*.py\n!lib\n")
    assert "lib/x.py" not in image.sources
    assert "lib/y.txt" in image.sources
    assert image.sources[".dockerignore"] == ".dockerignore: what stays out of the image"


def test_the_ignore_file_beside_the_dockerfile_wins() -> None:
    """``NAME.dockerignore`` is read instead of the other, which then says nothing."""
    image = image_of("FROM a\nCOPY . /all/", _dockerignore="lib", Dockerfile_dockerignore="app")
    assert "lib/x.py" in image.sources
    assert "app/a.py" not in image.sources
    assert image.sources["Dockerfile.dockerignore"].endswith("what stays out of the image")


def test_an_ignore_file_that_docker_refuses_leaves_nothing_out() -> None:
    """A gate must not be blinded by a typing error."""
    image = image_of("FROM a\nCOPY lib /l/", _dockerignore="lib\n[")
    assert image.unresolved is not None
    assert "syntax error in pattern" in image.unresolved
    assert set(TREE) <= set(image.sources)


def test_the_context_may_be_a_folder() -> None:
    """Sources count from there; the Dockerfile may lie anywhere."""
    texts = {
        "deploy/worker.docker": "FROM a\nCOPY sub/ hom.txt /s/\nCOPY .. /all/",
        "app/.dockerignore": "*.md",
    }
    image = read_image({*TREE, *texts}, texts.get, dockerfile="./deploy/worker.docker", context="./app/")
    assert image is not None
    assert set(image.layout) == {"/s/c.py", *(f"/all/{name}" for name in ("a.py", "b.py", "sub/c.py"))} | {
        "/all/.dockerignore"
    }
    assert image.missing == ("hom.txt",)
    assert image.sources["app/sub/c.py"] == "worker.docker: COPY sub/"


STAGES = """
FROM scratch AS base
COPY req.txt /r
FROM base AS Prod
COPY app/a.py /a
CMD ["/a"]
FROM base AS test
COPY lib/x.py /x
CMD ["/x"]
"""


@pytest.mark.parametrize(
    ("target", "sources", "started"),
    [
        (None, "lib/x.py;req.txt", "/x"),
        ("test", "lib/x.py;req.txt", "/x"),
        ("prod", "app/a.py;req.txt", "/a"),
        ("1", "app/a.py;req.txt", "/a"),
        ("base", "req.txt", None),
    ],
)
def test_the_stage_that_is_built(target: str | None, sources: str, started: str | None) -> None:
    """By name or number, as ``--target`` takes it; without one the last. Later stages make no difference."""
    tree = {*TREE, "Dockerfile"}
    image = read_image(tree, {"Dockerfile": STAGES}.get, dockerfile="Dockerfile", context=".", target=target)
    assert image is not None
    assert (copied(image), image.unresolved) == (sources, None)
    assert (image.start.command if image.start else None) == ((started,) if started else None)


@pytest.mark.parametrize(
    ("text", "others"),
    [
        (STAGES, ["Prod"]),
        ("FROM a\nCMD x\nFROM b\nCMD y", ["0"]),
        ("FROM a AS x\nENTRYPOINT x\nFROM b", ["x"]),
        ("FROM a AS x\nCMD x\nFROM x AS y\nFROM y\nCMD z", []),
        ("FROM a AS x\nCMD x\nFROM b\nCOPY --from=x /r /r", []),
        ("FROM a AS x\nCMD x\nFROM b\nRUN --mount=from=x,source=/r cp /r .", []),
        ("FROM a AS x\nCMD x\nFROM a AS y\nCOPY --from=x /r /r\nFROM b\nCOPY --from=y /r /r", []),
        ("FROM a AS x\nRUN make\nFROM b\nCMD y", []),
    ],
)
def test_the_stages_that_may_be_meant_as_well(text: str, others: list[str]) -> None:
    """Those that start a program and are no part of the last one; none where one is named."""
    assert image_of(text).stage.others == others
    tree = {*TREE, "Dockerfile"}
    image = read_image(tree, {"Dockerfile": text}.get, dockerfile="Dockerfile", context=".", target="0")
    assert image is not None
    assert image.stage.others == []


def test_a_stage_that_is_not_there_is_a_doubt() -> None:
    """The whole context counts: it may have another name at this commit."""
    tree = {*TREE, "Dockerfile"}
    image = read_image(tree, {"Dockerfile": STAGES}.get, dockerfile="Dockerfile", context=".", target="gone")
    assert image is not None
    assert image.unresolved == "Dockerfile cannot be read: it has no stage gone"
    assert set(image.sources) == tree


def test_no_dockerfile_is_none() -> None:
    """The caller says at which end it is absent."""
    assert read_image(TREE, lambda path: None, dockerfile="Dockerfile", context=".") is None


def test_links_are_followed_and_kept() -> None:
    """A link's own change matters as much as its target's; a loop ends."""
    files = ("real/x.py", "app/link", "app/own", "app/sub/c.py", "one", "two", "Dockerfile")
    copies = ("app/link /l/", "one /one/", "app/lin* /g/", "app/link/*.py /h/", "app/own /o/")
    read = {"Dockerfile": "\nCOPY ".join(["FROM a", *copies])}.get
    links = {"app/link": "../real", "app/own": "sub", "one": "two", "two": "one"}
    image = read_image(files, read, dockerfile="Dockerfile", context=".", links=links)
    assert image is not None
    linked = "/g/x.py<real/x.py;/h/x.py<real/x.py;/l/x.py<real/x.py"
    assert layout(image) == f"{linked};/o/c.py<app/sub/c.py;/one/one<one"
    assert {"app/link", "real/x.py"} <= set(image.sources)


def test_a_dockerfile_and_an_ignore_file_may_be_links() -> None:
    """Both ends count, and what is read is what the link leads to."""
    texts = {
        "Dockerfile": "build/image",
        "build/image": "FROM a\nCOPY app /app/",
        ".dockerignore": "build/ignored",
        "build/ignored": "app/sub\n",
    }
    links = {"Dockerfile": "build/image", ".dockerignore": "build/ignored"}
    image = read_image({*TREE, *texts}, texts.get, dockerfile="Dockerfile", context=".", links=links)
    assert image is not None
    assert texts.keys() <= image.sources.keys()
    assert "app/a.py" in image.sources
    assert "app/sub/c.py" not in image.sources


@pytest.mark.parametrize(
    ("ignore_files", "out"),
    [
        ({".containerignore": "app\n"}, set()),
        ({".containerignore": "app/*.py\n", ".dockerignore": "app/a.py\nhom.txt\n"}, {"app/a.py"}),
        ({"Dockerfile.containerignore": "app\n", ".containerignore": "", ".dockerignore": "**\n"}, {"app/"}),
    ],
)
def test_what_docker_and_buildah_both_leave_out_stays_out(
    ignore_files: dict[str, str], out: set[str]
) -> None:
    """Nobody can tell which of them builds; each file that one of them would read counts."""
    texts = {"Dockerfile": "FROM a\nCOPY . /c/", **ignore_files}
    image = read_image({*TREE, *texts}, texts.get, dockerfile="Dockerfile", context=".")
    assert image is not None
    left_out = {path for path in TREE if path not in image.sources}
    assert left_out == {path for path in TREE if path.startswith(tuple(out))}
    read = {name for name in ignore_files if len(ignore_files) < 3 or name != ".containerignore"}
    assert {path for path, why in image.sources.items() if "stays out" in why} == read
    assert len(image.remarks) == (len(ignore_files) > 1)


@pytest.mark.parametrize("pattern", ["app/\\a.py", "\\w*", "**/\\d"])
def test_an_escape_of_a_letter_in_an_ignore_file_leaves_nothing_out(pattern: str) -> None:
    """docker hands it to its regular expressions; one that takes back may take back anything."""
    everything = copied(image_of("FROM a\nCOPY app /d/", _dockerignore=""))
    for text in (pattern, f"**\n!{pattern}"):
        assert copied(image_of("FROM a\nCOPY app /d/", _dockerignore=text)) == everything


def test_parents_follows_links() -> None:
    """What a link leads to comes along, in its place."""
    files = ("real/x.py", "app/link", "app/a.py", "Dockerfile")
    read = {"Dockerfile": "FROM scratch\nCOPY --parents app/l* /p/\n"}.get
    image = read_image(files, read, dockerfile="Dockerfile", context=".", links={"app/link": "../real"})
    assert image is not None
    assert {"app/link", "real/x.py"} <= image.sources.keys()
    assert image.layout["/p/app/link/x.py"] == "real/x.py"


@pytest.mark.parametrize(
    "text",
    ["ONBUILD RUN <<EOF\nFROM none\nEOF", 'RUN <<E"O"F\nFROM none\nEOF', "ONBUILD COPY <<'X' /a\nFROM n\nX"],
)
def test_a_here_document_in_any_dress_is_no_instruction(text: str) -> None:
    """Its lines would be refused."""
    image = image_of(f"FROM a\n{text}\nCOPY req.txt /r.txt")
    assert layout(image) == "/r.txt<req.txt"
