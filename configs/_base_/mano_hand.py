# SPDX-License-Identifier: Apache-2.0
"""Hands are MANO right hands. Official files lie under ``body_data_root``."""

# The environment variable FASTMETRO_BODY_DATA overrides this folder.
body_data_root = 'data/body_models'
body = dict(name='mano', body_data_root=body_data_root)
