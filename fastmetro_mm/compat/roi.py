# SPDX-License-Identifier: Apache-2.0
"""Region pooling with mmcv's arguments, on torchvision's kernels."""

from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from fastmetro_mm.compat.placeholders import FullMMCVRequiredError


def roi_align(
    input: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    pool_mode: str = 'avg',
    aligned: bool = True,
) -> Tensor:
    """Average features over a grid of cells in each region.

    Args:
        input (Tensor): (B, C, H, W) features.
        rois (Tensor): (K, 5) image index, then corners x1, y1, x2, y2 in image pixels.
        output_size (int | tuple): cells per region, (rows, columns).
        spatial_scale (float): feature pixels per image pixel.
        sampling_ratio (int): samples per cell and axis; 0 takes one per feature pixel.
        pool_mode (str): 'avg'; 'max' has no stand-in.
        aligned (bool): shift by half a pixel, so that pixel centres are at .5.

    Returns:
        Tensor: (K, C, rows, columns).

    Source: interface of ``mmcv.ops.roi_align`` 2.1.0.

    Raises:
        FullMMCVRequiredError: ``pool_mode`` is not 'avg'.
    """
    if pool_mode != 'avg':
        raise FullMMCVRequiredError(f'roi_align(pool_mode={pool_mode!r})')
    import torchvision  # here: most who import the operators never run one

    return torchvision.ops.roi_align(
        input, rois, _pair(output_size), float(spatial_scale), int(sampling_ratio), bool(aligned)
    )


def roi_pool(
    input: Tensor, rois: Tensor, output_size: int | tuple[int, int], spatial_scale: float = 1.0
) -> Tensor:
    """Maximum over a grid of cells in each region; shapes as :func:`roi_align`."""
    import torchvision  # here: most who import the operators never run one

    return torchvision.ops.roi_pool(input, rois, _pair(output_size), float(spatial_scale))


class RoIAlign(nn.Module):
    """Module form of :func:`roi_align`; ``use_torchvision`` changes nothing here."""

    def __init__(
        self,
        output_size: int | tuple[int, int],
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        pool_mode: str = 'avg',
        aligned: bool = True,
        use_torchvision: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = float(spatial_scale)
        self.sampling_ratio = int(sampling_ratio)
        self.pool_mode = pool_mode
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """(B, C, H, W) and (K, 5) to (K, C, rows, columns)."""
        return roi_align(
            input,
            rois,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.pool_mode,
            self.aligned,
        )


class RoIPool(nn.Module):
    """Module form of :func:`roi_pool`."""

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float = 1.0) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self.spatial_scale = float(spatial_scale)

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """(B, C, H, W) and (K, 5) to (K, C, rows, columns)."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale)
