"""A policy's figures on some tracks, and what shows them: pictures of interventions, track maps, videos, JSON."""

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from acpilot.clock import NS
from acpilot.commands import install_extra
from acpilot.dataset.contact_sheet import draw_inputs
from acpilot.dataset.engine import run_here
from acpilot.errors import AcpilotError
from acpilot.evaluation.closed_loop import (
    PATIENCE,
    Camera,
    Drive,
    Intervention,
    Observer,
    drive,
    expert_drive,
)
from acpilot.evaluation.drivers import Driver, Look, PolicyDriver, open_driver
from acpilot.evaluation.settings import EvaluateSettings
from acpilot.files import whole_folder, write_atomically
from acpilot.policy.policy import Command
from acpilot.practice.game import ensure_panda, track_named
from acpilot.practice.settings import PracticeSettings
from acpilot.practice.track import Track
from acpilot.practice.world import World
from acpilot.progress import Progress
from acpilot.recording.settings import RecordSettings
from acpilot.session.manifest import settings_record
from acpilot.video.screen import VideoWriter

RECORD_NAME, _MAP, _VIDEO = "evaluation.json", "track_map.png", "drive.mkv"
_VIDEO_FPS = 30.0
_DECIMALS = 3  # of all figures
_GETAWAY = 10.0  # seconds from the start in the middle of the road, before the distance from the line counts


@dataclass(frozen=True)
class TrackResult:
    """What a drive on a track came to."""

    track: str
    length_m: float
    autonomy: float
    """Percent, see ``Drive.autonomy``."""
    elapsed_s: float
    laps: int
    """Completed; fewer than asked for when the time was up."""
    lap_times_s: tuple[float, ...]
    expert_lap_times_s: tuple[float, ...]
    lap_time_ratio: float | None
    """Time of the completed laps as a part of the expert's for as many; None without a lap."""
    mean_distance_m: float
    """From the expert's line; the first 10 s, from the start in the middle of the road, are left out."""
    largest_distance_m: float
    off_track_share: float
    """Share of the time with at least one tyre beyond the kerb, 0 … 1."""
    steering_change: float
    """Mean absolute change of the steering command per second, full lock being 1."""
    expert_steering_change: float
    renderer: str | None
    """What drew the pictures; None when nobody looked at any."""
    interventions: tuple[dict[str, Any], ...]
    """Each with time_s, lap, metres, reason, speed_kmh, and picture: a file, relative to the evaluation's folder."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, and where it is shown."""

    folder: Path
    results: tuple[TrackResult, ...]
    notes: tuple[str, ...]
    """What the user should know."""
    record: str
    """All of it as JSON, as it stands in the folder."""


def evaluate(policy: str, settings: EvaluateSettings, progress: Progress) -> Evaluation:
    """Let a policy drive each track, and write the evaluation's folder.

    Off-screen, several tracks are driven at once, on this machine's processors.

    Args:
        policy: as for ``open_driver``.
        settings: where, and how.
        progress: told of the thousandths of all tracks' ways.

    Raises:
        AcpilotError: there is no such policy or track, the folder is there already, or the policy cannot drive.
    """
    ensure_panda()
    tracks = {_folder_name(name): name for name in settings.track}
    for track in tracks.values():
        track_named(track)
    driver = open_driver(policy, settings.outputs)
    if settings.real_time and (settings.delay_ms or settings.video or not isinstance(driver, PolicyDriver)):
        raise AcpilotError(
            "--real-time is for policies, without --delay-ms (it has a delay of its own) and without --video (acpilot "
            "record makes one): leave one of them out"
        )
    out = settings.out or _next_folder(driver)
    notes = driver.notes(settings.camera) if isinstance(driver, PolicyDriver) else []
    name, rate = driver.name, driver.rate
    del driver  # who drives a track opens it anew: two at once would need twice the memory
    with whole_folder(out, "--out") as part:
        places = [part / folder for folder in tracks]
        work = partial(_drive_track, policy=policy, settings=settings, tracks=tracks)
        done: dict[Path, tuple[TrackResult, list[str]]] = {}
        groups = [[place] for place in places] if settings.real_time else [places]  # there is one screen
        for number, together in enumerate(groups):

            def of_all(way: int, of: int, number: int = number) -> None:
                progress(number * of + way, len(groups) * of)

            done |= run_here(work, together, of_all)
        results = [done[place][0] for place in places]
        notes += [note for place in places for note in done[place][1]]
        notes = list(dict.fromkeys(notes))
        record = _to_json(name, rate, settings, results, notes)
        write_atomically(part / RECORD_NAME, record)
    return Evaluation(out, tuple(results), tuple(notes), record)


def _next_folder(driver: Driver) -> Path:
    parent, name = Path("evaluation"), re.sub(r"[^\w.-]", "_", driver.name)
    number = 1
    while any((parent / f"{name}_{number}{end}").exists() for end in ("", ".part")):
        number += 1
    return parent / f"{name}_{number}"


def _folder_name(track: str) -> str:
    return track.replace(":", "_")  # Windows wants none in a file's name


def practice_settings(settings: EvaluateSettings) -> PracticeSettings:
    """How the practice game is drawn for an evaluation."""
    return PracticeSettings(
        size=settings.size, camera=settings.camera, light=settings.light, renderer=settings.renderer
    )


def _drive_track(  # noqa: PLR0913
    place: Path,
    progress: Progress,
    threads: int | None,  # noqa: ARG001
    *,
    policy: str,
    settings: EvaluateSettings,
    tracks: dict[str, str],
) -> tuple[TrackResult, list[str]]:
    """Drive the track that a folder belongs to, and fill it; what came of it, and notes."""
    track, driver = track_named(tracks[place.name]), open_driver(policy, settings.outputs)
    place.mkdir(exist_ok=True)
    expert = expert_drive(track, settings.laps)
    limit, renderer, notes = PATIENCE * expert.elapsed, None, []
    with ExitStack() as stack:
        witness = _Witness(place, settings)
        stack.callback(witness.close)
        if settings.real_time and isinstance(driver, PolicyDriver):
            from acpilot.evaluation.real_time import drive_in_real_time

            game = replace(practice_settings(settings), track=track.name)
            driven, note = drive_in_real_time(driver.policy, track, game, witness, settings.laps, limit, progress)
            notes += [f"{track.name}: {note}"] if note else []
        else:
            world = World(track, expert=True)
            camera = stack.enter_context(Camera(world, practice_settings(settings)))
            driven = drive(
                driver,
                world,
                witness,
                laps=settings.laps,
                limit=limit,
                look=camera.look,
                delay_ms=settings.delay_ms,
                progress=progress,
            )
            renderer = camera.renderer
    result = _result(track, driven, expert, renderer, [path.relative_to(place.parent) for path in witness.pictures])
    if result.laps < settings.laps:
        notes.append(
            f"{track.name}: after {result.elapsed_s:.0f} s, {PATIENCE:g} times the expert's time, only "
            f"{result.laps} of {settings.laps} laps were complete"
        )
    try:
        from acpilot.evaluation.track_map import draw_track_map
    except ImportError:
        notes.append(f"no track map: it needs matplotlib; {install_extra('report')}")
    else:
        draw_track_map(track, driven, place / _MAP)
    return result, notes


class _Witness(Observer):
    """Takes a picture of each intervention, and a video if it is wanted."""

    def __init__(self, folder: Path, settings: EvaluateSettings) -> None:
        self.pictures: list[Path] = []
        self._folder, self._settings = folder, settings
        self._video: VideoWriter | None = None
        self._next = 0.0

    def decided(self, world: World, look: Look, command: Command) -> None:
        if not self._settings.video or world.time < self._next:
            return
        picture = _with_inputs(look(), f"{world.time:.1f} s   {world.car.speed * 3.6:.0f} km/h", command)
        if self._video is None:
            self._video = VideoWriter(self._folder / _VIDEO, *picture.size, RecordSettings(fps=_VIDEO_FPS))
        self._next = world.time + 0.999 / _VIDEO_FPS
        rgba = np.asarray(picture.convert("RGBA"))
        self._video.write(np.ascontiguousarray(rgba[..., [2, 1, 0, 3]]), round(world.time * NS))

    def intervened(self, intervention: Intervention, look: Look, command: Command) -> None:
        path = self._folder / f"intervention_{len(self.pictures) + 1:02d}.png"
        caption = f"{intervention.reason}, lap {intervention.lap}, {intervention.metres:.0f} m"
        _with_inputs(look(), f"{caption}   {intervention.speed_kmh:.0f} km/h", command).save(path)
        self.pictures.append(path)

    def close(self) -> None:
        if self._video is not None:
            self._video.close()


def _with_inputs(picture: np.ndarray, caption: str, command: Command) -> Image.Image:
    image = Image.fromarray(picture)
    draw_inputs(image, f"{caption}   steering {command.steering:+.3f}", *command)
    return image


def _result(track: Track, driven: Drive, expert: Drive, renderer: str | None, pictures: Sequence[Path]) -> TrackResult:
    laps, time = len(driven.lap_times), np.linspace(0, driven.elapsed, len(driven.trace.aside))
    aside = np.abs(driven.trace.aside)[time > min(_GETAWAY, driven.elapsed / 2)]
    return TrackResult(
        track=track.name,
        length_m=track.length,
        autonomy=driven.autonomy,
        elapsed_s=driven.elapsed,
        laps=laps,
        lap_times_s=driven.lap_times,
        expert_lap_times_s=expert.lap_times,
        lap_time_ratio=sum(driven.lap_times) / sum(expert.lap_times[:laps]) if laps else None,
        mean_distance_m=float(aside.mean()),
        largest_distance_m=float(aside.max()),
        off_track_share=float((driven.trace.tyres_out > 0).mean()),
        steering_change=driven.steering_change,
        expert_steering_change=expert.steering_change,
        renderer=renderer,
        interventions=tuple(
            {
                "time_s": each.time,
                "lap": each.lap,
                "metres": each.metres,
                "reason": each.reason,
                "speed_kmh": each.speed_kmh,
                "picture": picture.as_posix(),
            }
            for each, picture in zip(driven.interventions, pictures, strict=True)
        ),
    )


def _to_json(
    policy: str, rate: float, settings: EvaluateSettings, results: Sequence[TrackResult], notes: Sequence[str]
) -> str:
    chosen = settings_record(settings)
    for name in ("out", "json", "video", "track"):  # they do not decide the figures
        del chosen[name]
    record = {
        "policy": policy,
        "rate_hz": rate,
        "settings": chosen,
        "tracks": [asdict(result) for result in results],
        "autonomy": {"median": median(r.autonomy for r in results), "worst": min(r.autonomy for r in results)},
        "notes": list(notes),
    }
    return json.dumps(_rounded(record), indent=2) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return value
