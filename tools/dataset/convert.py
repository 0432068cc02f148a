# SPDX-License-Identifier: Apache-2.0
"""``fastmetro convert`` from a checkout: ``python tools/dataset/convert.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fastmetro_mm.cli.convert_set import main

if __name__ == '__main__':
    sys.exit(main())
