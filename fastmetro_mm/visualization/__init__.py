# SPDX-License-Identifier: Apache-2.0
"""Drawing: renderers, the visualizer, contact sheets and curves. Import from the full path."""
