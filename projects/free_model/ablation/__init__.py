# SPDX-License-Identifier: Apache-2.0
"""Which additions to the drawn people lower the error on real ones."""
