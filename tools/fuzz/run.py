# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of the doors (``pip install atheris``).

    python tools/fuzz/run.py all --seconds 60 --record fuzz.json
    python tools/fuzz/run.py npz --seconds 600 --corpus corpus

Seeds are made by ``targets.py``. A finding (anything but one line of error) is written into
``--findings`` (by default ``tests/fuzz/findings/TARGET``), where the tests run it from then on, and
the exit code is 1.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

NAMES = ('tsv', 'pickle', 'npz', 'checkpoint', 'image', 'boxes')
# What coverage is measured of; the rest of the stack is imported as it is.
WATCHED = [
    'fastmetro_mm.foreign_files',
    'fastmetro_mm.datasets',
    'fastmetro_mm.body',
    'fastmetro_mm.apis',
    'fastmetro_mm.engine.checkpoints',
    'fastmetro_mm.models.network_kind',
    'zipfile',
]


def fuzz_here(name: str, options: list[str]) -> None:
    """Run libFuzzer in this process, which it ends."""
    import atheris

    with atheris.instrument_imports(include=WATCHED):
        from tools.fuzz.targets import try_input
    atheris.Setup([sys.argv[0], *options], lambda data: try_input(name, data))
    atheris.Fuzz()


def fuzz(name: str, seconds: int, seed: int, corpus: Path, findings: Path) -> dict:
    """Fuzz one door in a process of its own.

    Returns:
        ``target``, ``seed``, ``seconds``, ``executions``, ``coverage`` and ``findings``.
    """
    from tools.fuzz.targets import TARGETS

    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(TARGETS[name][1]()):
        (corpus / f'seed_{number}').write_bytes(data)
    before = set(findings.iterdir())
    options = [
        str(corpus),
        f'-max_total_time={seconds}',
        f'-seed={seed}',
        '-max_len=4096',
        '-timeout=30',
        '-rss_limit_mb=4096',
        '-print_final_stats=1',
        f'-artifact_prefix={findings}/',
    ]
    done = subprocess.run(
        [sys.executable, __file__, name, '--here', *options],
        text=True,
        errors='replace',
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    executed = re.findall(r'number_of_executed_units: (\d+)', done.stderr)
    executed = executed or re.findall(r'^#(\d+)', done.stderr, re.MULTILINE)
    covered = re.findall(r'cov: (\d+)', done.stderr)
    found = sorted(path.name for path in set(findings.iterdir()) - before)
    if found or not executed:
        print('\n'.join(done.stderr.splitlines()[-40:]), file=sys.stderr)
    return dict(
        target=name,
        seed=seed,
        seconds=seconds,
        executions=int(executed[-1]) if executed else 0,
        coverage=int(covered[-1]) if covered else 0,
        findings=found,
    )


def main() -> int:
    """Command line."""
    if '--here' in sys.argv:
        at = sys.argv.index('--here')
        fuzz_here(sys.argv[1], sys.argv[at + 1 :])
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('target', choices=(*NAMES, 'all'))
    parser.add_argument('--seconds', type=int, default=50, help='budget per door')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--corpus', type=Path, help='folder to keep inputs in between runs')
    parser.add_argument('--findings', type=Path, default=ROOT / 'tests' / 'fuzz' / 'findings')
    parser.add_argument('--record', type=Path, help='JSON file for the figures')
    args = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in NAMES if args.target == 'all' else (args.target,):
            corpus = (args.corpus or Path(temporary)) / name
            results.append(fuzz(name, args.seconds, args.seed, corpus, args.findings / name))
            print(json.dumps(results[-1]), flush=True)
    if args.record:
        args.record.write_text(json.dumps(results, indent=1) + '\n', encoding='utf-8')
    return 1 if any(result['findings'] for result in results) else 0


if __name__ == '__main__':
    sys.exit(main())
