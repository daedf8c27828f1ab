"""Attention beside the real Keras on TensorFlow: random settings and masks, a Transformer that is trained, files."""

import numpy as np
import pytest

import minigrad

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("without_graphs")]

IDS = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0], [4, 1, 2, 3], [0, 1, 0, 2]])
WORDS = np.random.default_rng(0).integers(0, 9, (64, 6))
LABELS = (WORDS == 3).any(1).astype("float32")


def close(ours, theirs):
    for a, b in zip(*(x if isinstance(x, (tuple, list)) else [x] for x in (ours, theirs)), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), 2e-5, 2e-5)


def settings(random, name):
    """Random positional and named arguments of a layer."""
    if name == "Attention":
        return (), {"use_scale": bool(random.integers(2)), "score_mode": str(random.choice(["dot", "concat"]))}
    if name == "AdditiveAttention":
        return (), {"use_scale": bool(random.integers(2))}
    sizes = tuple(map(int, random.integers(1, 5, 2)))
    found = {"use_bias": bool(random.integers(2)), "use_gate": bool(random.integers(2)), "bias_initializer": "normal"}
    found["sliding_window"] = random.choice([None, 1, 2])
    found["dropout"] = float(random.choice([0, 0.5]))  # which counts in training only, and changes what all-masked rows give
    if name == "GroupQueryAttention":
        return (sizes[0], 4, int(random.choice([1, 2, 4]))), found
    found |= {"value_dim": random.choice([None, 3]), "output_shape": random.choice([None, 2])}
    return sizes, found


@pytest.mark.parametrize("seed", range(24))
def test_values_with_random_settings_and_masks(seed, keras):
    random = np.random.default_rng(seed)
    name = ["MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention"][seed % 4]
    args, options = settings(random, name)
    libraries = (minigrad, keras)
    layers = [getattr(k.layers, name)(*args, **options) for k in libraries]
    tables = [k.layers.Embedding(5, 6, mask_zero=bool(seed % 3)) for k in libraries]
    key = random.normal(size=(5, 4, 6)).astype("float32")
    call = {"use_causal_mask": bool(random.integers(2)), "return_attention_scores": bool(random.integers(2))}
    if len(args) and random.integers(2):
        call["attention_mask"] = random.random((5, 4, 4)) < 0.6
    for table in tables:
        table(IDS)
    tables[0].set_weights(tables[1].get_weights())

    def run(layer, table):
        inputs = [table(IDS), table(IDS[::-1].copy()), *([key] if seed % 2 else [])]
        y = layer(*inputs, **call) if args else layer(inputs, **call)
        return y, layer.compute_mask(inputs, [x._keras_mask for x in inputs[:2]]) if not args and seed % 3 else None

    run(layers[0], tables[0]), run(layers[1], tables[1])
    ours, theirs = layers
    assert [(w.name, tuple(w.shape)) for w in ours.weights] == [(w.name, tuple(w.shape)) for w in theirs.weights]
    ours.set_weights(theirs.get_weights())
    (y, mask), (wanted, its_mask) = run(ours, tables[0]), run(theirs, tables[1])
    close(y, wanted)
    assert (mask is None) is (its_mask is None) and (mask is None or (np.asarray(mask) == np.asarray(its_mask)).all())
    config, its = ours.get_config(), theirs.get_config()
    assert config.keys() == its.keys()
    for key in config.keys() - {"name", "kernel_initializer", "bias_initializer", "attention_axes"}:
        assert config[key] == its[key] or tuple(config[key]) == tuple(its[key]), key


@pytest.mark.parametrize("axes", [None, 1, (2,), (1, 2), -2])
def test_several_axes_of_steps(axes, keras):
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype("float32")
    ours, theirs = (k.layers.MultiHeadAttention(2, 3, attention_axes=axes) for k in (minigrad, keras))
    ours(x, x), theirs(x, x)
    ours.set_weights(theirs.get_weights())
    close(ours(x, x, return_attention_scores=True), theirs(x, x, return_attention_scores=True))


def test_dot_product_attention(keras):
    random = np.random.default_rng(2)
    q, k, v = (random.normal(size=s).astype("float32") for s in ((2, 3, 4, 5), (2, 6, 2, 5), (2, 6, 2, 5)))
    mask, bias = random.random((2, 1, 3, 6)) < 0.5, random.normal(size=(2, 4, 3, 6)).astype("float32")
    mask[1, 0, 2] = False
    for options in ({}, {"mask": mask}, {"is_causal": True, "scale": 0.3}, {"bias": bias, "mask": mask, "is_causal": True}):
        close(*(m.ops.dot_product_attention(q, k, v, **options) for m in (minigrad, keras)))


def transformer(k, mask_zero=True):
    """A Transformer of words as Keras' examples write it, of a block that is a layer of one's own."""

    class Words(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.token_emb = k.layers.Embedding(9, 4, mask_zero=mask_zero)
            self.pos_emb = k.layers.Embedding(6, 4)

        def call(self, x):
            return self.token_emb(x) + self.pos_emb(k.ops.arange(0, 6, 1))

        def compute_mask(self, x, mask=None):
            return self.token_emb.compute_mask(x)

    class Block(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.att = k.layers.MultiHeadAttention(num_heads=2, key_dim=3)
            self.ffn = k.Sequential([k.layers.Dense(5, activation="relu"), k.layers.Dense(4)])
            self.layernorm1 = k.layers.LayerNormalization(epsilon=1e-6)
            self.layernorm2 = k.layers.LayerNormalization(epsilon=1e-6)

        def call(self, inputs, mask=None):
            out1 = self.layernorm1(inputs + self.att(inputs, inputs))
            return self.layernorm2(out1 + self.ffn(out1))

    x = k.Input((6,), dtype="int32")
    y = k.layers.GlobalAveragePooling1D()(Block()(Words()(x)))
    return k.Model(x, k.layers.Dense(1, activation="sigmoid")(y))


def graph(k, score_mode="dot"):
    """All four layers in a graph: files can be read without anybody's code."""
    x = k.Input((6,), dtype="int32")
    y, z = (k.layers.Embedding(9, 4, mask_zero=True)(x) for _ in range(2))
    y = y + k.layers.MultiHeadAttention(2, 3, use_gate=True)(query=y, value=y, use_causal_mask=True)
    y = k.layers.Add()([k.layers.LayerNormalization()(y), k.layers.GroupQueryAttention(3, 4, 2)(z, z)])
    y = k.layers.Concatenate()([k.layers.Attention(True, score_mode)([z, y]), k.layers.AdditiveAttention()([y, z])])
    return k.Model(x, k.layers.Dense(1, activation="sigmoid")(k.layers.GlobalAveragePooling1D()(y)))


@pytest.mark.parametrize("make", [transformer, lambda k: transformer(k, False), graph], ids=["masked", "plain", "graph"])
def test_training(make, keras):
    models = [make(k) for k in (minigrad, keras)]
    for model in models:
        model(WORDS)
    models[0].set_weights(models[1].get_weights())
    for k, model in zip((minigrad, keras), models):
        model.compile(k.optimizers.SGD(0.1), "binary_crossentropy")
    histories = [model.fit(WORDS, LABELS, 16, epochs=3, shuffle=False, verbose=0).history["loss"] for model in models]
    np.testing.assert_allclose(*histories, 1e-4)
    close(models[0].get_weights(), models[1].get_weights())
    assert models[0].train_program is not None


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "a.weights.h5"])
def test_files_both_ways(name, keras, tmp_path):
    mode = "concat" if name == "model.h5" else "dot"  # from which Keras' own reader of .h5 makes a function
    for write, read in ((keras, minigrad), (minigrad, keras)):
        model = graph(write, mode)
        wanted, path = np.asarray(model(WORDS)), str(tmp_path / f"{write.__name__}_{name}")
        if name == "a.weights.h5":
            path = str(tmp_path / f"{write.__name__}.weights.h5")
            model.save_weights(path)
            again = graph(read, mode)
            again(WORDS)
            again.load_weights(path)
        else:
            model.save(path)
            again = read.saving.load_model(path)
        close(again(WORDS), wanted)
