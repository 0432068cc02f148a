# SPDX-License-Identifier: Apache-2.0
"""The public data sets by name: their usual files and their protocol in words.

Numbers of two papers can only be compared where gender of the SMPL model, joints, root and
samples are the same; `PROTOCOL` says which they are, and the log repeats it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmengine.logging import print_log
from mmpose.registry import DATASETS

from fastmetro_mm.datasets.mesh_dataset import HandMeshTSVDataset, MeshTSVDataset
from fastmetro_mm.datasets.metainfo import BODY14_METAINFO, HAND21_METAINFO
from fastmetro_mm.errors import ConfigError

_Base = MeshTSVDataset if TYPE_CHECKING else object


class _KnownSet(_Base):
    """Mixin of a set with usual file names.

    Args:
        ann_file: Path of the yaml; by default that of `split`.
        split: Name in `SPLITS`; by default ``'test'`` in test mode, else ``'train'``.
        kwargs: See `MeshTSVDataset`.

    Attributes:
        SPLITS: Yaml of each split below `data_root`; names of the official downloads where they
            are known (data/metro/), else of the recipes in docs/data.md.
        PROTOCOL: Which samples, joints, root and meshes the numbers of this set are about.

    Raises:
        ValueError: The set has no such split.
    """

    SPLITS: ClassVar[dict[str, str]] = {}
    PROTOCOL: ClassVar[str] = ''

    def __init__(
        self, ann_file: str | None = None, split: str | None = None, **kwargs: Any
    ) -> None:
        if ann_file is None:
            split = split or ('test' if kwargs.get('test_mode') else 'train')
            if split not in self.SPLITS:
                raise ConfigError(
                    f'{type(self).__name__} has no split {split!r}: use one of '
                    f'{", ".join(self.SPLITS)}, or give ann_file'
                )
            ann_file = self.SPLITS[split]
        self._protocol_shown = False
        super().__init__(ann_file=ann_file, **kwargs)

    def full_init(self) -> None:
        """Open the files; say once which protocol the set stands for."""
        super().full_init()
        if not self._protocol_shown:
            self._protocol_shown = True
            print_log(
                f'{self.metainfo["dataset_name"]}, {self.ann_file}, {len(self)} samples: '
                f'{self.PROTOCOL}',
                'current',
            )


def _named(base: dict, name: str) -> dict:
    return {**base, 'dataset_name': name}


# What FastMETRO (and METRO) measure on every body set.
_OFFICIAL = (
    '14 joints regressed from the mesh by J_regressor_h36m_correct and the labelled 14 '
    'joints, both centred on the middle of the hips; PA-MPJPE: similarity without '
    'reflection'
)


@DATASETS.register_module()
class Human36MMeshDataset(_KnownSet, MeshTSVDataset):
    """Human3.6M."""

    METAINFO = _named(BODY14_METAINFO, 'human36m')
    SPLITS: ClassVar = {
        'train': 'human3.6m/train.yaml',
        'test': 'human3.6m/valid.protocol2.yaml',
        'protocol2': 'human3.6m/valid.protocol2.yaml',
        'protocol1': 'human3.6m/valid.protocol1.yaml',
    }
    PROTOCOL = (
        f'protocol 2 is S9 and S11, frontal camera 60457274, every 5th frame; protocol 1 '
        f'all four cameras. {_OFFICIAL}. Joints are measured (markers); there are no '
        'meshes in evaluation. SMPL fits in training are SMPLify-X or NeuralAnnot, not '
        'the withdrawn MoSh ones.'
    )


@DATASETS.register_module()
class COCOMeshDataset(_KnownSet, MeshTSVDataset):
    """COCO 2014 with pseudo ground truth (training only)."""

    METAINFO = _named(BODY14_METAINFO, 'coco_mesh')
    SPLITS: ClassVar = {'train': 'coco_smpl/train.yaml'}
    PROTOCOL = (
        'training only: annotated 2D keypoints, SMPL fits (neutral) of EFT or '
        'NeuralAnnot, 3D joints regressed from those fits; not ground truth.'
    )


@DATASETS.register_module()
class MuCoMeshDataset(_KnownSet, MeshTSVDataset):
    """MuCo-3DHP (training only)."""

    METAINFO = _named(BODY14_METAINFO, 'muco')
    SPLITS: ClassVar = {'train': 'muco/train.yaml'}
    PROTOCOL = (
        'training only: people of MPI-INF-3DHP composed into one image; neutral SMPL '
        'fits, those more than 45 mm from the measured joints dropped.'
    )


@DATASETS.register_module()
class UP3DMeshDataset(_KnownSet, MeshTSVDataset):
    """UP-3D."""

    METAINFO = _named(BODY14_METAINFO, 'up3d')
    SPLITS: ClassVar = {'train': 'up3d/trainval.yaml', 'test': 'up3d/test.yaml'}
    PROTOCOL = (
        'SMPLify fits (neutral) that people accepted; 14 annotated 2D joints in LSP '
        'order; 3D joints regressed from the fits.'
    )


@DATASETS.register_module()
class MPIIMeshDataset(_KnownSet, MeshTSVDataset):
    """MPII with pseudo ground truth (training only)."""

    METAINFO = _named(BODY14_METAINFO, 'mpii_mesh')
    SPLITS: ClassVar = {'train': 'mpii/train.yaml'}
    PROTOCOL = (
        'training only: 16 annotated 2D joints; the official rows carry no 3D label, '
        'converted ones the neutral SMPL fits of EFT or NeuralAnnot.'
    )


@DATASETS.register_module()
class ThreeDPWMeshDataset(_KnownSet, MeshTSVDataset):
    """3DPW."""

    METAINFO = _named(BODY14_METAINFO, '3dpw')
    SPLITS: ClassVar = {
        'train': '3dpw/train.yaml',
        'test': '3dpw/test_has_gender.yaml',
        'validation': '3dpw/validation.yaml',
    }
    PROTOCOL = (
        f'people with a valid camera pose. {_OFFICIAL}. Joints and meshes of the ground '
        'truth are those of the NEUTRAL SMPL although the fits are gendered and the rows '
        'carry a gender, as in METRO and FastMETRO; SPIN, Pose2Mesh and 3dpw-eval take '
        'the gendered model, which changes the numbers.'
    )


@DATASETS.register_module()
class FreiHANDMeshDataset(_KnownSet, HandMeshTSVDataset):
    """FreiHAND, version 2."""

    METAINFO = _named(HAND21_METAINFO, 'freihand')
    SPLITS: ClassVar = {'train': 'freihand/train.yaml', 'test': 'freihand/test.yaml'}
    PROTOCOL = (
        '130,240 training images (32,560 hands in four versions), 3,960 evaluation '
        'images; right hands, the middle 180 of 224 px; 21 joints, wrist-centred; the '
        'official evaluation aligns joints and vertices each by itself, reflections '
        'allowed.'
    )


@DATASETS.register_module()
class MPIINF3DHPMeshDataset(_KnownSet, MeshTSVDataset):
    """MPI-INF-3DHP."""

    METAINFO = _named(BODY14_METAINFO, 'mpi_inf_3dhp')
    SPLITS: ClassVar = {'train': 'mpi_inf_3dhp/train.yaml', 'test': 'mpi_inf_3dhp/test.yaml'}
    PROTOCOL = (
        'test: the annotated frames of TS1 to TS6. Labels as the source gives them '
        '(SPIN npz: 24 joints, measured; NeuralAnnot: neutral SMPL fits). MPJPE here is '
        f'over these: {_OFFICIAL}; published numbers are mostly 17-joint PCK and AUC.'
    )


@DATASETS.register_module()
class EMDBMeshDataset(_KnownSet, MeshTSVDataset):
    """EMDB."""

    METAINFO = _named(BODY14_METAINFO, 'emdb')
    SPLITS: ClassVar = {
        'test': 'emdb/emdb1.yaml',
        'emdb1': 'emdb/emdb1.yaml',
        'emdb2': 'emdb/emdb2.yaml',
    }
    PROTOCOL = (
        "EMDB 1: 17 sequences, frames marked good. 3D joints are those of the subject's "
        'gendered SMPL; set gendered=True in MeshVertexMetric for meshes of the same '
        f'model. {_OFFICIAL}; the official script uses 24 SMPL joints, pelvis-aligned.'
    )


@DATASETS.register_module()
class BEDLAMMeshDataset(_KnownSet, MeshTSVDataset):
    """BEDLAM (synthetic)."""

    METAINFO = _named(BODY14_METAINFO, 'bedlam')
    SPLITS: ClassVar = {'train': 'bedlam/train.yaml', 'test': 'bedlam/validation.yaml'}
    PROTOCOL = (
        'synthetic. SMPL-X labels give ten 2D joints and no mesh (another body model); '
        'SMPL labels give mesh and joints.'
    )


@DATASETS.register_module()
class AGORAMeshDataset(_KnownSet, MeshTSVDataset):
    """AGORA (synthetic)."""

    METAINFO = _named(BODY14_METAINFO, 'agora')
    SPLITS: ClassVar = {'train': 'agora/train.yaml', 'test': 'agora/validation.yaml'}
    PROTOCOL = (
        'synthetic, converted through HumanData of mmhuman3d: neutral SMPL fits. The '
        'leaderboard counts missed people too (NMJE, NMVE), which a single-person network '
        'cannot be compared with.'
    )


@DATASETS.register_module()
class MixedMeshDataset(_KnownSet, MeshTSVDataset):
    """The official mixed training set, or one of ``convert.py mixed``."""

    METAINFO = _named(BODY14_METAINFO, 'mixed')
    SPLITS: ClassVar = {'train': 'Tax-H36m-coco40k-Muco-UP-Mpii/train.yaml'}
    PROTOCOL = (
        'sets in the proportions of the linelist; the official one mixes Human3.6M, COCO '
        '(40k), MuCo-3DHP, UP-3D and MPII.'
    )
