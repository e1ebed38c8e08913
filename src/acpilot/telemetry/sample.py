"""One telemetry sample: its fields with unit, sign and range, and the Arrow schema of the raw log."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from acpilot.telemetry.pages import GRAPHICS, PHYSICS

Samples = dict[str, np.ndarray]
"""Samples as columns: name → array of shape (n,) or (n, k), as the schema says."""


@dataclass(frozen=True)
class Field:
    """One column of the raw log and the page field that it comes from."""

    name: str
    page: np.dtype[np.void] | None
    source: str
    meaning: str
    """Unit, sign and range."""

    @property
    def arrow(self) -> pa.Field:
        """The Arrow field, with its meaning as metadata."""
        if self.page is None:
            kind = pa.int64()
        else:
            layout = self.page[self.source]
            kind = pa.from_numpy_dtype(layout.base)
            if layout.shape:
                kind = pa.list_(kind, layout.shape[0])
        return pa.field(self.name, kind, nullable=False, metadata={"meaning": self.meaning})


FIELDS = (
    Field("instant", None, "", "ns, monotonic clock: when the sample was read"),
    Field("packet_id", PHYSICS, "packet_id", "counts the game's physics steps"),
    Field("steer_angle", PHYSICS, "steer_angle", "the game's own unit and sign: see steering in session.json"),
    Field("throttle", PHYSICS, "gas", "0..1"),
    Field("brake", PHYSICS, "brake", "0..1"),
    Field("clutch", PHYSICS, "clutch", "0..1, direction as the game publishes it"),
    Field("gear", PHYSICS, "gear", "-1 reverse, 0 neutral, 1 first"),
    Field("rpm", PHYSICS, "rpm", "rev/min"),
    Field("speed_kmh", PHYSICS, "speed_kmh", "km/h"),
    Field("velocity", PHYSICS, "velocity", "m/s, world x, y (up), z"),
    Field("acceleration_g", PHYSICS, "acceleration_g", "g, car x, y, z"),
    Field("local_velocity", PHYSICS, "local_velocity", "m/s, car x, y, z"),
    Field("local_angular_velocity", PHYSICS, "local_angular_velocity", "rad/s, car x, y, z"),
    Field("heading", PHYSICS, "heading", "rad"),
    Field("pitch", PHYSICS, "pitch", "rad"),
    Field("roll", PHYSICS, "roll", "rad"),
    Field("wheel_slip", PHYSICS, "wheel_slip", "front left, front right, rear left, rear right"),
    Field("wheel_load", PHYSICS, "wheel_load", "N, same order"),
    Field("wheel_angular_speed", PHYSICS, "wheel_angular_speed", "rad/s, same order"),
    Field("fuel", PHYSICS, "fuel", "litres"),
    Field("tyres_out", PHYSICS, "tyres_out", "tyres off the road"),
    Field("pit_limiter", PHYSICS, "pit_limiter", "0/1"),
    Field("ai_controlled", PHYSICS, "ai_controlled", "1 when the game's own AI drives"),
    Field("status", GRAPHICS, "status", "0 off, 1 replay, 2 live, 3 pause"),
    Field("position", GRAPHICS, "position_m", "m, world x, y (up), z"),
    Field("normalized_position", GRAPHICS, "normalized_position", "0..1 along the track"),
    Field("completed_laps", GRAPHICS, "completed_laps", "laps completed"),
    Field("lap_time_ms", GRAPHICS, "lap_time_ms", "ms, of the present lap"),
    Field("last_lap_ms", GRAPHICS, "last_lap_ms", "ms"),
    Field("in_pit", GRAPHICS, "in_pit", "0/1"),
    Field("in_pit_lane", GRAPHICS, "in_pit_lane", "0/1"),
    Field("surface_grip", GRAPHICS, "surface_grip", "0..1"),
)

SCHEMA = pa.schema([field.arrow for field in FIELDS])


def record_batch(instants: np.ndarray, physics: np.ndarray, graphics: np.ndarray) -> pa.RecordBatch:
    """Columns from pages: int64 (n,) instants, and records (n,) of types ``PHYSICS`` and ``GRAPHICS``."""
    arrays = []
    for field, column in zip(FIELDS, SCHEMA, strict=True):
        if field.page is None:
            values = instants
        else:
            values = np.ascontiguousarray((physics if field.page is PHYSICS else graphics)[field.source])
        if field.name == "gear":
            values = values - 1  # the game counts 0 reverse, 1 neutral, 2 first
        if values.ndim > 1:
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1]))
        else:
            arrays.append(pa.array(values, column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def pages_of(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """The pages that samples were taken from: records (n,) of types ``PHYSICS`` and ``GRAPHICS``.

    What is not in the columns is zero, as are texts and the packet counter of the graphics page.
    """
    physics, graphics = (np.zeros(len(samples["instant"]), page) for page in (PHYSICS, GRAPHICS))
    for field in FIELDS:
        if field.page is not None and field.name in samples:
            values = samples[field.name]
            page = physics if field.page is PHYSICS else graphics
            page[field.source] = values + 1 if field.name == "gear" else values
    return physics, graphics


def are_numbers(samples: Samples, names: Collection[str]) -> np.ndarray:
    """Which samples hold nothing but finite numbers in these columns, bool (n,): a game or a mod can publish others."""
    finite = np.ones(len(samples["instant"]), bool)
    for name in names:
        values = np.isfinite(samples[name])
        finite &= values if values.ndim == 1 else values.all(axis=1)
    return finite


def columns(table: pa.Table | pa.RecordBatch, names: Collection[str] = ()) -> Samples:
    """NumPy columns of samples: those that are named, or all."""
    result: Samples = {}
    for name in names or table.schema.names:
        column = table.column(name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if pa.types.is_fixed_size_list(column.type):
            result[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
        else:
            result[name] = column.to_numpy(zero_copy_only=False)
    return result
