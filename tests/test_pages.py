import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from acpilot.telemetry.pages import GRAPHICS, PHYSICS, STATIC, decode_text, encode_text

# Offsets as published for Assetto Corsa 1.16 (Kunos' reference and independent readers agree on them).
PHYSICS_OFFSETS = {
    "packet_id": 0, "gas": 4, "brake": 8, "fuel": 12, "gear": 16, "rpm": 20, "steer_angle": 24, "speed_kmh": 28,
    "velocity": 32, "acceleration_g": 44, "wheel_slip": 56, "wheel_load": 72, "tyre_pressure": 88,
    "wheel_angular_speed": 104, "tyre_wear": 120, "tyre_dirt": 136, "tyre_core_temperature": 152, "camber": 168,
    "suspension_travel": 184, "drs": 200, "traction_control": 204, "heading": 208, "pitch": 212, "roll": 216,
    "cg_height": 220, "car_damage": 224, "tyres_out": 244, "pit_limiter": 248, "abs": 252, "kers_charge": 256,
    "kers_input": 260, "auto_shifter": 264, "ride_height": 268, "turbo_boost": 276, "ballast": 280, "air_density": 284,
    "air_temperature": 288, "road_temperature": 292, "local_angular_velocity": 296, "force_feedback": 308,
    "performance_meter": 312, "engine_brake": 316, "ers_recovery_level": 320, "ers_power_level": 324,
    "ers_heat_charging": 328, "ers_charging": 332, "kers_current_kj": 336, "drs_available": 340, "drs_enabled": 344,
    "brake_temperature": 348, "clutch": 364, "tyre_temperature_inner": 368, "tyre_temperature_middle": 384,
    "tyre_temperature_outer": 400, "ai_controlled": 416, "tyre_contact_point": 420, "tyre_contact_normal": 468,
    "tyre_contact_heading": 516, "brake_bias": 564, "local_velocity": 568,
}  # fmt: skip
GRAPHICS_OFFSETS = {
    "packet_id": 0, "status": 4, "session": 8, "current_time": 12, "last_time": 42, "best_time": 72, "split": 102,
    "completed_laps": 132, "position": 136, "lap_time_ms": 140, "last_lap_ms": 144, "best_lap_ms": 148,
    "session_time_left": 152, "distance_traveled": 156, "in_pit": 160, "sector": 164, "last_sector_ms": 168,
    "number_of_laps": 172, "tyre_compound": 176, "replay_time_multiplier": 244, "normalized_position": 248,
    "position_m": 252, "penalty_time": 264, "flag": 268, "ideal_line": 272, "in_pit_lane": 276, "surface_grip": 280,
    "mandatory_pit_done": 284, "wind_speed": 288, "wind_direction": 292,
}  # fmt: skip
STATIC_OFFSETS = {
    "shared_memory_version": 0, "game_version": 30, "number_of_sessions": 60, "number_of_cars": 64, "car": 68,
    "track": 134, "player_name": 200, "player_surname": 266, "player_nick": 332, "sector_count": 400,
    "max_torque": 404, "max_power": 408, "max_rpm": 412, "max_fuel": 416, "suspension_max_travel": 420,
    "tyre_radius": 436, "max_turbo_boost": 452, "penalties_enabled": 464, "kers_max_j": 508, "track_length_m": 520,
    "track_configuration": 524, "ers_max_j": 592, "timed_race": 596, "extra_lap": 600, "car_skin": 604,
    "reversed_grid_positions": 672, "pit_window_start": 676, "pit_window_end": 680,
}  # fmt: skip


def offsets(page: np.dtype, names: dict[str, int]) -> dict[str, int]:
    assert page.fields is not None
    return {name: page.fields[name][1] for name in names}


def test_every_byte_is_where_the_game_puts_it() -> None:
    assert (PHYSICS.itemsize, GRAPHICS.itemsize, STATIC.itemsize) == (580, 296, 684)
    assert offsets(PHYSICS, PHYSICS_OFFSETS) == PHYSICS_OFFSETS
    assert PHYSICS.names is not None
    assert set(PHYSICS_OFFSETS) == set(PHYSICS.names)
    assert offsets(GRAPHICS, GRAPHICS_OFFSETS) == GRAPHICS_OFFSETS
    assert GRAPHICS.names is not None
    assert set(GRAPHICS_OFFSETS) == set(GRAPHICS.names) - {"padding"}
    assert offsets(STATIC, STATIC_OFFSETS) == STATIC_OFFSETS


@given(st.text(st.characters(min_codepoint=1, max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=32))
def test_text_survives_its_field(text: str) -> None:
    assert decode_text(encode_text(text, 33)) == text


def test_garbage_after_the_terminator_is_not_text() -> None:
    field = encode_text("ks_vallelunga", 33)
    field[14:] = 0x4E2D
    assert decode_text(field) == "ks_vallelunga"


def test_too_long_a_text_keeps_its_terminator() -> None:
    field = encode_text("x" * 100, 33)
    assert decode_text(field) == "x" * 32
