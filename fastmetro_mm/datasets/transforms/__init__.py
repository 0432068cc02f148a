# SPDX-License-Identifier: Apache-2.0
"""Steps from a row of a data set to the input of the network."""

from .augment import MeshAugment
from .crop import MeshCrop
from .formatting import PackMeshInputs
from .loading import BoxToCenterScale, LoadMeshImage

__all__ = ['BoxToCenterScale', 'LoadMeshImage', 'MeshAugment', 'MeshCrop', 'PackMeshInputs']
