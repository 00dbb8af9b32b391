"""Writes docs/settings.md from the docstrings of the settings: `python -m docs.generate`."""

from itertools import groupby
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


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, settings in groupby(documented(), key=lambda each: each.section):
        parts.append(f"\n## {title}\n\n| variable | default | meaning |\n|---|---|---|\n")
        parts += [_row(setting) for setting in settings]
    return "".join(parts)


def _row(setting: Documented) -> str:
    default = f"`{setting.default}`" if setting.default else ""
    secret = "**Secret.** " if is_secret(setting.field) else ""
    text = setting.text.replace("|", "\\|").replace("<", "&lt;")
    return f"| `{setting.variable}` | {default} | {secret}{text} |\n"


if __name__ == "__main__":
    TARGET.write_text(page())
