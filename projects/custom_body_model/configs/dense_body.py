# SPDX-License-Identifier: Apache-2.0
"""The quickstart's small FastMETRO on the dense body: minutes on two cores.

Trains on the drawn people of the quickstart: their labels are pose and shape, which pose this
body as well as the one that was drawn.
"""

from mmengine.config import read_base

with read_base():
    from ....configs.quickstart_movenet import *

custom_imports = dict(imports=['projects.custom_body_model.bodies'])
model.body = dict(name='dense_body')
