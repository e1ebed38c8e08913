"""What the user may name as a policy: a file of one, a function that makes one, or the expert."""

import importlib
import re
import sys
from pathlib import Path

from acpilot.errors import AcpilotError
from acpilot.evaluation.closed_loop import Driver, ExpertDriver, PolicyDriver

_ENTRY_POINT = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")


def open_driver(name: str) -> Driver:
    """Whoever is to drive.

    Args:
        name: of a policy's file; ``package.module:factory``, a function without arguments that returns a ``Policy``;
            or ``expert``. Only an entry point runs code of the user's.

    Raises:
        AcpilotError: there is no such policy, or it cannot be used.
    """
    if name == "expert":
        return ExpertDriver()
    found = _ENTRY_POINT.fullmatch(name)
    if found is None or Path(name).exists():
        from acpilot.policy.load import load

        return PolicyDriver(load(Path(name)))
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as python -m does
    try:
        factory = getattr(importlib.import_module(found[1]), found[2])
    except (ImportError, AttributeError) as error:
        raise AcpilotError(
            f"{name} cannot be imported: {error}; give a policy's file, expert, or package.module:factory"
        ) from None
    policy = factory()
    if missing := [member for member in ("name", "rate", "band", "drive", "reset") if not hasattr(policy, member)]:
        raise AcpilotError(f"{name} made no policy: its {type(policy).__name__} lacks {', '.join(missing)}")
    return PolicyDriver(policy)
