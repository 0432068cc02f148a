# SPDX-License-Identifier: Apache-2.0
"""Networks by name: shipped with the package, kept in the cache, released by the authors, on a hub.

The names are imported when they are used: finding a network needs neither torch nor mmengine.
"""

from fastmetro_mm.lazy import lazy_exports

_HOMES = {
    'DEFAULT_MODEL': f'{__name__}.lookup',
    'RELEASED': f'{__name__}.released',
    'ZooModel': f'{__name__}.lookup',
    'find_model': f'{__name__}.lookup',
    'find_released': f'{__name__}.released',
    'from_pretrained': f'{__name__}.model_loading',
    'load_weights': 'fastmetro_mm.models.weight_files',
    'save_pretrained': f'{__name__}.pretrained',
    'shipped_models': f'{__name__}.lookup',
    'weight_file': 'fastmetro_mm.models.weight_files',
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]  # loaded when asked for
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
