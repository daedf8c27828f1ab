"""Pictures beside the real Keras: the same files, arguments and seeds give the same batches, mostly to the bit."""

import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad

sys.path.insert(0, str(Path(__file__).parents[1]))
import image_files

pytestmark = pytest.mark.peers
pd = pytest.importorskip("pandas")
OURS = minigrad.preprocessing.image


@pytest.fixture
def theirs(keras):
    from keras._tf_keras.keras.preprocessing import image

    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    image_files.write(folder, 7, modes=("RGB", "L", "RGBA"))
    return folder


def both(theirs, use, seed=3):
    """What a function of the module makes of NumPy's generator in the same state, and the state afterwards."""
    found = []
    for module in (OURS, theirs):
        np.random.seed(seed)
        found.append((use(module), np.random.random()))
    return found


def assert_same(ours, theirs, rtol=0.0, atol=0.0):
    """The same values and dtypes in lists, tuples and dicts."""
    assert type(ours) is type(theirs) or not isinstance(theirs, (list, tuple, dict))
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs):
            assert_same(one, other, rtol, atol)
        return
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol, atol) if rtol or atol else np.testing.assert_array_equal(ours, theirs)


X = np.random.default_rng(0).integers(0, 256, (11, 9, 10, 3)).astype("float32")
Y = np.arange(11) % 3


@pytest.mark.parametrize("options", [
    {}, {"color_mode": "grayscale"}, {"color_mode": "rgba"}, {"target_size": (5, 8)},
    {"target_size": (30, 20), "interpolation": "bilinear"}, {"target_size": (6, 6), "interpolation": "bicubic", "keep_aspect_ratio": True},
    {"target_size": (20, 6), "interpolation": "lanczos", "keep_aspect_ratio": True}, {"target_size": [7, 7], "interpolation": "hamming"},
    {"target_size": (7, 7), "interpolation": "box"}, {"color_mode": "grayscale", "target_size": (8, 9), "interpolation": "bilinear"},
])  # fmt: skip
def test_reading_and_writing(options, theirs, folder, tmp_path):
    for number in range(3):
        def use(module, number=number):
            array = module.img_to_array(module.load_img(folder / "cats" / f"{number}.png", **options))
            for scale in (True, False):
                module.save_img(tmp_path / "x.png", array, scale=scale)
            again = module.img_to_array(module.load_img(str(tmp_path / "x.png"), "rgba"), dtype="uint8")
            turned = module.img_to_array(module.array_to_img(array / 3 - 9), data_format="channels_first")
            return array, again, turned

        (ours, _), (other, _) = both(theirs, use)
        assert_same(ours, other)


CHANGES = [
    {}, {"rotation_range": 40}, {"width_shift_range": 0.3}, {"height_shift_range": 0.3}, {"width_shift_range": 3},
    {"height_shift_range": [1, 2, 4]}, {"width_shift_range": [0.1, 0.2]}, {"height_shift_range": 2.5}, {"shear_range": 20}, {"zoom_range": 0.4},
    {"zoom_range": (0.5, 1.0)}, {"channel_shift_range": 50.0}, {"brightness_range": (0.5, 1.5)}, {"horizontal_flip": True}, {"vertical_flip": True},
    {"rescale": 1 / 255}, {"samplewise_center": True}, {"samplewise_std_normalization": True}, {"featurewise_center": True},
    {"featurewise_std_normalization": True}, {"zca_whitening": True}, {"zca_whitening": True, "zca_epsilon": 0.1, "rescale": 1 / 255},
    {"preprocessing_function": lambda x: x + np.random.normal(size=x.shape), "horizontal_flip": True},
    {"rotation_range": 30, "width_shift_range": 0.2, "height_shift_range": 0.1, "shear_range": 15, "zoom_range": 0.2, "horizontal_flip": True,
     "vertical_flip": True, "channel_shift_range": 20.0, "brightness_range": [0.7, 1.2], "rescale": 1 / 255, "samplewise_center": True},
    *({"rotation_range": 60, "zoom_range": 0.5, "fill_mode": mode, "cval": 30.0} for mode in ("nearest", "constant", "reflect", "wrap")),
    {"rotation_range": 60, "interpolation_order": 3, "dtype": "float64"}, {"rotation_range": 60, "interpolation_order": 0},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", CHANGES, ids=lambda options: "-".join(options))
@pytest.mark.parametrize("seed", [None, 5])
def test_changing(options, seed, theirs):
    """fit, flow over two passes by `next`, single batches, and the functions for one picture."""
    def use(module):
        generator = module.ImageDataGenerator(**options)
        generator.fit(X, augment=seed is not None, rounds=2, seed=seed)
        flow = generator.flow(X, Y, batch_size=4, seed=seed)
        found = [next(flow) for _ in range(len(flow) + 2)]
        flow.reset()
        found += [next(flow), flow[0], flow[2]]
        flow.on_epoch_end()
        found += [flow[1], (generator.random_transform(X[1]), generator.random_transform(X[2], seed=4))]
        drawn = generator.get_random_transform((9, 10, 3))
        return found, [float(v) for v in drawn.values() if v is not None], generator.apply_transform(X[3], drawn)

    (ours, after), (other, expected) = both(theirs, use)
    assert_same(ours, other)
    assert after == expected


@pytest.mark.parametrize("options", [
    {"y": Y, "shuffle": False}, {"y": None}, {"y": Y, "sample_weight": Y * 2.0}, {"x": (X, Y[:, None])}, {"x": (X, [Y, Y + 1]), "y": Y},
    {"y": Y, "batch_size": 11}, {"y": Y, "batch_size": 50}, {"y": np.eye(3)[Y], "seed": 1},
    {"y": Y % 2, "subset": "training"}, {"y": Y % 2, "subset": "validation"}, {"y": Y, "subset": "validation", "ignore_class_split": True},
])  # fmt: skip
def test_flow(options, theirs):
    def use(module):
        generator = module.ImageDataGenerator(horizontal_flip=True, validation_split=0.3)
        flow = generator.flow(**{"x": X, "batch_size": 4, **options})
        return [next(flow) for _ in range(5)], [len(flow), flow.n, flow.batch_size], flow[0]

    (ours, after), (other, expected) = both(theirs, use)
    assert_same(ours, other)
    assert after == expected


@pytest.mark.parametrize("options", [
    {}, {"class_mode": "binary"}, {"class_mode": "sparse", "color_mode": "grayscale"}, {"class_mode": None, "shuffle": False},
    {"class_mode": "input", "color_mode": "rgba"}, {"classes": ["dogs", "cats"]}, {"classes": ["dogs"]}, {"subset": "training"},
    {"subset": "validation", "shuffle": False}, {"interpolation": "bicubic", "keep_aspect_ratio": True, "seed": 7},
])  # fmt: skip
def test_flow_from_directory(options, theirs, folder, capsys):
    def use(module):
        generator = module.ImageDataGenerator(rotation_range=20, horizontal_flip=True, rescale=1 / 255, validation_split=0.3)
        flow = generator.flow_from_directory(str(folder), target_size=(12, 15), batch_size=4, **options)
        facts = [flow.samples, flow.n, flow.num_classes, len(flow), flow.batch_size, *flow.classes]
        return [next(flow) for _ in range(6)], flow.class_indices, facts, (flow[0], flow.filenames, flow.filepaths)

    (ours, after), (other, expected) = both(theirs, use)
    assert_same(ours, other)
    assert after == expected
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[1]


def test_pictures_that_are_kept(theirs, folder, tmp_path):
    """As they go into the batches, under names with a random number."""
    def use(module):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        place.mkdir()
        generator = module.ImageDataGenerator(channel_shift_range=30.0)
        options = {"batch_size": 5, "save_to_dir": str(place), "save_prefix": "kept"}
        found = [next(generator.flow(X, **options)), next(generator.flow_from_directory(str(folder), (9, 9), save_format="bmp", **options))]
        kept = sorted(place.iterdir())
        return found, [path.name for path in kept], [path.read_bytes() for path in kept]

    (ours, after), (other, expected) = both(theirs, use)
    assert_same(ours, other)
    assert after == expected and len(ours[1]) == 10


FRAME = pd.DataFrame({
    "filename": ["cats/0.png", "cats/1.png", "dogs/0.png", "dogs/2.png", "cats/9.png", "dogs/3.png", "cats/4.png"],
    "class": ["cat", "cat", "dog", "dog", "cat", "dog", "cat"],
    "both": [["cat"], ["cat", "dog"], ("dog",), ["dog", "bird"], ["cat"], ["bird"], ["cat", "bird"]],
    "age": [1.0, 2.5, 3.0, 0.5, 9.0, 7.0, 2.0],
    "size": [3, 4, 5, 1, 2, 3, 4],
})  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [
    {}, {"class_mode": "binary", "shuffle": False}, {"class_mode": "sparse", "classes": ["dog", "cat"]}, {"y_col": "both"},
    {"y_col": "both", "classes": ["bird", "dog"]}, {"class_mode": "raw", "y_col": "age"}, {"class_mode": "raw", "y_col": ["age", "size"]},
    {"class_mode": "multi_output", "y_col": ["age", "size"]}, {"class_mode": None}, {"class_mode": "input", "weight_col": "size"},
    {"weight_col": "age", "subset": "training"}, {"subset": "validation", "seed": 3}, {"class_mode": "other", "y_col": "size", "has_ext": True},
])  # fmt: skip
def test_flow_from_dataframe(options, theirs, folder, capsys):
    def use(module):
        generator = module.ImageDataGenerator(zoom_range=0.2, validation_split=0.4)
        flow = generator.flow_from_dataframe(FRAME, str(folder), target_size=(12, 15), batch_size=2, **options)
        facts = getattr(flow, "class_indices", {}), flow.filenames, list(getattr(flow, "classes", []))
        return [next(flow) for _ in range(4)], facts, [flow.samples, len(flow)]

    (ours, after), (other, expected) = both(theirs, use)
    assert_same(ours, other)
    assert after == expected
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[1]


@pytest.mark.parametrize("call", [
    "random_rotation(x, 30, 0, 1, 2)", "random_shift(x, 0.2, 0.3, 0, 1, 2, 'wrap')", "random_shear(x, 20, 0, 1, 2)",
    "random_zoom(x, (0.5, 1.5), 0, 1, 2, fill_mode='constant', cval=7.0)", "random_zoom(x, (1, 1), 0, 1, 2)", "random_channel_shift(x, 30, 2)",
    "random_brightness(x, (0.5, 2))", "random_brightness(x - 90, (0.5, 2), scale=False)", "random_rotation(x.transpose(2, 0, 1), 30)",
    "apply_affine_transform(x, 20, 1, -2, 10, 0.8, 1.3, 0, 1, 2, order=2)", "apply_affine_transform(x, tx=2, row_axis=1, col_axis=0, channel_axis=2)",
    "apply_channel_shift(x, 20, 2)", "apply_channel_shift(x.transpose(2, 0, 1), -20)", "apply_brightness_shift(x, 0.3)",
    "smart_resize(x, (5, 20))", "smart_resize(X[:3], (20, 5), interpolation='bicubic')",
])  # fmt: skip
def test_functions(call, theirs):
    (ours, after), (other, expected) = both(theirs, lambda module: eval(call, {**vars(module), "x": X[0], "X": X}))
    assert_same(ours, other, *([0, 1e-3] if "smart" in call else []))
    assert after == expected


@pytest.mark.parametrize("options", [
    {}, {"label_mode": "binary"}, {"label_mode": "categorical", "color_mode": "rgba"}, {"label_mode": None}, {"labels": None},
    {"labels": [2, 0, 1] * 4 + [0, 1]}, {"labels": [2, 0, 1] * 4 + [0, 1], "label_mode": "categorical"}, {"class_names": ["dogs", "cats"]},
    {"batch_size": None}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "interpolation": "bicubic"}, {"image_size": (40, 41)},
    *({"interpolation": method} for method in ("area", "bicubic", "lanczos3", "lanczos5")),
    {"validation_split": 0.3, "subset": "validation"}, {"validation_split": 0.3, "subset": "training"}, {"validation_split": 0.3, "subset": "both"},
])  # fmt: skip
def test_image_dataset_from_directory(options, keras, folder, capsys):
    """In the order of the paths, and, where both shuffle, with the same files in each subset."""
    options = {"image_size": (9, 12), "batch_size": 4, **options}
    ours, other = (
        module.utils.image_dataset_from_directory(folder, shuffle=False, **options) for module in (minigrad, keras)
    )
    for one, two in zip(*([found] if not isinstance(found, list) else found for found in (ours, other))):
        assert one.class_names == two.class_names and one.file_paths == two.file_paths and len(one) == len(two)
        for _ in range(2):
            found, expected = list(one.as_numpy_iterator()), list(two.as_numpy_iterator())
            assert len(found) == len(expected)
            for a, b in zip(found, expected):
                a, b = (part if isinstance(part, tuple) else (part,) for part in (a, b))
                np.testing.assert_allclose(a[0], b[0], atol=0.6 if options.get("color_mode") == "grayscale" else 0.01)
                assert a[0].dtype == b[0].dtype and [np.shape(y) for y in a[1:]] == [np.shape(y) for y in b[1:]]
                [np.testing.assert_array_equal(y, z) for y, z in zip(a[1:], b[1:])]
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    if "labels" not in options and "class_names" not in options:
        shuffled = [
            module.utils.image_dataset_from_directory(folder, seed=5, verbose=False, **options) for module in (minigrad, keras)
        ]
        paths = [[one.file_paths for one in (found if isinstance(found, list) else [found])] for found in shuffled]
        assert paths[0] == paths[1]


@pytest.mark.parametrize("kind", ["generator", "dataset"])
def test_training_on_them(kind, keras, theirs, folder):
    """The same weights, batches in the order of the files: the same losses, also of evaluate, and predictions."""
    weights, found = None, []
    for module, images in ((keras, theirs), (minigrad, OURS)):
        layers = module.layers
        model = module.Sequential([
            layers.Input((9, 9, 3)), layers.Conv2D(3, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(1, activation="sigmoid"),
        ])  # fmt: skip
        model.compile(module.optimizers.SGD(0.05), "binary_crossentropy", metrics=["accuracy"])
        weights = weights or model.get_weights()
        model.set_weights(weights)
        if kind == "generator":
            made = images.ImageDataGenerator(rescale=1 / 255, samplewise_center=True, validation_split=0.3)
            options = {"target_size": (9, 9), "batch_size": 4, "class_mode": "binary", "shuffle": False}
            train, held = (made.flow_from_directory(str(folder), subset=part, **options) for part in ("training", "validation"))
        else:
            options = {"image_size": (9, 9), "batch_size": 4, "shuffle": False, "validation_split": 0.3, "subset": "both"}
            train, held = module.utils.image_dataset_from_directory(folder, **options)
            train, held = (one.map(lambda x, y: (x / 255.0, y)).cache().prefetch(2) for one in (train, held))
        history = model.fit(train, validation_data=held, epochs=3, shuffle=False, verbose=0).history
        found.append((history, model.evaluate(held, verbose=0), model.predict(held, verbose=0)))
    theirs, ours = found
    for name in theirs[0]:
        np.testing.assert_allclose(ours[0][name], theirs[0][name], rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-4)
    np.testing.assert_allclose(ours[2], theirs[2], rtol=1e-4)
