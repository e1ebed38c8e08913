"""The raw log: an Arrow IPC stream that survives a crash up to its last batch."""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from acpilot.errors import AcpilotError
from acpilot.telemetry.sample import SCHEMA, Samples, columns, record_batch


class TelemetryWriter:
    """Appends batches of samples; each is on the disk when ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._stream = pa.ipc.new_stream(self._file, SCHEMA, options=options)
        self.samples = 0

    def write(self, instants: np.ndarray, physics: np.ndarray, graphics: np.ndarray) -> None:
        """Append samples given as pages (see ``record_batch``).

        Raises:
            OSError: the disk is full, or gone.
        """
        self._stream.write_batch(record_batch(instants, physics, graphics))
        os.fsync(self._file.fileno())
        self.samples += len(instants)

    def close(self) -> None:
        """End the stream; may be called twice."""
        if not self._file.closed:
            try:
                self._stream.close()
            finally:
                self._file.close()


def read_telemetry(path: Path, names: Collection[str] = ()) -> Samples:
    """All whole batches of a log, also of one cut short by a crash.

    Args:
        path: the log.
        names: columns that are wanted, ``instant`` among them; all without. An hour of all takes half a gigabyte.

    Raises:
        AcpilotError: the file is missing, is no telemetry log, or holds no sample.
    """
    parts: list[Samples] = []
    try:
        with path.open("rb") as file:
            stream = pa.ipc.open_stream(file)
            if stream.schema.names[0] != "instant":
                raise AcpilotError(f"{path} is an Arrow file, but not a telemetry log of acpilot")
            # A crash may have cut the last batch short: all before it is good.
            with suppress(pa.ArrowInvalid, OSError):
                # Copied, so that a batch's memory is free before the next is read.
                parts.extend(
                    {name: values.copy() for name, values in columns(batch, names).items()} for batch in stream
                )
    except FileNotFoundError:
        raise AcpilotError(
            f"{path} is missing: without telemetry the frames cannot be labelled; record the session again"
        ) from None
    except (pa.ArrowInvalid, OSError):
        raise AcpilotError(f"{path} is empty or damaged from its start: record the session again") from None
    if not any(len(part["instant"]) for part in parts):
        raise AcpilotError(f"{path} holds no sample: the game was not driven while recording")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
