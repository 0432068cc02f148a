# SPDX-License-Identifier: Apache-2.0
"""Fine-tune the shipped model on photos with 2D key points."""
