# SPDX-License-Identifier: Apache-2.0
"""Several processes, with GPUs (nccl) or without (gloo)."""

import ctypes
import datetime
import inspect
import os
import signal
import sys

import torch
import torch.distributed
from mmengine.model import MMDistributedDataParallel
from mmpose.registry import MODEL_WRAPPERS

from fastmetro_mm.errors import ConfigError

# For every launcher: where rank, number of processes and rank on this machine stand.
_LAUNCHER_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}


def end_with_launcher() -> None:
    """Get SIGTERM when the process that started this one dies, however it does.

    A killed torchrun would leave its processes training for ever. On Linux only.
    """
    if not sys.platform.startswith('linux'):
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of linux/prctl.h
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def init_cpu_process_group(launcher: str, timeout: float = 1800) -> None:
    """Start a gloo process group; mmengine's own start-up calls CUDA for every backend.

    Args:
        launcher: ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        timeout: Seconds to wait for another process in a collective operation.

    Raises:
        ValueError: if the launcher's environment variables are missing.
    """
    for name, source in zip(
        ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'), _LAUNCHER_VARIABLES[launcher], strict=True
    ):
        if source not in os.environ:
            raise ConfigError(
                f'--launcher {launcher} needs the environment variable {source}: start through '
                'tools/dist_train.sh or tools/slurm_train.sh, or use --launcher none'
            )
        os.environ[name] = os.environ[source]
    os.environ.setdefault('MASTER_ADDR', os.environ.get('SLURM_LAUNCH_NODE_IPADDR', '127.0.0.1'))
    os.environ.setdefault('MASTER_PORT', '29500')
    torch.distributed.init_process_group('gloo', timeout=datetime.timedelta(seconds=timeout))


@MODEL_WRAPPERS.register_module()
class MeshDistributedDataParallel(MMDistributedDataParallel):
    """Data parallel training with the settings that fit this network.

    Every parameter takes part in every step, so nothing is searched for unused ones; buffers are
    not broadcast before each forward pass (``SyncBuffersHook`` averages the BatchNorm statistics
    once per epoch); gradients live in the communication buckets, which saves one copy of them.

    Args:
        module: The model, on its device.
        device_ids: Ignored for a model on the CPU, where torch accepts none.
        **kwargs: As ``torch.nn.parallel.DistributedDataParallel``.
    """

    def __init__(self, module: torch.nn.Module, device_ids: list | None = None, **kwargs) -> None:
        if all(parameter.device.type == 'cpu' for parameter in module.parameters()):
            device_ids = None
            kwargs.pop('output_device', None)
        # Newer torch names it `forward_sync_buffers` and warns about the old name.
        names = inspect.signature(torch.nn.parallel.DistributedDataParallel.__init__).parameters
        new_name = 'forward_sync_buffers' in names and 'broadcast_buffers' not in kwargs
        kwargs.setdefault('forward_sync_buffers' if new_name else 'broadcast_buffers', False)
        kwargs.setdefault('find_unused_parameters', False)
        kwargs.setdefault('gradient_as_bucket_view', True)
        super().__init__(module=module, device_ids=device_ids, **kwargs)
