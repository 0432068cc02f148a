# SPDX-License-Identifier: Apache-2.0
"""Bodies are the free open body of this package: no licensed file is needed (it is not SMPL)."""

body_data_root = 'data/body_models'  # not used by the open body
body = dict(name='open_body', body_data_root=body_data_root)
