"""Pictures: files, datasets of folders, ImageDataGenerator. tests/peers/test_images_beside_keras.py compares with Keras."""

import io
import sys

import image_files
import numpy as np
import pytest
from helpers import assert_same, no_thread_stays

import minigrad as keras
from minigrad import layers
from minigrad.compat import old_names
from minigrad.compat.tensorflow import tensorflow
from minigrad.preprocessing import image
from minigrad.utils.pipeline import Dataset

pd = pytest.importorskip("pandas")
RAMP = np.arange(4 * 5 * 3, dtype="float32").reshape(4, 5, 3)
X = np.random.default_rng(0).integers(0, 256, (11, 6, 6, 3)).astype("float32")
Y = np.arange(11) % 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    image_files.write(folder, 9, size=(6, 6))
    return folder


def network():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([
        layers.Input((6, 6, 3)), layers.Rescaling(1 / 255), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(),
        layers.Dropout(0.2), layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def generator(**options):
    return image.ImageDataGenerator(**options)


# --------------------------------------------------------------------------------------------------------- files


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "x.png"
    keras.utils.save_img(path, RAMP, scale=False)
    memory = io.BytesIO()
    keras.utils.save_img(memory, RAMP.transpose(2, 0, 1), "channels_first", "png", scale=False)
    memory.seek(0)
    with open(path, "rb") as file:
        for source in (path, str(path), str(path).encode(), memory, file):
            assert_same(keras.utils.img_to_array(keras.utils.load_img(source)), RAMP)
    old_names.forget()
    with pytest.warns(FutureWarning, match="today color_mode='grayscale'"):
        img = keras.utils.load_img(path, grayscale=True, target_size=(2, 3))
    assert img.size == (3, 2) and img.mode == "L" and keras.utils.img_to_array(img).shape == (2, 3, 1)
    assert keras.utils.img_to_array(img, "channels_first", "uint8").shape == (1, 2, 3)
    assert keras.utils.array_to_img(RAMP[..., :1] * 100, scale=False).mode == "I"
    assert np.asarray(keras.utils.array_to_img(RAMP)).max() == 255
    with pytest.warns(UserWarning, match="fourth channel is left out"):
        keras.utils.save_img(tmp_path / "x.jpg", np.ones((3, 3, 4)))


def test_proportions_can_be_kept(tmp_path):
    keras.utils.save_img(tmp_path / "x.png", np.pad(np.ones((8, 8, 1)), ((0, 0), (8, 8), (0, 0))))
    kept = keras.utils.load_img(tmp_path / "x.png", "grayscale", (4, 4), keep_aspect_ratio=True)
    assert (np.asarray(kept) == 255).all() and kept.size == (4, 4)
    assert np.asarray(keras.utils.load_img(tmp_path / "x.png", "grayscale", (4, 4))).min() == 0


@pytest.mark.parametrize("call, words", [
    (lambda: image.load_img(3), "expects a path or a binary file, got 3"), (lambda: image.load_img("x.png", "bgr"), "color_mode must be"),
    (lambda: image.img_to_array(np.zeros((1, 2, 3, 3))), "2 or 3 axes"), (lambda: image.array_to_img(np.zeros((4, 4))), "3 axes"),
    (lambda: image.array_to_img(np.zeros((4, 4, 2))), "1, 3 or 4 channels"), (lambda: image.array_to_img(RAMP, "nchw"), "data_format must be"),
    (lambda: generator(data_format="channels_first"), "Leave data_format out"), (lambda: generator(zoom_range=[1, 2, 3]), "zoom_range must be two"),
    (lambda: generator(fill_mode="edge"), "fill_mode must be"), (lambda: generator(validation_split=2), "validation_split must be"),
    (lambda: generator(rotation=3), "Did you mean 'rotation_range'"), (lambda: generator(brightness_range=3), "brightness_range must be two"),
    (lambda: generator().flow(X[0]), r"x\[..., None\]"), (lambda: generator().flow(X, Y[:3]), "x has 11, y has 3"),
    (lambda: generator(validation_split=0.5).flow(X, np.sort(Y), subset="training"), "seem to be sorted"),
    (lambda: generator().flow(X, Y, subset="test"), "subset must be"), (lambda: generator().flow(X, batch_size=0), "batch_size must be"),
    (lambda: generator().flow(X)[1], "There is no batch 1"), (lambda: generator().flow_from_directory("/no/such"), "/no/such"),
    (lambda: image.apply_affine_transform(RAMP, 3, channel_axis=1), "channels first or last"),
    (lambda: image.smart_resize(RAMP, (0, 3)), "two positive integers"), (lambda: image.smart_resize(RAMP, 3, "cubic"), "interpolation must be"),
    (lambda: keras.utils.image_dataset_from_directory("/no/such"), "/no/such"),
    (lambda: keras.utils.image_dataset_from_directory(".", validation_split=0.2), "must both be given"),
    (lambda: keras.utils.image_dataset_from_directory(".", subset="both", validation_split=0.2), "give a seed"),
])  # fmt: skip
def test_errors_say_what_is_expected(call, words):
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=words):
        call()


def test_without_pillow_the_remedy_is_told(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "PIL", None)
    flow = generator().flow_from_directory(folder)
    for call in (lambda: flow[0], lambda: keras.utils.load_img("x.png"), lambda: keras.utils.array_to_img(RAMP)):
        with pytest.raises(ImportError, match="pip install Pillow"):
            call()


# ------------------------------------------------------------------------------------------------------ generators

KERAS = {  # weighted sums of four batches, which the real Keras drew from the same seed
    "flip": ({"horizontal_flip": True, "vertical_flip": True}, [3118059.0, 3111371.0, 2260490.0, 3042569.0]),
    "affine": (
        {"rotation_range": 30, "width_shift_range": 0.2, "zoom_range": 0.3, "fill_mode": "wrap"},
        [3187116.715, 3122765.066, 2219048.782, 2981935.68],
    ),
    "colour": (
        {"brightness_range": (0.5, 1.5), "channel_shift_range": 20.0, "rescale": 1 / 255},
        [9963.816, 10545.761, 7718.53, 12543.55],
    ),
}


@pytest.mark.parametrize("name", KERAS)
def test_batches_are_those_of_keras(name):
    options, expected = KERAS[name]
    np.random.seed(7)
    flow = generator(**options).flow(X, Y, batch_size=4, seed=2)
    weights = np.arange(1, 109).reshape(6, 6, 3)
    np.testing.assert_allclose([(next(flow)[0].astype("float64") * weights).sum() for _ in range(4)], expected, 1e-6)


def test_statistics():
    whole = generator(featurewise_std_normalization=True, featurewise_center=True, rescale=0.5)
    with pytest.warns(UserWarning, match="does nothing before fit"):
        assert_same(whole.standardize(X[0].copy()), X[0] / 2)
    whole.fit(X)
    x = np.concatenate([whole.standardize(x.copy())[None] for x in X])
    np.testing.assert_allclose([x.mean((0, 1, 2)), x.std((0, 1, 2))], [[0] * 3, [1] * 3], atol=1e-4)
    with pytest.warns(UserWarning, match="needs samplewise_center=True"):
        each = generator(samplewise_std_normalization=True)
    np.testing.assert_allclose(np.std(each.standardize(X[0].copy())), 1, rtol=1e-4)
    with pytest.warns(UserWarning, match="needs featurewise_center=True"):
        white = generator(zca_whitening=True)
    small = X[:, :1, :2, :1]
    white.fit(small)
    covariance = np.cov(white.standardize(small.copy()).reshape(11, 2).T, bias=True)
    np.testing.assert_allclose(covariance, np.eye(2), atol=0.05)


def test_a_folder_of_pictures(folder, tmp_path, capsys):
    made = generator(rescale=1 / 255, validation_split=0.25)
    train, held = (
        made.flow_from_directory(folder, (6, 6), batch_size=4, subset=part, seed=1, save_to_dir=tmp_path, save_prefix=part[:2])
        for part in ("training", "validation")
    )
    assert capsys.readouterr().out.splitlines() == [f"Found {n} images belonging to 2 classes." for n in (14, 4)]
    assert train.class_indices == {"cats": 0, "dogs": 1} and train.num_classes == 2 and train.target_size == (6, 6)
    assert train.n == train.samples == len(train.filenames) == len(train.filepaths) == 14 and train.classes.tolist() == [0] * 7 + [1] * 7
    assert held.filenames == ["cats/0.png", "cats/1.png", "dogs/0.png", "dogs/1.png"] and len(held) == 1 and len(train) == 4
    x, y = next(train)
    assert x.shape == (4, 6, 6, 3) and x.dtype == "float32" and x.max() <= 1 and y.sum(1).tolist() == [1] * 4
    assert len(list(tmp_path.glob("tr_*.png"))) == 4 and train[3][0].shape == (2, 6, 6, 3)
    assert [len(next(train)[0]) for _ in range(4)] == [4, 4, 2, 4] and len(train.next()[1]) == 4
    train.reset()
    assert train.batch_index == 0


def test_files_of_a_data_frame(folder):
    frame = pd.DataFrame({"filename": ["cats/0.png", "dogs/1.png", "dogs/none.png", "cats/2.png"], "class": ["c", "d", "d", "c"], "age": [1.0, 2, 3, 4]})
    options = {"dataframe": frame, "directory": folder, "target_size": (6, 6), "shuffle": False}
    with pytest.warns(UserWarning, match="has_ext has no effect"), pytest.warns(match="1 files of x_col='filename' are not there"):
        flow = generator().flow_from_dataframe(**options, weight_col="age", has_ext=True, class_mode="sparse")
    x, y, w = flow[0]
    assert flow.class_indices == {"c": 0, "d": 1} and y.tolist() == [0, 1, 0] and w.tolist() == [1, 2, 4]
    options |= {"dataframe": frame[:2]}
    assert generator().flow_from_dataframe(**options, class_mode="raw", y_col="age")[0][1].tolist() == [1, 2]
    for bad, words in (({"y_col": "age"}, "astype"), ({"class_mode": "multi_output"}, "list of columns"), ({"weight_col": "class"}, "must hold numbers"),
                       ({"x_col": "age"}, "names of files"), ({"class_mode": "many"}, "class_mode must be"), ({"sorted": 1}, "unexpected")):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=words):
            generator().flow_from_dataframe(**{**options, **bad})


@pytest.mark.parametrize("workers", [1, 3])
def test_fit_takes_them(folder, workers):
    """As it takes the batches themselves; whoever prepares them, they are the same."""
    made = generator(horizontal_flip=True, rotation_range=20)
    flow, held = (made.flow_from_directory(folder, (6, 6), class_mode="binary", batch_size=5, seed=s) for s in (1, None))
    flow.workers = workers
    model, twin = network(), network()
    with no_thread_stays():
        history = model.fit(flow, validation_data=held, epochs=2, shuffle=False, verbose=0).history
    again = made.flow_from_directory(folder, (6, 6), class_mode="binary", batch_size=5, seed=1)
    np.random.seed(3)
    again[0]  # which fit looks at beforehand
    for epoch in range(2):
        logs = twin.fit((again[i] for i in range(4)), verbose=0).history
        np.testing.assert_allclose(logs["loss"][0], history["loss"][epoch], rtol=1e-6)
        again.on_epoch_end() if epoch == 0 else None
    old_names.forget()  # what was told once in this process is not told again
    with pytest.warns(FutureWarning, match="workers=2"):
        model.evaluate(held, workers=2, verbose=0)
    assert held.workers == 2
    with pytest.warns(UserWarning, match="ran out after 4 of 9 steps"):
        model.fit(flow, steps_per_epoch=9, verbose=0)
    assert model.predict(flow, verbose=0).shape == (18, 1) and model.predict(held, steps=2, verbose=0).shape == (10, 1)
    assert len(model.evaluate(held, verbose=0)) == 2


def test_workers_change_no_picture_where_epochs_are_short(folder):
    """Batches that were made in advance, for another epoch, count as not made."""
    found = []
    for workers in (1, 3):
        model = network()
        options = {"target_size": (6, 6), "class_mode": "binary", "batch_size": 3}
        flow, held = (generator(horizontal_flip=True).flow_from_directory(folder, **options) for _ in range(2))
        flow.workers = held.workers = workers
        model.fit(flow, steps_per_epoch=2, epochs=4, validation_data=held, validation_steps=4, verbose=0)
        found.append((model.get_weights(), np.random.random(), flow.total_batches_seen))
    assert_same(*found)


# ------------------------------------------------------------------------------------------------------- datasets


def directory(folder, **options):
    return keras.utils.image_dataset_from_directory(folder, image_size=(6, 6), batch_size=4, verbose=False, **options)


def test_a_dataset_of_a_folder(folder, capsys):
    whole = keras.utils.image_dataset_from_directory(folder, image_size=(6, 6), batch_size=4, shuffle=False)
    assert capsys.readouterr().out == "Found 18 files belonging to 2 classes.\n"
    assert whole.class_names == ["cats", "dogs"] and len(whole) == int(whole.cardinality()) == 5
    assert [str(folder / f"cats/{i}.png") for i in range(9)] == whole.file_paths[:9]
    for images, labels in whole.take(1):
        assert images.shape == (4, 6, 6, 3) and labels.numpy().tolist() == [0] * 4 and whole.class_names[labels[0]] == "cats"
        assert_same(images[0].numpy(), keras.utils.img_to_array(keras.utils.load_img(whole.file_paths[0])))
    train, held = directory(folder, validation_split=0.25, subset="both", seed=3, label_mode="binary")
    passes = [np.concatenate([x.numpy() for x, _ in train]) for _ in range(2)]
    assert len(passes[0]) == 14 and (passes[0] != passes[1]).any()
    assert_same(np.sort(passes[0].sum((1, 2, 3))), np.sort(passes[1].sum((1, 2, 3))))
    assert not set(train.file_paths) & set(held.file_paths) and [y.shape for _, y in held] == [(4, 1)]
    one = keras.utils.image_dataset_from_directory(folder, image_size=(6, 6), batch_size=None, labels=None, verbose=False)
    assert [x.shape for x in one][:2] == [(6, 6, 3)] * 2 and one.batch(4, drop_remainder=True).cardinality().numpy() == 4


# -------------------------------------------------------------------------------------------------------- resuming


class Noisy(keras.utils.PyDataset):
    """A dataset of one's own whose batches depend on how many there were."""

    made = 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.made += 1
        rows = slice(3 * index, 3 * index + 3)
        return X[rows] + np.random.default_rng(self.made).normal(size=X[rows].shape), Y[rows]

    def get_state(self):
        return {"made": self.made}

    def set_state(self, state):
        self.made = state["made"]


class Crash(Exception):
    pass


class Crasher(keras.callbacks.Callback):
    """Raises after so many batches."""

    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise Crash


SOURCES = {
    "unseeded": lambda made, folder: made.flow(X, Y, batch_size=3),
    "seeded": lambda made, folder: made.flow_from_directory(folder, (6, 6), class_mode="binary", batch_size=5, seed=4),
    "dataset": lambda made, folder: directory(folder),
    "own": lambda made, folder: Noisy(),
    "chain": lambda made, folder: directory(folder, seed=1).cache().shuffle(3).map(lambda x, y: (x + 1, y)),
}


@pytest.mark.parametrize("workers, name", [
    (1, "unseeded"), (3, "unseeded, short epochs"), (3, "seeded"), (1, "dataset"), (1, "own"), (1, "chain"),
])  # fmt: skip
def test_a_killed_training_goes_on_to_the_bit(name, workers, folder, tmp_path):
    name, _, is_short = name.partition(", ")
    options = {"epochs": 4, "steps_per_epoch": 2, "validation_steps": 2} if is_short else {"epochs": 3}

    def train(*callbacks, backup=True):
        model = network()
        made = generator(horizontal_flip=True, rotation_range=30)
        source, held = (SOURCES[name](made, folder) for _ in range(2))
        source.workers = held.workers = workers
        kept = [keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=3)] if backup else []
        history = model.fit(source, validation_data=held, callbacks=[*kept, *callbacks], verbose=0, **options)
        return model.get_weights(), history.history, np.random.random()

    expected = train(backup=False)
    for batches in (5, 4, 1) if is_short else (5, 4):
        with pytest.raises(Crash):
            train(Crasher(batches))
    assert_same(train(), expected)


def test_a_dataset_in_the_words_of_tensorflow(folder):
    tf = tensorflow()
    data = directory(folder).map(lambda x, y: (tf.cast(x, tf.float32) / 255.0, tf.one_hot(y, 2)), num_parallel_calls=tf.data.AUTOTUNE)
    kept = data.cache().shuffle(100).prefetch(buffer_size=tf.data.experimental.AUTOTUNE)
    held = kept.take(tf.data.experimental.cardinality(kept) // 2)
    assert len(held) == 2 and [tuple(y.shape) for _, y in held] in ([(4, 2)] * 2, [(4, 2), (2, 2)], [(2, 2), (4, 2)])
    assert max(float(x.numpy().max()) for x, _ in kept) <= 1


def test_a_state_of_other_pictures_is_refused():
    flow = generator().flow(X, batch_size=3)
    flow[0]
    state = flow.get_state()
    for bad in ({"order": [0, 1]}, {"seen": -1}, {"next": "x"}, {"numpy": ("MT19937", [1], 0)}):
        with pytest.raises((ValueError, TypeError, IndexError)):
            flow._check_state({**state, **bad})
    with pytest.raises(ValueError, match="over 1 shuffles"):
        Dataset.range(3).shuffle(2).cache()._check_state({"passes": []})
