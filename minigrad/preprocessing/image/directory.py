"""image_dataset_from_directory: the pictures of a folder as a Dataset."""

import os

import numpy as np

from minigrad.ops.image import check_interpolation, resize
from minigrad.preprocessing.image.files import channels_of, checked_size, img_to_array, load_img, only_channels_last
from minigrad.utils import PyDataset
from minigrad.utils.directories import labeled_files
from minigrad.utils.pipeline import Dataset, Passes

_FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_WORKERS = min(4, os.cpu_count() or 1)


def image_dataset_from_directory(
    directory, labels="inferred", label_mode="int", class_names=None, color_mode="rgb", batch_size=32,
    image_size=(256, 256), shuffle=True, seed=None, validation_split=None, subset=None, interpolation="bilinear",
    follow_links=False, crop_to_aspect_ratio=False, pad_to_aspect_ratio=False, data_format=None, format="tf",
    verbose=True,
):  # fmt: skip
    """The pictures of a folder as a Dataset of batches (pictures, labels); with subset="both", a list of two.

    Pictures are tensors (rows, height, width, channels) of float32 from 0 to 255, and are read when their batch comes,
    by a few threads. The Dataset has `class_names` and `file_paths`.

    Args:
        labels: "inferred" (the folder of a picture is its class), a list of integers for the files in the order of
            their paths, or None.
        label_mode: "int" (rows,), "binary" (rows, 1), "categorical" (rows, classes), or None (no labels).
        class_names: the folders, in the order of their numbers; by default all, sorted.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: None gives one picture at a time.
        image_size: (height, width). The proportions are lost, unless crop_to_aspect_ratio cuts off what is too much,
            or pad_to_aspect_ratio puts zeros where it is too little.
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3" or "lanczos5".
        shuffle: whether the pictures come in a new order in each pass; else in the order of their paths.
        seed: of the shuffle, and of which pictures are in a subset.
        validation_split: the share of the pictures to validate on. subset: "training", "validation" or "both".
        follow_links: whether links to folders are followed.
        verbose: whether to print how many files there are.

    Raises:
        ValueError: the arguments do not fit, or there is no picture.
    """
    check_interpolation("image_dataset_from_directory", interpolation.lower())
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("Only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True.")
    channels_of(color_mode)
    only_channels_last(data_format, "image_dataset_from_directory")
    how = {
        "color_mode": color_mode, "size": checked_size(image_size, "image_size"),
        "interpolation": interpolation.lower(), "crop": crop_to_aspect_ratio, "pad": pad_to_aspect_ratio,
    }  # fmt: skip
    class_names, seed, parts = labeled_files(
        directory, _FORMATS, labels, label_mode, class_names, shuffle, seed, validation_split, subset, follow_links,
        verbose,
    )  # fmt: skip
    made = []
    for part, paths, targets in parts:
        is_shuffled = shuffle and not (subset == "both" and part == "validation")
        made.append(_Reader(paths, targets, how).dataset(batch_size, Passes(seed) if is_shuffled else None))
        made[-1].class_names, made[-1].file_paths = class_names, paths
    return made if subset == "both" else made[0]


class _Reader(PyDataset):
    """Batches of picture files: an index is the rows of a batch, or a row."""

    def __init__(self, paths, targets, how):
        super().__init__(workers=_WORKERS, max_queue_size=_WORKERS + 1)
        self.paths, self.targets, self.how = paths, targets, how

    def dataset(self, batch_size, passes):
        """The Dataset of these files, shuffled if there are Passes."""
        count = len(self.paths)
        starts = range(0, count, batch_size or 1)

        def make():
            order = np.arange(count) if passes is None else passes.begin().permutation(count)
            return self.batches([order[i : i + batch_size] if batch_size else order[i] for i in starts])

        return Dataset(make, len(starts), [] if passes is None else [passes])

    def __getitem__(self, rows):
        x = np.stack([self._picture(row) for row in rows]) if np.ndim(rows) else self._picture(rows)
        return x if self.targets is None else (x, self.targets[rows])

    def _picture(self, row):
        how, size = self.how, self.how["size"]
        with load_img(self.paths[row], how["color_mode"]) as img:
            x = img_to_array(img, dtype="float32")
        if not how["pad"]:
            return np.asarray(resize(x, size, how["interpolation"], crop_to_aspect_ratio=how["crop"]))
        ratio = max(old / new for old, new in zip(x.shape, size))
        height, width = (int(old / ratio) for old in x.shape[:2])
        top, left = (int((new - old / ratio) / 2) for old, new in zip(x.shape, size))
        y = np.zeros((*size, x.shape[2]), "float32")
        y[top : top + height, left : left + width] = np.asarray(resize(x, (height, width), how["interpolation"]))
        return y
