"""Tells people and the debug window how a drive goes."""

from statistics import median

from acpilot.clock import NS, now
from acpilot.desktop.window import Area
from acpilot.driving.debug_window import DebugWindow
from acpilot.driving.loop import Cycle
from acpilot.driving.run_recorder import RunRecorder
from acpilot.policy.policy import REST
from acpilot.progress import Say, Show
from acpilot.session.manifest import HUMAN

_SHOW_EVERY = NS // 10


class Telling:
    """Is told of each cycle, and tells of it: once a second in a line that stays, and in one that is replaced."""

    def __init__(self, say: Say, show: Show, run: RunRecorder | None, window: DebugWindow | None) -> None:
        self._say, self._show, self._run, self._window = say, show, run, window
        self._start = self._second = now()
        self._shown = 0
        self._recent: list[Cycle] = []
        self._last: Cycle | None = None
        self._size: tuple[int, int] | None = None
        self._why_rest = ""
        self._run_lost = False

    def note(self, text: str) -> None:
        """Something that the user should know."""
        self._say(f"note  {text}")

    def add(self, cycle: Cycle) -> None:
        """One more cycle."""
        if cycle.driver == HUMAN and not self._by_human:
            self.note("the driver has taken over")
            self._why_rest = ""  # nor does the policy drive on
        self._recent.append(cycle)
        self._last = cycle
        self.rest(cycle.why_rest)

    @property
    def _by_human(self) -> bool:
        return self._last is not None and self._last.driver == HUMAN

    def rest(self, why: str) -> None:
        """The controls are at rest for this reason; not at rest when it is empty."""
        if why != self._why_rest:
            self._why_rest = why
            self.note(f"controls at rest: {why}" if why else "driving on")

    def tell(self, area: Area) -> None:
        """Say what is new, and once a second how it goes."""
        size = (area.width, area.height)
        if size != self._size:
            if self._size is not None:
                self.note(f"the game's window is {size[0]}x{size[1]} now")
            self._size = size
        if self._run is not None and self._run.failure is not None and not self._run_lost:
            self._run_lost = True
            self.note(f"the run is not recorded any more: {self._run.failure}")
        if self._last is None:
            return
        if self._window is not None:
            self._window.show(self._last)
        elapsed = (now() - self._second) / NS
        if elapsed >= 1:
            self._say(self._line(self._recent, elapsed))
            self._recent, self._second = [], now()
        if now() - self._shown >= _SHOW_EVERY:
            self._show(self._line([self._last], None))
            self._shown = now()

    def _line(self, cycles: list[Cycle], elapsed: float | None) -> str:
        last = self._last
        assert last is not None
        taken = [cycle.latency / 1e6 for cycle in cycles if cycle.latency]
        rate = "" if elapsed is None else f"{len(cycles) / elapsed:5.1f} Hz | "
        latency = f"{median(taken):5.1f} ms" if taken else "   - ms"
        if elapsed is not None and taken:
            latency += f" (worst {max(taken):5.1f})"
        speed = "  - km/h" if last.speed_kmh is None else f"{last.speed_kmh:3.0f} km/h"
        command, applied = last.command, REST if self._why_rest else last.applied
        return (
            f"{(now() - self._start) / NS:6.1f} s | {rate}{latency} | steering {command.steering:+.3f} -> "
            f"{applied.steering:+.3f} | throttle {applied.throttle:.2f} | brake {applied.brake:.2f} | {speed}"
            + (f" | at rest: {self._why_rest}" if self._why_rest else " | the driver drives" if self._by_human else "")
        )
