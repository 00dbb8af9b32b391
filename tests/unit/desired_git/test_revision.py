"""What a targetRevision means, what has to be fetched for it, and which pushes concern it."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.desired.revision import concerns, resolve, validate, wanted_refs
from driftline.model.errors import Permanent

A, B, C, D = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
REFS = {
    "refs/heads/main": A,
    "refs/heads/both": B,
    "refs/tags/both": C,
    "refs/tags/1.0.0": B,
    "refs/tags/v1.2.0": C,
    "refs/tags/1.3.0-rc.1": D,
    "refs/tags/web-2.0.0": D,
    "refs/tags/web-2.1.0": A,
    "refs/tags/nightly": D,
}


@pytest.mark.covers("REV-01")
def test_names_ids_and_head() -> None:
    assert resolve("", REFS, A).commit == A
    assert resolve("HEAD", REFS, A).ref == "HEAD"
    assert resolve("main", REFS, "").ref == "refs/heads/main"
    assert resolve("refs/tags/nightly", REFS, "").commit == D
    assert resolve("nightly", REFS, "").ref == "refs/tags/nightly"
    assert resolve("f" * 40, {}, "").commit == "f" * 40
    assert resolve("F" * 40, {}, "").commit == "f" * 40
    assert resolve("1.0.0", REFS, "").ref == "refs/tags/1.0.0"


@pytest.mark.covers("REV-01")
def test_a_short_id_is_left_to_the_mirror_unless_a_ref_has_that_name() -> None:
    for short in ("1234567", "aaaaaaa"):
        left = resolve(short, REFS, "")
        assert left.commit == short and left.abbreviated, "a ref's commit may begin so, and another one as well"
    named = resolve("abcdef1", {**REFS, "refs/heads/abcdef1": B}, "")
    assert named.commit == B and not named.abbreviated


@pytest.mark.covers("REV-06")
def test_a_branch_goes_before_a_tag_of_its_name_and_people_are_told() -> None:
    found = resolve("both", REFS, "")
    assert (found.commit, found.ref) == (B, "refs/heads/both")
    assert "refs/tags/both" in found.warnings[0]
    assert resolve("refs/tags/both", REFS, "").warnings == ()


@pytest.mark.covers("REV-02")
def test_a_range_takes_the_highest_tag() -> None:
    assert resolve("*", REFS, "").ref == "refs/tags/v1.2.0"
    assert resolve("^1.0", REFS, "").commit == C
    assert resolve(">=1.0.0-0 <2", REFS, "").ref == "refs/tags/1.3.0-rc.1"
    assert resolve("1.x", {"refs/heads/1.x": A}, "").ref == "refs/heads/1.x"
    both = resolve("1.x", {**REFS, "refs/heads/1.x": A}, "")
    assert both.ref == "refs/tags/v1.2.0" and "refs/heads/1.x" in both.warnings[0]


@pytest.mark.covers("REV-03")
def test_a_prefix_chooses_and_is_put_back() -> None:
    found = resolve("2.x", REFS, "", tag_prefix="web-")
    assert (found.commit, found.ref) == (A, "refs/tags/web-2.1.0")


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("nope", "no branch, tag or ref"),
        (">=9", "no tag is in this version range"),
        ("HEAD", "no commits"),
        ("1.2.0", "unable"),
    ],
)
def test_what_cannot_be_found_is_an_error_with_its_name(revision: str, says: str) -> None:
    with pytest.raises(Permanent, match=says) as refused:
        resolve(revision, REFS, "")
    assert f"targetRevision {revision!r}" in str(refused.value) or revision == "HEAD"


@pytest.mark.parametrize(
    "revision",
    [
        "-x",
        "--upload-pack=touch marker",
        "--upl=touch",
        "-utouch",
        "../../etc/passwd",
        "refs/heads/../../x",
        "a..b",
        "a b",
        "main\n",
        "main\x00",
        "@{u}",
        "@",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a[b",
        "a\\b",
        "/a",
        "a/",
        "a.lock",
        "a//b",
        ".a",
        "a/.b",
        "x" * 300,
        "$(touch marker)",
        "`touch marker`\n",
        "refs/heads/*",
    ],
)
@pytest.mark.parametrize("use", [validate, wanted_refs, lambda text: resolve(text, {text: A}, A)])
def test_no_hostile_revision_comes_near_git(revision: str, use: object) -> None:
    with pytest.raises(Permanent):
        use(revision)  # type: ignore[operator]


def test_a_fetch_asks_for_no_more_than_is_needed() -> None:
    assert wanted_refs("") == ("HEAD",)
    assert wanted_refs("main") == ("refs/heads/main", "refs/tags/main")
    assert wanted_refs("refs/heads/main") == ("refs/heads/main",)
    assert wanted_refs("A" * 40) == (A,)
    assert wanted_refs("^1.2") == ("refs/tags/*",)
    assert wanted_refs("1.x", "web-") == ("refs/tags/web-*", "refs/heads/1.x")
    assert wanted_refs("abcdef1") == ("refs/heads/*", "refs/tags/*")


@pytest.mark.covers("WH-04")
def test_which_pushes_concern_whom() -> None:
    assert concerns("main", "refs/heads/main", "")
    assert concerns("refs/heads/main", "refs/heads/main", "")
    assert concerns("v1", "refs/tags/v1", "")
    assert concerns("HEAD", "refs/heads/main", "main") and concerns("", "refs/heads/main", "refs/heads/main")
    assert concerns("", "refs/heads/anything", "")
    assert not concerns("", "refs/heads/other", "main")
    assert not concerns("", "refs/tags/v1", "main")
    assert concerns("^1.0", "refs/tags/v1.5.0", "main")
    assert not concerns("^1.0", "refs/tags/v2.0.0", "main")
    assert not concerns("^1.0", "refs/heads/main", "main")
    assert concerns("2.x", "refs/tags/web-2.0.0", "main", "web-")
    assert not concerns("2.x", "refs/tags/2.0.0", "main", "web-")
    assert not concerns(A, "refs/heads/main", "main")


names = st.from_regex(r"[a-z0-9][a-z0-9.x*-]{0,7}", fullmatch=True)
ref_maps = st.dictionaries(
    st.builds(
        lambda kind, name: f"refs/{kind}/{name.replace('*', 'x').rstrip('.')}",
        st.sampled_from(["heads", "tags"]),
        names,
    ),
    st.sampled_from([A, B, C, D]),
    max_size=6,
)


@given(ref_maps, names, st.sampled_from(["", A]))
def test_what_is_resolved_was_fetched_and_its_push_concerns_us(refs: dict[str, str], name: str, head: str) -> None:
    try:
        found = resolve(name, refs, head)
    except Permanent:
        return
    if found.ref:
        assert refs[found.ref] == found.commit
        assert any(fnmatch.fnmatchcase(found.ref, wanted) for wanted in wanted_refs(name))
        assert concerns(name, found.ref, "")


@given(st.text(max_size=40))
def test_no_text_gets_past_that_git_could_take_for_an_option(text: str) -> None:
    try:
        asked = wanted_refs(text)
    except Permanent:
        return
    for ref in asked:
        assert ref == "HEAD" or ref.startswith("refs/") or len(ref) in (40, 64)
        assert ".." not in ref and "\n" not in ref and " " not in ref
