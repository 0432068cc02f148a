# SPDX-License-Identifier: Apache-2.0
"""Results in the formats of other programs, and the network for other runtimes.

Nothing is imported here: every format stands alone and imports its optional packages when used.
"""

NO_FBX = (
    'FBX is a closed format: save bvh or glb, import it into Blender and export FBX from there '
    '(projects/blender_import has a script)'
)
