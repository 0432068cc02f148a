# SPDX-License-Identifier: Apache-2.0
"""mmpose visualizer that draws meshes: over the image, from other sides, beside the truth."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import VISUALIZERS
from mmpose.visualization import PoseLocalVisualizer

from fastmetro_mm.body.mesh_body import MeshBody, build_body
from fastmetro_mm.body.skeletons import keypoint_metainfo
from fastmetro_mm.errors import ConfigError
from fastmetro_mm.structures import MeshDataSample
from fastmetro_mm.visualization.contact_sheet import contact_sheet
from fastmetro_mm.visualization.error_colors import (
    LARGEST_MM,
    error_colors,
    error_legend,
    vertex_errors,
)
from fastmetro_mm.visualization.image_files import write_image
from fastmetro_mm.visualization.mesh_views import (
    VIEWS,
    PlacedPerson,
    draw_overlay,
    draw_view,
    scene_extent,
)
from fastmetro_mm.visualization.render_types import Renderer
from fastmetro_mm.visualization.renderer_factory import build_renderer
from fastmetro_mm.visualization.sample_people import (
    predicted_keypoints,
    predicted_people,
    to_numpy,
    true_keypoints,
    true_people,
)

_ERROR = 'error'


@VISUALIZERS.register_module()
class MeshVisualizer(PoseLocalVisualizer):
    """Draws predicted meshes, the truth beside them, and the keypoints.

    One row each for the truth (true mesh where ``gt_instances.vertices`` is given, labelled
    skeleton otherwise), the prediction and the mesh of the SMPL head, as far as the sample has
    them; in each row the overlay on the image and then the views. Without views the overlays
    stand side by side. Samples without meshes are drawn as mmpose draws them.

    Args:
        body: ``dict(name=..., body_data_root=...)`` of the body whose faces are drawn; by default
            that of the network, which its samples name, and where they do not the open body.
        renderer: ``auto``, ``pyrender`` or ``software``; built when the first mesh is drawn.
        views: Views beside the overlay: any of ``front``, ``side``, ``back``, ``top``.
        opacity: Opacity of meshes over the image.
        draw_skeleton: Whether to draw keypoints and links over the overlays.
        labels: Whether to write a line above each panel. Nothing is written, and the image
            keeps its size, if the overlay of the prediction is the only panel.
        error_map: Whether to add a row with the prediction coloured by each vertex's distance
            from the true mesh, both centred as for the metrics (``MeshBody.score_origin``),
            where ``gt_instances.vertices`` is given. Colours: ``error_colors.COLOR_TABLE``.
        error_largest_mm: Distance of the last colour, millimetres.
        **kwargs: Arguments of mmpose's ``PoseLocalVisualizer``.

    Raises:
        ValueError: If a view is unknown or ``error_largest_mm`` is not positive.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        body: Mapping[str, Any] | None = None,
        renderer: str = 'auto',
        views: Sequence[str] = ('side', 'top'),
        opacity: float = 0.9,
        draw_skeleton: bool = True,
        labels: bool = True,
        error_map: bool = False,
        error_largest_mm: float = LARGEST_MM,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.body = None if body is None else dict(body)
        self._mesh_body: MeshBody | None = None
        self.renderer_backend = renderer
        self.views = _check_views(views)
        self.opacity = opacity
        self.draw_skeleton = draw_skeleton
        self.labels = labels
        self.error_map = error_map
        self.error_largest_mm = error_largest_mm
        if not error_largest_mm > 0:
            raise ConfigError(f'error_largest_mm must be positive, got {error_largest_mm}')

    def _body_of(self, sample: MeshDataSample) -> MeshBody:
        """The body to draw; it is read again only where another one comes."""
        config = self.body or sample.get('body') or dict(name='open_body')
        if self._mesh_body is None or config != self._config:
            self._mesh_body, self._config = build_body(config, with_model=False), dict(config)
        return self._mesh_body

    @cached_property
    def renderer(self) -> Renderer:
        """What draws the meshes."""
        return build_renderer(self.renderer_backend)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: MeshDataSample,
        draw_gt: bool = True,
        draw_pred: bool = True,
        draw_heatmap: bool = False,
        draw_bbox: bool = False,
        show_kpt_idx: bool = False,
        skeleton_style: str = 'mmpose',
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        kpt_thr: float = 0.3,
        step: int = 0,
        views: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Draw a sample and show it, write it, or hand it to the backends.

        Args:
            name: Name of the image for windows and backends.
            image: RGB image the sample's image pixels refer to. (H, W, 3) uint8
            data_sample: One person, or the people of one image merged by mmpose.
            draw_gt: Whether to draw the truth, where there is one.
            draw_pred: Whether to draw the prediction.
            draw_heatmap: As in mmpose, for samples without meshes.
            draw_bbox: Whether to draw boxes.
            show_kpt_idx: Whether to number the keypoints.
            skeleton_style: As in mmpose.
            show: Whether to open a window.
            wait_time: How long to show it, seconds.
            out_file: File to write, in one step; otherwise the backends get the image.
            kpt_thr: Keypoints with a lower score are not drawn.
            step: Step for the backends.
            views: Views for this image instead of those of the visualizer.

        Returns:
            What was drawn, RGB. (H', W', 3) uint8

        Raises:
            ValueError: If a mesh does not fit the body's faces, or the file's ending is unknown.
        """
        if 'vertices' not in data_sample.get('pred_instances', {}) and 'vertices' not in (
            data_sample.get('gt_instances', {})
        ):
            return super().add_datasample(
                name, image, data_sample, draw_gt, draw_pred, draw_heatmap, draw_bbox,
                show_kpt_idx, skeleton_style, show, wait_time, out_file, kpt_thr, step,
            )  # fmt: skip
        views = self.views if views is None else _check_views(views)
        self._ensure_skeleton(data_sample)
        faces = self._body_of(data_sample).faces
        rows = self._rows(image, data_sample, draw_gt, draw_pred)
        extent = max((scene_extent(people, faces) for _, people, _ in rows if people), default=1.0)
        tiles = []
        for label, people, keypoints in rows:
            panel = draw_overlay(image, people, faces, self.renderer, self.opacity)
            if keypoints is not None:
                if self.draw_skeleton:
                    panel = self._draw_instances_kpts(
                        panel, keypoints, kpt_thr, show_kpt_idx, skeleton_style
                    )
                if draw_bbox:
                    panel = self._draw_instances_bbox(panel, keypoints)
            if label == _ERROR:
                legend = error_legend(panel.shape[1], self.error_largest_mm)
                panel = np.concatenate([panel, legend])
            tiles.append((label, panel))
            for view in views:
                side = image.shape[0]
                seen = draw_view(people, faces, self.renderer, view, side, extent)
                tiles.append((view, seen))
        if len(tiles) == 1:
            drawn = tiles[0][1]
        else:
            columns = len(views) + 1 if views else len(tiles)
            tiles = [(label if self.labels else '', tile) for label, tile in tiles]
            drawn = contact_sheet(tiles, columns)
        return self._hand_over(name, drawn, show, wait_time, out_file, step)

    def draw_circles(
        self, center: np.ndarray, radius: np.ndarray | float, *args: Any, **kwargs: Any
    ) -> 'MeshVisualizer':
        """As mmpose's, which breaks on its own radius of shape (1,) since NumPy 2.4."""
        if self.backend == 'opencv':
            radius = float(np.asarray(radius).ravel()[0])
        return super().draw_circles(center, radius, *args, **kwargs)

    def _rows(
        self, image: np.ndarray, sample: MeshDataSample, draw_gt: bool, draw_pred: bool
    ) -> list[tuple[str, list[PlacedPerson], InstanceData | None]]:
        """Label, meshes and keypoints of each row."""
        size = (image.shape[1], image.shape[0])
        rows = []
        if draw_gt:
            people, keypoints = true_people(sample, size), true_keypoints(sample)
            if people or keypoints is not None:
                rows.append(('truth', people, keypoints))
        if draw_pred and 'pred_instances' in sample:
            people = predicted_people(sample, size)
            missing = len(sample.pred_instances) - len(people)
            label = f'prediction ({missing} not drawable)' if missing else 'prediction'
            rows.append((label, people, predicted_keypoints(sample)))
            people = predicted_people(sample, size, 'smpl_vertices')
            if people:
                rows.append(('SMPL head', people, None))
            people = self._error_people(sample, size) if self.error_map and draw_gt else []
            if people:
                rows.append((_ERROR, people, None))
        return rows or [('no labels', [], None)]

    def _error_people(
        self, sample: MeshDataSample, image_size: tuple[int, int]
    ) -> list[PlacedPerson]:
        """Predicted meshes coloured by error; none if not every one has a true mesh."""
        truth = sample.get('gt_instances', {}).get('vertices')
        predicted = sample.pred_instances.get('vertices')
        if truth is None or predicted is None or len(truth) != len(predicted):
            return []
        body = self._body_of(sample)
        centred = []
        for meshes in (predicted, truth):
            vertices = torch.from_numpy(np.asarray(to_numpy(meshes), np.float64))
            centred.append((vertices - body.score_origin(vertices)).numpy())
        colors = [
            error_colors(vertex_errors(mesh, true), self.error_largest_mm)
            for mesh, true in zip(*centred, strict=True)
        ]
        return predicted_people(sample, image_size, colors=colors)

    def _ensure_skeleton(self, sample: MeshDataSample) -> None:
        """Use our own skeleton if the caller has set none for this number of keypoints."""
        keypoints = sample.get('pred_instances', {}).get('keypoints')
        if keypoints is None or self.dataset_meta.get('num_keypoints') == keypoints.shape[1]:
            return
        joint_set = {14: 'j14', 21: 'hand21'}.get(keypoints.shape[1])
        if joint_set is not None:
            self.set_dataset_meta(parse_pose_metainfo(keypoint_metainfo(joint_set)))

    def _hand_over(
        self,
        name: str,
        drawn: np.ndarray,
        show: bool,
        wait_time: float,
        out_file: str | None,
        step: int,
    ) -> np.ndarray:
        """Show, write or log the image, as mmpose's visualizer does."""
        self.set_image(drawn)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            write_image(out_file, drawn)
        else:
            self.add_image(name, drawn, step)
        return self.get_image()


def _check_views(views: Sequence[str]) -> tuple[str, ...]:
    unknown = [view for view in views if view not in VIEWS]
    if isinstance(views, str) or unknown:
        raise ConfigError(f'views must be a list of {", ".join(VIEWS)}, got {views!r}')
    return tuple(views)
