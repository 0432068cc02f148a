# SPDX-License-Identifier: Apache-2.0
"""Training of the free body model: key points first, then the image."""
