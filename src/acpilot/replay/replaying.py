"""Replays a session: publishes its pages and shows its pictures on one timeline, and says how well that went."""

import time
from contextlib import ExitStack
from dataclasses import replace

from acpilot.clock import NS, now
from acpilot.desktop.stopping import Stop
from acpilot.progress import Say, Show
from acpilot.replay.pictures import Pictures
from acpilot.replay.publishing import Publisher
from acpilot.replay.settings import ReplaySettings
from acpilot.replay.source import Source, Timeline, read_source
from acpilot.session.folder import Session

_LEAD = NS // 2  # until the first picture is decoded and drawn
_SHOW_EVERY = NS // 5
_REST = 0.05


def replay(session: Session, settings: ReplaySettings, say: Say, show: Show) -> list[str]:
    """Replay a session until its end, Ctrl-C, or Escape in the window or its closing.

    Args:
        session: recorded by acpilot or by the original tool.
        settings: how to replay it.
        say: prints a line that stays: what is replayed, and what is missing.
        show: shows a line in place of the one before.

    Returns:
        Why it ended and how punctual it was, a line each.

    Raises:
        AcpilotError: the telemetry is missing or damaged, the pages are another game's, or the window cannot be opened.
    """
    with Stop(escape=False) as stop, ExitStack() as stack:
        source = read_source(session, settings)
        for note in source.notes:
            say(f"note      {note}")
        show("starting ...")
        pictures = stack.enter_context(Pictures(session.video_file, source, settings)) if source.frames else None
        publisher = stack.enter_context(Publisher(source, settings.pages))
        window = "no window"
        if pictures:
            window = f"window {settings.title!r}, drawn by {pictures.renderer}"
            if pictures.note:
                say(f"note      {pictures.note}")
        say(f"publishing {settings.pages}_*; {window}")
        timeline = replace(source.timeline, start=now() + _LEAD)
        publisher.start(timeline)
        if pictures:
            pictures.start(timeline)
        ended_by = _watch(stop, timeline, publisher, pictures, show)
        published = publisher.finish()
    report = [
        f"ended by  {ended_by}",
        f"telemetry {published.lateness.events} samples, {published.rate_hz:.1f} a second "
        f"(recorded: {_recorded_rate(source):.1f}); {published.lateness}",
    ]
    if pictures:
        frames = f"{pictures.lateness.events} frames shown, {pictures.dropped} dropped"
        report.append(f"video     {frames}; {pictures.lateness}")
    return report


def _watch(stop: Stop, timeline: Timeline, publisher: Publisher, pictures: Pictures | None, show: Show) -> str:
    """Show pictures and the state until the end; what it was."""
    ways = "Escape in the window or Ctrl-C ends" if pictures else "Ctrl-C ends"
    next_line = 0
    while not publisher.ended:
        if pictures and (wish := pictures.update()):
            return wish
        if stop.reason:
            return stop.reason
        # Not Stop.wait: a signal that comes while its lock is held, for some microseconds of each call, would wait too.
        if not pictures:
            time.sleep(_REST)
        if now() >= next_line:
            next_line = now() + _SHOW_EVERY
            frames = f", {pictures.lateness.events} frames" if pictures else ""
            show(f"{_progress(timeline)}{frames} | {ways}")
    return "the session's end"


def _progress(timeline: Timeline) -> str:
    length = (timeline.end - timeline.begin) / NS
    seconds = max(0.0, (now() - timeline.start) / NS * timeline.speed)
    if not timeline.loop:
        return f"{min(seconds, length):.1f} of {length:.1f} s"
    turn, seconds = divmod(seconds, length)
    return f"turn {turn + 1:.0f}, {seconds:.1f} of {length:.1f} s"


def _recorded_rate(source: Source) -> float:
    instants = source.samples["instant"]
    seconds = (instants[-1] - instants[0]) / NS
    return (len(instants) - 1) / float(seconds) if seconds else 0.0
