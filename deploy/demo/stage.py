"""What the demo prints: steps with their time, measured moments, quoted messages. Plain lines where nobody watches."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule

INDENT = "      "


class Stage:
    """The terminal, or the file that stands for it."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.began = time.monotonic()

    def act(self, title: str) -> None:
        """Begin a part of the story."""
        self.console.print()
        if self.console.is_terminal:
            self.console.print(Rule(f"[bold]{escape(title)}[/]", align="left"))
        else:
            self.console.print(f"== {escape(title)}")

    @contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """Something that takes a while: a moving sign while it lasts, then one line with its time."""
        start = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(escape(doing)):
                yield
        else:
            yield
        self.took(done, time.monotonic() - start)

    def took(self, text: str, seconds: float) -> None:
        """A step that is done."""
        self.console.print(f"[green]ok[/]    {escape(text)}  [dim]{seconds:.1f} s[/]")

    def say(self, text: str) -> None:
        """A sentence."""
        self.console.print(f"{INDENT}{escape(text)}")

    def command(self, line: str) -> None:
        """A command that is run now."""
        self.console.print(f"    [bold cyan]$ {escape(line)}[/]")

    def moment(self, seconds: float, text: str) -> None:
        """Something that happened so long after the beginning of what is told."""
        self.console.print(f"[bold]{seconds * 1000:6.0f} ms[/]  {escape(text)}")

    def quote(self, source: str, lines: Iterable[str]) -> None:
        """What another part said, each line marked."""
        self.console.print(f"{INDENT}[magenta]{escape(source)}[/]")
        for line in lines:
            self.console.print(f"{INDENT}[dim]|[/] {escape(line)}")

    def failed(self, text: str) -> None:
        """Why it ends here."""
        self.console.print(f"[bold red]FAILED[/] {escape(text)}")
