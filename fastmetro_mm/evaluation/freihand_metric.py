# SPDX-License-Identifier: Apache-2.0
"""Official FreiHAND scores and the prediction file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from mmpose.registry import METRICS

from fastmetro_mm.body.joint_sets import HAND21
from fastmetro_mm.errors import ConfigError, MissingFileError
from fastmetro_mm.evaluation.freihand_files import (
    NUM_JOINTS,
    NUM_VERTICES,
    read_points,
    write_predictions,
)
from fastmetro_mm.evaluation.functional.freihand import freihand_scores, hand_distances
from fastmetro_mm.evaluation.ground_truth_mesh import GroundTruthMesh
from fastmetro_mm.evaluation.pck_figure import draw_pck_curves
from fastmetro_mm.evaluation.sample_access import (
    has_label,
    read_instance,
    require_instance,
    to_array,
)
from fastmetro_mm.evaluation.sample_metric import SampleMetric
from fastmetro_mm.fileio import write_json


@METRICS.register_module()
class FreiHANDMetric(SampleMetric):
    """Scores of the official FreiHAND script, and ``pred.json`` with its zip.

    The truth comes from the released ``evaluation_xyz.json`` and ``evaluation_verts.json`` if both
    are given (the number in the image name is the row), else from the samples: ``joints_3d``, and
    ``vertices`` or the hand posed by ``pose`` and ``betas``, both centred on the wrist. Where
    neither is at hand only the prediction file is written. Truth in camera coordinates makes the
    raw scores of wrist-centred predictions meaningless (as for the official predictions); the
    aligned ones are the published ones.

    Args:
        xyz_file: released keypoints.
        verts_file: released vertices.
        body: hand model for samples without vertex labels, ``dict(name='mano', ...)``; that of
            the network, which its samples name, if not given.
        pred_file: JSON file for the predictions; the zip gets the same name.
        expected: number of images the prediction file must hold; None for the dataset's length.
        curve_file: image file for the PCK curves.
        kwargs: see :class:`SampleMetric`; ``per_sample_file`` gets aligned errors by image and by
            joint.
    """

    def __init__(
        self,
        xyz_file: str | Path | None = None,
        verts_file: str | Path | None = None,
        body: dict | None = None,
        pred_file: str | Path | None = None,
        expected: int | None = None,
        curve_file: str | Path | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (xyz_file is None) != (verts_file is None):
            raise ConfigError('FreiHANDMetric: give both xyz_file and verts_file, or neither')
        self.xyz_file, self.verts_file = xyz_file, verts_file
        self.pred_file, self.expected, self.curve_file = pred_file, expected, curve_file
        self.ground_truth = GroundTruthMesh(body)

    def check_dataset(self, dataset: Any) -> None:
        """Compare the size of the set with ``expected``, and look for the files of the truth.

        Raises:
            ConfigError: it has another number of images, which would be told at the end of the
                evaluation only.
            FileNotFoundError: a file of the truth is missing.
        """
        if self.pred_file is not None and self.expected not in (None, len(dataset)):
            place = getattr(dataset, 'ann_file', type(dataset).__name__)
            raise ConfigError(
                f'FreiHANDMetric: {place} has {len(dataset)} images, expected={self.expected} is '
                'what the released evaluation set has: for another set put expected=None into '
                'val_evaluator (and test_evaluator)'
            )
        for path in filter(None, (self.xyz_file, self.verts_file)):
            if not Path(path).is_file():
                raise MissingFileError(
                    f'FreiHANDMetric: {path} not found: unpack the evaluation '
                    'labels of FreiHAND there'
                )

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keep predictions, and truths where the samples hold them.

        Raises:
            ValueError: if a field is missing.
        """
        truths = [(None, None)] * len(data_samples)
        if not self.xyz_file:
            truths = self._sample_truths(data_samples)
        for sample, (gt_xyz, gt_verts) in zip(data_samples, truths, strict=True):
            # float32 halves what travels between ranks; the network computes no more digits
            xyz, verts = (
                to_array(require_instance(sample, 'pred_instances', name)[0]).astype(np.float32)
                for name in ('joints_3d', 'vertices')
            )
            self.add_entry(sample, gt_xyz=gt_xyz, gt_verts=gt_verts, xyz=xyz, verts=verts)

    def _sample_truths(self, samples: Sequence[Any]) -> list[tuple]:
        """Wrist-centred truth from the labels, (None, None) for samples that have none."""
        truths: list[tuple] = [(None, None)] * len(samples)
        complete = []
        for number, sample in enumerate(samples):
            if not (has_label(sample, 'has_3d') and has_label(sample, 'has_smpl')):
                continue
            joints, verts = (
                read_instance(sample, 'gt_instance_labels', name)
                for name in ('joints_3d', 'vertices')
            )
            if joints is not None and (verts is not None or self.ground_truth.knows_body(samples)):
                joints = to_array(joints[0, :, :3])
                truths[number] = joints - joints[:1], None if verts is None else to_array(verts[0])
                complete.append(number)
        waiting = [number for number in complete if truths[number][1] is None]
        if waiting:  # posed in one go
            posed = to_array(self.ground_truth([samples[number] for number in waiting]))
            for number, verts in zip(waiting, posed, strict=True):
                truths[number] = truths[number][0], verts
        return truths

    def summarise(self, entries: list[dict]) -> dict[str, float]:
        """Write the prediction file and compute the scores; none if there is no truth.

        They are the official ones by their official names (see ``freihand_scores``), and
        ``PA-MPJPE`` and ``PA-MPVPE`` in millimetres (of that script's alignment, which allows
        mirror images).

        Raises:
            ValueError: if counts, shapes or image names do not fit.
        """
        if self.xyz_file:
            entries = self._attach_released_truth(entries)
        if self.pred_file is not None:
            expected = self._dataset_size if self.expected is None else self.expected
            write_predictions(
                self.pred_file,
                [entry['xyz'] for entry in entries],
                [entry['verts'] for entry in entries],
                len(entries) if expected is None else expected,
            )
        entries = [entry for entry in entries if entry['gt_xyz'] is not None]
        if not entries:
            self.warn(
                'no sample has ground truth, so there are no scores; give xyz_file and '
                'verts_file to get them'
            )
            return {}
        arrays = [
            np.stack([entry[name] for entry in entries]).astype(np.float64)
            for name in ('xyz', 'verts', 'gt_xyz', 'gt_verts')
        ]
        scores = freihand_scores(*arrays)
        pred_xyz, pred_verts, xyz, verts = arrays
        joints = hand_distances(pred_xyz, xyz)[1]
        vertices = hand_distances(pred_verts, verts)[1]
        if self.curve_file is not None:
            draw_pck_curves(
                self.curve_file, {'keypoints, aligned': joints, 'vertices, aligned': vertices}
            )
        if self.per_sample_file is not None:
            self._write_errors(entries, joints, vertices)
        scores['PA-MPJPE'] = scores['xyz_al_mean3d_cm'] * 10.0
        scores['PA-MPVPE'] = scores['mesh_al_mean3d_cm'] * 10.0
        return scores

    def _attach_released_truth(self, entries: list[dict]) -> list[dict]:
        """Look up the released truth by the number in the image name; sort by that number."""
        assert self.xyz_file is not None and self.verts_file is not None  # see __init__
        xyz = read_points(self.xyz_file, NUM_JOINTS)
        verts = read_points(self.verts_file, NUM_VERTICES)
        if len(xyz) != len(verts):
            raise ConfigError(
                f'{self.xyz_file} holds {len(xyz)} images and {self.verts_file} '
                f'{len(verts)}; take both from one release'
            )
        placed = {}
        for entry in entries:
            stem = PurePath(entry['key']).stem
            if not stem.isdigit() or int(stem) >= len(xyz) or int(stem) in placed:
                raise ConfigError(
                    f'{entry["key"]}: the image name must be a number below '
                    f'{len(xyz)}, once in the set, to find its row in '
                    f'{self.xyz_file}'
                )
            row = int(stem)
            placed[row] = dict(entry, gt_xyz=xyz[row], gt_verts=verts[row])
        return [placed[row] for row in sorted(placed)]

    def _write_errors(self, entries: list[dict], joints: np.ndarray, vertices: np.ndarray) -> None:
        """Write aligned errors in millimetres by image, worst first, and by joint."""
        rows = [
            {
                'img_key': entry['key'],
                'sample_idx': entry['index'],
                'PA-MPJPE': round(float(joint.mean() * 1000.0), 6),
                'PA-MPVPE': round(float(vertex.mean() * 1000.0), 6),
            }
            for entry, joint, vertex in zip(entries, joints, vertices, strict=True)
        ]
        rows.sort(key=lambda row: -row['PA-MPJPE'])
        by_joint = {
            name: round(float(value * 1000.0), 6)
            for name, value in zip(HAND21, joints.mean(axis=0), strict=True)
        }
        assert self.per_sample_file is not None
        write_json(self.per_sample_file, {'joints_mm': by_joint, 'images': rows}, indent=1)
