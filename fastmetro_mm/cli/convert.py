# SPDX-License-Identifier: Apache-2.0
"""``fastmetro convert``: data sets to the TSV layout, and released weights to ours and back.

Use:
  fastmetro convert NAME --in SOURCE --out DIR        a data set (NAME --help: what it needs)
  fastmetro convert weights official.bin ours.pth     weights (--to-official: back)
"""

import sys

from fastmetro_mm.cli.dispatch import run_module


def main() -> int:
    """Run the converter of weights or of data sets."""
    if sys.argv[1:2] == ['weights']:
        sys.argv = ['fastmetro convert weights', *sys.argv[2:]]
        return run_module('fastmetro_mm.cli.convert_weights')
    if sys.argv[1:2] in ([], ['-h'], ['--help']):
        print(__doc__)
    return run_module('fastmetro_mm.cli.convert_set')
