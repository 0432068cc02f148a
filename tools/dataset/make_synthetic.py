# SPDX-License-Identifier: Apache-2.0
"""``fastmetro synthesize`` from a checkout: ``python tools/dataset/make_synthetic.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fastmetro_mm.cli.synthesize import main

if __name__ == '__main__':
    sys.exit(main())
