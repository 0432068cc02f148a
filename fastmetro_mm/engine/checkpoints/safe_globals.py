# SPDX-License-Identifier: Apache-2.0
"""Let torch's restricted reader read what mmpose and mmengine themselves write.

Their checkpoints hold NumPy values (``dataset_meta``) and log history, which torch >= 2.6 refuses
by default, so that mmpose's models do not load there. NumPy's reconstruction functions run nothing
of the file. mmengine's history asks for ``getattr``; it gets one that knows the history's own four
methods and nothing else. This only adds to what can be read, for every model of the process.
"""

from collections.abc import Callable

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from packaging.version import Version


def history_method(owner: type, name: str) -> Callable:
    """``getattr`` for the statistics of mmengine's history.

    Raises:
        ValueError: Anything else is asked for.
    """
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise ValueError(f'a checkpoint asks for the attribute {name!r}, which is not allowed')
    return getattr(HistoryBuffer, name)


def allow_arrays_and_histories() -> None:
    """Tell torch (idempotent); older versions than 2.6 read without restriction by default."""
    if Version(torch.__version__) < Version('2.6'):
        return
    array = np.array(0.0)
    rebuild, scalar = array.__reduce__()[0], np.float64(0).__reduce__()[0]
    allowed = [
        np.ndarray,
        np.dtype,
        (history_method, 'builtins.getattr'),
        (HistoryBuffer, 'mmengine.logging.history_buffer.HistoryBuffer'),
    ]
    for core in ('numpy.core', 'numpy._core'):  # NumPy 1 and 2 read each other's
        allowed += [
            (rebuild, f'{core}.multiarray._reconstruct'),
            (scalar, f'{core}.multiarray.scalar'),
        ]
    allowed += {type(np.dtype(code)) for code in '?bBhHiIlLqQefdgFDGSUO'}
    torch.serialization.add_safe_globals(allowed)
