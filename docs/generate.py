"""Writes docs/settings.md from the docstrings of the settings: `python -m docs.generate`."""

from pathlib import Path

from driftline.adapters.settings import Documented, documented, is_secret

TARGET = Path(__file__).parent / "settings.md"

INTRODUCTION = """\
# Settings

Every process reads the same environment variables when it starts; `driftline settings` shows them with the values in
force. Durations are in seconds, sizes in bytes, switches take `true` or `false`. A value that cannot be read ends the
process with the variable's name and what is wanted. A variable that is set to nothing counts as not set; where that
means something of its own, as `DRIFTLINE_METRICS_LISTEN=` does (no metrics), the table says so. **Secret** values are
never shown or logged.

This page is made from the source: `make docs` writes it, and a test keeps it true.
"""

SECTIONS = {
    "data_dir": "Where things are",
    "webhook_secret_github": "Webhooks",
    "smtp_host": "Alerts",
    "poll_interval": "How often, how long, how much",
    "git_deadline": "Git and rendering",
    "cluster_private_kubeconfig": "Clusters",
    "fast_workers": "Processes",
}
"""The first setting of a section, and the section's title."""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for setting in documented():
        if title := SECTIONS.get(setting.field):
            parts.append(f"\n## {title}\n\n| variable | default | meaning |\n|---|---|---|\n")
        parts.append(_row(setting))
    return "".join(parts)


def _row(setting: Documented) -> str:
    default = f"`{setting.default}`" if setting.default else ""
    secret = "**Secret.** " if is_secret(setting.field) else ""
    text = setting.text.replace("|", "\\|").replace("<", "&lt;")
    return f"| `{setting.variable}` | {default} | {secret}{text} |\n"


if __name__ == "__main__":
    TARGET.write_text(page())
