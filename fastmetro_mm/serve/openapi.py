# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI description of the interface."""

from collections.abc import Sequence
from typing import Any

from fastmetro_mm import __version__
from fastmetro_mm.serve.arguments import FLAG, MOST_PEOPLE, PEOPLE
from fastmetro_mm.serve.job import STATES

_NUMBER = {'type': 'number'}
_OPTIONAL_NUMBER = {'type': ['number', 'null']}
_INTEGER = {'type': 'integer'}
_TEXT = {'type': 'string'}
_FLAG = {'type': 'string', 'enum': list(FLAG)}
_TINY = 'P2\n8 8\n255\n' + '128 ' * 64 + '\n'  # netpbm: an image without bytes that are no text
_WHY = {
    400: 'an argument or the file is of no use',
    403: 'the request comes from the page of another address',
    404: 'there is no such job, frame or format',
    408: 'sending the file took too long',
    409: 'the job is not done yet',
    413: 'the file, its frames or its length are too large',
    415: 'the file is neither an image nor a video',
    422: 'these people cannot be exported that way',
    503: 'too much is waiting; Retry-After tells when to ask again',
}


def description(kinds: Sequence[str], levels: Sequence[int]) -> dict[str, Any]:
    """The description.

    Args:
        kinds: Formats of downloads.
        levels: Vertices of the meshes there are, finest first.

    Returns:
        OpenAPI 3.1, ready for JSON.
    """
    job = _path('job', {'type': 'string', 'minLength': 1})
    frame = _path('frame', {'type': 'integer', 'minimum': 0})
    about = _operation('about', 'The network, its triangles, formats and limits', 'About')
    progress = _operation('job', 'How far a job is', 'Job', [job], 200, (404,))
    remove = _operation('remove', 'Cancel a job and delete its files', None, [job], 204, (403, 404))
    people = _operation('frame', 'People of a frame', 'Frame', [job, frame], 200, (404,))
    image = _operation('image', 'Image of a frame', None, [job, frame], 200, (404,))
    image['responses']['200']['content'] = {'image/jpeg': {'schema': _TEXT}}
    return {
        'openapi': '3.1.0',
        'info': {
            'title': 'fastmetro serve',
            'version': __version__,
            'description': 'Send a photo or a video, watch the job, fetch meshes and files.',
            'license': {'name': 'Apache-2.0', 'identifier': 'Apache-2.0'},
        },
        'paths': {
            '/api/about': {'get': about},
            '/api/jobs': {'post': _upload()},
            '/api/jobs/{job}': {'get': progress, 'delete': remove},
            '/api/jobs/{job}/frames/{frame}': {'get': people},
            '/api/jobs/{job}/frames/{frame}/image': {'get': image},
            '/api/jobs/{job}/files/{kind}': {'get': _file(job, kinds, levels)},
        },
        'components': {
            'schemas': {
                'About': _object(
                    version=_TEXT,
                    body=_TEXT,
                    is_hand={'type': 'boolean'},
                    faces=_list(_TEXT, 'triangles, little-endian uint16 as base64'),
                    formats=_list({'type': 'string', 'enum': list(kinds)}),
                    levels=_list(_INTEGER, 'vertices of the levels of detail'),
                    limits={'type': 'object', 'additionalProperties': _INTEGER},
                ),
                'Job': _object(
                    id=_TEXT,
                    name=_TEXT,
                    kind={'type': 'string', 'enum': ['image', 'video']},
                    state={'type': 'string', 'enum': list(STATES)},
                    frames_done=_INTEGER,
                    frames={'type': ['integer', 'null']},
                    fps=_OPTIONAL_NUMBER,
                    size={'type': ['array', 'null'], 'items': _INTEGER},
                    times=_list(_OPTIONAL_NUMBER, 'seconds of the frames that are done'),
                    people=_list(_object(number=_INTEGER, frames=_INTEGER, color=_list(_NUMBER))),
                    notes=_list(_TEXT),
                    error={'type': ['string', 'null']},
                ),
                'Frame': _object(
                    frame=_INTEGER,
                    time=_OPTIONAL_NUMBER,
                    size=_list(_INTEGER),
                    intrinsics=_list(_list(_NUMBER), 'pixels'),
                    people=_list(
                        _object(
                            number=_INTEGER,
                            box=_list(_NUMBER, 'x1 y1 x2 y2, pixels'),
                            score=_NUMBER,
                            color=_list(_NUMBER),
                            faces={'type': 'integer', 'description': 'place in faces of About'},
                            vertices={
                                'type': ['string', 'null'],
                                'description': 'metres before the camera, x right, y up, z towards '
                                'it; little-endian float32 as base64',
                            },
                        )
                    ),
                ),
                'Error': _object(error=_TEXT),
            }
        },
    }


def _upload() -> dict[str, Any]:
    parameters = [
        _query('name', 'Name of the file', _TEXT),
        _query('smooth', 'Whether to smooth the people of a video', _FLAG),
    ]
    operation = _operation(
        'upload', 'Send a photo or a video; a job begins', 'Job', parameters, 201,
        (400, 403, 408, 413, 415, 503),
    )  # fmt: skip
    operation['responses']['201']['headers'] = {
        'location': {'description': 'Address of the job', 'required': True, 'schema': _TEXT}
    }
    operation['responses']['201']['links'] = {
        name: {'operationId': name, 'parameters': {'job': '$response.body#/id'}}
        for name in ('job', 'frame', 'image', 'file', 'remove')
    }
    operation['requestBody'] = {
        'required': True,
        'description': 'The file itself, as it is on the disk',
        'content': {
            'application/octet-stream': {
                'schema': {'type': 'string', 'minLength': 1},
                'examples': {'tiny': {'summary': 'A grey image as text', 'value': _TINY}},
            }
        },
    }
    return operation


def _file(job: dict[str, Any], kinds: Sequence[str], levels: Sequence[int]) -> dict[str, Any]:
    kind = _path('kind', {'type': 'string', 'enum': list(kinds)})
    people = _query(
        'people',
        'Numbers of the people who are wanted, with commas between them; all if left out',
        {'type': 'string', 'pattern': f'^{PEOPLE}$', 'maxLength': MOST_PEOPLE},
    )
    lod = _query(
        'lod',
        'Vertices of the meshes of obj, ply, glb, html and rrd; all if left out',
        {'type': 'integer', 'enum': list(levels)},
    )
    floor = _query(
        'floor',
        'smpl, bvh, amass and the glb of a video: gravity down and everybody on one floor, for '
        'cameras that do not move',
        _FLAG,
    )
    foot_lock = _query('foot_lock', 'With floor: feet that touch it stand still', _FLAG)
    operation = _operation(
        'file', 'Results as a file, or as an archive of files', None,
        [job, kind, people, lod, floor, foot_lock], 200, (400, 404, 409, 422, 503),
    )  # fmt: skip
    operation['responses']['200']['content'] = {'application/octet-stream': {'schema': _TEXT}}
    return operation


def _operation(
    name: str,
    summary: str,
    schema: str | None,
    parameters: Sequence[dict] = (),
    status: int = 200,
    refusals: Sequence[int] = (),
) -> dict[str, Any]:
    answer: dict[str, Any] = {'description': summary}
    if schema is not None:
        answer['content'] = {'application/json': {'schema': _reference(schema)}}
    error = {'application/json': {'schema': _reference('Error')}}
    return {
        'operationId': name,
        'summary': summary,
        'parameters': list(parameters),
        'responses': {
            str(status): answer,
            **{str(code): {'description': _WHY[code], 'content': error} for code in refusals},
        },
    }


def _path(name: str, schema: dict) -> dict[str, Any]:
    return {'name': name, 'in': 'path', 'required': True, 'schema': schema}


def _query(name: str, text: str, schema: dict) -> dict[str, Any]:
    return {'name': name, 'in': 'query', 'description': text, 'schema': schema}


def _reference(schema: str) -> dict[str, str]:
    return {'$ref': f'#/components/schemas/{schema}'}


def _object(**properties: Any) -> dict[str, Any]:
    return {'type': 'object', 'properties': properties, 'required': list(properties)}


def _list(items: dict, text: str | None = None) -> dict[str, Any]:
    return {'type': 'array', 'items': items, **({'description': text} if text else {})}
