# SPDX-License-Identifier: Apache-2.0
"""Write a list of what is installed here and its licences, as a CycloneDX 1.5 file (JSON).

Example:
    python tools/sbom.py --out sbom.json
    python tools/sbom.py --markdown          # the table of docs/licences.md
"""

import argparse
import importlib.metadata as metadata
import json
import re
import sys
from pathlib import Path

_CLASSIFIER = 'License :: OSI Approved :: '


def licence_of(package: metadata.Distribution) -> str:
    """Licence as the package itself states it: SPDX expression, else classifiers, else text."""
    info = package.metadata
    if info.get('License-Expression'):
        return info['License-Expression']
    names = [
        entry.removeprefix(_CLASSIFIER)
        for entry in info.get_all('Classifier') or ()
        if entry.startswith(_CLASSIFIER)
    ]
    if names:
        return ', '.join(names)
    text = ' '.join((info.get('License') or '').split())
    return text if 0 < len(text) <= 80 else (f'{text[:77]}...' if text else 'not stated')


def installed() -> list[dict[str, str]]:
    """Name, version and licence of every distribution of this environment, sorted."""
    rows = {}
    for package in metadata.distributions():
        name = re.sub(r'[-_.]+', '-', package.metadata['Name']).lower()
        rows[name] = dict(name=name, version=package.version, licence=licence_of(package))
    return [rows[name] for name in sorted(rows)]


def bill_of_materials(rows: list[dict[str, str]]) -> dict:
    """The rows as a CycloneDX document, without date and serial number: it can be compared."""
    return dict(
        bomFormat='CycloneDX',
        specVersion='1.5',
        version=1,
        metadata=dict(component=dict(type='library', name='fastmetro-mm')),
        components=[
            dict(
                type='library',
                name=row['name'],
                version=row['version'],
                purl=f'pkg:pypi/{row["name"]}@{row["version"]}',
                licenses=[dict(license=dict(name=row['licence']))],
            )
            for row in rows
        ],
    )


def main(argv: list[str] | None = None) -> int:
    """Write the file or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', default='sbom.json', help='file (default: %(default)s)')
    parser.add_argument('--markdown', action='store_true', help='print a table instead')
    args = parser.parse_args(argv)
    rows = installed()
    if args.markdown:
        print('| package | version | licence |\n|---|---|---|')
        for row in rows:
            print(f'| {row["name"]} | {row["version"]} | {row["licence"]} |')
        return 0
    Path(args.out).write_text(json.dumps(bill_of_materials(rows), indent=2) + '\n')
    print(f'{args.out}: {len(rows)} packages')
    return 0


if __name__ == '__main__':
    sys.exit(main())
