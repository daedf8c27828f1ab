"""Small picture files of two classes, written with Pillow, for the tests of pictures and their peers."""

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")


def write(folder, count=7, size=(13, 17), modes=("RGB",), ending="png"):
    """Write folder/cats/0.png ... and folder/dogs/0.png ...; returns the names, sorted."""
    rng = np.random.default_rng(len(str(count)))
    names = []
    for kind in ("cats", "dogs"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            name = f"{kind}/{i}.{ending}"
            picture(rng, size[0] + i % 3, size[1] + i % 2, modes[i % len(modes)]).save(folder / name)
            names.append(name)
    return names


def picture(rng, height, width, mode="RGB"):
    """A smooth random picture of Pillow."""
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    rough = rng.integers(0, 256, (height // 4 + 2, width // 4 + 2, channels), "uint8")
    small = Image.fromarray(rough if channels > 1 else rough[..., 0])
    return small.resize((width, height), Image.Resampling.BICUBIC)
