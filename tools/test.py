# SPDX-License-Identifier: Apache-2.0
"""``fastmetro test`` from a checkout: ``python tools/test.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fastmetro_mm.cli.test import main

if __name__ == '__main__':
    sys.exit(main())
