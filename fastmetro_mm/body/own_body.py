# SPDX-License-Identifier: Apache-2.0
"""Bodies of your own by name, beside those that the package knows."""

import os
from pathlib import Path

import numpy as np

from fastmetro_mm.body.assets import BODY_KINDS, BodyKind
from fastmetro_mm.body.locations import find_body_file
from fastmetro_mm.body.model_checks import FAMILIES, ModelFamily
from fastmetro_mm.body.sampling_files import read_open_sampling
from fastmetro_mm.errors import BodyDataError, ConfigError

MODEL_FILE, REGRESSOR_FILE, SAMPLING_FILE = 'model.npz', 'regressors.npz', 'sampling.npz'
_JOINTS, _LEVELS = 24, 3


def register_body(name: str, folder: str | os.PathLike, fix: str = '') -> BodyKind:
    """Make a body known to configs, networks, losses, metrics and drawing by its name.

    The body has SMPL's 24 joints and any mesh. The folder holds three files of plain arrays:

    * ``model.npz``: SMPL's layout (``v_template``, ``shapedirs`` of 10 shapes, ``posedirs``,
      ``J_regressor``, ``weights``, ``kintree_table``, ``f``), y up, metres;
    * ``regressors.npz``: ``J_regressor_h36m`` (17, V) and ``J_regressor_extra`` (14, V);
    * ``sampling.npz``: three mesh levels, as ``projects/open_body/sampling.py`` writes them.

    Call it in every process that builds the network, which ``custom_imports`` of a config does.

    Args:
        name: New name; one that was registered before is replaced.
        folder: The folder.
        fix: What to do where a file is missing, for the message.

    Returns:
        What is known of the body.

    Raises:
        ConfigError: The name is one of the package's own.
        MissingBodyFileError: A file is missing.
        BodyDataError: The file of levels is damaged, or has another number of levels.
    """
    folder = Path(folder).expanduser().resolve()
    known = BODY_KINDS.get(name)
    if known is not None and known.model_file != MODEL_FILE:
        raise ConfigError(f"body '{name}' is one of the package's own: choose another name")
    hint = fix or 'see projects/custom_body_model'
    paths = [
        find_body_file(folder, (file,), f"file of body '{name}'", hint)
        for file in (MODEL_FILE, REGRESSOR_FILE, SAMPLING_FILE)
    ]
    adjacency, _, _, faces = read_open_sampling(paths[-1])
    levels = tuple(len(matrix.indptr) - 1 for matrix in adjacency)
    if len(levels) != _LEVELS:
        raise BodyDataError(f'{paths[-1]}: {len(levels)} levels, expected {_LEVELS}; {hint}')
    edges = np.sort(faces[0][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    closed = bool((np.unique(edges, axis=0, return_counts=True)[1] == 2).all())
    kind = BodyKind(
        SAMPLING_FILE, levels, 'j14', 1, closed, True, folder, MODEL_FILE, REGRESSOR_FILE
    )
    others = {family.vertices for key, family in FAMILIES.items() if key != name}
    if levels[0] in others:
        raise ConfigError(
            f"body '{name}' has {levels[0]} vertices as another model: files are told apart by "
            'that number, use another resolution'
        )
    FAMILIES[name] = ModelFamily(name, levels[0], _JOINTS, 9 * (_JOINTS - 1))
    BODY_KINDS[name] = kind
    return kind
