# SPDX-License-Identifier: Apache-2.0
"""Predictions of a test in a file."""

import pickle
from collections.abc import Sequence

from mmengine.evaluator import DumpResults
from mmengine.logging import print_log
from mmpose.registry import METRICS

from fastmetro_mm.fileio import check_target, write_atomically


@METRICS.register_module()
class MeshDumpResults(DumpResults):
    """mmengine's ``DumpResults`` that never leaves half a file or replaces a good one by it.

    Args:
        out_file_path: Pickle file of a list with one dict a sample.
        kwargs: As ``DumpResults``.

    Raises:
        InputError: If ``out_file_path`` is a folder, a device or a link.
    """

    def __init__(self, out_file_path: str, **kwargs) -> None:
        super().__init__(out_file_path, **kwargs)
        check_target(out_file_path)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep a batch; of its body only the name, not the folder of its files on this machine."""
        kept = []
        for sample in data_samples:
            body = sample.get('body')
            if isinstance(body, dict):
                body = {key: value for key, value in body.items() if key != 'body_data_root'}
                sample = dict(sample, body=body)
            kept.append(sample)
        super().process(data_batch, kept)

    def compute_metrics(self, results: list) -> dict:
        """Write the file; there is no score."""

        def fill(path) -> None:
            with open(path, 'wb') as file:
                pickle.dump(results, file, protocol=pickle.HIGHEST_PROTOCOL)

        write_atomically(self.out_file_path, fill)
        print_log(f'Predictions are in {self.out_file_path}', logger='current')
        return {}
