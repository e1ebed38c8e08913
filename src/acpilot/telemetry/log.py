"""The raw log: an Arrow IPC stream that survives a crash up to its last batch."""

import os
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


def read_telemetry(path: Path) -> Samples:
    """All whole batches of a log, also of one cut short by a crash.

    Raises:
        AcpilotError: the file is missing, is no telemetry log, or holds no sample.
    """
    batches = []
    try:
        with path.open("rb") as file:
            stream = pa.ipc.open_stream(file)
            if stream.schema.names[0] != "instant":
                raise AcpilotError(f"{path} is an Arrow file, but not a telemetry log of acpilot")
            # A crash may have cut the last batch short: all before it is good.
            with suppress(pa.ArrowInvalid, OSError):
                batches.extend(stream)
            table = pa.Table.from_batches(batches, stream.schema)
    except FileNotFoundError:
        raise AcpilotError(
            f"{path} is missing: without telemetry the frames cannot be labelled; record the session again"
        ) from None
    except (pa.ArrowInvalid, OSError):
        raise AcpilotError(f"{path} is empty or damaged from its start: record the session again") from None
    if table.num_rows == 0:
        raise AcpilotError(f"{path} holds no sample: the game was not driven while recording")
    return columns(table)
