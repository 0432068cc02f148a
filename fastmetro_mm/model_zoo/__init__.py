# SPDX-License-Identifier: Apache-2.0
"""Networks that ship inside the package: their files, by name."""

from fastmetro_mm.model_zoo.weight_files import load_weights, weight_file

__all__ = ['load_weights', 'weight_file']
