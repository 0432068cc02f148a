# SPDX-License-Identifier: Apache-2.0
"""COCO-style json: every person by their own category, every fault counted at its row."""

import json
from collections import Counter

import numpy as np
import pytest

from fastmetro_mm.body.joint_sets import J24
from fastmetro_mm.dataset_tools.converters.coco_smpl import CocoSMPLSource
from fastmetro_mm.dataset_tools.converters.image_folder import ImageFolderSource
from fastmetro_mm.dataset_tools.converters.mesh_joints import MeshJoints
from fastmetro_mm.dataset_tools.converters.run import run_conversion
from fastmetro_mm.datasets import DataSetError, MeshTSVDataset

BOX = [10, 10, 40, 80]
FRONT = ['nose', 'left_wrist']
BACK = ['left_wrist', 'nose']


@pytest.fixture(params=['images', 'pose2mesh'])
def convert(request, tmp_path, write_image):
    """Function (annotations, images, categories) -> report, data set; for both readers."""
    write_image(tmp_path / 'a.jpg', 80, 100)

    def run(annotations, images=None, categories=None, encoding='utf-8', name='x', text=None):
        content = dict(
            images=images or [dict(id=1, file_name='a.jpg')],
            annotations=[dict(bbox=BOX, id=i, **a) for i, a in enumerate(annotations)],
        )
        if categories is not None:
            content['categories'] = categories
        path = tmp_path / f'{name}.json'
        path.write_bytes((text or json.dumps(content)).encode(encoding))
        source = (
            ImageFolderSource(tmp_path, path)
            if request.param == 'images'
            else CocoSMPLSource(path, tmp_path, MeshJoints('none'))
        )
        report = run_conversion(source, tmp_path / f'{name}_out', 'train')
        dataset = MeshTSVDataset(report.yaml_path)
        return report, [dataset.get_data_info(i) for i in range(len(dataset))]

    return run


def seen(info) -> dict:
    points = info['joints_2d']
    return {J24[i]: points[i, :2].tolist() for i in np.flatnonzero(points[:, 2])}


def test_keypoint_names_of_the_own_category(convert):
    points = [11, 12, 2, 31, 32, 2]
    report, infos = convert(
        [
            dict(image_id=1, category_id=1, keypoints=points),
            dict(image_id=1, category_id=2, keypoints=points),
            dict(image_id=1, category_id='2', keypoints=points),
            dict(image_id=1, category_id=9, keypoints=points),
            dict(image_id=1, keypoints=points),
        ],
        categories=[
            dict(id=1, name='person', keypoints=FRONT),
            dict(id=2, name='seen from behind', keypoints=BACK),
        ],
    )
    first, second = [11, 12], [31, 32]
    assert [seen(info) for info in infos] == [
        {'Nose': first, 'L_Wrist': second},
        {'Nose': second, 'L_Wrist': first},
        {'Nose': second, 'L_Wrist': first},
    ]
    assert report.reasons == {
        'category_id is not among the categories': 1,
        'no category_id, and the categories name different keypoints': 1,
    }


def test_one_named_category_needs_no_category_id(convert):
    _, [info] = convert(
        [dict(image_id=1, keypoints=[11, 12, 1, 31, 32, 0])],
        categories=[dict(id=1, name='person', keypoints=FRONT)],
    )
    assert seen(info) == {'Nose': [11, 12]}


def test_other_things_are_not_people(convert):
    report, infos = convert(
        [dict(image_id=1, category_id=1), dict(image_id=1, category_id=3)],
        categories=[dict(id=1, name='person'), dict(id=3, name='car')],
    )
    assert len(infos) == 1 and report.reasons == {'category car is not person': 1}


@pytest.mark.parametrize(
    'keypoints',
    [
        [11, 12, None, 31, 32, 2],
        [11, 12, '2', 31, 32, 2],
        [11, float('nan'), 2, 31, 32, 2],
        [11, 12, 2, 31, 32],
        [[11, 12], [31, 32]],
        'x',
        {'a': 1},
    ],
)
def test_keypoints_that_are_no_triples_cost_their_row(convert, keypoints):
    categories = [dict(id=1, name='person', keypoints=FRONT)]
    report, infos = convert(
        [
            dict(image_id=1, category_id=1, keypoints=keypoints),
            dict(image_id=1, category_id=1, keypoints=[1, 2, 2, 3, 4, 2]),
        ],
        categories=categories,
    )
    assert len(infos) == 1
    assert report.reasons == {'keypoints are not x, y, v triples of numbers': 1}


def test_negative_visibility_is_refused(convert):
    report, _ = convert([dict(image_id=1, keypoints=[1, 2, -1] * 17), dict(image_id=1)])
    assert report.reasons == {'the visibility v of a keypoint is below 0': 1}


def test_ids_of_any_kind_and_unknown_ones(convert):
    images = [dict(id='1', file_name='a.jpg'), dict(id=2.0, file_name='a.jpg')]
    report, infos = convert(
        [dict(image_id=i) for i in (1, '1', 2, '2', 77, None, [1], True)] + [{}], images
    )
    assert len(infos) == 4
    assert report.reasons == {'image_id is not among the images': 5}


def test_faults_of_one_image_or_annotation_are_counted(convert):
    names = ['a.jpg', 7, None, 'x' * 5000 + '.jpg', '\udc80.jpg', '../x.jpg', 'a\\b.jpg']
    images = [dict(id=i, file_name=name) for i, name in enumerate(names)] + [dict(id=99)]
    boxes = [
        dict(bbox=box)
        for box in (
            [1, 2, 3],
            'x',
            [1, 2, None, 4],
            [1, 2, 1e12, 3],
            None,
            [1, 2, -3, 4],
            [1, 2, float('inf'), 4],
        )
    ]
    path_rows = [dict(image_id=i) for i in (*range(len(names)), 99)]
    content = dict(
        images=images,
        annotations=[
            *({**row, 'bbox': BOX} for row in path_rows),
            *({'image_id': 0, **b} for b in boxes),
            5,
        ],
    )
    report, infos = convert([], text=json.dumps(content))
    assert len(infos) == 1 and report.num_skipped == 15
    found = Counter(report.reasons)
    assert found['file_name of the image is not text'] == 3
    assert found['image not found'] == 3
    assert found['the name of the image leads out of the image folder'] == 1
    assert found['the annotation is not an object'] == 1
    assert sum(found.values()) == 15


def test_windows_separators_bom_and_utf16(convert, tmp_path, write_image):
    write_image(tmp_path / 'sub' / 'b.jpg')
    images = [dict(id=1, file_name='sub\\b.jpg')]
    for number, encoding in enumerate(('utf-8', 'utf-8-sig', 'utf-16', 'utf-16-be')):
        _, [info] = convert([dict(image_id=1)], images, encoding=encoding, name=f'e{number}')
        assert info['img_key'] == 'sub/b.jpg' and info['center'].tolist() == [30, 50]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(categories=[dict(id=1, keypoints=None)]), None),
        (dict(categories=[dict(id=1, keypoints=[1, 2])]), 'keypoints of category 1'),
        (dict(categories=[dict(id=1, keypoints=['nose', None])]), 'keypoints of category 1'),
        (dict(categories=[dict(name='person')]), 'COCO-style'),
        (
            dict(images=[dict(id=1, file_name='a.jpg'), dict(id='1', file_name='b.jpg')]),
            'two entries have the image id 1',
        ),
        (dict(text='[' * 100_000), 'not json'),
        (dict(text='[1]'), 'COCO-style'),
        (dict(text='{"images": [3], "annotations": []}'), 'COCO-style'),
        (dict(text='{"images": [], "annotations": 3}'), 'COCO-style'),
        (dict(text='null'), 'COCO-style'),
    ],
)
def test_files_that_are_none(convert, change, message):
    if message is None:
        assert len(convert([dict(image_id=1)], **change)[1]) == 1
        return
    with pytest.raises(DataSetError, match=message) as caught:
        convert([dict(image_id=1)], **change)
    assert '\n' not in str(caught.value)
