"""`keras.preprocessing.image`: reading, writing and changing pictures, and batches of them.

Pillow, the extra `images`, reads the files, and SciPy turns the pictures. Both are imported when they are needed.
"""

# isort: off
from minigrad.preprocessing.image.file_iterators import DataFrameIterator, DirectoryIterator
from minigrad.preprocessing.image.files import array_to_img, img_to_array, load_img, save_img
from minigrad.preprocessing.image.generator import ImageDataGenerator
from minigrad.preprocessing.image.iterators import Iterator, NumpyArrayIterator
from minigrad.preprocessing.image.transforms import (
    apply_affine_transform, apply_brightness_shift, apply_channel_shift, random_brightness, random_channel_shift,
    random_rotation, random_shear, random_shift, random_zoom, smart_resize,
)  # fmt: skip
# isort: on
from minigrad.names import public

__all__ = public(globals())
