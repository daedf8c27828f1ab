"""Masks beside the real Keras on TensorFlow: who keeps them, what counts in losses and metrics, what is learned, files."""

import warnings

import numpy as np
import pytest

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 6, (48, 5))
STEPS, ROWS = (RANDOM.normal(size=shape).astype("float32") for shape in ((48, 5, 1), (48, 1)))
FEATURES = RANDOM.normal(size=(48, 5, 2)).astype("float32")
FEATURES[RANDOM.uniform(size=(48, 5)) < 0.3] = -1
WEIGHTS = RANDOM.uniform(0.5, 1.5, (48, 5)).astype("float32")
LABELS = RANDOM.integers(0, 3, (48, 5))


def pool(library):
    class Pool(library.layers.Layer):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.supports_masking = True

        def call(self, x, mask=None):
            assert mask is not None
            mask = library.ops.expand_dims(library.ops.cast(mask, "float32"), -1)
            return library.ops.sum(x * mask, axis=1) / (library.ops.sum(mask, axis=1) + 1e-7)

        def compute_mask(self, x, mask=None):
            return None

    return Pool()


def chain(*names):
    def make(k):
        made = {"table": k.layers.Embedding(6, 3, mask_zero=True), "pool": pool(k)}
        layers = [made[name] if name in made else eval(name, {"l": k.layers}) for name in names]
        return k.Sequential([k.Input((5,), dtype="int32"), *layers])

    return make


def merged(merge, half=False, axis=None):
    def make(k):
        x = k.Input((5,), dtype="int32")
        inputs = [k.layers.Embedding(6, 3, mask_zero=m)(x) for m in (True, not half)]
        y = getattr(k.layers, merge)(**({} if axis is None else {"axis": axis}))([k.layers.Dense(3)(inputs[0]), inputs[1]])
        return k.Model(x, k.layers.Dense(1)(y))

    return make


def nested(k):
    x = k.Input((5,), dtype="int32")
    inner = chain("table", "l.Dense(3)")(k)
    return k.Model(x, k.layers.Dense(1)(inner(x)))


def subclassed(k):
    class Own(k.Model):
        def __init__(self):
            super().__init__()
            self.table, self.dense, self.pool = k.layers.Embedding(6, 3, mask_zero=True), k.layers.Dense(1), pool(k)

        def call(self, x):
            return self.pool(self.dense(self.table(x)))

    model = Own()
    model(X[:2])
    return model


SPARSE = "sparse_categorical_crossentropy"
CASES = {  # model, x, y, loss, metrics, sample weights
    "steps": (chain("table", "l.Dense(4, 'relu')", "l.Dropout(0.)", "l.LayerNormalization()", "l.Dense(1)"), X, STEPS, "mse", ["mae"], None),
    "weights": (chain("table", "l.Dense(1)"), X, STEPS, "mae", ["mse"], WEIGHTS),
    "pool": (chain("table", "l.Dense(4)", "pool", "l.Dense(1)"), X, ROWS, "mse", ["mae"], WEIGHTS[:, 0]),
    "norm": (chain("table", "l.Dense(3)", "l.BatchNormalization(momentum=0.5)", "l.ReLU()", "l.Dense(1)"), X, STEPS, "huber", ["mae"], None),
    "features": (lambda k: k.Sequential([k.Input((5, 2)), k.layers.Masking(-1.0), k.layers.Dense(1)]), FEATURES, STEPS, "mse", ["mae"], None),
    "labels": (chain("table", "l.Dense(3, 'softmax')"), X, LABELS, SPARSE, ["accuracy"], None),
    "ignored": (chain("table", "l.Dense(3, 'softmax')"), X, LABELS, lambda k: k.losses.SparseCategoricalCrossentropy(ignore_class=1), ["accuracy"], None),
    "sum": (chain("table", "l.Dense(1)"), X, STEPS, lambda k: k.losses.MeanAbsoluteError("sum"), ["mse"], None),
    "lost": (chain("table", "l.Flatten()", "l.Dense(1)"), X, ROWS, "mse", ["mae"], None),
    "add": (merged("Add"), X, STEPS, "mse", ["mae"], None),
    "add half": (merged("Add", half=True), X, STEPS, "mse", ["mae"], None),
    "concatenate": (merged("Concatenate"), X, STEPS, "mse", ["mae"], None),
    "concatenate steps": (merged("Concatenate", axis=1), X, np.concatenate([STEPS, STEPS], 1), "mse", ["mae"], None),
    "concatenate half": (merged("Concatenate", half=True), X, STEPS, "mse", ["mae"], None),
    "nested": (nested, X, STEPS, "mse", ["mae"], None),
    "subclassed": (subclassed, X, ROWS, "mse", ["mae"], None),
}  # fmt: skip


@pytest.mark.parametrize("make, x, y, loss, metrics, weights", CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("ignore:.*mask")
def test_what_counts_is_what_counts_in_keras(make, x, y, loss, metrics, weights, keras):
    found = []
    for library in (minigrad, keras):
        model = make(library)
        rng = np.random.default_rng(5)
        start = [rng.uniform(0.2, 0.8, w.shape).astype("float32") for w in model.get_weights()]
        model.set_weights(start)
        built = loss if isinstance(loss, str) else loss(library)
        model.compile(library.optimizers.SGD(0.05 if loss in ("mse", "mae") else 0.005), built, metrics=metrics,
                      weighted_metrics=metrics)  # fmt: skip
        history = model.fit(x, y, 16, epochs=2, shuffle=False, sample_weight=weights, verbose=0).history
        told = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
        mask = getattr(model(x), "_keras_mask", None)
        found.append([*(history[name] for name in sorted(history)), *(told[name] for name in sorted(told)),
                      *map(np.asarray, model.get_weights()), model.predict(x, verbose=0),
                      np.zeros(0) if mask is None else np.asarray(mask)])  # fmt: skip
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, 2e-4, 2e-5)


def test_the_same_layers_keep_masks(keras):
    names = sorted(n for n in set(dir(minigrad.layers)) & set(dir(keras.layers)) if isinstance(getattr(minigrad.layers, n), type))
    arguments = {
        "Activation": ("relu",), "Dense": (2,), "Embedding": (3, 2), "Lambda": (abs,), "Permute": ((1,),), "Reshape": ((2,),),
        "RepeatVector": (2,), "Rescaling": (2.0,), "Dot": (1,), "Dropout": (0.5,), "AlphaDropout": (0.5,),
        "GaussianDropout": (0.5,), "GaussianNoise": (0.5,), "InputLayer": ((2,),), "EinsumDense": ("ab,bc->ac", 2), "MultiHeadAttention": (2, 2),
        "GroupQueryAttention": (2, 2, 1), "CenterCrop": (2, 2), "Resizing": (2, 2), "RandomCrop": (2, 2),
        "RandomBrightness": (0.1,), "RandomContrast": (0.1,), "RandomRotation": (0.1,), "RandomTranslation": (0.1, 0.1),
        "RandomZoom": (0.1,), "GroupNormalization": (2,),
    }  # fmt: skip
    for name in names:
        if name in ("SimpleRNN", "LSTM", "GRU", "SimpleRNNCell", "LSTMCell", "GRUCell"):
            arguments[name] = (2,)
        if "Conv" in name:
            arguments[name] = (2,) if name.startswith("Depthwise") else (2, 2)
        elif "Pool" in name and "Global" not in name:
            arguments[name] = (2,)
        elif name.startswith("Spatial"):
            arguments[name] = (0.5,)
        if name in ("InputSpec", "Wrapper", "CategoryEncoding", "Hashing", "HashedCrossing", "Discretization"):
            continue
        made = {
            "Bidirectional": lambda layers: [layers.GRU(2)], "TimeDistributed": lambda layers: [layers.Dense(2)],
            "SpectralNormalization": lambda layers: [layers.Dense(2)], "RNN": lambda layers: [layers.LSTMCell(2)],
            "StackedRNNCells": lambda layers: [[layers.LSTMCell(2)]],
        }.get(name, lambda layers: arguments.get(name, ()))  # fmt: skip
        ours, theirs = (getattr(library.layers, name)(*made(library.layers)) for library in (minigrad, keras))
        assert ours.supports_masking == theirs.supports_masking, name


def test_files_go_both_ways(tmp_path, keras):
    for library, other in ((minigrad, keras), (keras, minigrad)):
        x = library.Input((5,), dtype="int32")
        y = library.layers.Embedding(6, 3, mask_zero=True)(x)
        y = library.layers.BatchNormalization()(library.layers.Dense(3)(y))  # Keras has its mask in the graph
        model = library.Model(x, library.layers.Dense(1)(library.layers.Masking(9.0)(y)))
        model.compile("sgd", "mse")
        model.fit(X, STEPS, epochs=2, verbose=0)
        model.save(tmp_path / "model.keras")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again = other.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), 1e-5, 1e-6)
        told = [one.evaluate(X, STEPS, verbose=0) for one in (model, again)]
        np.testing.assert_allclose(*told, 1e-5)
