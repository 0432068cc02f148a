# SPDX-License-Identifier: Apache-2.0
"""The one list of image and video endings, and what a file is by its first bytes."""

from __future__ import annotations

IMAGE_ENDINGS = (
    '.jpg', '.jpeg', '.jpe', '.jfif', '.mpo', '.png', '.apng', '.bmp', '.dib', '.webp', '.tif',
    '.tiff', '.avif', '.heic', '.heif', '.hif', '.jp2', '.ppm', '.pgm', '.pbm', '.pnm')  # fmt: skip
"""Endings that are taken for images in folders; a file given by name may have any."""

VIDEO_ENDINGS = (
    '.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv', '.gif', '.ts',
    '.mts', '.m2ts', '.3gp', '.3g2', '.flv', '.ogv', '.asf', '.vob', '.mxf', '.qt', '.mjpeg',
    '.mjpg', '.h264', '.y4m')  # fmt: skip
"""Endings that are taken for videos; a file of another ending is one if its first bytes say so."""

HEIF_FIX = 'HEIC needs one more package: pip install pillow-heif, or save the image as .jpg'

_HEIF_BRANDS = (b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1', b'heif')
_IMAGE_STARTS = {
    b'\xff\xd8': 'jpeg', b'\x89PNG\r\n\x1a\n': 'png', b'BM': 'bmp',
    b'II*\0': 'tiff', b'MM\0*': 'tiff', b'II+\0': 'tiff', b'MM\0+': 'tiff',
    b'\0\0\0\x0cjP  ': 'jp2', b'\xff\x4f\xff\x51': 'jp2',
}  # fmt: skip
_VIDEO_STARTS = (
    b'\x1a\x45\xdf\xa3', b'FLV\x01', b'OggS', b'\x30\x26\xb2\x75\x8e\x66\xcf\x11', b'GIF8',
    b'\0\0\x01\xba', b'\0\0\x01\xb3', b'YUV4MPEG2 ', b'\x06\x0e\x2b\x34',
)  # fmt: skip
_TS_PACKET = 188  # bytes; each begins with 0x47
_NOT_IMAGES = {
    b'version https://git-lfs': 'a Git LFS pointer, not the file itself: run git lfs pull',
    b'<!doctype': 'a web page: download the file itself',
    b'<html': 'a web page: download the file itself',
    b'%pdf': 'a PDF: save its page as .jpg or .png',
    b'<svg': 'an SVG drawing: save it as .png',
    b'pk\x03\x04': 'a zip archive: unpack it',
    b'8bps': 'a Photoshop file: save it as .jpg or .png',
}


def kind_of(start: bytes) -> str:
    """What a file is by its first bytes.

    Args:
        start: The first bytes of the file; 400 are enough.

    Returns:
        ``jpeg``, ``png``, ``webp``, ``avif``, ``heif``, ``tiff``, ``bmp``, ``jp2``, ``netpbm``,
        ``video``, or ``''`` for anything else. A GIF counts as a video.
    """
    for known, kind in _IMAGE_STARTS.items():
        if start.startswith(known):
            return kind
    if start[:4] == b'RIFF':
        return {b'WEBP': 'webp', b'AVI ': 'video'}.get(start[8:12], '')
    if start[4:8] == b'ftyp':
        brands = {start[place : place + 4] for place in range(8, min(len(start), 64), 4)}
        if brands & {b'avif', b'avis'}:
            return 'avif'
        return 'heif' if start[8:12] in _HEIF_BRANDS else 'video'
    if start[4:8] in (b'moov', b'mdat', b'wide', b'free', b'skip'):
        return 'video'  # QuickTime before it had file types
    if start[:1] == b'P' and start[1:2] in b'123456' and start[2:3].isspace():
        return 'netpbm'
    if start.startswith(_VIDEO_STARTS):
        return 'video'
    packets = start[: 2 * _TS_PACKET + 1 : _TS_PACKET]
    return 'video' if packets == b'GGG' else ''


def what_else(start: bytes) -> str | None:
    """What a file that is no image seems to be, with the fix.

    Args:
        start: The first bytes of the file.

    Returns:
        End of a sentence, or None if nothing is known about it.
    """
    if not start:
        return 'empty: the download or copy was probably cut off'
    if not start.strip(b'\0'):
        return 'nothing but zeros: the copy is damaged, fetch the file again'
    text = start.lstrip(b'\xef\xbb\xbf \r\n\t').lower()
    return next((what for known, what in _NOT_IMAGES.items() if text.startswith(known)), None)
