# SPDX-License-Identifier: Apache-2.0
"""Image files: what a file is by its bytes and its name, and how its pixels are read."""
