# SPDX-License-Identifier: Apache-2.0
"""Data sets in the official TSV layout, their transforms and their metainfo."""

from .errors import DataRowError, DataSetError, StaleIndexError
from .mesh_dataset import HandMeshTSVDataset, MeshTSVDataset
from .transforms import BoxToCenterScale, LoadMeshImage, MeshAugment, MeshCrop, PackMeshInputs
from .tsv_writer import TSVRow, TSVSetWriter, write_tsv_set

__all__ = [
    'BoxToCenterScale', 'DataRowError', 'DataSetError', 'HandMeshTSVDataset', 'LoadMeshImage',
    'MeshAugment', 'MeshCrop', 'MeshTSVDataset', 'PackMeshInputs', 'StaleIndexError', 'TSVRow',
    'TSVSetWriter', 'write_tsv_set',
]  # fmt: skip
