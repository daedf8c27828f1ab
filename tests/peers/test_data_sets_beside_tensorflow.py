"""tf.data, tf.image, tf.io and tf.Variable beside the real ones: elements, their shapes and dtypes."""

import functools
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.compat.tensorflow import tensorflow

sys.path.insert(0, str(Path(__file__).parents[1]))

pytestmark = pytest.mark.peers
pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
OURS = tensorflow()

RNG = np.random.default_rng(0)
NAMES = {
    "np": np, "X": np.arange(12, dtype="float32").reshape(6, 2), "Y": np.arange(6), "T": np.array(["a", "b b", "é", "", "e", "f,g"]),
    "I": RNG.random((2, 5, 6, 3), "float32"), "B": RNG.integers(0, 256, (5, 6, 4, 3)).astype("uint8"), "P": RNG.random((6, 4, 3), "float32"),
}  # fmt: skip


def plain(thing):
    """(kind of the dtype, shape, values) of a tensor, or a tree of such."""
    if hasattr(thing, "as_numpy_iterator"):
        return [plain(one) for one in thing]
    if isinstance(thing, dict):
        return {key: plain(one) for key, one in thing.items()}
    if isinstance(thing, (tuple, list)):
        return [plain(one) for one in thing]
    array = np.asarray(thing.numpy() if hasattr(thing, "numpy") else thing)
    kind = {"u": "i", "S": "O"}.get(array.dtype.kind, array.dtype.kind)
    return kind + (str(array.dtype.itemsize) if kind == "f" else ""), array.shape, np.round(array, 5).tolist() if kind == "f" else array.tolist()


def specs(tree):
    """The shapes and dtypes of an element_spec, exactly."""
    if isinstance(tree, dict):
        return {key: specs(one) for key, one in tree.items()}
    if isinstance(tree, (tuple, list)):
        return [specs(one) for one in tree]
    return list(tree.shape), getattr(tree.dtype, "name", tree.dtype)


def both(code, **names):
    return [eval(code, {**NAMES, **names, "tf": t, "D": t.data.Dataset}) for t in (tf, OURS)]




@functools.cache
def named(t):
    """Pairs of a sequence and its length, and tables of `t`, which is tf."""
    pairs, pair = [t.lookup.KeyValueTensorInitializer(np.array(["a", "e"]), np.array(v)) for v in ([1.5, -2.0], [0, 1])], t.TensorSpec((), t.int64)
    return {
        "RAGGED": t.data.Dataset.from_generator(lambda: ((np.arange(n), n) for n in (1, 4, 2, 3, 6, 7, 2, 5)), output_signature=(t.TensorSpec((None,), t.float32), pair)),
        "TABLE": t.lookup.StaticHashTable(pairs[0], 9.0), "TERMS": t.lookup.StaticVocabularyTable(pairs[1], 3),
        "NUMBERS": t.lookup.StaticHashTable(t.lookup.KeyValueTensorInitializer([7, 9], ["seven", "nine"], key_dtype=t.int64, value_dtype=t.string), "none"),
    }  # fmt: skip


DATA = [
    "D.from_tensor_slices(X).batch(4)", "D.from_tensor_slices((X, Y)).batch(4, drop_remainder=True)", "D.from_tensor_slices({'x': X, 't': T}).batch(4)",
    "D.from_tensor_slices([1, 2, 3])", "D.from_tensor_slices([[1.5, 2], [3, 4]]).repeat(2)", "D.from_tensor_slices((X, (Y, T))).skip(1).take(2)",
    "D.from_tensors((X, 1.5, 'a'))", "D.from_tensors(3).repeat(3).enumerate(start=5)", "D.range(3, 12, 4)", "D.range(5, output_type=tf.float32)",
    "D.range(-1)", "D.range(3).take(-1).skip(-1)", "D.range(7).batch(3).skip(1)", "D.range(7).batch(3).take(2).repeat(2)", "D.range(4).repeat(2).batch(3)",
    "D.range(3).repeat().batch(2).take(4)", "D.range(5).batch(2).batch(2)", "D.range(4).batch(2).unbatch()", "D.range(7).batch(3).rebatch(2)",
    "D.range(10).shard(3, 1)", "D.range(6).cache().batch(4).prefetch(tf.data.AUTOTUNE)", "D.range(4).concatenate(D.range(2))",
    "D.zip(D.range(3), D.range(5))", "D.zip((D.range(3), D.zip((D.range(1, 9), D.from_tensor_slices(X)))))", "D.zip({'a': D.range(2), 'b': D.range(3)})",
    "D.from_tensor_slices((X, Y)).map(lambda x, y: (x * 2, tf.one_hot(y, 3)))", "D.range(4).map(lambda i: [i, i + 1])", "D.range(4).map(lambda i: {'i': i})",
    "D.from_tensor_slices((X, Y)).map(lambda x, y: x).batch(4).map(lambda x: x / 10)", "D.range(9).filter(lambda i: i % 3 == 0)",
    "D.from_tensor_slices((X, Y)).filter(lambda x, y: tf.reduce_sum(x) > 9).map(lambda x, y: y // 2)", "D.range(9).take_while(lambda i: i < 4)",
    "D.range(5).scan(tf.constant(0, tf.int64), lambda s, i: (s + i, s * i))", "D.range(6).window(3).flat_map(lambda w: w.batch(3))",
    "D.range(5).window(2, shift=1, stride=2, drop_remainder=True).flat_map(lambda w: w.batch(2))",
    "D.range(4).flat_map(lambda i: D.from_tensors(i).repeat(2))", "D.range(6).interleave(lambda i: D.range(i), cycle_length=2)",
    "D.range(1, 6).interleave(lambda i: D.from_tensors(i).repeat(6), cycle_length=2, block_length=4)", "D.range(5).interleave(lambda i: D.range(3), cycle_length=7, block_length=2)",
    "D.range(6).reduce(np.int64(0), lambda s, i: s + i)", "D.from_tensor_slices((X, Y)).reduce((0.0, np.int64(0)), lambda s, e: (s[0] + tf.reduce_sum(e[0]), s[1] + e[1]))",
    "D.range(4).batch(9).get_single_element()", "D.from_tensor_slices([1, 2, 1, 3, 2]).unique()", "D.range(5).apply(lambda d: d.map(lambda i: i * i))",
    "D.range(4).map(lambda i: tf.fill([tf.cast(i, tf.int32)], 1.5)).padded_batch(3)",
    "D.range(1, 4).map(lambda i: (tf.ones([i, 2]), i)).padded_batch(2, padded_shapes=([None, 3], []), padding_values=(-1.0, np.int64(0)))",
    "D.from_tensor_slices(T).map(lambda t: tf.strings.split(t)).padded_batch(3)", "D.from_tensor_slices(T).map(tf.strings.length).batch(6)",
    "D.from_generator(lambda: iter([([1, 2], 0.5), ([3], 1)]), output_signature=(tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.float32)))",
    "D.from_generator(lambda n: range(n), output_types=tf.float32, args=(3,))", "D.from_generator(lambda: iter(['a', 'b']), output_types=tf.string, output_shapes=())",
    "D.sample_from_datasets([D.range(3), D.range(0)], stop_on_empty_dataset=False)", "[D.range(5).batch(2).cardinality(), D.range(5).repeat().cardinality(), D.range(5).filter(lambda i: i > 2).cardinality()]",
    "len(D.range(5).batch(2, drop_remainder=True).repeat(3).take(5))", "D.from_tensor_slices(B).map(lambda b: tf.image.convert_image_dtype(b, tf.float32)).batch(2)",
    "D.from_tensor_slices((B, Y[:5])).map(lambda b, y: (tf.reshape(tf.cast(b, tf.float32) / 255.0, [-1]), y)).batch(2)",
    "D.range(4).map(lambda i: tf.numpy_function(lambda a: np.float32(a * 2), [i], tf.float32))", "D.range(4).map(lambda i: tf.py_function(lambda a: [a + 1, 0.5], [i], [tf.int64, tf.float32]))",
    "D.choose_from_datasets([D.range(3), D.range(10, 19)], D.range(2).repeat(4))", "D.choose_from_datasets([D.range(2), D.range(10, 14)], D.range(2).repeat(4), stop_on_empty_dataset=False)",
    "D.range(9).group_by_window(lambda i: i % 3, lambda key, window: window.map(lambda i: i + 100 * key).batch(2), window_size=2)", "RAGGED.bucket_by_sequence_length(lambda x, y: tf.shape(x)[0], [3, 5], [2, 3, 2])",
    "RAGGED.bucket_by_sequence_length(lambda x, y: tf.shape(x)[0], [3, 5, 9], [2, 3, 2, 1], pad_to_bucket_boundary=True, padding_values=(-1.0, np.int64(0)))",
    "RAGGED.bucket_by_sequence_length(lambda x, y: tf.cast(y // 2, tf.int32), [2], [3, 2], drop_remainder=True)", "D.range(7).bucket_by_sequence_length(lambda i: tf.cast(i, tf.int32), [4], [2, 3], no_padding=True)",
    "RAGGED.apply(tf.data.experimental.bucket_by_sequence_length(lambda x, y: tf.shape(x)[0], [4], [3, 3], padded_shapes=([None], [])))",
    "D.from_tensor_slices(T).map(lambda t: TABLE.lookup(t))", "D.from_tensor_slices(T).batch(4).map(lambda t: (TABLE[t], TERMS.lookup(t)))", "[TABLE.size(), TERMS.size(), sorted(TABLE.export()[1].numpy())]",
    "[NUMBERS.lookup(tf.constant([[7, 8], [9, 0]], tf.int64)), tf.lookup.StaticVocabularyTable(tf.lookup.KeyValueTensorInitializer(np.array([5, 7]), np.array([0, 1])), 4).lookup(tf.range(9, dtype=tf.int64))]",
    "D.counter(4, -2).take(3)", "D.zip(D.counter(), D.from_tensor_slices(T)).take(2)", "D.random(seed=4).batch(2).take(2).map(lambda s: (tf.size(s), s >= 0, s < 2**32))",
    "D.range(3).with_options(tf.data.Options()).prefetch(1)", "list(D.from_tensor_slices((X, T)).as_numpy_iterator())", "[type(n) for n in D.range(2).as_numpy_iterator()] == [np.int64] * 2",
]  # fmt: skip


@pytest.mark.parametrize("code", DATA)
def test_elements(code):
    theirs, ours = (eval(code, {**NAMES, **named(t), "tf": t, "D": t.data.Dataset}) for t in (tf, OURS))
    assert plain(ours) == plain(theirs)


@pytest.mark.filterwarnings("ignore:The data ran out")
@pytest.mark.parametrize("steps", [None, 4])
@pytest.mark.parametrize("chain", [
    "batch(4)", "batch(4, drop_remainder=True).repeat(2)", "repeat(3).batch(4).skip(1)", "repeat().batch(4)", "map(lambda x, y: (x / 2, y + 1)).batch(4).repeat()",
    "batch(4).map(lambda x, y: (x * 2, y))", "skip(1).take(5).shuffle(1).batch(2)",
])  # fmt: skip
def test_training_on_a_data_set(keras, chain, steps):
    if steps is None and "repeat()" in chain:
        return
    losses = []
    for library, t in ((keras, tf), (minigrad, OURS)):
        rows = t.data.Dataset.from_tensor_slices((NAMES["X"] / 10, NAMES["Y"].astype("float32")))
        model = library.Sequential([library.Input((2,)), library.layers.Dense(3, activation="tanh"), library.layers.Dense(1)])
        model.set_weights([np.linspace(-0.5, 0.7, w.size, dtype="float32").reshape(w.shape) for w in model.get_weights()])
        model.compile(library.optimizers.SGD(0.1), "mse")
        losses.append(model.fit(eval(f"rows.{chain}", {"rows": rows}), epochs=3, steps_per_epoch=steps, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


@pytest.mark.parametrize("code", [
    "D.from_tensor_slices((X, Y)).shuffle(3).batch(4)", "D.from_tensor_slices({'x': X, 't': T}).batch(4, drop_remainder=True).repeat()", "D.range(3).enumerate()",
    "D.from_tensor_slices(B).map(lambda b: tf.cast(b, tf.float32)).batch(2).prefetch(1)", "D.from_tensor_slices((X, Y)).batch(4).map(lambda x, y: (x * 2, tf.reduce_sum(x)))",
    "D.zip((D.range(3), D.from_tensor_slices(T))).take(1)", "D.range(4).batch(2).unbatch().concatenate(D.range(2))", "D.from_tensors((X, 'a'))", "D.range(6).window(2).flat_map(lambda w: w.batch(2))",
    "D.from_generator(lambda: iter([[1, 2], [3]]), output_signature=tf.TensorSpec((None,), tf.int32))",
])  # fmt: skip
def test_element_specs(code):
    """All but the dtypes of integers that were computed, which are int64 here."""
    theirs, ours = both(f"({code}).element_spec")
    assert specs(ours) == specs(theirs)


@pytest.mark.parametrize("code", [
    "D.range(50).shuffle(10)", "D.range(50).shuffle(1)", "D.range(50).shuffle(99, seed=3, reshuffle_each_iteration=False)", "D.range(50).shuffle(7).batch(4).unbatch()",
    "D.range(50).batch(1).shuffle(9).unbatch()", "D.sample_from_datasets([D.range(20), D.range(20, 50)], [0.3, 0.7])",
])  # fmt: skip
def test_shuffles_have_the_same_elements(code):
    """And none comes too early."""
    for data in both(code):
        first, second = ([int(i) for i in data] for _ in range(2))
        assert sorted(first) == sorted(second) == list(range(50))
        assert (first == second) == (any(word in code for word in ("shuffle(1)", "False", "sample")))
        if "range(50).shuffle(10)" in code:
            assert max(i - k for k, i in enumerate(first)) < 10


CSV = "age,name,score,flag\n1,ann,0.5,yes\n2,\"b, c\",,no\n,dan,2.5e1,yes\n4,eve,-1,no\n5,fay,7,\n"


@pytest.mark.parametrize("code", [
    "make(f, 2, label_name='flag', num_epochs=1, shuffle=False)", "make(f, 2, num_epochs=1, shuffle=False, select_columns=['score', 'age'])",
    "make(f, 3, num_epochs=2, shuffle=False, column_names=['a', 'b', 'c', 'd'], label_name='a')", "make(f, 4, shuffle=False).take(3)",
    "make(f, 2, column_defaults=[1.5, '?', -1.0, 'none'], num_epochs=1, shuffle=False)", "make(f, 2, select_columns=['name'], column_defaults=[tf.string], num_epochs=1, shuffle=False).take(1)",
    "tf.data.TextLineDataset(f).skip(1)", "tf.data.TextLineDataset([f, f])", "tf.data.experimental.CsvDataset(f, [[0], [''], [0.0], ['']], header=True)",
    "tf.data.experimental.CsvDataset(f, [0.0, ''], header=True, select_cols=[0, 3]).take(4)",
    "tf.data.TextLineDataset(f).skip(1).map(lambda line: tf.io.decode_csv(line, [[0], [''], [0.0], ['-']]))",
    "tf.data.TextLineDataset(f).skip(1).batch(5).map(lambda lines: tf.stack(tf.io.decode_csv(lines, [0.0, 0.0], select_cols=[0, 2]), axis=1))",
    "tf.io.read_file(f)", "tf.io.decode_csv(['1;2', ';3'], [[7], tf.constant([], tf.float32)], field_delim=';')", "tf.io.gfile.exists(f)",
    "tf.data.Dataset.list_files(f[:-5] + '*', shuffle=False).map(lambda p: tf.strings.split(p, '/')[-1])",
    "tf.data.Dataset.list_files([f, f]).map(lambda p: tf.strings.split(p, '/')[-1] == np.array(['x.csv', 'y.csv']))",
])  # fmt: skip
def test_files(code, tmp_path):
    (tmp_path / "x.csv").write_text(CSV)
    theirs, ours = both(code.replace("make(", "tf.data.experimental.make_csv_dataset("), f=str(tmp_path / "x.csv"))
    assert plain(ours) == plain(theirs)


@pytest.mark.parametrize("code", [
    "i.resize(B, [3, 8])", "i.resize(B[0], (7, 7), method='nearest')", "i.resize(P, [3, 2], method=i.ResizeMethod.BICUBIC)", "i.resize(P, [9, 3], preserve_aspect_ratio=True)",
    "i.resize(P, [3, 3], antialias=True)", "i.resize_with_crop_or_pad(P, 3, 9)", "i.resize_with_crop_or_pad(B, 8, 2)", "i.resize_with_pad(P, 5, 8)",
    "i.crop_to_bounding_box(P, 1, 2, 3, 2)", "i.central_crop(B, 0.5)", "i.central_crop(P, 0.7)", "i.flip_left_right(P)", "i.flip_up_down(B)", "i.transpose(P)", "i.rot90(P)",
    "i.rot90(B, 3)", "i.rgb_to_grayscale(P)", "i.grayscale_to_rgb(tf.constant(P[..., :1]))", "i.adjust_brightness(P, 0.2)", "i.adjust_brightness(B, 0.2)", "i.adjust_contrast(P, 1.7)",
    "i.adjust_contrast(B, 0.5)", "i.adjust_saturation(P, 1.8)", "i.adjust_saturation(P, 0.4)", "i.adjust_hue(P, 0.3)", "i.adjust_hue(B, -0.7)", "i.random_hue(P, 1e-9)", "i.stateless_random_hue(P, 1e-9, seed=(1, 2))", "i.stateless_random_brightness(P, 1e-9, (3, 4))", "i.stateless_random_contrast(P, upper=1.0 + 1e-7, lower=1.0, seed=[1, 2])",
    "i.stateless_random_saturation(P, 1.0, 1.0 + 1e-7, (1, 2))", "tf.shape(i.stateless_random_crop(value=B, size=[5, 2, 2, 3], seed=(1, 2)))", "i.stateless_random_flip_left_right(P[:, :1], (1, 2))",
    "tf.reduce_all(i.stateless_random_brightness(P, 0.5, (7, 8)) == i.stateless_random_brightness(P, 0.5, (7, 8)))", "tf.reduce_all(i.stateless_random_crop(P, [2, 2, 3], (7, 8)) == i.stateless_random_crop(P, [2, 2, 3], (7, 8)))",
    "i.rgb_to_hsv(np.stack([P, P * 0, P[::-1]]))", "i.hsv_to_rgb(P)", "i.per_image_standardization(P)", "i.per_image_standardization(B)",
    "i.convert_image_dtype(B, tf.float32)", "i.convert_image_dtype(P, tf.uint8)", "i.convert_image_dtype(P * 2, tf.uint8, saturate=True)", "i.random_crop(P, [6, 4, 3])",
    "i.random_brightness(P, 1e-9)", "i.random_contrast(P, 1.0, 1.0 + 1e-7)", "i.decode_png(i.encode_png(B[0]))", "tf.io.decode_png(i.encode_png(B[0]), channels=1)",
    "tf.io.decode_image(i.encode_png(B[0, ..., :1]), channels=3, dtype=tf.float32)", "tf.abs(tf.cast(i.decode_jpeg(i.encode_jpeg(np.full((8, 8, 3), 99, 'uint8'))), tf.float32) - 99) < 3",
    "i.random_flip_left_right(P[:, :1])", "i.random_flip_up_down(B[:, :1])", "tf.shape(i.random_crop(B, [5, 2, 2, 3]))",
])  # fmt: skip
def test_images(code):
    theirs, ours = (eval(code, {**NAMES, "tf": t, "i": t.image}) for t in (tf, OURS))
    assert_near(ours, theirs)


def assert_near(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    kinds = ["i" if a.dtype.kind in "iu" else a.dtype.str[1:] for a in (ours, theirs)]
    assert kinds[0] == kinds[1] and ours.shape == theirs.shape
    np.testing.assert_allclose(ours.astype("f8"), theirs.astype("f8"), rtol=2e-5, atol=1.0 if "i" in kinds and "B" else 2e-6)


VARIABLES = [
    "v = tf.Variable([1.0, 2.0, 3.0]); v[1].assign(5.0); v", "v = tf.Variable(np.zeros((3, 2))); v[1:, 0].assign([1.0, 2.0]); v[0].assign([3.0, 4.0]); v[0, 1].assign(v[0, 0] - 1); v",
    "v = tf.Variable(3); v.assign_add(2); v.assign_sub(1); v.assign(v * 2); v", "v = tf.Variable(initial_value=lambda: [1, 2], dtype=tf.float32, trainable=False, name='v'); v",
    "v = tf.Variable([1.0]); v.assign_add([1.0], read_value=True).numpy()", "v = tf.Variable(2.0, constraint=lambda x: x); v + 1", "v = tf.Variable(True); v",
    "v = tf.Variable([[1, 2], [3, 4]]); v.scatter_nd_update([[0, 1], [1, 0]], [9, 8]); v", "v = tf.Variable([1.0, 2.0]); v.value() + v.read_value()", "v = tf.Variable(tf.ones((2, 2))); v.shape[0]",
]  # fmt: skip


@pytest.mark.parametrize("code", VARIABLES)
def test_variables(code):
    found = []
    *statements, last = code.split("; ")
    for t in (tf, OURS):
        names = {"tf": t, "np": np}
        exec("\n".join(statements), names)
        found.append(plain(eval(last, names)))
    assert found[1] == found[0]


@pytest.mark.parametrize("code", [
    "tf.constant(3) + 4", "7 - tf.constant([1, 2])", "tf.constant(7) // 2", "-tf.constant(7) % 3", "tf.constant([1, 2]) * tf.constant([3, 4])", "tf.constant(2) ** 5", "tf.constant([1, 2]) * 2.5 if 0 else 1.5",
    "tf.reduce_sum([1, 2, 3])", "tf.reduce_max(tf.constant([[1, 5], [7, 2]]), axis=0)", "tf.reduce_prod([2, 3])", "tf.maximum(tf.constant(2), 3)", "abs(tf.constant(-3))", "tf.square(tf.constant(-3))", "tf.sign([-4, 0])",
    "tf.clip_by_value(tf.constant([1, 9]), 2, 5)", "tf.where(tf.constant([True, False]), tf.constant([1, 2]), 0)", "tf.matmul(tf.constant([[1, 2]]), tf.constant([[3], [4]]))", "tf.cumsum([1, 2, 3])", "tf.range(5) * 2",
    "tf.shape(tf.zeros((2, 3)))[0] * 4", "tf.size(tf.zeros((2, 3))) + 1", "tf.cast(2.7, tf.int32) + 1", "tf.argmax([1, 3, 2]) + 1", "tf.stack([1, tf.constant(2)]) + 1", "tf.concat([[1], [2]], 0) - 1", "tf.add(1, 2)", "tf.reverse([1, 2], [0])",
    "tf.nn.conv2d(I, tf.ones((3, 3, 3, 2)), strides=[1, 2, 2, 1], padding='SAME')", "tf.nn.max_pool2d(input=I, ksize=2, strides=2, padding='VALID')", "tf.nn.avg_pool(I, [1, 2, 3, 1], [1, 1, 1, 1], 'SAME')",
    "tf.nn.batch_normalization(X, mean=1.0, variance=4.0, offset=0.5, scale=None, variance_epsilon=1e-3)", "tf.nn.embedding_lookup(X, [0, 5])", "tf.unique([3, 1, 3, 2])", "tf.unique(['b', 'a', 'b'])[0]",
    "tf.sequence_mask([1, 3])", "tf.sequence_mask([[1], [0]], maxlen=2, dtype=tf.float32)", "tf.scatter_nd([[1], [3]], tf.constant([9.0, 8.0]), [4])", "tf.meshgrid([1.0, 2.0], [3.0, 4.0, 5.0], indexing='ij')", "tf.ensure_shape(X, [None, 2])",
    "tf.searchsorted([1.0, 3.0, 5.0], [3.0], side='right')", "tf.nest.map_structure(lambda x: x + 1, {'a': (1, [2])})", "tf.nest.flatten([1, (2, {'a': 3})])", "tf.compat.as_str(b'a') + tf.compat.as_text('b')",
    "tf.matmul(a=tf.ones((2, 3)), b=tf.ones((2, 3)), transpose_b=True)", "tf.matmul(tf.ones((3, 2)), b=tf.ones((3, 2)), transpose_a=True)", "tf.nn.moments(x=tf.constant([[1.0, 2.0], [3.0, 5.0]]), axes=[0], keepdims=True)",
    "tf.reduce_mean(input_tensor=tf.ones((2, 2)), axis=1, keepdims=True)", "tf.equal(tf.constant(['a', 'b']), 'a')", "tf.constant('a') == 'a'", "tf.constant(['a']) != np.array(['b'])", "tf.gather(['a', 'b'], [1, 0])", "tf.stack(['a', 'b'])",
])  # fmt: skip
def test_integers_and_keywords(code):
    theirs, ours = both(code)
    assert plain(ours) == plain(theirs)
