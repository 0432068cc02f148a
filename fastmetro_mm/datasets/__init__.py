# SPDX-License-Identifier: Apache-2.0
"""Data sets in the official TSV layout, their transforms and their metainfo."""

from fastmetro_mm.datasets.known_sets import (
    AGORAMeshDataset,
    BEDLAMMeshDataset,
    COCOMeshDataset,
    EMDBMeshDataset,
    FreiHANDMeshDataset,
    Human36MMeshDataset,
    MixedMeshDataset,
    MPIIMeshDataset,
    MPIINF3DHPMeshDataset,
    MuCoMeshDataset,
    ThreeDPWMeshDataset,
    UP3DMeshDataset,
)
from fastmetro_mm.datasets.mesh_dataset import HandMeshTSVDataset, MeshTSVDataset
from fastmetro_mm.datasets.transforms import (
    BoxToCenterScale,
    LoadMeshImage,
    MeshAugment,
    MeshCrop,
    PackMeshInputs,
)
from fastmetro_mm.datasets.tsv_writer import TSVRow, TSVSetWriter, write_tsv_set
from fastmetro_mm.errors import DataRowError, DataSetError, StaleIndexError

__all__ = [
    'AGORAMeshDataset', 'BEDLAMMeshDataset', 'BoxToCenterScale', 'COCOMeshDataset',
    'DataRowError', 'DataSetError', 'EMDBMeshDataset', 'FreiHANDMeshDataset',
    'HandMeshTSVDataset', 'Human36MMeshDataset', 'LoadMeshImage', 'MPIIMeshDataset',
    'MPIINF3DHPMeshDataset', 'MeshAugment', 'MeshCrop', 'MeshTSVDataset', 'MixedMeshDataset',
    'MuCoMeshDataset', 'PackMeshInputs', 'StaleIndexError', 'TSVRow', 'TSVSetWriter',
    'ThreeDPWMeshDataset', 'UP3DMeshDataset', 'write_tsv_set',
]  # fmt: skip
