# SPDX-License-Identifier: Apache-2.0
"""``fastmetro convert weights`` from a checkout: ``python tools/convert_checkpoint.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fastmetro_mm.cli.convert_weights import main

if __name__ == '__main__':
    sys.exit(main())
