# SPDX-License-Identifier: Apache-2.0
"""One process as a group of its own: how processes meet, and the wrapper they train in."""

import os
import socket

import pytest
import torch
import torch.distributed as dist

from fastmetro_mm.engine.distributed import MeshDistributedDataParallel, init_cpu_process_group
from fastmetro_mm.errors import ConfigError

STARTED_BY = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}


@pytest.fixture
def environment(monkeypatch):
    """No launcher; everything that is set is put back."""
    for names in STARTED_BY.values():
        for name in names:
            monkeypatch.setenv(name, '')  # so that what the function sets is taken away again
            monkeypatch.delenv(name)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        monkeypatch.setenv('MASTER_PORT', str(free.getsockname()[1]))
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    return monkeypatch


@pytest.mark.parametrize('launcher', STARTED_BY)
def test_a_launcher_that_did_not_start_us_is_named(environment, launcher):
    for name, value in zip(STARTED_BY[launcher][:1], '0', strict=True):
        environment.setenv(name, value)
    missing = STARTED_BY[launcher][1]
    with pytest.raises(ConfigError, match=rf'--launcher {launcher} needs .* {missing}: start thr'):
        init_cpu_process_group(launcher)
    assert not dist.is_initialized()


def test_a_group_of_one_trains_as_the_network_alone(environment):
    for name, value in zip(STARTED_BY['slurm'], '010', strict=True):
        environment.setenv(name, value)
    torch.manual_seed(0)
    network, x = (
        torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)),
        torch.rand(4, 3),
    )
    network(x).square().sum().backward()
    expected = network[0].weight.grad.clone()
    network.zero_grad()
    try:
        init_cpu_process_group('slurm', timeout=60)
        assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (0, 1, 'gloo')
        assert (os.environ['RANK'], os.environ['LOCAL_RANK']) == ('0', '0')
        # the device ids of a launcher mean nothing to a network on the CPU
        wrapped = MeshDistributedDataParallel(network, device_ids=[0], output_device=0)
        assert not wrapped.find_unused_parameters and wrapped.gradient_as_bucket_view
        wrapped(x).square().sum().backward()
        torch.testing.assert_close(network[0].weight.grad, expected)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
