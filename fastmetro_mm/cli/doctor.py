# SPDX-License-Identifier: Apache-2.0
"""``fastmetro doctor``: what this installation lacks; with a data set, its faults.

Use:
  fastmetro doctor                    versions, what is missing, the command that fixes it
  fastmetro doctor --fix              installs what is missing
  fastmetro doctor data/x/train.yaml  opens every row of a set and compares its labels
"""

import sys

from fastmetro_mm.cli.dispatch import run_module


def main() -> int:
    """Check the installation, or a data set where one is named."""
    if any(word.endswith(('.yaml', '.yml')) for word in sys.argv[1:]):
        return run_module('fastmetro_mm.cli.check_set')
    return run_module('fastmetro_mm.doctor.__main__')
