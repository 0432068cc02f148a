# SPDX-License-Identifier: Apache-2.0
"""Measure an earlier version of this package and this one, taking turns in one run.

    git worktree add ../before COMMIT
    python tools/benchmark/versions.py ../before [--suite inference] [--rounds 5] [--only TEXT]

Each works with the code of its own ``tools/benchmark``. ``ratio`` is the time before over the time
now; the exit status is 1 where a row is slower than ``--least``.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
warnings.filterwarnings('ignore')

from suites import Work, works  # noqa: E402
from workers import race  # noqa: E402

SUITES = ('inference', 'train', 'eval')


def compare(work: Work, before: str, rounds: int, threads: int) -> list[tuple[str, float, float]]:
    """Milliseconds before and now of each contestant of ours."""
    rows = []
    for name, contestant in work.contestants.items():
        pair = {'before': replace(contestant, home=before), 'now': contestant}
        timings = race(pair, work.rounds or rounds, warm_up=2, threads=threads)
        old, new = (1000 * timings[who].median / work.repeat for who in pair)
        rows.append((name, old, new))
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('before', type=Path, help='checkout of the earlier version')
    parser.add_argument('--suite', choices=[*SUITES, 'all'], default='all')
    parser.add_argument('--rounds', type=int, default=5, help='turns that count (default: 5)')
    parser.add_argument('--only', default='', help='works whose name contains this')
    parser.add_argument('--quick', action='store_true', help='small works only')
    parser.add_argument('--least', type=float, default=0.97, help='least ratio (default: 0.97)')
    args = parser.parse_args(argv)
    before = args.before.resolve()
    if not (before / 'tools' / 'benchmark' / 'our_code.py').is_file():
        parser.error(f'{args.before}: no checkout of this package with tools/benchmark')
    threads, slower = len(os.sched_getaffinity(0)), 0
    print(f'{"work":<36} {"who":<10} {"before ms":>10} {"now ms":>10} {"ratio":>6}')
    for work in works(dict(name='open_body'), args.quick):
        if args.suite not in (work.suite, 'all') or args.only not in work.name:
            continue
        for name, old, new in compare(work, str(before), args.rounds, threads):
            slower += old / new < args.least
            print(
                f'{work.name:<36} {name:<10} {old:10.2f} {new:10.2f} {old / new:6.2f}', flush=True
            )
    print(f'{slower} rows below {args.least}')
    return int(slower > 0)


if __name__ == '__main__':
    raise SystemExit(main())
