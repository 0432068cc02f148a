# SPDX-License-Identifier: Apache-2.0
"""The report, opened and clicked in a headless Chromium through the DevTools protocol."""

import json

import numpy as np
import pytest

from fastmetro_mm.errors import ExportError
from fastmetro_mm.exporters.html_report import ReportFrame, report_frame, write_html_report
from fastmetro_mm.exporters.scene import frame_meshes
from fastmetro_mm.visualization.render_types import RenderMesh


@pytest.fixture(scope='module')
def report(make_frame, tmp_path_factory):
    """A report of two frames with two people and one person."""
    image = np.full((48, 64, 3), (200, 40, 40), np.uint8)
    frames = [make_frame(0, people=2), make_frame(1, people=1)]
    entries = [report_frame(frame, [('Overlay <b>', image)]) for frame in frames]
    path = tmp_path_factory.mktemp('report') / 'report.html'
    return write_html_report(path, entries, title='People & <things>')


@pytest.mark.parametrize('painter', ['', 'canvas'])
def test_it_opens_and_can_be_clicked(painter, browser, report, make_frame):
    browser.open(report.as_uri() + ('#canvas' if painter else ''))
    view = browser.view()
    # WebGL needs SwiftShader, which some builds of Chromium lack; then the page falls back.
    assert view['painter'] == 'canvas' if painter else view['painter'] in ('webgl', 'canvas')
    assert (view['shown'], view['frame'], view['yaw']) == ('2', '0', '0.0000')
    assert browser.evaluate('document.title') == 'People & <things>'
    assert browser.evaluate('document.images[0].naturalWidth') == 64

    front = browser.image()
    seen = front[..., 3] > 0
    assert 0.05 < seen.mean() < 0.9
    # Heads are up: the lowest rows are narrower (feet) and colours are those of the table.
    meshes = frame_meshes(make_frame(0, people=2))
    columns = [np.mean(np.nonzero(near(front, mesh.color))[1]) for mesh in meshes]
    assert columns[0] < columns[1]  # the first person stands on the left

    place = browser.middle('#view')
    browser.mouse('mousePressed', place, button='left', buttons=1, clickCount=1)
    moved = {'x': place['x'] + 80, 'y': place['y'] + 20}
    browser.mouse('mouseMoved', moved, button='left', buttons=1)
    browser.mouse('mouseReleased', moved, button='left', clickCount=1)
    view = browser.view()
    assert float(view['yaw']) == pytest.approx(0.8) and float(view['pitch']) == pytest.approx(0.2)
    assert np.abs(browser.image().astype(int) - front).mean() > 1

    browser.mouse('mouseWheel', place, deltaX=0, deltaY=-400)
    browser.wait_for("document.getElementById('view').dataset.zoom > 1.3")
    assert (browser.image()[..., 3] > 0).mean() > seen.mean()

    browser.click('button[data-view="back"]')
    assert float(browser.view()['yaw']) == pytest.approx(np.pi, abs=1e-3)
    back = browser.image()
    columns = [np.mean(np.nonzero(near(back, mesh.color))[1]) for mesh in meshes]
    assert columns[0] > columns[1]

    browser.click('#frame_0 input[data-person="0"]')
    assert browser.view()['shown'] == '1'
    assert not near(browser.image(), meshes[0].color).any()

    browser.evaluate("(() => { const s = document.getElementById('frame'); s.value = 1; "
                     "s.dispatchEvent(new Event('input')); })()")  # fmt: skip
    view = browser.view()
    assert (view['frame'], view['shown']) == ('1', '1')
    assert browser.evaluate("document.getElementById('frame_0').hidden")

    assert browser.errors() == []
    addresses = browser.requests()
    assert all(url.split(':')[0] in ('file', 'data', 'about') for url in addresses), addresses


def near(image: np.ndarray, color) -> np.ndarray:
    """Where an image (H, W, 4) shows a shade of a colour: the same hue, any brightness."""
    values = image[..., :3].astype(float)
    brightest = values.max(-1, keepdims=True)
    shade = values / np.maximum(brightest, 1)
    wanted = np.asarray(color) / np.max(color)
    return (
        (np.abs(shade - wanted).max(-1) < 0.04) & (image[..., 3] == 255) & (brightest[..., 0] > 60)
    )


def test_text_is_escaped_and_nothing_is_linked(report):
    text = report.read_text()
    assert '<things>' not in text and 'People &amp; &lt;things&gt;' in text
    assert 'Overlay &lt;b&gt;' in text
    for word in ('http://', 'https://', 'src="//', '<link', '@import'):
        assert word not in text
    # Two meshes and then one: faces are stored once.
    assert text.count('"faces":[') == 1 and len(json.loads(
        text.split('id="data">')[1].split('</script>')[0])['faces']) == 1  # fmt: skip


def test_a_frame_without_people_is_a_page_too(make_frame, tmp_path):
    frame = make_frame(people=1)
    frame.people.clear()
    path = write_html_report(tmp_path / 'a.html', [report_frame(frame, title='nobody')])
    assert '<p>No people.</p>' in path.read_text()


@pytest.mark.parametrize(
    ('frames', 'name', 'message'),
    [
        ([], 'a.html', 'give at least one frame'),
        ([ReportFrame('a')], 'a.pdf', r'must end with \.html'),
        ([ReportFrame('a', [('x', np.zeros((2, 2), np.uint8))])], 'a.html', "image 'x' is uint8"),
        ([ReportFrame('a', rows=[{'Person': 'b'}])], 'a.html', '1 rows for 0 meshes'),
        ([ReportFrame('a', meshes=[RenderMesh(np.zeros((70000, 3)), np.zeros((0, 3)))],
                      rows=[{}])], 'a.html', 'a mesh has 70000 vertices'),
    ],
)  # fmt: skip
def test_mistakes_are_named(frames, name, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        write_html_report(tmp_path / name, frames)
    assert not list(tmp_path.iterdir())
