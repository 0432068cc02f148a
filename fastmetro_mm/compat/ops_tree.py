# SPDX-License-Identifier: Apache-2.0
"""Contents of the stand-in ``mmcv.ops``: which name lies where, and what stands behind it."""

import sys
from types import ModuleType
from typing import Any

from mmengine.registry import MODELS

from fastmetro_mm.compat import deform_conv, nms, roi
from fastmetro_mm.compat.placeholders import make_placeholder

# Submodules and public names of mmcv 2.1.0 (mmcv/ops/__init__.py). Third-party code imports both
# `mmcv.ops.X` and `mmcv.ops.<submodule>.X`.
_NAMES = {
    'active_rotated_filter': 'active_rotated_filter',
    'assign_score_withk': 'assign_score_withk',
    'ball_query': 'ball_query',
    'bbox': 'bbox_overlaps',
    'bezier_align': 'BezierAlign bezier_align',
    'bias_act': 'bias_act',
    'border_align': 'BorderAlign border_align',
    'box_iou_quadri': 'box_iou_quadri',
    'box_iou_rotated': 'box_iou_rotated',
    'carafe': 'CARAFE CARAFENaive CARAFEPack carafe carafe_naive',
    'cc_attention': 'CrissCrossAttention',
    'chamfer_distance': 'chamfer_distance',
    'contour_expand': 'contour_expand',
    'conv2d_gradfix': 'conv2d conv_transpose2d',
    'convex_iou': 'convex_giou convex_iou',
    'corner_pool': 'CornerPool',
    'correlation': 'Correlation',
    'deform_conv': 'DeformConv2d DeformConv2dPack deform_conv2d',
    'deform_roi_pool': 'DeformRoIPool DeformRoIPoolPack ModulatedDeformRoIPoolPack deform_roi_pool',
    'deprecated_wrappers': 'Conv2d ConvTranspose2d Linear MaxPool2d',
    'diff_iou_rotated': 'diff_iou_rotated_2d diff_iou_rotated_3d',
    'filtered_lrelu': 'filtered_lrelu',
    'focal_loss': 'SigmoidFocalLoss SoftmaxFocalLoss sigmoid_focal_loss softmax_focal_loss',
    'furthest_point_sample': 'furthest_point_sample furthest_point_sample_with_dist',
    'fused_bias_leakyrelu': 'FusedBiasLeakyReLU fused_bias_leakyrelu',
    'gather_points': 'gather_points',
    'group_points': 'GroupAll QueryAndGroup grouping_operation',
    'info': 'get_compiler_version get_compiling_cuda_version',
    'iou3d': 'boxes_iou3d boxes_iou_bev boxes_overlap_bev nms3d nms3d_normal nms_bev '
    'nms_normal_bev',
    'knn': 'knn',
    'masked_conv': 'MaskedConv2d masked_conv2d',
    'merge_cells': '',
    'min_area_polygons': 'min_area_polygons',
    'modulated_deform_conv': 'ModulatedDeformConv2d ModulatedDeformConv2dPack '
    'modulated_deform_conv2d',
    'multi_scale_deform_attn': 'MultiScaleDeformableAttention',
    'nms': 'batched_nms nms nms_match nms_quadri nms_rotated soft_nms',
    'pixel_group': 'pixel_group',
    'point_sample': 'SimpleRoIAlign point_sample rel_roi_point_to_rel_img_point',
    'points_in_boxes': 'points_in_boxes_all points_in_boxes_cpu points_in_boxes_part',
    'points_in_polygons': 'points_in_polygons',
    'points_sampler': 'PointsSampler',
    'prroi_pool': 'PrRoIPool prroi_pool',
    'psa_mask': 'PSAMask',
    'riroi_align_rotated': 'RiRoIAlignRotated riroi_align_rotated',
    'roi_align': 'RoIAlign roi_align',
    'roi_align_rotated': 'RoIAlignRotated roi_align_rotated',
    'roi_pool': 'RoIPool roi_pool',
    'roiaware_pool3d': 'RoIAwarePool3d',
    'roipoint_pool3d': 'RoIPointPool3d',
    'rotated_feature_align': 'rotated_feature_align',
    'saconv': 'SAConv2d',
    'scatter_points': 'DynamicScatter dynamic_scatter',
    'sparse_conv': 'SparseConv2d SparseConv3d SparseConvTranspose2d SparseConvTranspose3d '
    'SparseInverseConv2d SparseInverseConv3d SubMConv2d SubMConv3d',
    'sparse_modules': 'SparseModule SparseSequential',
    'sparse_pool': 'SparseMaxPool2d SparseMaxPool3d',
    'sparse_structure': 'SparseConvTensor scatter_nd',
    'sync_bn': 'SyncBatchNorm',
    'three_interpolate': 'three_interpolate',
    'three_nn': 'three_nn',
    'tin_shift': 'TINShift tin_shift',
    'upfirdn2d': 'filter2d upfirdn2d upsample2d',
    'voxelize': 'Voxelization voxelization',
}

# Names under which mmcv.ops registers layers for configs.
_REGISTERED = {
    'DCN': 'DeformConv2dPack',
    'DCNv2': 'ModulatedDeformConv2dPack',
    'carafe': 'CARAFEPack',
    'CrissCrossAttention': 'CrissCrossAttention',
    'MultiScaleDeformableAttention': 'MultiScaleDeformableAttention',
    'SAC': 'SAConv2d',
    'MMSyncBN': 'SyncBatchNorm',
}


def _not_compiled() -> str:
    """What mmengine's environment report prints for the compiler of mmcv."""
    return 'not compiled (stand-ins of fastmetro_mm)'


_STAND_INS: dict[str, Any] = {
    'get_compiler_version': _not_compiled,
    'get_compiling_cuda_version': _not_compiled,
    'nms': nms.nms,
    'batched_nms': nms.batched_nms,
    'roi_align': roi.roi_align,
    'RoIAlign': roi.RoIAlign,
    'roi_pool': roi.roi_pool,
    'RoIPool': roi.RoIPool,
    'deform_conv2d': deform_conv.deform_conv2d,
    'DeformConv2d': deform_conv.DeformConv2d,
    'DeformConv2dPack': deform_conv.DeformConv2dPack,
    'modulated_deform_conv2d': deform_conv.modulated_deform_conv2d,
    'ModulatedDeformConv2d': deform_conv.ModulatedDeformConv2d,
    'ModulatedDeformConv2dPack': deform_conv.ModulatedDeformConv2dPack,
}


class _OpsSubmodule(ModuleType):
    """A submodule of the stand-in; names that mmcv does not export at the top exist too."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('_'):
            raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')
        value = make_placeholder(name)
        setattr(self, name, value)
        return value


def fill_package(package: ModuleType) -> None:
    """Give the empty package ``mmcv.ops`` its submodules, names and registered layers.

    Args:
        package (ModuleType): the module to fill; submodules go into ``sys.modules`` under it.
    """
    # no place to search: a submodule that mmcv does not have is a ModuleNotFoundError
    package.__path__ = []
    package.__doc__ = 'Stand-in for mmcv.ops made by fastmetro_mm.compat (no compiled ops found).'
    exported = {}
    for submodule_name, names in _NAMES.items():
        submodule = _OpsSubmodule(f'{package.__name__}.{submodule_name}')
        submodule.__package__ = package.__name__
        sys.modules[submodule.__name__] = submodule
        setattr(package, submodule_name, submodule)
        for name in names.split():
            exported[name] = _STAND_INS.get(name) or make_placeholder(name)
            setattr(submodule, name, exported[name])
    # after the submodules: some operators have the name of their submodule (nms, roi_align, ...)
    for name, value in exported.items():
        setattr(package, name, value)
    package.__dict__['__all__'] = sorted(exported)
    for name, target in _REGISTERED.items():
        MODELS.register_module(name=name, module=exported[target], force=True)
