# SPDX-License-Identifier: Apache-2.0
"""``fastmetro browse`` from a checkout: ``python tools/dataset/browse.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fastmetro_mm.cli.browse import main

if __name__ == '__main__':
    sys.exit(main())
