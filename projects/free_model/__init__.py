# SPDX-License-Identifier: Apache-2.0
"""The networks inside the package, from their sources."""
