# SPDX-License-Identifier: Apache-2.0
"""Checks which body files are there: the open body of the package, SMPL and MANO of the user."""

from fastmetro_mm.doctor.finding import Finding
from fastmetro_mm.doctor.software import one_line

OPEN_BODIES = ('open_body', 'open_hand')
LICENSED_BODIES = ('smpl', 'mano')


def check_open_body(name: str) -> Finding:
    """Load the model and the mesh levels that are part of the package."""
    try:
        from fastmetro_mm.body.assets import load_body_assets
        from fastmetro_mm.body.model_files import find_model_file, read_model_file

        path = find_model_file(name)
        vertices = len(read_model_file(path)['v_template'])
        levels = load_body_assets(name).num_vertices
    except Exception as error:
        return Finding(name, 'problem', one_line(error), 'install fastmetro_mm again')
    if vertices != levels[0]:
        return Finding(
            name,
            'problem',
            f'{path} has {vertices} vertices, its levels {levels}',
            'install fastmetro_mm again',
        )
    return Finding(name, 'ok', f'{"-".join(map(str, levels))} vertices, {path}')


def check_licensed_body(name: str, body_data_root: str | None = None) -> list[Finding]:
    """Look for the model file and the sampling file of SMPL or MANO; both are optional."""
    findings = []
    try:
        from fastmetro_mm.body.assets import load_body_assets
        from fastmetro_mm.body.locations import resolve_body_data_root
        from fastmetro_mm.body.model_files import find_model_file
        from fastmetro_mm.errors import MissingBodyFileError
    except Exception as error:
        return [Finding(name, 'note', one_line(error), 'fix the problems above')]
    for what, find in (
        ('model', lambda: find_model_file(name, body_data_root)),
        ('mesh levels', lambda: load_body_assets(name, body_data_root).num_vertices),
    ):
        try:
            findings.append(Finding(f'{name} {what}', 'ok', str(find())))
        except MissingBodyFileError as error:
            # its message ends with the fix
            findings.append(
                Finding(
                    f'{name} {what}',
                    'note',
                    f'not in {resolve_body_data_root(body_data_root)}',
                    str(error).partition('; ')[2],
                )
            )
        except (OSError, ValueError) as error:
            findings.append(Finding(f'{name} {what}', 'note', one_line(error), 'replace the file'))
    return findings


def check_bodies(body_data_root: str | None = None) -> list[Finding]:
    """All bodies.

    Args:
        body_data_root: Folder with official files; ``None`` means ``data/body_models``. The
            environment variable ``FASTMETRO_BODY_DATA`` wins over it.
    """
    findings = [check_open_body(name) for name in OPEN_BODIES]
    for name in LICENSED_BODIES:
        findings += check_licensed_body(name, body_data_root)
    return findings
