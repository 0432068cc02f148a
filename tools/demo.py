# SPDX-License-Identifier: Apache-2.0
"""``fastmetro demo`` from a checkout: ``python tools/demo.py --help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fastmetro_mm.cli.demo import main
from fastmetro_mm.compat import lean

if __name__ == '__main__':
    lean.use()
    sys.exit(main())
