# SPDX-License-Identifier: Apache-2.0
"""Files of a result: overlays, arrays and the formats of other programs, for pictures and videos.

Exporters are imported when their format is asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from fastmetro_mm.apis.video_writer import VideoWriter
from fastmetro_mm.errors import InputError
from fastmetro_mm.structures.results import FrameResult
from fastmetro_mm.visualization.frame_drawing import draw_frame, draw_views
from fastmetro_mm.visualization.picture_files import write_picture
from fastmetro_mm.visualization.render_types import Renderer

KINDS = ('overlay', 'npz', 'json', 'obj', 'ply', 'glb', 'html', 'smpl')
_REPORT_FRAMES = 12


def check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """The kinds of files, if all are known.

    Args:
        kinds: Any of :data:`KINDS`.

    Returns:
        The same.

    Raises:
        InputError: If one is unknown.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise InputError(f'cannot save {", ".join(map(repr, unknown)) or "nothing"}: choose from '
                         f'{",".join(KINDS)}')
    return tuple(kinds)


def make_folder(path: str | Path) -> Path:
    """A folder that can be written.

    Args:
        path: Folder; made if missing.

    Returns:
        The folder.

    Raises:
        InputError: If it cannot be made or written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'{path}: cannot write results there ({error.strerror}): choose another '
                         'folder with --out') from None
    if not os.access(path, os.W_OK):
        raise InputError(f'{path}: no permission to write results there: choose another folder '
                         'with --out')
    return path


class ResultSaver:
    """Saves the frames of one input under its name. Use as a context manager.

    A picture ``photo.jpg`` gives ``photo_overlay.jpg``, ``photo.npz``, ``photo.json``,
    ``photo.obj``, ``photo.ply``, ``photo.glb``, ``photo.html`` and ``photo_smpl_<person>.npz``. A
    video gives one ``clip_overlay.mp4``, ``clip.jsonl`` (a line a frame), ``clip.html``, a rigged
    ``clip.glb`` where the network gives SMPL parameters, and a folder ``clip_<kind>`` with a file
    a frame for the rest. Videos are written as they come: memory does not grow with their length,
    but for the SMPL parameters (2 kB a person a frame).

    Args:
        folder: Where to; must exist.
        kinds: Any of :data:`KINDS`.
        renderer: What draws; needed for ``overlay`` and ``html``.
        fps: Frames a second of a video; None for pictures.
        views: Views beside overlays of pictures: any of ``front side back top``.
        camera: ``'network'`` or ``'scene'``, see ``drawing.render_frame``.
        smpl_panel: Whether overlays have a second panel with the mesh of the SMPL head; for
            pictures, where the result has one, if not given, and never for videos.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Sequence[str],
        renderer: Renderer | None = None,
        fps: float | None = None,
        views: Sequence[str] = ('side', 'top'),
        camera: str = 'network',
        smpl_panel: bool | None = None,
    ) -> None:
        self.folder = folder
        self.kinds = check_kinds(kinds)
        self.renderer = renderer
        self.fps = fps
        self.views = views
        self.camera = camera
        # A frame of a video may be empty, so that its people do not tell.
        self.smpl_panel = bool(smpl_panel) if fps is not None else smpl_panel
        self.written: list[Path] = []
        self._video: VideoWriter | None = None
        self._lines = None
        self._poses: list[FrameResult] = []
        self._sampled: list[FrameResult] = []
        self._stride = 1
        self._name = ''

    def add(self, frame: FrameResult, name: str) -> None:
        """Save one frame.

        Args:
            frame: The result, with its picture if overlays are wanted.
            name: Name of the picture or video, without an ending.

        Raises:
            OSError: If a file cannot be written.
        """
        self._name = name
        if self.fps is None:
            self._add_picture(frame, name)
        else:
            self._add_frame(frame, name)

    def __enter__(self) -> ResultSaver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._lines is not None:
            self._lines.close()
        if self._video is not None:
            self._video.__exit__(kind, error, trace)
            if kind is None:
                self.written.append(self._video.path)
        if kind is not None or self.fps is None:
            if self._lines is not None:
                Path(self._lines.name).unlink(missing_ok=True)
            return
        if self._lines is not None:
            target = self.folder / f'{self._name}.jsonl'
            os.replace(self._lines.name, target)
            self.written.append(target)
        if self._poses:
            self._write_motion()
        if self._sampled:
            self._write_report(self._sampled)

    def _add_picture(self, frame: FrameResult, name: str) -> None:
        if 'overlay' in self.kinds:
            self.written.append(write_picture(
                self.folder / f'{name}_overlay.jpg',
                draw_frame(frame, self.renderer, views=self.views, camera=self.camera,
                           smpl_panel=self.smpl_panel)))
        for kind in self.kinds:
            if kind in ('npz', 'json', 'obj', 'ply', 'glb'):
                self._write(frame, kind, self.folder / f'{name}.{kind}')
        if 'smpl' in self.kinds:
            self._write_smpl([frame])
        if 'html' in self.kinds:
            self._write_report([frame])

    def _add_frame(self, frame: FrameResult, name: str) -> None:
        drawn = None
        if 'overlay' in self.kinds:
            drawn = draw_frame(frame, self.renderer, camera=self.camera, draw_boxes=True,
                               smpl_panel=self.smpl_panel)
            if self._video is None:
                self._video = VideoWriter(self.folder / f'{name}_overlay.mp4', self.fps)
            self._video.write(drawn)
        if 'json' in self.kinds:
            if self._lines is None:
                self._lines = open(
                    self.folder / f'.{name}.{os.getpid()}.jsonl', 'w', encoding='utf-8')
            self._lines.write(json.dumps(frame.to_dict(False), allow_nan=False) + '\n')
        has_pose = bool(frame.bodies) and all(p.body_pose is not None for p in frame.bodies)
        if has_pose and {'glb', 'smpl'} & set(self.kinds):
            self._poses.append(_without_meshes(frame))
        for kind in self.kinds:
            if kind in ('npz', 'obj', 'ply') or (kind == 'glb' and not has_pose):
                if kind == 'npz' or any(person.is_placed for person in frame.people):
                    self._write(frame, kind, self.folder / f'{name}_{kind}' /
                                f'{frame.frame_index:06d}.{kind}')
        if 'html' in self.kinds and frame.frame_index % self._stride == 0:
            self._sampled.append(frame)
            if len(self._sampled) > _REPORT_FRAMES:  # thin out: evenly spread, never many
                self._sampled, self._stride = self._sampled[::2], self._stride * 2

    def _write(self, frame: FrameResult, kind: str, path: Path) -> None:
        if kind == 'npz':
            frame.save_npz(path)
        elif kind == 'json':
            frame.save_json(path)
        else:
            from fastmetro_mm.exporters.scene import frame_meshes, person_names

            meshes, names = frame_meshes(frame), person_names(frame)
            if kind == 'glb':
                from fastmetro_mm.exporters.gltf import write_glb

                write_glb(path, meshes, frame.camera, names)
            else:
                from fastmetro_mm.exporters.mesh_files import write_obj, write_ply

                {'obj': write_obj, 'ply': write_ply}[kind](path, meshes, names)
        self.written.append(path)

    def _write_smpl(self, frames: Sequence[FrameResult]) -> None:
        from fastmetro_mm.exporters.smpl_params import write_smpl_params
        from fastmetro_mm.exporters.smpl_tracks import smpl_tracks

        for track in smpl_tracks(frames):
            path = self.folder / f'{self._name}_smpl_{track.name}.npz'
            self.written.append(write_smpl_params(path, track, self.fps or 30.0))

    def _write_motion(self) -> None:
        if 'smpl' in self.kinds:
            self._write_smpl(self._poses)
        if 'glb' in self.kinds:
            from fastmetro_mm.body.build import load_model_arrays
            from fastmetro_mm.exporters.gltf_rig import write_animated_glb
            from fastmetro_mm.exporters.smpl_tracks import smpl_tracks

            first = self._poses[0]
            self.written.append(write_animated_glb(
                self.folder / f'{self._name}.glb', smpl_tracks(self._poses),
                load_model_arrays(first.body), first.camera, self.fps))

    def _write_report(self, frames: Sequence[FrameResult]) -> None:
        from fastmetro_mm.exporters.html_report import report_frame, write_html_report

        entries = []
        for frame in frames:
            pictures = [('Overlay', draw_frame(frame, self.renderer, camera=self.camera,
                                               smpl_panel=self.smpl_panel))]
            if self.views:
                pictures.append(('Other sides', draw_views(frame, self.renderer, self.views)))
            pictures.append(('Input', frame.image))
            entries.append(report_frame(frame, pictures))
        path = self.folder / f'{self._name}.html'
        self.written.append(write_html_report(path, entries, title=self._name))


def _without_meshes(frame: FrameResult) -> FrameResult:
    """The frame with SMPL parameters and places only."""
    nothing = np.empty((0, 3), np.float32)
    people = [replace(person, vertices=nothing, smpl_vertices=None) for person in frame.bodies]
    return replace(frame, image=None, people=people)
