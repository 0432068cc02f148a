# SPDX-License-Identifier: Apache-2.0
"""The mesh that a network predicts, a :class:`MeshBody` or a :class:`HandBody`, from its config."""

from __future__ import annotations

import os
from typing import Any

from fastmetro_mm.body.assets import load_body_assets
from fastmetro_mm.body.hand_body import HandBody
from fastmetro_mm.body.whole_body import MeshBody
from fastmetro_mm.errors import ConfigError

__all__ = ['HandBody', 'MeshBody', 'build_body']


def build_body(body: Any, default: str = 'smpl', with_model: bool = True) -> MeshBody:
    """The body that a config names.

    Args:
        body: ``dict(name=..., body_data_root=..., gender=...)`` of which only the name is needed,
            a name, ready :class:`BodyAssets`, a :class:`MeshBody` (returned as it is), or None
            for the default.
        default: Name where none is given.
        with_model: See :class:`MeshBody`.

    Returns:
        A :class:`HandBody` for hands.

    Raises:
        ConfigError: ``body`` is none of these, or the name is unknown.
        MissingBodyFileError: The files of the mesh levels are not there.
    """
    if isinstance(body, MeshBody):
        return body
    gender = 'neutral'
    if body is None or isinstance(body, (str, os.PathLike)):
        assets = load_body_assets(str(body or default))
    elif isinstance(body, dict):
        unknown = set(body) - {'name', 'body_data_root', 'gender'}
        if unknown:
            raise ConfigError(
                f'body: unknown keys {sorted(unknown)}; use dict(name=..., '
                "body_data_root=..., gender='neutral')"
            )
        assets = load_body_assets(body.get('name', default), body.get('body_data_root'))
        gender = body.get('gender', gender)
    elif hasattr(body, 'num_vertices') and hasattr(body, 'down'):
        assets = body
    else:
        raise ConfigError(
            'body: expected a name, dict(name=..., body_data_root=...), BodyAssets '
            f'or MeshBody, got {type(body).__name__}'
        )
    kind = HandBody if assets.joint_set == 'hand21' else MeshBody
    return kind(assets, gender, with_model)
