#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prepares a release: bash tools/release.sh VERSION
# Sets the version, closes the changelog's Unreleased section, builds the wheel and tries it in an
# empty environment without the stack. Commits, tags and uploads nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=${1:?usage: bash tools/release.sh VERSION}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "error: $version is not of the form 1.2.3" >&2; exit 2; }
[ -z "$(git status --porcelain)" ] || { echo 'error: commit or stash your changes first' >&2; exit 2; }
grep -q '^## \[Unreleased\]' CHANGELOG.md || { echo 'error: CHANGELOG.md has no [Unreleased]' >&2; exit 2; }
TOOLS=tools
. tools/find_python.sh

"$PYTHON" - "$version" <<'PY'
import datetime, pathlib, re, sys
version = sys.argv[1]
for name, pattern, text in (
        ('fastmetro_mm/__init__.py', r"^__version__ = '.*'$", f"__version__ = '{version}'"),
        ('CITATION.cff', r'^version: .*$', f'version: {version}'),
        ('CHANGELOG.md', r'^## \[Unreleased\]$',
         f'## [Unreleased]\n\n## [{version}] - {datetime.date.today().isoformat()}')):
    path = pathlib.Path(name)
    changed, count = re.subn(pattern, text, path.read_text(), count=1, flags=re.MULTILINE)
    if count != 1:
        sys.exit(f'error: {name} has no line {pattern}')
    path.write_text(changed)
PY
rm -rf dist build
"$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir dist .
wheel=$(ls dist/*.whl)
size=$(stat -c %s "$wheel")
[ "$size" -le $((60 * 1048576)) ] || { echo "error: $wheel has $size bytes, more than 60 MiB" >&2; exit 1; }
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
"$PYTHON" -m venv "$empty"
"$empty/bin/pip" install --quiet --no-deps "$wheel"
(cd "$empty" && bin/fastmetro --version && bin/fastmetro models > /dev/null)
echo "$wheel ($size bytes) is built and starts; now: git diff, commit, git tag v$version, upload"
