"""Proves on this machine that labels are right: a clock's window is recorded through every recorder there is.

Each is tried in a process of its own, so that one that ends its process (a fault in a graphics driver, say) only fails
its proof.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

import av
import numpy as np

from acpilot.clock_strip import RESOLUTION_NS, decode
from acpilot.desktop.capture import note_proof
from acpilot.desktop.sdl import load_sdl
from acpilot.errors import AcpilotError
from acpilot.progress import Show
from acpilot.recording.record import undisturbed
from acpilot.settings import CaptureName, error_limit_ms
from acpilot.video.alignment import Alignment, frame_times
from acpilot.video.recorder import start_recorder
from acpilot.video.settings import VideoSettings

TITLE = "acpilot clock"
_SECONDS = 10.0
_CLOCK_HZ = 120.0
_PATIENCE = 120.0
_LEAST_LABELLED = 0.5


@dataclass(frozen=True)
class Truth:
    """A recording's frames compared with what the window showed; arrays have one entry per frame of the video."""

    instants: np.ndarray
    """As the recording says, ns."""
    labelled: np.ndarray
    """Bool: the recording is certain enough of them."""
    bounds: np.ndarray
    """By how much the recording says that each instant may be off, ms."""
    burnt: np.ndarray
    """ns; 0 where the strip could not be read."""
    shown: np.ndarray
    """From when on the picture was on the screen, ns; 0 where that is not known."""
    replaced: np.ndarray
    """When the next picture had taken its place."""

    @classmethod
    def of(  # noqa: PLR0913, PLR0917
        cls,
        video: Path,
        alignment: Alignment,
        limit_ms: float,
        clocks: np.ndarray,
        shown: np.ndarray,
        replaced: np.ndarray,
    ) -> "Truth":
        """Read the clock in each picture of a video.

        Args:
            video: of a window with a clock.
            alignment: its frames' instants.
            limit_ms: by how much they may be off to be labelled.
            clocks: what the window showed, ns as the strip carries them, int64 (k,), ascending.
            shown: from when on each was on the screen, ns, int64 (k,).
            replaced: when the next one had taken its place; 0 where that is not known.
        """
        times = frame_times(video)
        bounds = alignment.errors(times)
        with av.open(str(video)) as container:
            pictures = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
            burnt = np.array([decode(picture.astype(np.uint8, copy=False)) or 0 for picture in pictures], np.int64)
        assert len(burnt) == len(times)
        at = np.minimum(np.searchsorted(clocks, burnt), len(clocks) - 1)
        seen = clocks[at] == burnt
        return cls(
            alignment.instants(times), bounds <= limit_ms, bounds, burnt,
            shown=np.where(seen, shown[at], 0), replaced=np.where(seen, replaced[at], 0),
        )  # fmt: skip

    @property
    def known(self) -> np.ndarray:
        """Bool: frames whose picture is known to have come and gone."""
        known: np.ndarray = (self.shown > 0) & (self.replaced > 0)
        return known

    def differences(self) -> np.ndarray:
        """Recording's instant minus burnt instant, ms, of readable frames: with the game's and the display's time."""
        readable = self.burnt > 0
        differences: np.ndarray = (self.instants[readable] - self.burnt[readable]) / 1e6
        return differences

    def errors(self, instants: np.ndarray | None = None) -> np.ndarray:
        """How far instants lie outside the time their picture was on the screen, ms, of known frames; 0 inside."""
        instants = self.instants if instants is None else instants
        known = self.known
        early = np.minimum(0, instants[known] - self.shown[known])
        late = np.maximum(0, instants[known] - self.replaced[known])
        errors: np.ndarray = (early + late) / 1e6
        return errors

    def bounds_hold(self) -> bool:
        """Whether no known frame is off by more than the recording says of it."""
        return bool((np.abs(self.errors()) <= self.bounds[self.known]).all())

    def offset_error(self, instants: np.ndarray | None = None) -> tuple[float, float]:
        """Error of the instants as a whole, ms, and by how much it may be misjudged.

        Shifted by the error's opposite, (nearly) every instant lies in its picture's time on the screen; the pictures
        come and go at all phases of the frames, so there is little room for the shift.
        """
        instants = self.instants if instants is None else instants
        known = self.known & self.labelled
        least = np.percentile(self.shown[known] - instants[known], 98) / 1e6
        most = np.percentile(self.replaced[known] - instants[known], 2) / 1e6
        return -float(least + most) / 2, float(abs(most - least)) / 2


@dataclass(frozen=True)
class Proof:
    """What came of recording the clock through one recorder."""

    recorder: str
    verdict: Literal["right", "wrong", "fault"]
    text: str
    frames: int = 0
    labelled: int = 0
    offset_ms: float = 0.0
    """Of the recording as a whole."""
    errors_ms: tuple[float, ...] = ()
    """Of its labelled frames."""
    bound_ms: float = 0.0
    """By how much a labelled frame may be off, as the recording says."""


def prove(settings: VideoSettings, behind_ms: float, show: Show) -> Iterator[Proof]:
    """Record the clock through each recorder that is there; what was found is kept for the built-in one's choice.

    Args:
        settings: of the recording.
        behind_ms: by how much the clock is to be wrong: a proof that finds it can be trusted.
        show: is told what is going on.

    Raises:
        AcpilotError: the clock's window cannot be shown.
    """
    load_sdl()
    for name, tried in _candidates(settings):
        show(f"recording a clock through {name} for {_SECONDS:g} s ...")
        proof = _in_a_child(name, tried, behind_ms)
        if tried.recorder == "screen" and not behind_ms:
            note_proof(tried.capture, right=proof.verdict == "right")
        yield proof


def _candidates(settings: VideoSettings) -> Iterator[tuple[str, VideoSettings]]:
    own = {each.name: getattr(settings, each.name) for each in fields(VideoSettings)}  # of a recording's, these
    plain = replace(VideoSettings(**own), title=TITLE, region=None)
    captures: tuple[CaptureName, ...] = ("wgc", "mss") if sys.platform == "win32" else ("x11", "mss")
    for capture in captures:
        if settings.capture in ("auto", capture):
            yield f"the built-in recorder with {capture}", replace(plain, recorder="screen", capture=capture)
    if settings.recorder != "screen":
        # Nothing hooks the clock's window as a game is hooked.
        source = "window" if sys.platform == "win32" and settings.obs_source == "auto" else settings.obs_source
        yield "OBS", replace(plain, recorder="obs", obs_source=source)


def _in_a_child(name: str, settings: VideoSettings, behind_ms: float) -> Proof:
    wanted = json.dumps({"name": name, "behind_ms": behind_ms, "settings": asdict(settings)}, default=str)
    command = [sys.executable, "-m", "acpilot.recording.proving"]
    try:
        child = subprocess.run(
            command, input=wanted, capture_output=True, text=True, timeout=_PATIENCE, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return Proof(name, "fault", f"it did not end within {_PATIENCE:g} s")
    with suppress(ValueError, IndexError, TypeError):
        return Proof(**json.loads(child.stdout.strip().splitlines()[-1]))
    last = child.stderr.strip().splitlines()[-1:]
    return Proof(name, "fault", f"its process ended with code {child.returncode}{': ' + last[0] if last else ''}")


def _prove_one(name: str, settings: VideoSettings, behind_ms: float) -> Proof:
    with tempfile.TemporaryDirectory() as folder:
        log, video = Path(folder) / "clock.npy", Path(folder) / "clock.mkv"
        with _clock(log, behind_ms), undisturbed():
            recorder = start_recorder(settings, video, lambda _: None)
            try:
                end = time.monotonic() + _SECONDS
                while time.monotonic() < end and recorder.failure is None:
                    time.sleep(0.1)
            finally:
                recorder.stop()
        alignment = recorder.alignment()
        if recorder.failure is not None or alignment is None:
            return Proof(name, "fault", str(recorder.failure or "it took no frame"))
        truth = Truth.of(video, alignment, error_limit_ms(None, settings.fps), *shown_by_the_clock(log))
    return _judge(name, truth)


@contextmanager
def _clock(log: Path, behind_ms: float) -> Iterator[None]:
    command = [
        sys.executable, "-m", "acpilot.desktop.clock_window", "--title", TITLE, "--hz", f"{_CLOCK_HZ:g}",
        "--behind-ms", f"{behind_ms:g}", "--log", str(log),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as clock:
        assert clock.stdout is not None
        assert clock.stderr is not None
        if clock.stdout.readline() != "ready\n":
            last = clock.stderr.read().strip().splitlines()[-1:]
            raise AcpilotError(last[0].removeprefix("acpilot.errors.AcpilotError: ") if last else "the clock ended")
        yield
        clock.communicate()


def shown_by_the_clock(log: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the clock's window says that it showed: clocks, from when on, until when, as ``Truth.of`` takes them.

    A clock that is wrong on purpose is taken at its word.
    """
    clocks, begun, done = np.load(log).T
    return clocks - clocks % RESOLUTION_NS, clocks, np.append(done[1:] - (begun - clocks)[:-1], 0)


def _judge(name: str, truth: Truth) -> Proof:
    frames, labelled = len(truth.instants), int(truth.labelled.sum())
    known = truth.known & truth.labelled
    if known.sum() < _LEAST_LABELLED * frames:
        unread = (truth.burnt > 0).mean() < _LEAST_LABELLED
        why = "the clock cannot be read in its pictures" if unread else "few are certain enough"
        return Proof(name, "fault", f"{int(known.sum())} of {frames} frames tell when: {why}", frames, labelled)
    errors, bounds = truth.errors()[truth.labelled[truth.known]], truth.bounds[known]
    (offset, doubt), worst = truth.offset_error(), float(np.abs(errors).max())
    text = (
        f"{frames} frames, {labelled} of them certain enough to be labelled; as a whole off by {offset:+.1f} ms "
        f"(±{doubt:.1f}), the worst frame by {worst:.1f} ms, where it said at most {bounds.max():.1f} ms"
    )
    return Proof(
        name,
        "right" if (np.abs(errors) <= bounds).all() else "wrong",
        text,
        frames,
        labelled,
        round(offset, 3),
        tuple(round(float(error), 3) for error in errors),
        round(float(bounds.max()), 3),
    )


def main() -> None:
    """Prove one recorder: what is asked comes as JSON on standard input, the proof goes as a line to the output."""
    wanted = json.loads(sys.stdin.read())
    settings = VideoSettings(**wanted["settings"])
    try:
        proof = _prove_one(wanted["name"], settings, wanted["behind_ms"])
    except AcpilotError as fault:
        proof = Proof(wanted["name"], "fault", str(fault))
    sys.stdout.write(json.dumps(asdict(proof)) + "\n")


if __name__ == "__main__":
    main()
