"""Assetto Corsa's three memory pages, byte for byte, as packed NumPy record types.

Layout: Kunos, "Assetto Corsa Shared Memory Reference", with the corrections of readers in the field (little-endian,
four-byte alignment, UTF-16 text). Wheels are in the order front left, front right, rear left, rear right; vectors are
x, y, z with y up. A page in memory may be longer than its record (simshmbridge rounds files up), never shorter.
"""

from enum import IntEnum

import numpy as np

GRAVITY = 9.81
"""m/s² in the pages' unit of acceleration, g."""


class Status(IntEnum):
    """``status`` of the graphics page."""

    OFF = 0
    REPLAY = 1
    LIVE = 2
    PAUSE = 3


def _record(*groups: tuple[str, str | tuple[str, int | tuple[int, int]]]) -> np.dtype[np.void]:
    """A packed record from groups of names that share a format."""
    return np.dtype([(name, form) for names, form in groups for name in names.split()])


_INT, _FLOAT, _WHEELS, _VECTOR = "<i4", "<f4", ("<f4", 4), ("<f4", 3)


def _text(characters: int) -> tuple[str, int]:
    """UTF-16 text; kept as code units, since what follows the terminator may be garbage."""
    return ("<u2", characters)


PHYSICS = _record(
    ("packet_id", _INT),
    ("gas brake fuel", _FLOAT),
    ("gear rpm", _INT),
    ("steer_angle speed_kmh", _FLOAT),
    ("velocity acceleration_g", _VECTOR),
    ("wheel_slip wheel_load tyre_pressure wheel_angular_speed tyre_wear tyre_dirt tyre_core_temperature", _WHEELS),
    ("camber suspension_travel", _WHEELS),
    ("drs traction_control heading pitch roll cg_height", _FLOAT),
    ("car_damage", ("<f4", 5)),
    ("tyres_out pit_limiter", _INT),
    ("abs kers_charge kers_input", _FLOAT),
    ("auto_shifter", _INT),
    ("ride_height", ("<f4", 2)),
    ("turbo_boost ballast air_density air_temperature road_temperature", _FLOAT),
    ("local_angular_velocity", _VECTOR),
    ("force_feedback performance_meter", _FLOAT),
    ("engine_brake ers_recovery_level ers_power_level ers_heat_charging ers_charging", _INT),
    ("kers_current_kj", _FLOAT),
    ("drs_available drs_enabled", _INT),
    ("brake_temperature", _WHEELS),
    ("clutch", _FLOAT),
    ("tyre_temperature_inner tyre_temperature_middle tyre_temperature_outer", _WHEELS),
    ("ai_controlled", _INT),
    ("tyre_contact_point tyre_contact_normal tyre_contact_heading", ("<f4", (4, 3))),
    ("brake_bias", _FLOAT),
    ("local_velocity", _VECTOR),
)
"""The physics page, 580 bytes. ``packet_id`` counts physics steps and stands still in pause and menus."""

GRAPHICS = _record(
    ("packet_id status session", _INT),
    ("current_time last_time best_time split", _text(15)),
    ("completed_laps position lap_time_ms last_lap_ms best_lap_ms", _INT),
    ("session_time_left distance_traveled", _FLOAT),
    ("in_pit sector last_sector_ms number_of_laps", _INT),
    ("tyre_compound", _text(33)),
    ("padding", "V2"),
    ("replay_time_multiplier normalized_position", _FLOAT),
    ("position_m", _VECTOR),
    ("penalty_time", _FLOAT),
    ("flag ideal_line in_pit_lane", _INT),
    ("surface_grip", _FLOAT),
    ("mandatory_pit_done", _INT),
    ("wind_speed wind_direction", _FLOAT),
)
"""The graphics page, 296 bytes."""

STATIC = _record(
    ("shared_memory_version game_version", _text(15)),
    ("number_of_sessions number_of_cars", _INT),
    ("car track player_name player_surname player_nick", _text(33)),
    ("padding", "V2"),
    ("sector_count", _INT),
    ("max_torque max_power", _FLOAT),
    ("max_rpm", _INT),
    ("max_fuel", _FLOAT),
    ("suspension_max_travel tyre_radius", _WHEELS),
    ("max_turbo_boost deprecated_1 deprecated_2", _FLOAT),
    ("penalties_enabled", _INT),
    ("aid_fuel_rate aid_tyre_rate aid_mechanical_damage", _FLOAT),
    ("aid_tyre_blankets", _INT),
    ("aid_stability", _FLOAT),
    ("aid_auto_clutch aid_auto_blip has_drs has_ers has_kers", _INT),
    ("kers_max_j", _FLOAT),
    ("engine_brake_settings ers_power_controllers", _INT),
    ("track_length_m", _FLOAT),
    ("track_configuration", _text(33)),
    ("padding_2", "V2"),
    ("ers_max_j", _FLOAT),
    ("timed_race extra_lap", _INT),
    ("car_skin", _text(33)),
    ("padding_3", "V2"),
    ("reversed_grid_positions pit_window_start pit_window_end", _INT),
)
"""The static page, 684 bytes. It has no packet counter: it is written once a session."""


def decode_text(code_units: np.ndarray) -> str:
    """Text of a page's string field (uint16 code units): all up to the terminator."""
    raw = np.ascontiguousarray(code_units, "<u2").tobytes()
    return raw.decode("utf-16-le", "replace").split("\0", 1)[0]


def lap_time_text(milliseconds: int | None) -> str:
    """A lap time as the game writes it, 1:23:456; dashes for None."""
    if milliseconds is None:
        return "-:--:---"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}:{rest // 1000:02d}:{rest % 1000:03d}"


def encode_text(text: str, characters: int) -> np.ndarray:
    """A string field of so many characters, cut to leave room for its terminator."""
    raw = text.encode("utf-16-le")[: 2 * (characters - 1)]
    return np.frombuffer(raw.ljust(2 * characters, b"\0"), "<u2").copy()
