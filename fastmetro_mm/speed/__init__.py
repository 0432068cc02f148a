# SPDX-License-Identifier: Apache-2.0
"""What only makes things faster; results stay the same. The network does not need it."""
