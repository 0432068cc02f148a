# SPDX-License-Identifier: Apache-2.0
"""Names of the files of a saved network."""

CONFIG_FILE, WEIGHTS_FILE = 'config.json', 'model.safetensors'
