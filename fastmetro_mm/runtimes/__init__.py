# SPDX-License-Identifier: Apache-2.0
"""The network run by OpenVINO or ONNX Runtime: converted once, kept, chosen by measured speed."""
