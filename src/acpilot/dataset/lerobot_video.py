"""The videos of a LeRobot export: a file for each session, and where in it each episode begins."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from acpilot.commands import command
from acpilot.dataset.constant_rate import VideoFile, copy_packets, describe
from acpilot.dataset.dataset import Dataset
from acpilot.dataset.episodes import Episode
from acpilot.dataset.statistics import ImageStatistics
from acpilot.errors import AcpilotError
from acpilot.progress import Progress
from acpilot.session.folder import Session

_LOOKED_AT = 100
"""Pictures of an episode that its statistics are taken from, at most: more of them look alike."""


class Videos:
    """Writes the videos; each of ``encode`` and ``copy`` makes all of them.

    Args:
        dataset: that the episodes are of.
        table: of the dataset.
        episodes: one at least.
        paths: name of each session that has an episode → the file to write.
        fps: frames a second.
        progress: told after each picture.

    Raises:
        AcpilotError: the sessions' images have more than one size, or one is missing.
    """

    def __init__(  # noqa: PLR0913
        self,
        dataset: Dataset,
        table: Mapping[str, np.ndarray],
        episodes: Sequence[Episode],
        paths: Mapping[str, Path],
        *,
        fps: int,
        progress: Progress,
    ) -> None:
        self.info: dict[str, Any] = {}
        """As ``info.json`` describes the files."""
        self.first: dict[int, int] = {}
        """Number of an episode → number of its first frame in its file."""
        self.seen = {episode.number: ImageStatistics() for episode in episodes}
        self._dataset, self._names, self._frames = dataset, table["image_name"], table["frame"]
        self._episodes = sorted(episodes, key=lambda each: (each.session, self._frames[each.rows[0]]))
        self._paths, self._fps, self._progress = paths, fps, progress
        self._done = self._total = 0
        self.height, self.width = self._read(self._episodes[0].rows[0]).shape[:2]
        for name in paths:  # another size is told before the work begins
            self._picture(self._of(name)[0].rows[0])

    def encode(self) -> None:
        """Encode the dataset's images.

        Raises:
            AcpilotError: their size is odd, or one is missing, damaged or of another size.
            OSError: the disk is full.
        """
        if self.height % 2 or self.width % 2:
            raise AcpilotError(
                f"the images are {self.width} × {self.height} pixels, and a video needs even numbers: convert the "
                f"sessions with --size {self.width // 2 * 2} {self.height // 2 * 2}, then combine them again"
            )
        self._total = sum(len(episode.rows) for episode in self._episodes)
        for name, path in self._paths.items():
            video = VideoFile(path, self._fps, self.width, self.height)
            try:
                for episode in self._of(name):
                    self.first[episode.number] = video.frames
                    looked_at = set(_looked_at(episode))
                    for row in episode.rows:
                        picture = self._picture(row)
                        video.write(picture)
                        if row in looked_at:
                            self.seen[episode.number].add(picture)
                        self._step()
            finally:
                video.close()
            self._describe(name)

    def copy(self) -> None:
        """Copy the recordings that the images were made of.

        Raises:
            AcpilotError: the images are not the recordings' pictures as they are, or a recording is missing, has
                changed, or is unlike the others.
            OSError: the disk is full.
        """
        recordings = {name: self._recording(name) for name in self._paths}
        self._total = sum(len(_looked_at(episode)) for episode in self._episodes)
        self._total += sum(int(self._frames[self._of(name)[-1].rows[-1]]) + 1 for name in self._paths)
        for name, path in self._paths.items():
            for episode in self._of(name):
                self.first[episode.number] = int(self._frames[episode.rows[0]])
                for row in _looked_at(episode):
                    self.seen[episode.number].add(self._picture(row))
                    self._step()
            copy_packets(recordings[name], path, self._fps, self._step)
            self._describe(name)

    def _of(self, session: str) -> list[Episode]:
        """Episodes of a session, in the order of time."""
        return [episode for episode in self._episodes if episode.session == session]

    def _recording(self, name: str) -> Path:
        entry = self._dataset.record["sessions"][name]
        made = entry["conversion"]
        if changed := [f"--{flag}" for flag in ("crop", "size", "fps") if made[flag] is not None]:
            raise AcpilotError(
                f"the recording of {name} cannot be copied: its images were made with {' and '.join(changed)}, and the "
                "recording is as it was; use --video encode"
            )
        video = Session(Path(entry["folder"])).video_file
        if not video.exists():
            raise AcpilotError(f"{video} is missing, so it cannot be copied: bring it back, or use --video encode")
        if video.stat().st_size != made["video_bytes"]:
            raise AcpilotError(
                f"{video} is not the recording any more that the images were made of: use --video encode, or "
                f"{command('acpilot', 'convert', entry['folder'])} and combine the session again"
            )
        return video

    def _describe(self, session: str) -> None:
        info = describe(self._paths[session])
        self.info = self.info or info
        if differing := [name for name, value in info.items() if value != self.info[name]]:
            told = ", ".join(f"{name} {info[name]}, not {self.info[name]}" for name in differing)
            raise AcpilotError(f"the recording of {session} is not like the others ({told}): use --video encode")

    def _picture(self, row: int) -> np.ndarray:
        """A row's image, uint8 (height, width, 3), RGB."""
        picture = self._read(row)
        if picture.shape[:2] != (self.height, self.width):
            raise AcpilotError(
                f"{self._dataset.image(self._names[row])} is {picture.shape[1]} × {picture.shape[0]} pixels, others "
                f"are {self.width} × {self.height}: convert all sessions with one --size, then combine them again"
            )
        return picture

    def _read(self, row: int) -> np.ndarray:
        path = self._dataset.image(self._names[row])
        try:
            with Image.open(path) as image:
                return np.asarray(image.convert("RGB"))
        except FileNotFoundError:
            raise AcpilotError(f"{path} is missing: make the dataset anew with acpilot combine") from None
        except OSError as error:
            raise AcpilotError(f"{path} is damaged ({error}): make the dataset anew with acpilot combine") from None

    def _step(self) -> None:
        self._done += 1
        self._progress(min(self._done, self._total), self._total)  # a recording may go on after its last episode


def _looked_at(episode: Episode) -> np.ndarray:
    """Rows whose pictures the statistics are taken from, evenly spread."""
    return episode.rows[:: -(-len(episode.rows) // _LOOKED_AT)]
