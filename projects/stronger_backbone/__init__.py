# SPDX-License-Identifier: Apache-2.0
"""FastMETRO on transformers and newer convolutional networks."""
