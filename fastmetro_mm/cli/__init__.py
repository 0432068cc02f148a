# SPDX-License-Identifier: Apache-2.0
"""The command ``fastmetro``: one word says what to do, a module of this package does it.

Nothing of the stack is imported before a command is known and its arguments are understood.
"""

from fastmetro_mm.cli.dispatch import main

__all__ = ['main']
