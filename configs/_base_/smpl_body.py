# SPDX-License-Identifier: Apache-2.0
"""Bodies are SMPL meshes. Official files lie under ``body_data_root`` by their official names."""

# The environment variable FASTMETRO_BODY_DATA overrides this folder.
body_data_root = 'data/body_models'
body = dict(name='smpl', body_data_root=body_data_root)
