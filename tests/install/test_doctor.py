# SPDX-License-Identifier: Apache-2.0
"""The doctor's findings, with parts of the installation taken away."""

import importlib.metadata
import importlib.util
import json
import subprocess
import sys

import pytest

from fastmetro_mm.compat.stack import NEEDS, fix_for
from fastmetro_mm.doctor import bodies, drawing, repair, report, software
from fastmetro_mm.doctor.finding import Finding


def need(name: str):
    return next(need for need in NEEDS if need.module.split('.')[0] == name)


def hide(monkeypatch, module: str) -> None:
    """Make a module look as if it were not installed."""
    wanted = need(module)
    monkeypatch.setitem(sys.modules, wanted.module, None)
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in wanted.distributions:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, 'version', version)


def test_present_module_has_its_version():
    finding = software.check_module(need('mmengine'))
    assert finding.state == 'ok'
    assert finding.detail == f'mmengine {importlib.metadata.version("mmengine")}'


@pytest.mark.parametrize(
    ('module', 'state'),
    [
        ('mmpose', 'problem'),
        ('pycocotools', 'problem'),
        ('xtcocotools', 'note'),
        ('mmdet', 'note'),
        ('smplx', 'note'),
    ],
)
def test_missing_module_has_the_command(monkeypatch, module, state):
    hide(monkeypatch, module)
    finding = software.check_module(need(module))
    assert finding.state == state
    assert finding.detail.startswith('not installed')
    assert finding.fix == fix_for(module) and finding.fix.startswith('pip install')


def test_module_that_fails_its_version_check(monkeypatch, tmp_path):
    # what mmdet 3.3.0 does with mmcv 2.2.0
    (tmp_path / 'refuses.py').write_text('assert False, "MMCV==2.2.0 is used but incompatible"')
    monkeypatch.syspath_prepend(tmp_path)
    wanted = type(need('mmdet'))('refuses', ('numpy',), 'pip install refuses')
    finding = software.check_module(wanted)
    assert finding.state == 'problem'
    assert 'does not load (AssertionError: MMCV==2.2.0' in finding.detail


def test_torchvision_for_another_torch_is_found(monkeypatch):
    import torchvision

    def no_kernel(*args):
        raise RuntimeError('operator torchvision::nms does not exist\nmore lines')

    monkeypatch.setattr(torchvision.ops, 'nms', no_kernel)
    finding = software.check_torchvision_ops()
    assert finding.state == 'problem'
    assert finding.detail == 'RuntimeError: operator torchvision::nms does not exist'
    assert 'torchvision==0.29.1' in finding.fix


def test_no_cuda_is_only_a_note(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert software.check_cuda().state == 'note'
    monkeypatch.setattr(torch.version, 'cuda', None)
    assert '--torch cuda' in software.check_cuda().fix


def test_no_opengl_is_a_note_with_the_packages(monkeypatch):
    results = {'pyrender': (False, 'no OpenGL platform draws'), 'software': (True, 'software')}
    monkeypatch.setattr(drawing, 'try_renderer', lambda backend, loops='auto': results[backend])
    opengl, software_finding, _ = drawing.check_drawing()
    assert (opengl.state, software_finding.state) == ('note', 'ok')
    assert 'libegl1' in opengl.fix and 'software renderer' in opengl.detail


def test_compiled_drawing_is_told(monkeypatch, tmp_path):
    tried = {'auto': (True, 'software'), 'compiled': (False, 'LLVM is broken')}
    monkeypatch.setattr(drawing, 'try_renderer', lambda backend, loops='auto': tried[loops])
    monkeypatch.setenv('FASTMETRO_CACHE', str(tmp_path))
    monkeypatch.setattr(drawing.importlib.metadata, 'version', lambda name: f'of {name}')
    monkeypatch.setattr(drawing.importlib.util, 'find_spec', lambda name: None)
    missing = drawing.check_drawing()[2]
    assert missing.state == 'note' and 'not installed' in missing.detail
    assert missing.fix == "pip install 'numba>=0.61'"
    monkeypatch.setattr(drawing.importlib.util, 'find_spec', lambda name: name)
    broken = drawing.check_drawing()[2]
    assert broken.state == 'note' and broken.detail.startswith('LLVM is broken; NumPy draws')
    tried['compiled'] = (True, 'software')
    works = drawing.check_drawing()[2]
    assert works.state == 'ok' and works.detail.startswith('numba of numba, not kept')


def test_software_renderer_really_draws():
    assert drawing.try_renderer('software') == (True, 'software')


def test_unknown_renderer_gives_its_reason():
    works, reason = drawing.try_renderer('crayon')
    assert not works and 'crayon' in reason


def test_bodies_open_ok_licensed_missing(monkeypatch, tmp_path):
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(tmp_path))
    findings = {finding.name: finding for finding in bodies.check_bodies()}
    assert findings['open_body'].state == findings['open_hand'].state == 'ok'
    assert findings['open_body'].detail.startswith('6890-1723-431')
    assert findings['smpl model'] == Finding(
        'smpl model', 'note', f'not in {tmp_path}', findings['smpl model'].fix
    )
    assert 'SMPL_NEUTRAL.pkl' in findings['smpl model'].fix
    assert 'mano.is.tue.mpg.de' in findings['mano model'].fix


def test_found_mesh_levels_are_reported(monkeypatch, shared_dir):
    monkeypatch.setenv('FASTMETRO_BODY_DATA', str(shared_dir / 'data' / 'metro'))
    findings = {finding.name: finding for finding in bodies.check_licensed_body('smpl')}
    assert findings['smpl mesh levels'] == Finding('smpl mesh levels', 'ok', '(6890, 1723, 431)')


def test_exit_code_and_text():
    ok = Finding('a', 'ok', '1.0')
    note = Finding('b', 'note', 'missing', 'pip install b')
    problem = Finding('c', 'problem', 'missing', 'pip install c')
    assert report.exit_code([ok, note]) == 0
    assert report.exit_code([ok, problem]) == 1
    text = report.as_text([ok, note, problem])
    assert 'fix: pip install c' in text and '1 problem(s)' in text
    assert json.loads(report.as_json([ok, note])) == dict(
        ok=True,
        findings=[
            dict(name='a', state='ok', detail='1.0', fix=''),
            dict(name='b', state='note', detail='missing', fix='pip install b'),
        ],
    )


def test_command_line_works_where_mmpose_is_missing(repo_dir, tmp_path):
    # the doctor itself must not fall over what it is there to find
    (tmp_path / 'sitecustomize.py').write_text('import sys\nsys.modules["mmpose"] = None\n')
    # a package that talks while it is imported, as onedl-mmdetection does
    (tmp_path / 'smplx.py').write_text('print("Could not import something optional.")\n')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'fastmetro_mm.doctor', '--json'],
        env=dict(
            PATH='',
            PYTHONPATH=f'{tmp_path}:{repo_dir}',
            OMP_NUM_THREADS='1',
            FASTMETRO_BODY_DATA=str(tmp_path),
        ),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    states = {finding['name']: finding['state'] for finding in result['findings']}
    assert result['ok'] is False
    assert states['mmpose'] == states['fastmetro_mm'] == 'problem'
    assert states['torch'] == states['drawing (software)'] == states['open_body'] == 'ok'


def test_repair_installs_only_what_is_missing(monkeypatch):
    real = importlib.util.find_spec
    gone = {'mmpose', 'munkres', 'mmdet'}
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name, *rest: None if name in gone else real(name, *rest)
    )
    ordinary, alone = repair.repair_commands()
    assert ordinary[:4] == [sys.executable, '-m', 'pip', 'install']
    assert 'munkres' in ordinary and not any(word.startswith('mm') for word in ordinary)
    # without dependencies: mmpose's chumpy does not build; an installed mmengine or mmcv stays
    assert alone[4:] == ['--no-deps', 'mmpose==1.3.2', 'mmdet==3.3.0']
    gone.clear()
    assert repair.repair_commands() == []


def test_repair_stops_at_a_command_that_fails(monkeypatch, capsys):
    monkeypatch.setattr(
        repair,
        'repair_commands',
        lambda: [
            [sys.executable, '-c', 'raise SystemExit(3)'],
            [sys.executable, '-c', 'print("never")'],
        ],
    )
    assert not repair.repair()
    assert 'this command failed' in capsys.readouterr().err


@pytest.fixture
def doctor(monkeypatch, capsys):
    """Runs the command on made-up findings: exit code, standard output, standard error."""
    from fastmetro_mm.doctor import __main__ as command

    def run(findings, *words):
        def examine(folder):
            print('a foreign package talks')
            return findings(folder)

        monkeypatch.setattr(command, 'examine', examine)
        monkeypatch.setattr(sys, 'argv', ['fastmetro doctor', *words])
        return command.main(), *capsys.readouterr()

    run.module = command
    return run


def test_the_report_alone_is_on_standard_output(doctor):
    code, out, error = doctor(
        lambda folder: [Finding('body', 'problem', folder, 'put it there')],
        '--json', '--body-data-root', 'my/files',
    )  # fmt: skip
    assert code == 1 and error == 'a foreign package talks\n'
    assert json.loads(out) == {
        'ok': False,
        'findings': [
            {'name': 'body', 'state': 'problem', 'detail': 'my/files', 'fix': 'put it there'}
        ],
    }
    code, out, _ = doctor(lambda folder: [Finding('torch', 'ok', '2.14')])
    assert code == 0 and out.splitlines()[0].endswith('torch  2.14')


def test_after_a_repair_a_new_process_reports(doctor, monkeypatch):
    started = []

    def start(words, check):
        started.append(words[1:])
        return subprocess.CompletedProcess(words, 5)

    monkeypatch.setattr(doctor.module.subprocess, 'run', start)
    monkeypatch.setattr(doctor.module, 'repair', lambda: True)
    assert doctor(list, '--fix', '--json')[0] == 5
    assert started == [['-m', 'fastmetro_mm.doctor', '--json']]
    monkeypatch.setattr(doctor.module, 'repair', lambda: False)
    assert doctor(list, '--fix')[0] == 1 and len(started) == 1
