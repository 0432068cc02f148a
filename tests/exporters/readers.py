# SPDX-License-Identifier: Apache-2.0
"""Readers written from the words of the formats alone, and what they are to find."""

import json
import struct

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp


def read_bvh(path):
    """Names, parents, seconds of the rows, joints in the world (N, J, 3) as the file has them."""
    words = iter(path.read_text().split())
    names, parents, offsets, channels, open_joints, ends = [], [], [], [], [], 0
    assert next(words) == 'HIERARCHY'
    for word in words:
        if word in ('ROOT', 'JOINT'):
            names.append(next(words))
            parents.append(open_joints[-1] if open_joints else -1)
            open_joints.append(len(names) - 1)
            assert next(words) == '{'
        elif word == 'OFFSET':
            offset = [float(next(words)) for _ in range(3)]
            if open_joints[-1] is not None:
                offsets.append(offset)
        elif word == 'CHANNELS':
            channels.append([next(words) for _ in range(int(next(words)))])
        elif word == 'End':
            assert (next(words), next(words)) == ('Site', '{')
            open_joints.append(None)
            ends += 1
        elif word == '}':
            open_joints.pop()
        else:
            assert word == 'MOTION' and not open_joints
            break
    assert next(words) == 'Frames:'
    count = int(next(words))
    assert (next(words), next(words)) == ('Frame', 'Time:')
    step = float(next(words))
    values = np.array([float(word) for word in words]).reshape(count, sum(map(len, channels)))
    rows = iter(values.T)
    turns, places = [], []
    for number, parent in enumerate(parents):
        place, turn = np.tile(offsets[number], (count, 1)), np.tile(np.eye(3), (count, 1, 1))
        for channel in channels[number]:
            value, axis = next(rows), 'XYZ'.index(channel[0])
            if channel.endswith('position'):
                place[:, axis] += value
                continue
            one, two = (axis + 1) % 3, (axis + 2) % 3
            about = np.tile(np.eye(3), (count, 1, 1))
            cos, sin = np.cos(np.radians(value)), np.sin(np.radians(value))
            about[:, one, one], about[:, one, two] = cos, -sin
            about[:, two, one], about[:, two, two] = sin, cos
            turn = turn @ about
        if parent >= 0:
            place = places[parent] + np.einsum('nij,nj->ni', turns[parent], place)
            turn = turns[parent] @ turn
        places.append(place)
        turns.append(turn)
    assert ends == 5
    return names, parents, step * np.arange(count), np.stack(places, axis=1)


def joints_of(person, open_body, pelvis_row):
    """Joints of the posed body where the person stands, metres, y up, from the result alone."""
    rotmat = np.concatenate([person.global_orient[None], person.body_pose])
    out = open_body(torch.from_numpy(rotmat)[None], torch.from_numpy(person.betas)[None])
    origin = pelvis_row @ out.vertices[0].double().numpy()
    return (out.joints[0].double().numpy() - origin + person.translation) * [1, -1, -1]


def read_glb(path):
    """The JSON of a GLB file, and a function from accessor to array."""
    dtypes = {5121: '<u1', 5123: '<u2', 5125: '<u4', 5126: '<f4'}
    shapes = {'SCALAR': (), 'VEC3': (3,), 'VEC4': (4,), 'MAT4': (4, 4)}
    data = path.read_bytes()
    length = struct.unpack('<I', data[12:16])[0]
    content = json.loads(data[20 : 20 + length])
    binary = data[28 + length :]

    def array(number: int) -> np.ndarray:
        accessor = content['accessors'][number]
        shape = (accessor['count'], *shapes[accessor['type']])
        offset = content['bufferViews'][accessor['bufferView']]['byteOffset']
        kind = dtypes[accessor['componentType']]
        return np.frombuffer(binary, kind, int(np.prod(shape)), offset).reshape(shape)

    return content, array


class GlbPlayer:
    """Evaluates the skins of a file at a time, from the words of the glTF specification."""

    def __init__(self, content, array):
        self.nodes, self.array, self.content = content['nodes'], array, content
        self.parent = {c: n for n, node in enumerate(self.nodes) for c in node.get('children', [])}
        self.curves = {}
        for animation in content['animations']:
            for channel in animation['channels']:
                sampler = animation['samplers'][channel['sampler']]
                key = (channel['target']['node'], channel['target']['path'])
                self.curves[key] = (array(sampler['input']), array(sampler['output']),
                                    sampler['interpolation'])  # fmt: skip

    def value(self, node, path, time, default):
        """One property of a node."""
        if (node, path) not in self.curves:
            return np.array(self.nodes[node].get(path, default), float)
        times, values, how = self.curves[node, path]
        time = np.clip(time, times[0], times[-1])
        if how == 'STEP' or len(times) == 1:
            return values[np.searchsorted(times, time + 1e-6, side='right') - 1]
        row = int(np.clip(np.searchsorted(times, time) - 1, 0, len(times) - 2))
        times, values = times[row : row + 2], values[row : row + 2]
        if path == 'rotation':
            return Slerp(times, Rotation.from_quat(values))(time).as_quat()
        return np.array([np.interp(time, times, column) for column in values.T])

    def matrix(self, node, time, known=None):
        """Node to world; ``known`` keeps those of a time."""
        known = {} if known is None else known
        if node in known:
            return known[node]
        own = np.eye(4)
        turn = Rotation.from_quat(self.value(node, 'rotation', time, [0, 0, 0, 1])).as_matrix()
        own[:3, :3] = turn * self.value(node, 'scale', time, [1, 1, 1])
        own[:3, 3] = self.value(node, 'translation', time, [0, 0, 0])
        if node in self.parent:
            own = self.matrix(self.parent[node], time, known) @ own
        known[node] = own
        return own

    def joints(self, name, time):
        """Positions of the joints of a person, glTF axes."""
        skin = next(skin for skin in self.content['skins'] if skin['name'] == name)
        known = {}
        return np.stack([self.matrix(joint, time, known)[:3, 3] for joint in skin['joints']])

    def vertices(self, name, time):
        """Skinned positions, glTF axes."""
        node = next(n for n in self.nodes if n.get('name') == name + '_mesh')
        attributes = self.content['meshes'][node['mesh']]['primitives'][0]['attributes']
        skin = self.content['skins'][node['skin']]
        bind = self.array(skin['inverseBindMatrices']).transpose(0, 2, 1)
        joints = np.stack([self.matrix(j, time) for j in skin['joints']]) @ bind
        numbers, weights = self.array(attributes['JOINTS_0']), self.array(attributes['WEIGHTS_0'])
        blended = np.einsum('vk,vkij->vij', weights, joints[numbers])
        points = self.array(attributes['POSITION'])
        return np.einsum('vij,vj->vi', blended[:, :3, :3], points) + blended[:, :3, 3]


def read_recording(path):
    """Rows of a Rerun recording by Rerun's own reader: entity, component -> [(seconds, array)].

    Static data have None for the time.
    """
    from rerun.chunk import RrdReader

    found = {}
    for chunk in RrdReader(path).stream():
        batch = chunk.to_record_batch()
        clock = batch.column('video') if 'video' in batch.schema.names else None
        for name in batch.schema.names:
            if ':' not in name:
                continue
            rows = found.setdefault((chunk.entity_path, name), [])
            for row, value in enumerate(batch.column(name)):
                if value.is_valid:
                    time = None if clock is None else clock[row].value / 1e9
                    rows.append((time, np.array(value.as_py())))
    return found
