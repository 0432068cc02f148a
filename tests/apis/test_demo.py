# SPDX-License-Identifier: Apache-2.0
"""The command line: one command gives all files; mistakes are one line each."""

import importlib.util
import json

import cv2
import numpy as np
import pytest

from fastmetro_mm.apis.video_writer import VideoWriter


@pytest.fixture(scope='module')
def demo(repo_dir):
    spec = importlib.util.spec_from_file_location('demo', repo_dir / 'tools' / 'demo.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(demo, weights_file, tmp_path, capsys):
    """Runs the demo; gives exit code and lines of error."""
    def call(*arguments, weights=weights_file):
        given = [*arguments, '--out', tmp_path / 'out', '--quiet', '--renderer', 'software']
        if weights is not None:
            given += ['--weights', weights]
        try:
            code = demo.main([str(argument) for argument in given])
        except SystemExit as stop:
            code = stop.code
        errors = [line for line in capsys.readouterr().err.splitlines()
                  if line.startswith('error: ')]
        return code, errors

    return call


def test_one_command_gives_all_files(run, photo, tmp_path):
    code, errors = run(photo, '--bbox', 280, 44, 499, 391)
    assert (code, errors) == (0, [])
    names = {path.name.removeprefix('000000000785') for path in (tmp_path / 'out').iterdir()}
    assert names == {'_overlay.jpg', '.npz', '.json', '.glb', '.html'}
    content = json.loads((tmp_path / 'out/000000000785.json').read_text())
    assert content['people'][0]['bbox'] == [280, 44, 499, 391]


def test_known_camera_and_left_over_names(run, photo, tmp_path):
    code, errors = run(photo, photo, '--intrinsics', 900, 900, 300, 200, '--save', 'json')
    assert (code, errors) == (0, [])
    for name in ('000000000785.json', '000000000785_2.json'):
        content = json.loads((tmp_path / 'out' / name).read_text())
        assert content['intrinsics'] == [[900, 0, 300], [0, 900, 200], [0, 0, 1]]


def test_video_with_boxes_in_a_file(run, tmp_path):
    with VideoWriter(tmp_path / 'clip.mp4', 10) as writer:
        for _ in range(5):
            writer.write(np.full((64, 96, 3), 90, np.uint8))
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps({str(n): [[5 + n, 5, 45 + n, 60]] for n in range(4)}))
    code, errors = run(tmp_path / 'clip.mp4', '--boxes', boxes, '--save', 'overlay,json',
                       '--smooth')
    assert (code, errors) == (0, [])
    lines = [json.loads(line) for line in (tmp_path / 'out/clip.jsonl').read_text().splitlines()]
    assert [len(line['people']) for line in lines] == [1, 1, 1, 1, 0]
    assert {person['track_id'] for line in lines for person in line['people']} == {1}
    assert int(cv2.VideoCapture(str(tmp_path / 'out/clip_overlay.mp4')).get(
        cv2.CAP_PROP_FRAME_COUNT)) == 5


def test_mistakes_do_not_stop_the_others(run, photo, tmp_path):
    broken, empty = tmp_path / 'broken.png', tmp_path / 'empty.mp4'
    broken.write_bytes(b'no picture')
    empty.touch()
    code, errors = run(
        broken, 'missing.jpg', empty, photo, '--save', 'npz',
        '--bbox', 5, 5, 5, 9, '--bbox', 700, 0, 800, 9, '--bbox', 280, 44, 499, 391)
    assert code == 1
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['000000000785.npz']
    wanted = ['broken.png: unreadable picture', 'missing.jpg: no such picture',
              'empty.mp4: empty or unreadable video', 'has no area', 'outside of the 640x425']
    assert len(errors) == len(wanted)
    assert all(part in line for part, line in zip(wanted, errors, strict=True))


@pytest.mark.parametrize('arguments, message', [
    (['--detector', 'rtmdet'], 'the person detector needs weights'),
    (['--detector-weights', 'no.pth'], 'no.pth: no such file of detector weights'),
    (['--weights', 'no.pth'], 'no.pth: no such weights file'),
    (['--model', 'quickstar'], 'did you mean quickstart'),
    (['--boxes', 'no.json'], 'no.json: no such file of boxes'),
    (['--save', 'fbx'], "cannot save 'fbx'"), (['--views', 'left'], '--views left: choose'),
    (['--fov', '200'], 'field of view'), (['--device', 'cuda:7'], 'device cuda:7'),
    (['--bbox', '1', '2'], 'expected 4 arguments')])
def test_nothing_can_be_started(run, photo, arguments, message):
    weights = {} if '--weights' not in arguments else dict(weights=None)
    code, errors = run(photo, *arguments, **weights)
    assert code == 2 and len(errors) == 1 and message in errors[0]


def test_no_opengl(demo, photo, tmp_path, capsys, monkeypatch):
    from fastmetro_mm.errors import RendererUnavailableError
    from fastmetro_mm.visualization import renderer_factory

    def unavailable(backend):
        raise RendererUnavailableError('no OpenGL here')

    monkeypatch.setattr(renderer_factory, 'build_renderer', unavailable)
    with pytest.raises(SystemExit) as stop:
        demo.main([str(photo), '--renderer', 'pyrender', '--out', str(tmp_path / 'out')])
    assert stop.value.code == 2
    assert 'error: no OpenGL here: use --renderer software' in capsys.readouterr().err


def test_output_that_cannot_be_written(demo, photo, tmp_path, capsys):
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit) as stop:
        demo.main([str(photo), '--out', str(tmp_path / 'file' / 'out')])
    assert stop.value.code == 2
    assert 'cannot write results there' in capsys.readouterr().err


def test_smpl_head_gets_its_own_panel(demo, photo, tmp_path, monkeypatch):
    import torch

    from fastmetro_mm.apis import MeshInferencer, load_npz

    def untrained(*arguments):
        torch.manual_seed(0)
        inferencer = MeshInferencer(*arguments)
        with torch.no_grad():
            layer = inferencer.network.head.cam_predictor
            layer.weight.mul_(0.05)
            layer.bias.copy_(torch.tensor([0.9, 0.0, 0.0]))
        return inferencer

    monkeypatch.setattr('fastmetro_mm.apis.MeshInferencer', untrained)
    with VideoWriter(tmp_path / 'clip.mp4', 10) as writer:
        for _ in range(3):
            writer.write(np.full((64, 96, 3), 90, np.uint8))
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps({'1': [[5, 5, 45, 60]], photo.name: [[280, 44, 499, 391]]}))
    out = tmp_path / 'out'
    given = [photo, tmp_path / 'clip.mp4', '--model', 'quickstart_smpl', '--boxes', boxes,
             '--save', 'overlay,npz', '--views', 'side', '--renderer', 'software', '--quiet',
             '--out', out]
    assert demo.main([str(argument) for argument in given]) == 0
    person, = load_npz(out / f'{photo.stem}.npz').people
    assert person.smpl_vertices.shape == (6890, 3)
    picture = cv2.imread(str(out / f'{photo.stem}_overlay.jpg')).astype(int)
    assert picture.shape[1] == 2 * 640 + 425
    image = cv2.imread(str(photo)).astype(int)
    drawn = np.abs(picture[-425:, 640:1280] - image).max(axis=-1) > 40
    assert drawn.sum() > 1000  # a mesh lies on the second copy of the photo
    video = cv2.VideoCapture(str(out / 'clip_overlay.mp4'))
    sizes = []
    while (frame := video.read())[0]:
        sizes.append(frame[1].shape[1])
    assert sizes == [192, 192, 192]  # also where nobody is
