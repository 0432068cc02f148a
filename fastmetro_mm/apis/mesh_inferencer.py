# SPDX-License-Identifier: Apache-2.0
"""From images or videos to meshes: finds people, runs the network in batches, places them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from fastmetro_mm.apis.batching import finished, in_batches
from fastmetro_mm.apis.boxes import PersonBox
from fastmetro_mm.apis.crops import Crop, Cropper, PendingImage, person_of
from fastmetro_mm.apis.detector_choice import BoxFinder, free_detector, given_detector, is_free
from fastmetro_mm.apis.guarding import ErrorHandler, error_handler, guarded
from fastmetro_mm.apis.hands import mirror_image
from fastmetro_mm.apis.image_camera import CameraHint, translation_in_image
from fastmetro_mm.apis.image_reading import SourceImage
from fastmetro_mm.apis.model_choice import choose_model
from fastmetro_mm.apis.people_finding import PeopleFinder
from fastmetro_mm.apis.progress import show_progress
from fastmetro_mm.apis.smoothing import MeshSmoother
from fastmetro_mm.apis.source import Source
from fastmetro_mm.apis.sources import open_source
from fastmetro_mm.apis.sparse_detection import carried_boxes
from fastmetro_mm.apis.stages import PAUSE, ahead
from fastmetro_mm.apis.tracking import BoxTracker
from fastmetro_mm.body.mesh_body import MeshBody
from fastmetro_mm.datasets.transforms.views import check_mirroring, parse_views
from fastmetro_mm.datasets.worker_process import cores
from fastmetro_mm.errors import DataRowError, InputError
from fastmetro_mm.model_zoo.model_loading import (
    check_device,
    gives_parameters,
    load_network,
    smpl_head_is_trained,
)
from fastmetro_mm.models.tta_model import MeshTTAModel
from fastmetro_mm.runtimes.names import check_runtime
from fastmetro_mm.runtimes.preparing import prepare_network
from fastmetro_mm.speed.allocator import keep_freed_memory
from fastmetro_mm.structures.results import FrameResult

_AHEAD = 2
"""Images that are read, and results that are made, before they are wanted."""
_AHEAD_OF_TURNS = 8
"""The same of images whose people are cut out, where network and others take turns: of one batch
of the usual size with two people an image, since nobody cuts out while the network runs."""
_FEW_CORES = 2
"""Cores that a network on the processor fills, so that others beside it cost time."""


class MeshInferencer:
    """Meshes of the people (or hands) in images and videos.

    Example::

        inferencer = MeshInferencer('quickstart', weights='work_dirs/quickstart/epoch_8.pth')
        for frame in inferencer('photo.jpg', bboxes=[[280, 44, 499, 391]]):
            frame.save_npz('photo.npz')

    Args:
        model: Name of a network (``fastmetro models`` lists them: shipped, kept, released, or of a
            hub), path of a config, or a config. None: the shipped network of the open body.
        weights: Checkpoint (``.pth``), released file (``.bin``) or safetensors. None: those of
            the name; a config without any gives an untrained network and a warning.
        device: ``cpu``, ``cuda``, ``cuda:1``...
        detector: Where boxes come from when none are given: ``'free'`` is the detector inside the
            package; ``None``, ``'none'`` or ``'whole'`` takes the whole image as one box;
            ``'rtmdet'`` or the path of an mmdet config runs a detector with ``detector_weights``;
            or any function from an RGB image to
            :class:`~fastmetro_mm.apis.boxes.PersonBox` es.
        detector_weights: Checkpoint of the detector; where ``detector`` is not given, of RTMDet.
        speed: ``'exact'`` gives the network's numbers up to float32 rounding and cuts crops as
            the config says, for released configs pixel for pixel as the official code does;
            ``'fast'`` cuts them in one warp, runs backbone and first transformer in half
            precision where the hardware has it and the network bears it, and leaves out the mirror
            images that the shipped body looks at; docs/performance.md.
        compiled: On a GPU: record the network as CUDA graphs, one for every batch size.
        runtime: What runs backbone and transformers: ``'torch'``; ``'openvino'`` or
            ``'onnxruntime'``, optional packages, for which the network is converted once; or
            ``'auto'``, the one that was the fastest when it was measured here, at the first use.
            ``'onnxruntime:cuda'``, ``'onnxruntime:tensorrt'`` and ``'openvino:gpu'`` are untested.
        tta: Test-time augmentation: views of every crop whose results are averaged, e.g. ``'flip'``
            or ``'flip rot=-20,20 scale=0.9,1.1'`` (every combination is one view), see
            ``datasets.transforms.views.parse_views``. Each costs as much as the crop as it is.
            Results then say how far the views lie apart (``PersonMesh.joint_spread``).
        box_padding: Factor from the longer side of a box to the side of its crop; that of the
            config (1.2) if not given. See docs/inference.md for what fits which boxes.

    Attributes:
        has_smpl_head: Whether results have the mesh of an SMPL head beside the network's own: the
            network has one, and the weights held it. One that was never trained means nothing.
        has_parameters: Whether results have SMPL parameters, of such a head or of a network that
            poses its mesh by them.

    Raises:
        FileNotFoundError: If config or weights are missing.
        InputError: If an argument is of no use.
        MissingPackageError: If the library of ``runtime`` is not installed.
        DetectorError: If the detector cannot be set up.
    """

    body: MeshBody

    def __init__(
        self,
        model: str | Path | Config | None = None,
        weights: str | Path | None = None,
        device: str = 'cpu',
        detector: str | Path | BoxFinder | None = 'free',
        detector_weights: str | Path | None = None,
        speed: str = 'exact',
        box_padding: float | None = None,
        compiled: bool = False,
        tta: str | Sequence[str] | Mapping[str, Any] | None = None,
        runtime: str = 'torch',
    ) -> None:
        if speed not in ('exact', 'fast'):
            raise InputError(f"speed must be 'exact' or 'fast', got {speed!r}")
        if box_padding is not None and not 0.5 <= box_padding <= 5:
            raise InputError(f'box_padding must lie between 0.5 and 5, got {box_padding}')
        views = parse_views(tta)
        self.device = check_device(device)
        check_runtime(runtime, device)
        free = is_free(detector, detector_weights)
        self.detector = None if free else given_detector(detector, detector_weights, device)
        if compiled and self.device.type != 'cuda':
            raise InputError('compiled=True is for GPUs: on the CPU it brings nothing')
        if self.device.type == 'cpu':
            keep_freed_memory()
        model, weights = choose_model(model, weights)
        network = load_network(model, weights, device)
        self.has_smpl_head = smpl_head_is_trained(network)
        self.has_parameters = gives_parameters(network)
        self.network: Any = prepare_network(network, speed, runtime, compiled)
        self.speed = speed
        self.body = self.network.body
        if free:
            self.detector = free_detector(self.body, device)
        check_mirroring(any(view.flip for view in views), self.body)
        self._predictor = MeshTTAModel(self.network) if views else self.network
        self._cropper = Cropper(
            self.network.cfg, speed, box_padding, self.network.dataset_meta, views
        )

    is_hand = property(lambda self: self.body.is_hand, doc='Whether the network is one for hands.')

    def __call__(
        self,
        inputs: Any,
        bboxes: Any = None,
        keypoints: Any = None,
        is_right: bool = True,
        camera: CameraHint | None = None,
        batch_size: int = 16,
        track: bool = True,
        smooth: bool = False,
        detect_every: int = 1,
        progress: bool = False,
        keep_images: bool = True,
        on_error: str | ErrorHandler = 'raise',
        overlap: bool = False,
    ) -> Iterator[FrameResult]:
        """Go through the images; results come one by one, in order, while it works.

        Args:
            inputs: Image file, web address, encoded bytes, folder, glob pattern, video file,
                webcam number, array (H, W, 3) uint8 BGR, or a list of files, bytes and arrays.
            bboxes: Boxes x1 y1 x2 y2 (and a score), in image pixels: the people of one image (or
                of every image of a folder or video alike); a list with a list of people for each
                image or frame; or a dict by image name or frame number. Boxes may be dicts, see
                ``boxes.parse_box``: hands say ``dict(bbox=..., is_right=False)``.
            keypoints: 2D keypoints (K, 2) or (K, 3) of each person instead of boxes, in the same
                forms.
            is_right: Hands: handedness of boxes that do not say; as in ``boxes.parse_side``.
            camera: What is known about the camera; EXIF data or the usual guess if not given.
            batch_size: People that go through the network at once, from one or more images.
            track: Videos: whether to number people from frame to frame.
            smooth: Videos: whether to smooth each person with a One-Euro filter.
            detect_every: Videos: look for people in each so many-th frame only; boxes of the
                frames between follow from those around them (``sparse_detection``).
            progress: Whether to show progress on the terminal.
            keep_images: Whether results carry their image (for drawing).
            on_error: ``'raise'``; ``'skip'`` logs what is wrong with an image or box and goes on
                with the others; or a function that is called with the error.
            overlap: Read, find people and run the network in threads, ahead of what is asked for;
                ``on_error`` and a detector of yours are called from these. With one or two cores
                the network stays in your thread, and the others wait for it. Not for webcams.

        Returns:
            Generator of one result an image, people in the order of their boxes. Inputs are
            opened at once, read while it runs.

        Raises:
            InputError: If an input, box or argument is of no use.
            FileNotFoundError: If an input is missing.
        """
        if bboxes is not None and keypoints is not None:
            raise InputError('give bboxes or keypoints, not both')
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise InputError(f'batch_size must be a whole number, at least 1, got {batch_size!r}')
        if not isinstance(camera, (CameraHint, type(None))):
            raise InputError(
                f'camera must be a CameraHint, got {type(camera).__name__}: give '
                'CameraHint(intrinsics=K) or CameraHint(focal_length=PIXELS)'
            )
        on_error = error_handler(on_error)
        source = open_source(inputs, on_error)
        if smooth and not (source.is_video and track):
            raise InputError('smoothing needs a video and track=True')
        if not isinstance(detect_every, (int, np.integer)) or detect_every < 1:
            raise InputError(f'detect_every must be a whole number, 1 or more, got {detect_every}')
        looks = self.detector is not None and bboxes is None and keypoints is None
        if detect_every > 1 and not (source.is_video and track and looks):
            raise InputError('detect_every needs a video, a detector and track=True')
        finder = PeopleFinder(
            source, bboxes, keypoints, self.detector, self.body, is_right, on_error
        )
        hint = CameraHint() if camera is None else camera
        smoother = MeshSmoother(source.fps) if smooth else None
        # A camera's image must be answered before the next one comes.
        size = 0 if source.is_live else batch_size
        overlap = overlap and not source.is_live
        if overlap:
            source = replace(source, images=ahead(source.images, _AHEAD))
        found = self.look(source, finder, track, on_error, detect_every)
        # Where the network fills the few cores, it runs in the caller's thread, so not beside
        # drawing, and the other threads wait for it.
        turns = overlap and self.device.type == 'cpu' and cores() <= _FEW_CORES
        if overlap:
            found = ahead(found, _AHEAD_OF_TURNS if turns else 1)
        run = self._run_alone if turns else self.run_crops
        results = in_batches(
            found, run, lambda done: self.place(done, hint), size, batch_size, on_error
        )
        if overlap and not turns:
            results = ahead(results, _AHEAD)
        if progress:
            results = show_progress(results, source.length)
        return finished(results, smoother, keep_images)

    def look(
        self,
        source: Source,
        finder: PeopleFinder,
        track: bool,
        on_error: ErrorHandler,
        detect_every: int = 1,
    ) -> Iterator[PendingImage]:
        """Find and cut out the people of every image; the network has not seen them yet.

        For programs that fill batches in their own way: :meth:`run_crops` takes crops of any
        images, :meth:`place` makes the result of an image that is complete.

        Args:
            source: The images.
            finder: Where their people are.
            track: Whether to number people through a video.
            on_error: Called with the error of an image or box.
            detect_every: Frames from one look at a video to the next, where people are numbered.

        Yields:
            One an image, in order.
        """
        if source.is_video and track:
            tracker = BoxTracker(reserved=finder.track_ids, stride=detect_every)
            found = carried_boxes(source.images, finder, tracker, detect_every, source.is_live)
        else:
            found = ((image, finder(image)) for image in source.images)
        for image, boxes in found:
            yield PendingImage(image, list(self._crops(image, boxes, on_error)))
        finder.finish()

    def _crops(
        self, image: SourceImage, boxes: Sequence[PersonBox], on_error: ErrorHandler
    ) -> Iterator[Crop]:
        """Crops of one image, left hands from its mirror image."""
        mirror = None
        for number, box in enumerate(boxes):
            crop = None
            with guarded(f'{image.where}, box {number}', on_error):
                is_left = box.is_right is False  # None for bodies
                if is_left and mirror is None:
                    mirror = mirror_image(image.pixels)
                try:
                    crop = self._cropper(image, box, mirror if is_left else None)
                except DataRowError as error:
                    raise InputError(f'{image.where}, box {number}: {error}') from None
            if crop is not None:
                yield crop

    def run_crops(self, queue: Sequence[tuple[PendingImage, Crop]]) -> None:
        """One forward pass; people are added to their images.

        Args:
            queue: Crops of one or more images, each with its image.
        """
        batch = pseudo_collate([crop.data for _, crop in queue])
        with torch.no_grad():
            samples = self._predictor.test_step(batch)
        for (pending, crop), sample in zip(queue, samples, strict=True):
            pending.people.append(
                person_of(sample, crop, pending.image.size[0], self.has_parameters)
            )

    def _run_alone(self, queue: Sequence[tuple[PendingImage, Crop]]) -> None:
        with PAUSE.others():
            self.run_crops(queue)

    def place(self, pending: PendingImage, hint: CameraHint) -> FrameResult:
        """The result of an image whose people are through the network.

        Args:
            pending: The image.
            hint: What is known about its camera.

        Returns:
            Its people before one camera.
        """
        image = pending.image
        intrinsics = hint.matrix(image.size, image.exif, image.pixels)
        for person in pending.people:
            person.translation = translation_in_image(
                person.pred_cam, person.crop_to_image, person.crop_size, intrinsics
            )
        return FrameResult(
            image_path=image.path,
            frame_index=image.index,
            image_size=image.size,
            intrinsics=intrinsics,
            people=pending.people,
            body=self.body.name,
            faces=self.body.faces,
            image=image.pixels,
            time=image.time,
        )
