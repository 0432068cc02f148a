# SPDX-License-Identifier: Apache-2.0
"""Makes the body known by name; a config imports it by ``custom_imports``."""

import os

from fastmetro_mm.body.own_body import register_body

register_body(
    'dense_body',
    os.environ.get('FASTMETRO_DENSE_BODY', 'data/dense_body'),
    'run `python -m projects.custom_body_model.build`',
)
