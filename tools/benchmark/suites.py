# SPDX-License-Identifier: Apache-2.0
"""What is measured: work, who does it, and what the ratio to the official code should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workers import Contestant

NETWORKS = {'S-R50': ('S', 'r50'), 'L-H64': ('L', 'h64')}
OFFICIAL = 'official'


@dataclass
class Work:
    """One comparison.

    Attributes:
        name: For the table.
        suite: Suite it belongs to.
        contestants: By name, ours.
        official: The official code's contestant, without the folder; None where it has none.
        repeat: Units of work a turn, for short ones.
        items: Images or samples in a unit, for the throughput.
        goals: Ratio to the official code that is aimed at, by contestant.
        compared: Output that is compared with the official one, and its unit.
        rounds: Turns; those of the command line if None.
        network: Name, batch and direction (``forward`` or ``step``), for the floor.
    """

    name: str
    suite: str
    contestants: dict[str, Contestant]
    official: Contestant | None = None
    repeat: int = 1
    items: int = 1
    goals: dict[str, float] = field(default_factory=dict)
    compared: tuple[str, str] | None = None
    rounds: int | None = None
    network: tuple[str, int, str] | None = None


def _inference(name: str, batch: int, body: dict, repeat: int, goals: dict) -> Work:
    size, backbone = NETWORKS[name]
    shared = dict(size=size, backbone=backbone, batch=batch, repeat=repeat)
    ours = {
        speed or 'as loaded': Contestant(
            'our_code:inference', dict(body=body, speed=speed, **shared)
        )
        for speed in (None, 'exact', 'fast')
    }
    return Work(
        f'{name} inference, batch {batch}', 'inference', ours,
        Contestant('official_code:inference', shared), repeat, batch, goals, ('vertices', 'm'),
        network=(name, batch, 'forward'),
    )  # fmt: skip


def _training(name: str, batch: int, body: dict) -> Work:
    size, backbone = NETWORKS[name]
    shared = dict(size=size, backbone=backbone, batch=batch)

    def ours(**options: Any) -> Contestant:
        return Contestant('our_code:training', dict(body=body, **shared, **options))

    return Work(
        f'{name} training step, batch {batch}', 'train',
        {'float32': ours(channels_last=True),
         'bfloat16': ours(channels_last=True, precision='bfloat16')},
        Contestant('official_code:training', shared), 1, batch,
        {'float32': 1.4, 'bfloat16': 2.0}, network=(name, batch, 'step'),
    )  # fmt: skip


def works(body: dict, quick: bool) -> list[Work]:
    """Everything that runs in processes.

    Args:
        body: Which mesh, with the folder of its data.
        quick: The small network and few samples only, to see whether it runs.
    """
    small = [
        _inference('S-R50', 1, body, 1 if quick else 8, {'exact': 1.5, 'fast': 2.5}),
        Work(
            'SMPL head, batch 64, both ways', 'train',
            {'ours': Contestant('our_code:smpl_head', dict(batch=64, body=body, repeat=3))},
            Contestant('official_code:smpl_head', dict(batch=64, repeat=3)), 3, 64,
            {'ours': 5.0}, ('rotmat', ''),
        ),
        Work(
            'mesh up/down, batch 16, both ways', 'train',
            {'ours': Contestant('our_code:mesh_sampling', dict(batch=16, body=body, repeat=20))},
            Contestant('official_code:mesh_sampling', dict(batch=16, repeat=20)), 20, 16,
            {'ours': 10.0}, ('up', 'm'),
        ),
    ]  # fmt: skip
    samples = 64 if quick else 4000
    evaluation = [
        Work(
            f'evaluation of {samples} samples', 'eval',
            {'ours': Contestant('our_evaluation:evaluation',
                                dict(body=body, samples=samples, batch=16))},
            Contestant('official_code:evaluation', dict(samples=samples, batch=16)), 1, samples,
            {'ours': 5.0}, ('scores', 'mm'),
        ),
    ]  # fmt: skip
    if quick:
        return small + evaluation
    return [
        small[0],
        _inference('S-R50', 8, body, 2, {'exact': 1.9, 'fast': 4.0}),
        _inference('S-R50', 32, body, 1, {}),
        _inference('L-H64', 1, body, 2, {'exact': 1.4, 'fast': 2.2}),
        _inference('L-H64', 8, body, 1, {'exact': 1.8, 'fast': 3.5}),
        _inference('L-H64', 32, body, 1, {}),
        *small[1:],
        _training('S-R50', 8, body),
        _training('L-H64', 4, body),
        *evaluation,
        Work(
            'joint metrics of 35515 samples',
            'eval',
            {'ours': Contestant('our_evaluation:joint_metrics', dict(samples=35515))},
            items=35515,
        ),
    ]
