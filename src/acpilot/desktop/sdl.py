"""SDL 2: wheels and gamepads, and a window that is drawn on time."""

import warnings
from typing import Any

from acpilot.commands import install_extra
from acpilot.errors import AcpilotError


def load_sdl() -> Any:
    """The bindings of SDL 2.

    Raises:
        AcpilotError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells which SDL it loads
            import sdl2
    except ImportError as error:
        raise AcpilotError(
            f"SDL is missing, which reads wheels and draws clocks ({error}): {install_extra('drive')}"
        ) from None
    return sdl2
