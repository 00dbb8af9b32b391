"""Pages that are made from the source are current, links lead somewhere, and commands in them exist."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from docs import generate
from driftline.adapters.settings import SECTIONS, documented
from service.cli.main import cli
from service.providers.table import HOSTS

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_page_of_settings_is_what_the_source_says() -> None:
    assert (ROOT / "docs/settings.md").read_text() == generate.page(), "run: make docs"


def test_every_setting_stands_in_a_section() -> None:
    found = list(documented())
    assert set(SECTIONS) <= {setting.field for setting in found}
    assert all(setting.section for setting in found)


def test_every_git_host_has_its_section_with_url_and_setting() -> None:
    page = (ROOT / "docs/webhooks.md").read_text()
    assert [host for host in HOSTS if f"DRIFTLINE_WEBHOOK_SECRET_{host.upper()}" not in page] == []
    assert [host for host in HOSTS if f"/hooks/{host}/" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_to_files(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_in_the_text_exist(page: Path) -> None:
    known = {setting.variable for setting in documented()}
    # Of the command line and of the tests, not of the processes.
    known |= {"DRIFTLINE_SERVER", "DRIFTLINE_AUTH_TOKEN", "DRIFTLINE_TEST_CLUSTER"}
    known |= {"DRIFTLINE_REPO_PASSWORD", "DRIFTLINE_REPO_BEARER_TOKEN", "DRIFTLINE_PASSWORD"}
    used = re.findall(r"DRIFTLINE_[A-Z_]*[A-Z](?![A-Z_*<])", page.read_text())
    assert sorted(set(used) - known) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_text_exist_with_their_options(page: Path) -> None:
    for line in _commands(page.read_text()):
        words = [word for word in shlex.split(line, comments=True)[1:] if word not in ("|", "&&")]
        assert _complaint(words) == "", line


def _commands(text: str) -> list[str]:
    """Lines of shell blocks that run our command line, continuation lines joined."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    bare = [line.strip().removeprefix("$ ") for line in lines]
    return [re.split(r" \| | > | && ", line)[0] for line in bare if line.startswith("driftline ")]


def _complaint(words: list[str]) -> str:
    """What is wrong with a command line, without running it; empty if nothing is."""
    command: click.Command = cli
    context = click.Context(cli, info_name="driftline")
    while isinstance(command, click.Group) and words:
        if words[0].startswith("-"):
            return ""  # options of the program itself, such as --version
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    return ", ".join(f"no option {option}" for option in sorted(given - options - {"--help", "-h"}))


def test_every_package_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9-]", each)[0] for each in declared} - {"driftline"}
    page = (ROOT / "docs/dependencies.md").read_text()
    assert sorted(name for name in names if name not in page) == []
