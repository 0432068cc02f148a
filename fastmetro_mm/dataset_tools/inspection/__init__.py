# SPDX-License-Identifier: Apache-2.0
"""Looking at data sets before training on them: checks of every row, images of samples."""
