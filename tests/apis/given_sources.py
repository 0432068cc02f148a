# SPDX-License-Identifier: Apache-2.0
"""Sources and the boxes that are given for them."""

from fastmetro_mm.apis.given import Given
from fastmetro_mm.apis.source import Source

A, B = [1, 2, 3, 4], [5, 6, 7, 8]


def images(*names, in_list=False):
    return Source(iter(()), 'folder', list(names), in_list=in_list, length=len(names))


def video(length, name='/films/clip.mp4', count=None):
    return Source(iter(()), name, is_video=True, length=length, count=count)


def people(value, source, index=0, **options):
    return Given(value, **options).for_source(source).people(index)
