# SPDX-License-Identifier: Apache-2.0
"""Body and hand models: assets, model files, skinning, mesh sampling, joint regression.

Import from the full module path, for example
``from fastmetro_mm.body.build import build_body_model``. Importing this package
reads no file and needs neither smplx nor any licensed model.
"""
