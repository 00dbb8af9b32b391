"""Keys of this machine are made by whoever comes first, and all others get the same."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from driftline.adapters.once import made_once


def test_many_at_once_get_the_content_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda _: made_once(path, lambda: secrets.token_bytes(32)), range(64)))
    assert found == {path.read_bytes()} and len(path.read_bytes()) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["key"], "no draft is left"
