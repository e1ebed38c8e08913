"""The three kinds of light in which a track can be driven."""

from dataclasses import dataclass

import numpy as np

from acpilot.practice.mesh import Array, Mesh
from acpilot.practice.settings import LightName

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """Sun, sky and air. Colours of the sky and the fog are 0..255; strengths of light are multiples of full white."""

    sun_direction: Color
    """Unit vector towards the sun."""
    sun: Color
    ambient: Color
    zenith: Color
    horizon: Color
    fog: Color
    fog_density: float
    """Of exponential fog, 1/m."""
    hills: Color
    cloud: Color
    cloud_threshold: float
    """The lower, the more of the sky is clouded; noise of deviation 1."""
    cloud_opacity: float
    glow_color: Color
    glow: tuple[tuple[float, float], ...]
    """Halos of the sun: (width, strength)."""

    def shade(self, mesh: Mesh) -> Array:
        """Colours of a mesh's vertices in this light, float64 (n, 3), 0..1: the sun and the sky's ambient light."""
        facing = np.clip(mesh.normal @ np.asarray(self.sun_direction), 0, None)[:, None]
        above = (0.80 + 0.20 * mesh.normal[:, 2])[:, None]
        lit = np.asarray(self.sun) * facing + np.asarray(self.ambient) * above
        return np.asarray(np.clip(mesh.color * lit, 0, 1))


def _towards(azimuth: float, elevation: float) -> Color:
    """Unit vector of a direction in degrees: azimuth counter-clockwise from east, elevation above the horizon."""
    turn, rise = np.radians(azimuth), np.radians(elevation)
    return float(np.cos(turn) * np.cos(rise)), float(np.sin(turn) * np.cos(rise)), float(np.sin(rise))


LIGHTS: dict[LightName, Light] = {
    "noon": Light(
        sun_direction=_towards(235, 52),
        sun=(0.72, 0.69, 0.60),
        ambient=(0.46, 0.50, 0.56),
        zenith=(58, 112, 190),
        horizon=(196, 218, 236),
        fog=(198, 214, 228),
        fog_density=0.0011,
        hills=(58, 88, 84),
        cloud=(248, 249, 250),
        cloud_threshold=0.25,
        cloud_opacity=0.85,
        glow_color=(255, 250, 230),
        glow=((0.0008, 1.0), (0.03, 0.16)),
    ),
    "evening": Light(
        sun_direction=_towards(200, 9),
        sun=(1.05, 0.60, 0.26),
        ambient=(0.54, 0.47, 0.50),
        zenith=(60, 78, 128),
        horizon=(248, 186, 120),
        fog=(226, 172, 126),
        fog_density=0.0014,
        hills=(70, 52, 74),
        cloud=(236, 150, 118),
        cloud_threshold=0.35,
        cloud_opacity=0.75,
        glow_color=(255, 190, 90),
        glow=((0.0010, 1.2), (0.06, 0.40)),
    ),
    "overcast": Light(
        sun_direction=_towards(235, 75),
        sun=(0.16, 0.16, 0.16),
        ambient=(0.62, 0.65, 0.69),
        zenith=(146, 154, 163),
        horizon=(186, 191, 196),
        fog=(178, 184, 189),
        fog_density=0.0024,
        hills=(84, 96, 102),
        cloud=(120, 127, 136),
        cloud_threshold=-0.4,
        cloud_opacity=0.6,
        glow_color=(0, 0, 0),
        glow=(),
    ),
}
