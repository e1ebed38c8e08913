"""What keeps a policy from driving on: it must not drive what it does not see, nor on after the game."""

import numpy as np

from acpilot.clock import NS, now
from acpilot.desktop.window import Area
from acpilot.driving.game import Game
from acpilot.driving.settings import DriveSettings
from acpilot.errors import AcpilotError
from acpilot.telemetry.pages import Status

_MOVING_KMH = 5.0
_SOME = np.s_[::8, ::4, 1]  # some pixels' green tells a picture that has changed, in a tenth of the time
_COVER_EVERY = NS // 10
_GRID = (0.1, 0.5, 0.9)  # of the band's width and height


class Guard:
    """Watches the game of one drive."""

    def __init__(self, game: Game, settings: DriveSettings) -> None:
        self._game, self._settings = game, settings
        self._patience = round(settings.freeze_ms * 1e6)
        self._pixels, self._changed = b"", now()
        self._covered_by: str | None = None
        self._looked = 0

    def why_rest(self, band: Area) -> str:
        """Why the controls must be at rest for now, for people; empty when there is no reason.

        Args:
            band: what the policy looks at, pixels from the window's left top corner.

        Raises:
            AcpilotError: the drive must end.
        """
        game = self._game
        if self._settings.stop_when_unfocused and not game.window.has_focus():
            raise AcpilotError("the game's window lost the focus: the drive ends, as --stop-when-unfocused asks")
        if game.status == Status.OFF:
            raise AcpilotError("the game has ended its session")
        if game.reader is not None and now() - game.moved > self._patience:
            raise AcpilotError(
                f"the game's telemetry has stood still for {self._settings.freeze_ms:g} ms, and it is not paused: the "
                "game hangs, or has gone"
            )
        if game.status == Status.PAUSE:
            return "the game is paused"
        if game.status == Status.REPLAY:
            return "the game shows a replay"
        if game.capture.takes_screen and now() - self._looked >= _COVER_EVERY:
            left, top = game.area.left + band.left, game.area.top + band.top
            points = [(left + int(x * band.width), top + int(y * band.height)) for x in _GRID for y in _GRID]
            self._covered_by, self._looked = game.window.covered_by(points), now()
        return f"the game's window is covered by {self._covered_by!r}: move it away" if self._covered_by else ""

    def check_picture(self, picture: np.ndarray) -> None:
        """Take note of what the policy is about to see.

        Raises:
            AcpilotError: the picture stands still while the car moves.
        """
        pixels = picture[_SOME].tobytes()
        speed = self._game.speed_kmh
        if pixels != self._pixels or speed is None or speed < _MOVING_KMH:
            self._pixels, self._changed = pixels, now()
        elif self._game.moved - self._changed > self._patience:  # otherwise it is not the window alone that hangs
            raise AcpilotError(
                f"the picture has stood still for {self._settings.freeze_ms:g} ms while the car went {speed:.0f} km/h: "
                "the game's window hangs"
            )

    def reset(self) -> None:
        """The policy has not looked for a while."""
        self._pixels = b""
