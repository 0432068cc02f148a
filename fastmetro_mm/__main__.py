# SPDX-License-Identifier: Apache-2.0
"""``python -m fastmetro_mm COMMAND``: the same as ``fastmetro COMMAND``."""

import sys

from fastmetro_mm.cli import main

if __name__ == '__main__':
    sys.exit(main())
