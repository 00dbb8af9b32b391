"""Revisions as people read them."""

import pytest

from driftline.model.revisions import short, titled

COMMIT, DIGEST = "0123456789abcdef0123456789abcdef01234567", "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("revision", "brief", "named"),
    [
        (COMMIT, "0123456789ab", "0123456789ab"),
        ("0123456789ab", "0123456789ab", "0123456789ab"),
        ("18.1.0", "18.1.0", "chart 18.1.0"),
        ("18.1.0-rc.1+build.20261120", "18.1.0-rc.1+build.20261120", "chart 18.1.0-rc.1+build.20261120"),
        (DIGEST, "sha256:abababababab", "sha256:abababababab"),
        ("", "", ""),
    ],
)
def test_commits_are_cut_and_versions_are_not(revision: str, brief: str, named: str) -> None:
    assert (short(revision), titled(revision)) == (brief, named)
