# SPDX-License-Identifier: Apache-2.0
"""Steadier meshes in videos: the One-Euro filter, person by person."""

from __future__ import annotations

import math

import numpy as np

from fastmetro_mm.apis.image_camera import pred_cam_on_crop, translation_in_image
from fastmetro_mm.geometry.camera import crop_to_image, orthographic_from_weak
from fastmetro_mm.structures.results import FrameResult, PersonMesh

_SPEED_CUTOFF = 1.0  # for the speed itself, hertz


class OneEuroFilter:
    """Low-pass filter whose cut-off rises with speed: calm at rest, no lag in fast motion.

    Args:
        fps: Frames a second.
        min_cutoff: Cut-off at rest, hertz; lower is calmer.
        beta: Rise of the cut-off with speed, hertz per unit a second; higher lags less.

    Reference:
        Casiez et al., 1 Euro Filter, CHI 2012.
    """

    def __init__(self, fps: float, min_cutoff: float = 1.0, beta: float = 0.5) -> None:
        self.fps = fps
        self.min_cutoff = min_cutoff
        self.beta = beta
        self._value: np.ndarray | None = None
        self._raw: np.ndarray | None = None
        self._speed: np.ndarray | float = 0.0

    def __call__(self, value: np.ndarray, seconds: float | None = None) -> np.ndarray:
        """Filter the next value.

        Args:
            value: Measurement, any shape; the same at every call.
            seconds: Since the measurement before, which may be several frames ago; one frame if
                not given.

        Returns:
            Filtered value.
        """
        value = np.asarray(value, dtype=np.float64)
        if self._value is None:
            self._value = self._raw = value
            return value
        seconds = 1 / self.fps if seconds is None else seconds
        # between measurements: the filtered value lags behind, which would look like speed
        speed, self._raw = (value - self._raw) / seconds, value
        share = self._share(_SPEED_CUTOFF, seconds)
        self._speed = share * speed + (1 - share) * self._speed
        share = self._share(self.min_cutoff + self.beta * np.abs(self._speed), seconds)
        self._value = share * value + (1 - share) * self._value
        return self._value

    def _share(self, cutoff: np.ndarray | float, seconds: float) -> np.ndarray | float:
        """Share of the new value for a cut-off in hertz."""
        turn = 2 * math.pi * cutoff * seconds
        return turn / (turn + 1)


class MeshSmoother:
    """Smooths the people of a video: mesh, joints, SMPL parameters and the place in the image.

    People are known by their ``track_id``; one who was away for more than ``forget_after`` frames
    starts anew.

    Args:
        fps: Frames a second, for frames that do not tell their time.
        min_cutoff: See :class:`OneEuroFilter`; for values in metres.
        beta: See :class:`OneEuroFilter`; hertz per metre a second.
        forget_after: Frames.
    """

    def __init__(
        self, fps: float, min_cutoff: float = 1.0, beta: float = 5.0, forget_after: int = 10
    ) -> None:
        self.fps = fps
        self.min_cutoff = min_cutoff
        self.beta = beta
        self.forget_after = forget_after
        self._filters: dict[int, dict[str, OneEuroFilter]] = {}
        self._last_seen: dict[int, int] = {}
        self._times: dict[int, float] = {}

    def update(self, frame: FrameResult) -> FrameResult:
        """Smooth the people of the next frame in place.

        Args:
            frame: Result with ``track_id``; people without one, or without a place, stay as
                they are.

        Returns:
            The same frame.
        """
        for number, last in list(self._last_seen.items()):
            if frame.frame_index - last > self.forget_after:
                del self._last_seen[number], self._filters[number], self._times[number]
        for person in frame.people:
            if person.track_id is None or not person.is_placed:
                continue
            now = frame.frame_index / self.fps if frame.time is None else frame.time
            seconds = now - self._times.get(person.track_id, now)
            self._last_seen[person.track_id] = frame.frame_index
            self._times[person.track_id] = now
            self._smooth(
                person,
                frame,
                self._filters.setdefault(person.track_id, {}),
                seconds if seconds > 0 else 1 / self.fps,
            )
        return frame

    def _smooth(
        self,
        person: PersonMesh,
        frame: FrameResult,
        filters: dict[str, OneEuroFilter],
        seconds: float,
    ) -> None:
        def run(name: str, value: np.ndarray) -> np.ndarray:
            if name not in filters:
                filters[name] = OneEuroFilter(self.fps, self.min_cutoff, self.beta)
            return filters[name](value, seconds)

        for name in ('vertices', 'joints_3d', 'smpl_vertices', 'betas'):
            value = getattr(person, name)
            if value is not None:
                setattr(person, name, run(name, value).astype(value.dtype))
        for name in ('global_orient', 'body_pose'):
            value = getattr(person, name)
            if value is not None:
                matrices = run(name, value).reshape(-1, 3, 3)
                # nearest rotations to the filtered matrices
                from scipy.spatial.transform import Rotation  # takes long to import

                turned = Rotation.from_matrix(matrices).as_matrix()
                setattr(person, name, turned.reshape(value.shape).astype(value.dtype))

        # The crop jumps with its box, so what is filtered is the place in the image.
        flat = orthographic_from_weak(
            person.pred_cam, person.crop_to_image, person.crop_size, frame.image_size
        ).matrix
        pixels_per_metre = math.sqrt(abs(np.linalg.det(flat[:, :2])))
        # in metres at the person's size, so that one `beta` fits all; the size by its logarithm
        place = run('place', np.append(flat[:, 2] / pixels_per_metre, math.log(pixels_per_metre)))
        pixels_per_metre = math.exp(place[2])
        steady = np.column_stack([np.eye(2) * pixels_per_metre, place[:2] * pixels_per_metre])
        pred_cam = pred_cam_on_crop(steady, person.crop_to_image, person.crop_size)
        person.pred_cam = pred_cam.astype(np.float32)
        person.translation = translation_in_image(
            person.pred_cam, person.crop_to_image, person.crop_size, frame.intrinsics
        )
        pixels = (
            (pred_cam[0] * (person.joints_3d[:, :2] + pred_cam[1:]) + 1) * 0.5 * person.crop_size
        )
        person.keypoints = np.asarray(crop_to_image(pixels, person.crop_to_image), np.float32)
