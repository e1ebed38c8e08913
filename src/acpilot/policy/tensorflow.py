"""TensorFlow, imported when it is needed: it takes seconds, and talks."""

import os
import warnings
from typing import Any

from acpilot.commands import install_extra
from acpilot.errors import AcpilotError

SPEED = "speed:0"
"""The tensor that takes the speed in a checkpoint of acpilot's: float32 (n, 1), km/h, negative when it is not known."""


def import_tensorflow() -> Any:
    """The module ``tensorflow.compat.v1``; nothing in the process is switched to TensorFlow 1's behaviour.

    Raises:
        AcpilotError: it is not installed, or cannot be imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what is wrong is said by exceptions
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow.compat.v1 as tf
    except ImportError as error:
        raise AcpilotError(f"TensorFlow checkpoints need TensorFlow ({error}): {install_extra('tensorflow')}") from None
    return tf
