"""What an environment variable says, and what an empty one says."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from driftline.adapters.settings import EMPTY_COUNTS, PREFIX, Settings, documented, read_settings
from driftline.model.errors import Permanent


def test_an_empty_variable_switches_the_metrics_off() -> None:
    assert read_settings({"DRIFTLINE_METRICS_LISTEN": ""}).metrics_listen == ""
    assert read_settings({"DRIFTLINE_ADOPT_MANAGERS": ""}).adopt_managers == ""
    assert read_settings({}).metrics_listen == Settings().metrics_listen != ""


def test_any_other_empty_variable_is_as_good_as_none() -> None:
    """Compose files and charts pass empty variables for what nobody has set."""
    empty = {each.variable: "" for each in documented() if each.field not in EMPTY_COUNTS}
    assert read_settings(empty) == Settings()


def test_what_empty_means_is_written_where_it_is_not_the_default() -> None:
    for each in documented():
        if each.field in EMPTY_COUNTS:
            assert each.default and "Empty:" in each.text
        elif each.default:
            assert "Empty:" not in each.text, f"{each.variable} cannot be set to the empty value it explains"


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:9999", "http://127.0.0.1:9999"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:8081", "http://127.0.0.1:8081"),
        ("[::1]:8081", "http://[::1]:8081"),
        ("unix:/run/driftline.sock", "http://127.0.0.1:8080"),
    ],
)
def test_links_lead_to_where_the_web_process_listens_unless_they_are_set(listen: str, url: str) -> None:
    assert read_settings({"DRIFTLINE_LISTEN": listen}).public_url == url
    both = {"DRIFTLINE_LISTEN": listen, "DRIFTLINE_PUBLIC_URL": "https://driftline.example.org"}
    assert read_settings(both).public_url == "https://driftline.example.org"


def test_a_value_that_cannot_be_read_names_its_variable() -> None:
    for name, text, wanted in (("SMTP_PORT", "x", "whole number"), ("POLL_INTERVAL", "soon", "seconds")):
        with pytest.raises(Permanent, match=f"{PREFIX}{name}: '{text}' is not .*{wanted}"):
            read_settings({PREFIX + name: text})


def test_a_generated_key_is_one_for_all_threads(tmp_path: Path) -> None:
    for number in range(20):
        settings = Settings(data_dir=tmp_path / str(number))
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(lambda _: settings.signing_key, range(8)))) == 1  # noqa: B023
        assert [path.name for path in (tmp_path / str(number)).iterdir()] == ["secret_key"]
