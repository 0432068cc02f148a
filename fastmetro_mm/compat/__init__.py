# SPDX-License-Identifier: Apache-2.0
"""Makes the pinned OpenMMLab stack importable and usable without compiled operators.

``apply()`` runs when ``fastmetro_mm`` is imported, before anything touches ``mmpose.models`` or
``mmdet``: both import ``mmcv.ops`` at load, and ``mmcv.ops`` cannot be imported from ``mmcv-lite``.
"""

import warnings

from fastmetro_mm.compat import manager_lock, mmcv_ops, old_names, without_mmdet, xtcocotools
from fastmetro_mm.compat.mmcv_ops import is_stand_in

__all__ = ['apply', 'is_stand_in']


def apply() -> None:
    """Put the stand-ins in place; cheap, lazy and harmless when called again."""
    mmcv_ops.install()
    without_mmdet.install()
    xtcocotools.install()
    old_names.install()
    manager_lock.install()
    # mmengine 0.10 imports pkg_resources; its users can do nothing about that
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
