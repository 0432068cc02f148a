# SPDX-License-Identifier: Apache-2.0
"""Result files of people in motion: parameters, skeletons, rigs and recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmetro_mm.apis.guarding import notice, printable
from fastmetro_mm.apis.outputs import FrameFiles, Output
from fastmetro_mm.structures.results import FrameResult, PersonMesh

if TYPE_CHECKING:
    from fastmetro_mm.exporters.rerun_recording import RerunRecording
    from fastmetro_mm.exporters.smpl_tracks import SmplTrack


class Motion(Output):
    """``photo_smpl_person_0.npz`` and the like, and for videos a rigged ``clip.glb``.

    A video whose network gives no SMPL parameters gets a ``.glb`` a frame instead.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._frames: list[FrameResult] = []
        self._files = FrameFiles(*args, **kwargs)
        self._files.written = self.written
        self._has_bodies = False
        self._name = ''

    def save(self, frame: FrameResult, name: str) -> None:
        """See the base class."""
        self._name = name
        if not frame.bodies:
            return
        self._has_bodies = True
        has_pose = all(map(_has_pose, frame.bodies))
        if self.kind == 'glb' and not has_pose:
            self._files.save(frame, name)
        elif self.fps is None:
            self._write([frame])
        else:
            self._frames.append(_without_meshes(frame))

    def close(self) -> None:
        """See the base class."""
        self._files.close()
        if self._frames:
            self._write(self._frames)
        elif self.kind != 'glb' and not self._has_bodies:
            notice(
                f'{printable(self._name)}: nobody was found, no {self.kind.upper()} file is written'
            )

    def _write(self, frames: Sequence[FrameResult]) -> None:
        from fastmetro_mm.body.build import load_model_arrays
        from fastmetro_mm.exporters.smpl_tracks import smpl_tracks

        if self.kind in ('bvh', 'amass'):
            frames = self._posed(frames)
        tracks = smpl_tracks(frames)
        arrays = load_model_arrays(frames[0].body)
        if self.options.floor:
            tracks = self._on_floor(tracks, arrays)
        if self.kind == 'glb':
            self._write_rig(tracks, arrays, frames[0])
        else:
            for track in tracks:
                self._write_track(track, arrays)
        self._tell_filled(tracks)

    def _on_floor(self, tracks: list[SmplTrack], arrays: Mapping) -> list[SmplTrack]:
        from fastmetro_mm.exporters.ground import put_on_floor

        lock_fps = (self.fps or 30.0) if self.options.foot_lock else None
        tracks, notes = put_on_floor(tracks, arrays, lock_fps)
        for note in notes:
            notice(f'{printable(self._name)}, {self.kind}: {note}')
        return tracks

    def _write_rig(self, tracks: list[SmplTrack], arrays: Mapping, first: FrameResult) -> None:
        from fastmetro_mm.exporters.gltf_rig import write_animated_glb
        from fastmetro_mm.exporters.levels import level_number, mesh_level

        level = None
        if self.options.lod is not None:
            level = mesh_level(first.body, level_number(first.body, self.options.lod))
        path = self.path(f'{self._name}.glb')
        # A scene that was put on its floor is no longer that of the camera.
        camera = None if self.options.floor else first.camera
        assert self.fps is not None  # every video has one
        self.written.append(write_animated_glb(path, tracks, arrays, camera, self.fps, level))

    def _write_track(self, track: SmplTrack, arrays: Mapping) -> None:
        from fastmetro_mm.exporters.amass_params import write_amass
        from fastmetro_mm.exporters.bvh import write_bvh
        from fastmetro_mm.exporters.smpl_params import write_smpl_params

        fps, stem = self.fps or 30.0, self._name
        if self.kind == 'bvh':
            path = write_bvh(self.path(f'{stem}_{track.name}.bvh'), track, arrays, fps)
            self._tell_start(path, track, fps)
        elif self.kind == 'amass':
            path = write_amass(self.path(f'{stem}_amass_{track.name}.npz'), track, fps)
            self._tell_start(path, track, fps)
        else:
            path = write_smpl_params(self.path(f'{stem}_smpl_{track.name}.npz'), track, fps)
        self.written.append(path)

    def _tell_start(self, path: Path, track: SmplTrack, fps: float) -> None:
        """These formats have no start time."""
        first = int(track.frames[0])
        if first and self.fps is not None:
            moment = first / fps if track.times is None else track.times[0]
            notice(
                f'{printable(path)}: begins at frame {first} of the video ({moment:.2f} s), '
                f'where the person is first seen; the format cannot tell that'
            )

    def _tell_filled(self, tracks: Sequence[SmplTrack]) -> None:
        for note in filter(None, (track.filled_note() for track in tracks)):
            notice(f'{printable(self._name)}, {self.kind}: {note}')

    def _posed(self, frames: Sequence[FrameResult]) -> Sequence[FrameResult]:
        """The people with SMPL parameters, if there are any; the others are told."""
        kept = [
            replace(frame, people=[person for person in frame.bodies if _has_pose(person)])
            for frame in frames
        ]
        left = sum(len(frame.bodies) for frame in frames) - sum(len(one.people) for one in kept)
        if not any(frame.people for frame in kept):
            return frames  # smpl_tracks says what is missing
        if left:
            notice(
                f'{printable(self._name)}: people without SMPL parameters are left out of '
                f'the {self.kind.upper()} files (sightings: {left})'
            )
        return kept


class Recording(Output):
    """``photo.rrd`` or ``clip.rrd``, for the Rerun viewer; written while frames come."""

    _recording: RerunRecording | None = None

    def save(self, frame: FrameResult, name: str) -> None:
        """See the base class."""
        from fastmetro_mm.exporters.rerun_recording import RerunRecording

        if self._recording is None:
            path = self.path(f'{name}.rrd')
            self._recording = RerunRecording(path, self.fps, self.options.lod)
        self._recording.add(frame)
        if self.fps is None:
            self._end()

    def close(self) -> None:
        """See the base class."""
        self._end()

    def _end(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            self.written.append(recording.close())


def _has_pose(person: PersonMesh) -> bool:
    return not (person.global_orient is None or person.body_pose is None or person.betas is None)


def _without_meshes(frame: FrameResult) -> FrameResult:
    """The frame with SMPL parameters and places only."""
    nothing = np.empty((0, 3), np.float32)
    people = [replace(person, vertices=nothing, smpl_vertices=None) for person in frame.bodies]
    return replace(frame, image=None, people=people)
