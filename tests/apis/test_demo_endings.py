# SPDX-License-Identifier: Apache-2.0
"""The command line when it ends: stopped, counted, refused."""

import json

import numpy as np
import pytest

from fastmetro_mm.apis.sources import missing_file


def test_options_that_change_nothing_are_said(run, photo, demo, weights_file, tmp_path, capsys):
    given = [photo, '--smooth', '--save', 'json', '--out', tmp_path, '--weights', weights_file]
    assert demo.main([str(argument) for argument in given]) == 0
    assert '--smooth is for videos and changes nothing here' in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_made(demo, weights_file, clip, photo, tmp_path, capsys, monkeypatch):
    from fastmetro_mm.apis import saving

    real, calls = saving.ResultSaver.add, []

    def add(self, frame, name):
        real(self, frame, name)
        calls.append(name)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(saving.ResultSaver, 'add', add)
    given = [
        clip,
        photo,
        '--save',
        'json,overlay',
        '--out',
        tmp_path / 'out',
        '--quiet',
        '--renderer',
        'software',
        '--weights',
        weights_file,
        '--detector',
        'none',
    ]
    assert demo.main([str(argument) for argument in given]) == 130
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'clip.jsonl',
        'clip_overlay.mp4',
    }
    assert len((tmp_path / 'out/clip.jsonl').read_text().splitlines()) == 3
    text = capsys.readouterr()
    assert 'what was done until now is kept' in text.err and '--resume' not in text.err
    assert '1 person in 3 frames until it was stopped' in text.out


def test_ctrl_c_is_how_a_webcam_ends(demo, weights_file, tmp_path, capsys, monkeypatch):
    from fastmetro_mm.apis import saving, videos

    class Camera:
        def __init__(self, number):
            assert number == 0

        def isOpened(self):
            return True

        def read(self):
            return True, np.full((64, 96, 3), 90, np.uint8)

        def get(self, what):
            return 30.0

        def release(self):
            pass

    real, calls = saving.ResultSaver.add, []

    def add(self, frame, name):
        real(self, frame, name)
        calls.append(frame.time)
        if len(calls) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(videos.cv2, 'VideoCapture', Camera)
    monkeypatch.setattr(saving.ResultSaver, 'add', add)
    given = [
        'webcam:0',
        '--save',
        'json,overlay',
        '--out',
        tmp_path,
        '--quiet',
        '--smooth',
        '--renderer',
        'software',
        '--weights',
        weights_file,
        '--bbox',
        5,
        5,
        90,
        60,
    ]
    assert demo.main([str(argument) for argument in given]) == 0
    lines = [json.loads(line) for line in (tmp_path / 'webcam_0.jsonl').read_text().splitlines()]
    assert [line['time'] for line in lines] == calls and calls == sorted(calls)
    assert count_frames(tmp_path / 'webcam_0_overlay.mp4') == 4
    assert 'webcam:0: 1 person in 4 frames until it was stopped' in capsys.readouterr().out


def count_frames(path):
    import av

    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def test_what_is_counted(run, demo, clip, photo, weights_file, tmp_path, capsys):
    whole = ['--detector', 'none']  # the clip is grey
    for arguments, text in (
        ([clip, *whole], '1 person in 5 frames'),
        ([photo], '1 person in 1 image'),
        ([clip, '--no-track', *whole], '5 sightings of people in 5 frames'),
    ):
        given = [
            *arguments,
            '--save',
            'json',
            '--out',
            tmp_path / 'out',
            '--quiet',
            '--weights',
            weights_file,
        ]
        assert demo.main([str(argument) for argument in given]) == 0
        assert f': {text}\n' in capsys.readouterr().out


def test_smpl_parameters_need_weights_that_hold_them(demo, photo, weights_file, tmp_path, capsys):
    for model in ('quickstart', 'quickstart_smpl'):
        given = [photo, '--model', model, '--save', 'smpl', '--out', tmp_path / 'out']
        with pytest.raises(SystemExit) as stop:
            demo.main([str(argument) for argument in given])
        assert stop.value.code == 2
        assert 'there are no SMPL parameters without' in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--detector', 'rtmdet'], 'those of RTMDet-m from mmdet (configs/rtmdet/README.md)'),
        (['--detector-weights', 'no.pth'], 'no.pth: no such file of detector weights'),
        (['--weights', 'no.pth'], 'no.pth: no such weights file'),
        (['--model', 'quickstar'], 'did you mean quickstart'),
        (['--boxes', 'no.json'], 'no.json: no such file of boxes'),
        (['--save', 'fbx'], "cannot save 'fbx'"),
        (['--views', 'left'], '--views left: choose'),
        (['--fov', '200'], 'field of view'),
        (['--device', 'cuda:7'], "device 'cuda:7'"),
        (['--bbox', '1', '2'], 'expected 4 arguments'),
    ],
)
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
    assert 'cannot write there' in capsys.readouterr().err


def test_a_typo_in_the_path_is_told_before_a_network_is_built(demo, monkeypatch, capsys, tmp_path):
    from fastmetro_mm.apis import demo as body

    monkeypatch.setattr(body, 'Demo', lambda args: pytest.fail('a network was built'))
    gone = str(tmp_path / 'photos.jpg')
    assert demo.main([gone, '~nobody/x.mp4']) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f'error: {gone}: no such image, video or folder: check the path',
        'error: ~nobody/x.mp4: no such image, video or folder: check the path',
    ]
    for name in (str(tmp_path), 'webcam:0', 'http://x/y.jpg', str(tmp_path / '*.jpg')):
        assert missing_file(name) is None
