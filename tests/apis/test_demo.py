# SPDX-License-Identifier: Apache-2.0
"""The command line: one command gives all files; mistakes are one line each."""

import json

import cv2
import numpy as np

from fastmetro_mm.apis.video_writer import VideoWriter


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
    code, errors = run(
        tmp_path / 'clip.mp4', '--boxes', boxes, '--save', 'overlay,json', '--smooth'
    )
    assert (code, errors) == (0, [])
    lines = [json.loads(line) for line in (tmp_path / 'out/clip.jsonl').read_text().splitlines()]
    assert [len(line['people']) for line in lines] == [1, 1, 1, 1, 0]
    assert {person['track_id'] for line in lines for person in line['people']} == {1}
    assert (
        int(cv2.VideoCapture(str(tmp_path / 'out/clip_overlay.mp4')).get(cv2.CAP_PROP_FRAME_COUNT))
        == 5
    )


def test_mistakes_do_not_stop_the_others(run, photo, tmp_path):
    broken, empty = tmp_path / 'broken.png', tmp_path / 'empty.mp4'
    broken.write_bytes(b'no image')
    empty.touch()
    code, errors = run(
        broken,
        'missing.jpg',
        empty,
        '~x.jpg',
        's3://b/a',
        photo,
        '--save',
        'npz',
        '--bbox',
        5,
        5,
        5,
        9,
        '--bbox',
        700,
        0,
        800,
        9,
        '--bbox',
        280,
        44,
        499,
        391,
        '--bbox',
        0,
        0,
        1e30,
        1e30,
    )
    assert code == 1
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['000000000785.npz']
    wanted = [
        'broken.png: unreadable image',
        'missing.jpg: no such image',
        'empty.mp4: the video is empty',
        '~x.jpg: no such image',
        'use file, http or https',
        'has no area',
        'outside of the 640x425',
        'larger than 10000',
    ]
    assert len(errors) == len(wanted)
    assert all(part in line for part, line in zip(wanted, errors, strict=True))


def test_whatever_an_input_does_the_next_one_follows(run, photo, tmp_path, monkeypatch):
    from fastmetro_mm.apis import demo as demo_module

    real = demo_module.open_source

    def open_source(given, on_error):
        if given == 'bug':
            raise ZeroDivisionError('nobody thought of this')
        return real(given, on_error)

    monkeypatch.setattr(demo_module, 'open_source', open_source)
    code, errors = run('bug', photo, '--save', 'npz')
    assert code == 1 and len(errors) == 1
    assert 'bug: unexpected ZeroDivisionError: nobody thought of this' in errors[0]
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['000000000785.npz']


def test_files_beside_the_inputs_are_kept(run, photo, tmp_path, capsys):
    for name in ('a', 'b'):
        (tmp_path / f'{name}.jpg').write_bytes(photo.read_bytes())
    (tmp_path / 'a.json').write_text('{"label": 1}')
    (tmp_path / 'b_overlay.jpg').write_bytes(photo.read_bytes())
    for _ in range(2):  # the second run neither takes results for inputs nor piles them up
        code, errors = run(tmp_path, '--save', 'overlay,json', '--out', tmp_path)
        assert (code, errors) == (0, [])
        assert (tmp_path / 'a.json').read_text() == '{"label": 1}'
        assert (tmp_path / 'b_overlay.jpg').read_bytes() == photo.read_bytes()
        assert {path.name for path in tmp_path.glob('*.*')} == {
            'a.jpg',
            'b.jpg',
            'a.json',
            'b_overlay.jpg',
            'a_2.json',
            'a_2_overlay.jpg',
            'b_2.json',
            'b_2_overlay.jpg',
            'b_overlay.json',
            'b_overlay_overlay.jpg',
        }


def test_keys_of_the_box_file_are_looked_after(run, photo, tmp_path):
    (tmp_path / 'sa').mkdir()
    image = tmp_path / 'sa/p.png'
    image.write_bytes(photo.read_bytes())
    boxes = tmp_path / 'boxes.json'
    boxes.write_text('\ufeff' + json.dumps({'sa/p.png': [[280, 44, 499, 391]], 'q.png': []}))
    code, errors = run(image, '--boxes', boxes, '--save', 'json')
    assert code == 1
    assert len(errors) == 1 and "1 of 2 keys fit no image or frame: 'q.png'" in errors[0]
    assert len(json.loads((tmp_path / 'out/p.json').read_text())['people']) == 1


def test_a_video_that_is_cut_off(run, tmp_path):
    import av

    path = tmp_path / 'cut.mp4'
    with av.open(str(path), 'w', options=dict(movflags='+faststart')) as container:
        stream = container.add_stream('libx264', rate=20)
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
        for number in range(40):
            pixels = np.random.default_rng(number).integers(0, 255, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: int(0.8 * len(data))])
    code, errors = run(path, '--save', 'json,overlay', '--bbox', 5, 5, 90, 60)
    assert code == 1 and len(errors) == 1
    kept = len((tmp_path / 'out/cut.jsonl').read_text().splitlines())
    assert 20 < kept < 40 and f'ends too early, after {kept} frames' in errors[0]
    assert (tmp_path / 'out/cut_overlay.mp4').is_file()


def test_smpl_head_gets_its_own_panel(demo, photo, tmp_path):
    import torch

    from fastmetro_mm.apis import load_npz
    from fastmetro_mm.model_zoo.model_loading import load_network

    torch.manual_seed(0)
    network = load_network('quickstart_smpl', None, 'cpu')
    with torch.no_grad():
        layer = network.head.cam_predictor
        layer.weight.mul_(0.05)
        layer.bias.copy_(torch.tensor([0.9, 0.0, 0.0]))
    torch.save({'state_dict': network.state_dict(), 'meta': {}}, tmp_path / 'smpl.pth')
    with VideoWriter(tmp_path / 'clip.mp4', 10) as writer:
        for _ in range(3):
            writer.write(np.full((64, 96, 3), 90, np.uint8))
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps({'1': [[5, 5, 45, 60]], photo.name: [[280, 44, 499, 391]]}))
    out = tmp_path / 'out'
    given = [
        photo,
        tmp_path / 'clip.mp4',
        '--model',
        'quickstart_smpl',
        '--weights',
        tmp_path / 'smpl.pth',
        '--boxes',
        boxes,
        '--save',
        'overlay,npz',
        '--views',
        'side',
        '--renderer',
        'software',
        '--quiet',
        '--out',
        out,
    ]
    assert demo.main([str(argument) for argument in given]) == 0
    (person,) = load_npz(out / f'{photo.stem}.npz').people
    assert person.smpl_vertices.shape == (6890, 3)
    drawing = cv2.imread(str(out / f'{photo.stem}_overlay.jpg')).astype(int)
    assert drawing.shape[1] == 2 * 640 + 425
    image = cv2.imread(str(photo)).astype(int)
    drawn = np.abs(drawing[-425:, 640:1280] - image).max(axis=-1) > 40
    assert drawn.sum() > 1000  # a mesh lies on the second copy of the photo
    video = cv2.VideoCapture(str(out / 'clip_overlay.mp4'))
    sizes = []
    while (frame := video.read())[0]:
        sizes.append(frame[1].shape[1])
    assert sizes == [192, 192, 192]  # also where nobody is
