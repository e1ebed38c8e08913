"""Whole sessions of the practice game, made faster than real time: each frame shows exactly its instant's world."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from acpilot.panda_output import RendererName
from acpilot.practice.car import Controls
from acpilot.practice.game import pose_of, track_named
from acpilot.practice.offscreen_session import OffscreenRecorder
from acpilot.practice.settings import CameraName
from acpilot.practice.view import View, ViewOptions
from acpilot.practice.world import DT, World
from acpilot.session.folder import Session
from acpilot.session.labels import inputs_csv, session_labels

_MARGIN = 2.0  # seconds of telemetry before and after the video


def make_session(  # noqa: PLR0913
    folder: Path,
    *,
    track: str = "allround",
    seconds: float = 60.0,
    seed: int = 0,
    pace: float = 1.0,
    disturbance: float = 0.6,
    fps: float = 10.0,
    size: tuple[int, int] = (320, 180),
    camera: CameraName = "bonnet",
    renderer: RendererName = "auto",
    controls: Controls | None = None,
    pauses: Sequence[tuple[float, float]] = (),
) -> Session:
    """Drive and record a session with frame times as uneven as a recorder's.

    Args:
        folder: the folder in which the session's folder is made.
        track: name of a track.
        seconds: length of the video.
        seed: of the disturbance of the expert and of the frame times.
        pace: of the expert, a share of what the tyres allow.
        disturbance: of the expert, 0 to 1.
        fps: frames a second.
        size: of the picture, pixels.
        camera: of the practice game.
        renderer: of the practice game; "software" is the faster one without a graphics card.
        controls: given throughout; without them the expert drives.
        pauses: from and to, seconds of the video.
    """
    session = Session.create(folder, {"fps": fps})
    random = np.random.default_rng(seed)
    due = np.arange(round(seconds * fps)) / fps + _MARGIN + random.uniform(0, 0.2 / fps, round(seconds * fps))
    frame_steps = np.rint(due / DT).astype(int)
    road = track_named(track)
    world = World(road, seed=seed, expert=controls is None, pace=pace, disturbance=disturbance)
    recorder = OffscreenRecorder(session, world, size, fps)
    with View(road, ViewOptions(size=size, camera=camera, offscreen=True, renderer=renderer)) as view:
        taken = 0
        for step in range(round((seconds + 2 * _MARGIN) / DT)):
            paused = any(first <= step * DT - _MARGIN < last for first, last in pauses)
            if not paused:
                world.step(controls)
            recorder.step(paused=paused)
            while taken < len(frame_steps) and frame_steps[taken] == step:
                view.draw(pose_of(world), 0)
                recorder.frame(view.pixels())
                taken += 1
    recorder.close()
    return session


def shifted(session: Session, shift_ms: float, folder: Path, *, original: bool = False) -> Session:
    """A copy of a session whose labels are taken later than its pictures, so that its lag is −``shift_ms``.

    Args:
        session: made by ``make_session``.
        shift_ms: added to the instants of all frames.
        folder: the copy's folder, which is made.
        original: in the form of the original tool: the labels as rows of frames, and nothing else.
    """
    folder.mkdir(parents=True)
    copy = Session(folder)
    os.link(session.video_file, copy.video_file)
    alignment = session.manifest.alignment
    assert alignment is not None
    moved = replace(session.manifest, alignment=replace(alignment, offset=alignment.offset + round(1e6 * shift_ms)))
    if not original:
        os.link(session.telemetry_file, copy.telemetry_file)
        copy.manifest = moved
        copy.save()
        return copy
    as_recorded = Session(session.folder)
    as_recorded.manifest = moved
    labels = session_labels(as_recorded, "auto", None)[0]
    labels = replace(labels, timestamp=labels.timestamp - shift_ms / 1000)
    copy.inputs_file.write_text(inputs_csv(labels, keep_paused=True), encoding="utf-8")
    return Session.open(folder)
