"""What a person sees while work goes on: a line that changes, or a bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

Progress = Callable[[int, int], None]
"""Told how many of how many are done."""
Say = Callable[[str], None]
"""Prints a line, as it is."""
Show = Callable[[str], None]
"""Shows one line of text in place of the one before."""


@contextmanager
def status_line(console: Console, first: str) -> Iterator[Show]:
    """Show a spinner with a line of text that can be changed; it is gone at the end."""
    with console.status(escape(first)) as status:
        yield lambda line: status.update(escape(line))


@contextmanager
def progress_bar(console: Console, title: str) -> Iterator[Progress]:
    """Show a bar with the time left on a terminal; it is gone when the work is done."""
    from rich.progress import Progress as Bar

    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape(title), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
