"""ImageDataGenerator: what is done to each picture of a batch; its `flow...` methods make the batches."""

import numpy as np

from minigrad import config
from minigrad.checks import is_number, warn
from minigrad.configurable import Configurable
from minigrad.preprocessing.image.file_iterators import DataFrameIterator, DirectoryIterator
from minigrad.preprocessing.image.files import only_channels_last
from minigrad.preprocessing.image.iterators import NumpyArrayIterator
from minigrad.preprocessing.image.transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    pair,
    random_zooms,
)
from minigrad.spelling import explaining

_OLD = {  # arguments of flow_from_dataframe that older Keras had
    "has_ext": "file names must be those on the disk, with their extensions",
    "sort": "the pictures come in the order of the data frame, if shuffle=False",
    "drop_duplicates": "call dataframe.drop_duplicates() before",
}


class ImageDataGenerator(Configurable, is_member=False):
    """Batches of pictures, each changed at random and then standardized.

    Random changes draw from NumPy's global generator as Keras does: the same seed gives the same pictures. They are, in
    this order: rotation, shift, shear, zoom (one affine map), channel shift, flips, brightness. Then come
    preprocessing_function, rescale, samplewise and featurewise statistics, whitening.

    Args:
        featurewise_center, featurewise_std_normalization: subtract the mean, divide by the deviation of each channel,
            over the data that `fit` is given.
        samplewise_center, samplewise_std_normalization: the same with the mean and deviation of each picture.
        zca_whitening: remove correlations between pixels, known from `fit`. zca_epsilon: is added to the divisor.
        rotation_range: turn by up to so many degrees. shear_range: shear by up to so many degrees.
        width_shift_range, height_shift_range: move by up to a share of the size (below 1) or by up to so many pixels;
            an int n stands for whole pixels below n, a list for one of its values, with either sign.
        zoom_range: (low, high), or a number z for (1 - z, 1 + z).
        brightness_range: (low, high) of a factor. channel_shift_range: add up to so much to all channels.
        fill_mode, cval: what lies outside of the picture, "nearest", "constant" (cval), "reflect" or "wrap".
        horizontal_flip, vertical_flip: mirror every other picture.
        rescale: a factor, such as 1/255. preprocessing_function: a function of one picture.
        validation_split: the share of the pictures, from the start, that subset="validation" has.
        interpolation_order: of the affine map's splines. dtype: of the batches, by default floatx.

    Example:
        train = ImageDataGenerator(rescale=1/255, horizontal_flip=True, validation_split=0.2)
        model.fit(train.flow_from_directory("pictures", target_size=(64, 64), subset="training"))
    """

    channel_axis, row_axis, col_axis = 3, 1, 2
    mean = std = zca_whitening_matrix = None

    arguments = {
        "featurewise_center": False, "samplewise_center": False, "featurewise_std_normalization": False,
        "samplewise_std_normalization": False, "zca_whitening": False, "zca_epsilon": 1e-6, "rotation_range": 0,
        "width_shift_range": 0.0, "height_shift_range": 0.0, "brightness_range": None, "shear_range": 0.0,
        "zoom_range": 0.0, "channel_shift_range": 0.0, "fill_mode": "nearest", "cval": 0.0, "horizontal_flip": False,
        "vertical_flip": False, "rescale": None, "preprocessing_function": None, "data_format": None,
        "validation_split": 0.0, "interpolation_order": 1, "dtype": None,
    }  # fmt: skip

    def _settle(self):
        only_channels_last(self.data_format, "ImageDataGenerator")
        if self.validation_split and not 0 < self.validation_split < 1:
            raise ValueError(f"validation_split must be between 0 and 1, got {self.validation_split!r}.")
        if self.fill_mode not in ("nearest", "constant", "reflect", "wrap"):
            raise ValueError(f"fill_mode must be 'nearest', 'constant', 'reflect' or 'wrap', got {self.fill_mode!r}.")
        zoom, brightness = self.zoom_range, self.brightness_range
        self.zoom_range = list(pair((1 - zoom, 1 + zoom) if is_number(zoom) else zoom, "zoom_range"))
        self.brightness_range = None if brightness is None else pair(brightness, "brightness_range")
        self.data_format, self.dtype = "channels_last", self.dtype or config.floatx()
        if self.zca_whitening:
            self._set("featurewise_center", True, "zca_whitening")
            self._set("featurewise_std_normalization", False, "zca_whitening")
        if self.featurewise_std_normalization:
            self._set("featurewise_center", True, "featurewise_std_normalization")
        if self.samplewise_std_normalization:
            self._set("samplewise_center", True, "samplewise_std_normalization")

    def _set(self, name, value, because):
        if bool(getattr(self, name)) != value:
            setattr(self, name, value)
            warn(f"ImageDataGenerator: {because} needs {name}={value}, and sets it.")

    # ------------------------------------------------------------------------------------------------- batches

    def flow(
        self, x, y=None, batch_size=32, shuffle=True, sample_weight=None, seed=None, save_to_dir=None, save_prefix="",
        save_format="png", ignore_class_split=False, subset=None,
    ):  # fmt: skip
        """Batches of the pictures in an array: see `NumpyArrayIterator`."""
        return NumpyArrayIterator(
            x, y, self, batch_size, shuffle, sample_weight, seed, None, save_to_dir, save_prefix, save_format, subset,
            ignore_class_split, self.dtype,
        )  # fmt: skip

    @explaining
    def flow_from_directory(
        self, directory, target_size=(256, 256), color_mode="rgb", classes=None, class_mode="categorical",
        batch_size=32, shuffle=True, seed=None, save_to_dir=None, save_prefix="", save_format="png",
        follow_links=False, subset=None, interpolation="nearest", keep_aspect_ratio=False,
    ):  # fmt: skip
        """Batches of the pictures in a folder that has a folder per class: see `DirectoryIterator`."""
        return DirectoryIterator(
            directory, self, target_size, color_mode, classes, class_mode, batch_size, shuffle, seed, None,
            save_to_dir, save_prefix, save_format, follow_links, subset, interpolation, keep_aspect_ratio, self.dtype,
        )  # fmt: skip

    def flow_from_dataframe(
        self, dataframe, directory=None, x_col="filename", y_col="class", weight_col=None, target_size=(256, 256),
        color_mode="rgb", classes=None, class_mode="categorical", batch_size=32, shuffle=True, seed=None,
        save_to_dir=None, save_prefix="", save_format="png", subset=None, interpolation="nearest",
        validate_filenames=True, **kwargs,
    ):  # fmt: skip
        """Batches of the pictures whose files a data frame names: see `DataFrameIterator`."""
        for name in kwargs:
            if name not in _OLD:
                raise TypeError(f"flow_from_dataframe got an unexpected argument {name!r}.")
            warn(f"flow_from_dataframe: {name} has no effect; {_OLD[name]}.")
        if class_mode == "other":
            warn("flow_from_dataframe: class_mode='other' is called 'raw' today.")
            class_mode = "raw"
        return DataFrameIterator(
            dataframe, directory, self, x_col, y_col, weight_col, target_size, color_mode, classes, class_mode,
            batch_size, shuffle, seed, None, save_to_dir, save_prefix, save_format, subset, interpolation,
            dtype=self.dtype, validate_filenames=validate_filenames,
        )  # fmt: skip

    # -------------------------------------------------------------------------------------------- one picture

    def get_random_transform(self, img_shape, seed=None):
        """A dict of what is to be done to a picture of this shape, drawn at random.

        Its keys: theta, tx, ty, shear, zx, zy, flip_horizontal, flip_vertical, channel_shift_intensity, brightness.
        """
        if seed is not None:
            np.random.seed(seed)
        drawn = {"theta": _up_to(self.rotation_range)}
        drawn["tx"] = _shift(self.height_shift_range, img_shape[0])
        drawn["ty"] = _shift(self.width_shift_range, img_shape[1])
        drawn["shear"] = _up_to(self.shear_range)
        drawn["zx"], drawn["zy"] = random_zooms(self.zoom_range)
        drawn["flip_horizontal"] = (np.random.random() < 0.5) * self.horizontal_flip
        drawn["flip_vertical"] = (np.random.random() < 0.5) * self.vertical_flip
        drawn["channel_shift_intensity"] = _up_to(self.channel_shift_range, none=None)
        bounds = self.brightness_range
        drawn["brightness"] = None if bounds is None else np.random.uniform(*bounds)
        return drawn

    def apply_transform(self, x, transform_parameters):
        """A picture (height, width, channels), changed as a dict of `get_random_transform` says."""
        given = transform_parameters.get
        x = apply_affine_transform(
            x, given("theta", 0), given("tx", 0), given("ty", 0), given("shear", 0), given("zx", 1), given("zy", 1),
            0, 1, 2, self.fill_mode, self.cval, self.interpolation_order,
        )  # fmt: skip
        if given("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, given("channel_shift_intensity"), 2)
        if given("flip_horizontal", False):
            x = x[:, ::-1]
        if given("flip_vertical", False):
            x = x[::-1]
        if given("brightness") is not None:
            x = apply_brightness_shift(x, given("brightness"), False)
        return x

    def random_transform(self, x, seed=None):
        """A picture, changed at random."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def standardize(self, x):
        """A picture (or a batch of them) of floats, standardized; the array itself is changed."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + 1e-6
        if self.featurewise_center and self._knows("mean", "featurewise_center"):
            x -= self.mean
        if self.featurewise_std_normalization and self._knows("std", "featurewise_std_normalization"):
            x /= self.std + 1e-6
        if self.zca_whitening and self._knows("zca_whitening_matrix", "zca_whitening"):
            x = (x.reshape(-1, len(self.zca_whitening_matrix)) @ self.zca_whitening_matrix).reshape(x.shape)
        return x

    def _knows(self, name, purpose):
        """Whether `fit` has computed a statistic; a warning if not."""
        if getattr(self, name) is None:
            warn(f"ImageDataGenerator: {purpose} does nothing before fit(x) has been called on some of the data.")
        return getattr(self, name) is not None

    def fit(self, x, augment=False, rounds=1, seed=None):
        """Compute the featurewise statistics and the whitening matrix from pictures (rows, height, width, channels).

        Args:
            augment: whether from randomly changed pictures; rounds: how many passes of them.
            seed: for NumPy's global generator.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ValueError(f"fit expects pictures (rows, height, width, channels); got the shape {x.shape}.")
        if seed is not None:
            np.random.seed(seed)
        if self.rescale:
            x *= self.rescale
        if augment:
            x = np.array([self.random_transform(one) for _ in range(rounds) for one in x], dtype=self.dtype)
        if self.featurewise_center:
            self.mean = np.mean(x, axis=(0, 1, 2))[None, None]
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axis=(0, 1, 2))[None, None]
            x /= self.std + 1e-6
        if self.zca_whitening:
            u, s, _ = np.linalg.svd(x.reshape(len(x), -1).T, full_matrices=False)
            self.zca_whitening_matrix = (u * (np.sqrt(len(x)) / (s + self.zca_epsilon))).dot(u.T)


def _up_to(limit, none=0):
    """A number between -limit and limit; `none` where the limit is 0."""
    return np.random.uniform(-limit, limit) if limit else none


def _shift(limit, size):
    """A shift in pixels along an axis of so many pixels: see ImageDataGenerator."""
    if not (len(limit) if np.ndim(limit) else limit):
        return 0
    try:  # an int, or a list of values
        shift = np.random.choice(limit)
        shift *= np.random.choice([-1, 1])
    except ValueError:
        shift = np.random.uniform(-limit, limit)
    return shift * size if np.max(limit) < 1 else shift
