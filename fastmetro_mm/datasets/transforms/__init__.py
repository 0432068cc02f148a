# SPDX-License-Identifier: Apache-2.0
"""Steps from a row of a data set to the input of the network."""

from fastmetro_mm.datasets.transforms.augment import MeshAugment
from fastmetro_mm.datasets.transforms.crop import MeshCrop
from fastmetro_mm.datasets.transforms.formatting import PackMeshInputs
from fastmetro_mm.datasets.transforms.loading import BoxToCenterScale, LoadMeshImage

__all__ = ['BoxToCenterScale', 'LoadMeshImage', 'MeshAugment', 'MeshCrop', 'PackMeshInputs']
