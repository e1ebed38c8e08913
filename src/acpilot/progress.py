"""A progress bar for work that takes more than a moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

Progress = Callable[[int, int], None]
"""Told how many of how many are done."""


@contextmanager
def progress_bar(console: Console, title: str) -> Iterator[Progress]:
    """Show a bar with the time left on a terminal; it is gone when the work is done."""
    from rich.progress import Progress as Bar

    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape(title), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
