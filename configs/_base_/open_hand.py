# SPDX-License-Identifier: Apache-2.0
"""Hands are the free open right hand of this package: no licensed file is needed (not MANO)."""

body_data_root = 'data/body_models'  # not used by the open hand
body = dict(name='open_hand', body_data_root=body_data_root)
