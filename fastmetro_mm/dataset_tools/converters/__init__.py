# SPDX-License-Identifier: Apache-2.0
"""From other layouts to the TSV layout; driven by ``fastmetro convert``."""
