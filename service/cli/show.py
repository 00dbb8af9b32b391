"""What commands print: tables for people, JSON and YAML for programs."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import click

FORMATS = ("table", "wide", "json", "yaml", "name")


def output(*formats: str) -> Callable[[Any], Any]:
    """The option `-o/--output`, with the first of the formats as default."""
    wanted = formats or FORMATS
    return click.option(
        "-o", "--output", "form", type=click.Choice(wanted), default=wanted[0], show_default=True, help="How to print."
    )


def document(value: Any, form: str) -> None:
    """Print one value as JSON or YAML."""
    if form == "yaml":
        import yaml

        click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def listing(
    items: Sequence[Any], form: str, columns: Sequence[tuple[str, Callable[[Any], Any]]], name: str = ""
) -> None:
    """Print items as a table of `columns` (title, value of an item), as names, or as a document."""
    if form in ("json", "yaml"):
        document(list(items), form)
    elif form == "name":
        for item in items:
            click.echo(item[name] if name else columns[0][1](item))
    else:
        table([title for title, _ in columns], [[value(item) for _, value in columns] for item in items])


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print aligned columns."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(title), *(len(row[at]) for row in cells)]) for at, title in enumerate(titles)]
    for row in (titles, *cells):
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    # Names and messages come from repositories and clusters: nothing of them may move the cursor.
    text = "".join(char if char.isprintable() else " " for char in text)
    return text or "-"


def pairs(found: Sequence[tuple[str, Any]]) -> None:
    """Print names and values, aligned; empty values are left out."""
    shown = [(name, value) for name, value in found if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in shown), default=0) + 2
    for name, value in shown:
        click.echo(f"{name + ':':<{width}}{_cell(value)}")


def coloured_diff(text: str) -> None:
    """Print a unified diff, with colours on a terminal."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in text.splitlines():
        safe = "".join(char if char.isprintable() or char == "\t" else "?" for char in line)
        click.secho(safe, fg=colours.get(line[:1]) if not line.startswith(("+++", "---")) else None)
