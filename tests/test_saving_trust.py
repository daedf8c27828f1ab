"""Reading trusts nothing: hostile, damaged and foreign files end in a ValueError that names file and reason.

Each public weakness of other loaders that could apply has a file here; the numbers are those of the CVE list.
"""

import contextlib
import gc
import io
import json
import os
import random
import resource
import struct
import time
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from helpers import network

import minigrad as keras
from minigrad import saving
from minigrad.saving import files, hdf5

MEMORY = 128 << 20  # bytes that reading one small file may take


@contextlib.contextmanager
def limits(memory=MEMORY, seconds=5):
    """Inside, the process may take so much more memory and, as it is found out afterwards, so much processor time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    began = time.process_time()
    resource.setrlimit(resource.RLIMIT_AS, (now + memory, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert time.process_time() - began < seconds


def refused(path, reason, load=None):
    """Loading raises a ValueError with the file's name and the reason, without running out of memory."""
    before = sorted(os.listdir(path.parent))
    with limits(), pytest.raises(ValueError, match=reason) as caught:
        (load or keras.models.load_model)(path)
    assert str(path) in str(caught.value)
    assert "MemoryError" not in str(caught.value)
    assert sorted(os.listdir(path.parent)) == before, "reading left files"


@pytest.fixture(scope="module")
def members():
    """The members of a small real file: {name: bytes}."""
    model = network(dropout=0.2)
    model.fit(np.ones((8, 5)), np.ones((8, 1)), verbose=0)
    memory = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "write", lambda path, data: memory.write(data))
        model.save("model.keras")
    with zipfile.ZipFile(memory) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def make(tmp_path, members):
    """`make(config=f, h5=g, ...)`: the file with its config (a dict) and its HDF5 file changed in place by f and g."""

    def made(config=None, h5=None, compression=zipfile.ZIP_STORED, raw=None, extra=()):
        content = dict(members) | (raw or {})
        if config is not None:
            parsed = json.loads(content["config.json"])
            content["config.json"] = json.dumps(config(parsed) or parsed).encode()
        if h5 is not None:
            memory = io.BytesIO(content["model.weights.h5"])
            with h5py.File(memory, "r+") as file:
                h5(file)
            content["model.weights.h5"] = memory.getvalue()
        path = tmp_path / "hostile.keras"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in [*content.items(), *extra]:
                archive.writestr(name, data)
        return path

    return made


def test_the_untouched_file_loads(make):
    assert keras.models.load_model(make()).compiled
    assert keras.models.load_model(make(compression=zipfile.ZIP_DEFLATED)).compiled
    assert keras.models.load_model(make(extra=[("assets/x", "y"), ("minigrad.txt", "z")])).compiled


# ------------------------------------------------------------------------------- configs that name code


def layers(config):
    return config["config"]["layers"]


def entry(module, name, config=None, **more):
    return {"module": module, "class_name": name, "config": config or {}, "registered_name": None, **more}


CODE = {
    "a Lambda layer (CVE-2024-3660)": entry("keras.layers", "Lambda", {
        "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}}),
    "a lambda (CVE-2026-12481)": entry("builtins", "__lambda__", {"code": "4wEAAAA="}),
    "any function (CVE-2025-1550)": entry("os", "system", "touch hacked"),
    "a function as function": {"module": "os", "class_name": "function", "config": "system", "registered_name": "function"},
    "builtins": entry("builtins", "eval", "1"),
    "a gadget of Keras' own (CVE-2025-8747)": entry("keras.utils", "get_file", {"fname": "x", "origin": "file:///etc/passwd"}),
    "unsafe mode first (CVE-2025-9906)": entry("keras.config", "enable_unsafe_deserialization"),
    "a Torch module (CVE-2025-49655)": entry("keras.layers", "TorchModuleWrapper", {"module": "gASVAAAA"}),
    "a SavedModel (CVE-2026-1462)": entry("keras.layers", "TFSMLayer", {"filepath": "/tmp/saved"}),
    "a file to read (CVE-2025-12058)": entry("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
    "a file of integers to read": entry("keras.layers", "IntegerLookup", {"vocabulary": "/etc/passwd"}),
    "a file of words to read": entry("keras.layers", "TextVectorization", {"vocabulary": "/etc/passwd"}),
    "minigrad's own inside": entry("minigrad.utils", "set_random_seed", {"seed": 1}),
    "a class by a foreign path": entry("my.keras.layers", "Dense", {"units": 1}),
    "a registered name that nobody registered": entry("keras.layers", "Dense", {"units": 1}, registered_name="x>Dense"),
    "no name": {"module": "keras.layers", "config": {}},
    "a name that is no string": entry("keras.layers", ["Dense"]),
    "a config that is no dict": entry("keras.layers", "Dense", [1, 2]),
    "a path of attributes": entry("keras.layers", "Dense.__init__.__globals__"),
}
PLACES = {
    "a layer": lambda c, bad: layers(c).insert(1, bad),
    "the model": lambda c, bad: bad,
    "an activation": lambda c, bad: layers(c)[1]["config"].update(activation=bad),
    "an initializer": lambda c, bad: layers(c)[1]["config"].update(kernel_initializer=bad),
    "a regularizer": lambda c, bad: layers(c)[1]["config"].update(kernel_regularizer=bad),
    "a constraint": lambda c, bad: layers(c)[1]["config"].update(bias_constraint=bad),
    "a dtype": lambda c, bad: layers(c)[1]["config"].update(dtype=bad),
    "the optimizer": lambda c, bad: c["compile_config"].update(optimizer=bad),
    "the learning rate": lambda c, bad: c["compile_config"]["optimizer"]["config"].update(learning_rate=bad),
    "the loss": lambda c, bad: c["compile_config"].update(loss=bad),
    "a metric": lambda c, bad: c["compile_config"].update(metrics=[bad]),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", CODE)
def test_no_code_is_reached(what, place, make, monkeypatch):
    """Whatever a config names, and wherever: only what is in a closed table is ever looked at."""
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("code was run"))
    path = make(config=lambda c: PLACES[place](c, CODE[what]))
    name = CODE[what].get("class_name", "class_name|dtype|learning_rate")
    refused(path, str(name).split(".")[0].strip("_[]'") if name != "function" else "system|function")


@pytest.mark.parametrize("mode", [True, False, None])
def test_there_is_no_unsafe_mode(mode, make):
    path = make(config=lambda c: PLACES["a layer"](c, CODE["a Lambda layer (CVE-2024-3660)"]))
    refused(path, "Lambda holds code", load=lambda p: keras.models.load_model(p, safe_mode=mode))


def test_what_the_user_gives_is_given_to_the_file(make):
    """custom_objects reach exactly the names that they have."""
    path = make(config=lambda c: PLACES["an activation"](c, "cube"))
    refused(path, "cube")
    assert keras.models.load_model(path, custom_objects={"cube": abs}).layers[0].activation is abs
    with pytest.raises(ValueError, match="expects a layer"):
        keras.models.load_model(make(config=lambda c: layers(c).insert(1, entry(None, "f"))), custom_objects={"f": abs})


def test_other_formats_are_not_even_opened(tmp_path):
    """YAML (CVE-2021-37678), and what is called .h5 and is none."""
    assert not any("yaml" in name for name in [*dir(keras.models), *dir(saving)])
    (tmp_path / "x.h5").write_bytes(b"anything")
    for load in (keras.models.load_model, network().load_weights):
        with pytest.raises(ValueError, match=r"x\.h5 can't be read: it is no"):
            load(tmp_path / "x.h5")


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "a/b", 7, ["x"]])
def test_names_are_labels(name, make):
    """CVE-2026-12479: the name of a layer must not become a path."""
    refused(make(config=lambda c: layers(c)[1]["config"].update(name=name)), "name must be a string without '/'")


VOCABULARY = "assets/layers/text_vectorization/vocabulary.txt"


@pytest.mark.parametrize("vocabulary, changes, reason", [
    (b"\n[UNK]\na\nb", {"num_oov_indices": 3}, "num_oov_indices"),
    (b"\n" * 30_000_000, {}, "more than the .* that it can need"),
    (b"\n[UNK]\na\nb\na", {}, "some tokens twice"),
    (b"\n[UNK]\na\nb", {"output_mode": "tf_idf"}, "holds no idf_weights"),
    (b"\n[UNK]\na\nb", {"ngrams": 10**12}, None),
    (b"\n[UNK]\na\nb", {"max_tokens": 10**12}, None),
])  # fmt: skip
def test_a_vocabulary_takes_no_more_than_its_file(vocabulary, changes, reason, tmp_path):
    lookup = keras.layers.TextVectorization(vocabulary=["a", "b"], name="text_vectorization")
    path, hostile = tmp_path / "model.keras", tmp_path / "hostile.keras"
    keras.Sequential([keras.layers.Input((1,), dtype="string"), lookup]).save(path)
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(hostile, "w", zipfile.ZIP_DEFLATED) as other:
        config = json.loads(file.read("config.json"))
        layers(config)[1]["config"].update({"vocabulary": None, **changes})
        other.writestr("config.json", json.dumps(config))
        other.writestr("model.weights.h5", file.read("model.weights.h5"))
        other.writestr(VOCABULARY, vocabulary)
    if reason is not None:
        refused(hostile, reason)
    else:
        with limits():
            assert keras.models.load_model(hostile).predict(["a b", "c"], verbose=0).tolist()[0][:2] == [2, 3]


# --------------------------------------------------------------------------- sizes and numbers in configs


def width(n, place=1):
    return lambda c: layers(c)[place]["config"].update(units=n)


@pytest.mark.parametrize("change, reason", [
    (width(10**12), "'kernel' of shape .* is larger than all that the file holds"),
    (width(10**30), "larger than all that the file holds"),
    (width(5000), "larger than all that the file holds"),
    (width(9), r"'kernel'.* has shape \(5, 4\), expected \(5, 9\)"),
    (width(-1), "units must be a positive integer"),
    (width(float("nan")), "units must be a positive integer"),
    (width(1e12), "units must be a positive integer"),
    (width("4"), "units must be a positive integer"),
    (width(None), "units must be a positive integer"),
    (lambda c: layers(c)[0]["config"].update(batch_shape=[None, 10**12]), "larger than all that the file holds"),
    (lambda c: layers(c)[0]["config"].update(batch_shape=[None, -5]), "positive integers"),
    (lambda c: layers(c)[0]["config"].update(batch_shape=[None, float("inf")]), "positive integers"),
    (lambda c: layers(c)[0]["config"].update(batch_shape=10**9), "damaged or foreign"),
    (lambda c: layers(c)[2]["config"].update(momentum=float("nan")), "momentum must be a number"),
    (lambda c: layers(c)[2]["config"].update(axis=10**20), "out of range"),
    (lambda c: layers(c)[4]["config"].update(rate=float("nan")), "rate must be a number"),
    (lambda c: layers(c)[1]["config"].update(unit=3), "unrecognized.*'unit'.*Keras 3.15.1"),
    (lambda c: layers(c)[1]["config"].update(quantization_config={"mode": "int8"}), "neither LoRA nor quantization"),
    (lambda c: c["config"].update(layers=5), "damaged or foreign"),
    (lambda c: c["config"].update(layers=[5]), "Expected the config of a layer"),
    (lambda c: c["config"].update(layers={}), "holds.* 'dense'|layers"),
    (lambda c: layers(c).append(layers(c)[1]), "a layer named 'dense' already"),
    (lambda c: c["config"].pop("layers"), "layers"),
    (lambda c: c["compile_config"]["optimizer"]["config"].update(learning_rate=float("nan")), "learning_rate"),
    (lambda c: c["compile_config"]["optimizer"]["config"].update(gradient_accumulation_steps=1.5), "accumulation"),
    (lambda c: c["compile_config"].update(metrics=[entry("keras.metrics", "AUC", {"num_thresholds": 10**11})]), "100000000000|AUC"),
    (lambda c: c["compile_config"].update(metrics=[entry("keras.metrics", "AUC", {"num_thresholds": 1 << 20, "name": f"a{i}"}) for i in range(20)]),
     "the metrics ask for 20,971,"),
    (lambda c: c["compile_config"].update(metrics=[entry("keras.metrics", "AUC", {"num_thresholds": 1 << 20, "multi_label": True, "num_labels": 100})]),
     "the metrics ask for"),
    (lambda c: c["compile_config"].update(weighted_metrics=[entry("keras.metrics", "MeanIoU", {"num_classes": 10_000})]), "the metrics ask for 100,000,"),
    (lambda c: c["compile_config"].update(surprise=1) or c["compile_config"].update({"n" * 10**6: 1}), "unknown entries"),
    (lambda c: c["compile_config"].update(steps_per_execution="x"), "steps_per_execution"),
    (lambda c: c["compile_config"].update(surprise=1), "surprise"),
    (lambda c: c.update(compile_config=[1]), "compile"),
])  # fmt: skip
def test_configs_that_ask_for_too_much_or_make_no_sense(change, reason, make):
    refused(make(config=lambda c: change(c) and None), reason)


def test_texts(make, tmp_path):
    for text, reason in {
        b"": "JSON|Expecting",
        b"[]": "JSON of a dict",
        b"\xff\xfe\0": "decode",
        b"{" * 10: "Expecting",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000: "nested too deeply",
        b'{"module": "keras", "module": "os"}': "a key twice",
        b'{"class_name": ' + b"9" * 100_000 + b"}": "digits",
        b" " * (9 << 20): "more than the",
    }.items():
        refused(make(raw={"config.json": text}), reason)


def test_models_within_models_within_models(make):
    """Depth ends in an error, not in the stack; many layers do not take long."""

    def deep(levels):
        def deepen(config):
            layers(config)[4] = "here"
            config.pop("build_config")

        path = make(config=deepen)
        front, back = '{"module": "keras", "class_name": "Sequential", "config": {"layers": [', "]}}"
        dropout = json.dumps(entry("keras.layers", "Dropout", {"rate": 0.1}))
        with zipfile.ZipFile(path) as archive:
            text = archive.read("config.json").decode().replace('"here"', front * levels + dropout + back * levels)
        return make(raw={"config.json": text.encode()})

    assert keras.models.load_model(deep(20)).built
    too_deep = deep(5000)
    gc.collect()  # or what other tests left is collected where the stack is full, and its __del__ fails there
    refused(too_deep, "nested too deeply")

    def widen(config):
        layers(config)[4:5] = [entry("keras.layers", "Activation", {"activation": "relu"}) for _ in range(1000)]

    with limits(seconds=30):
        assert len(keras.models.load_model(make(config=widen), compile=False).layers) == 1004


# --------------------------------------------------------------------------------------------------- HDF5


KERNEL = "layers/dense/vars/0"


def replaced(create):
    def change(file):
        del file[KERNEL]
        create(file)

    return change


def external_storage(file):
    file.create_dataset(KERNEL, (5, 4), "f4", external=[("/etc/passwd", 0, 80)])


def virtual(file):
    layout = h5py.VirtualLayout((5, 4), "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", (5, 4))
    file.create_virtual_dataset(KERNEL, layout)


def huge(file, **options):
    file.create_dataset(KERNEL, (2**50, 4), "f4", **options)


def late(file):
    """The right shape, but no bytes: contiguous storage that was never allocated."""
    space, plan = h5py.h5s.create_simple((5, 4)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    h5py.h5d.create(file.id, KERNEL.encode(), h5py.h5t.IEEE_F32LE, space, plan)


def huge_piece(file):
    """The right shape in one piece of 4 GB."""
    file.create_dataset(KERNEL, (5, 4), "f4", chunks=(2**15, 2**15 - 1), maxshape=(None, None), compression="gzip")


def bomb(times, size=40 << 20):
    """The right shape in a piece that DEFLATE, once or twice, makes `size` bytes of."""

    def change(file):
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((5, 4))
        data = bytes(size)
        for _ in range(times):
            plan.set_deflate(9)
            data = zlib.compress(data, 9)
        space = h5py.h5s.create_simple((5, 4))
        h5py.h5d.create(file.id, KERNEL.encode(), h5py.h5t.IEEE_F32LE, space, plan).write_direct_chunk((0, 0), data)

    return change


H5 = {
    "a DEFLATE bomb": (bomb(1), "not in this file"),
    "DEFLATE twice": (bomb(2), "filters"),
    "an external link (CVE-2026-1669)": (lambda f: f.__setitem__(KERNEL, h5py.ExternalLink("/etc/passwd", "x")), "link"),
    "a soft link": (lambda f: f.__setitem__(KERNEL, h5py.SoftLink("/layers/dense_1/vars/0")), "link"),
    "external storage (CVE-2026-1669)": (external_storage, "other files"),
    "a virtual dataset": (virtual, "other files"),
    "a shape bomb (CVE-2026-0897)": (lambda f: huge(f, chunks=(64, 4), compression="gzip"), "has shape"),
    "a shape bomb without bytes (CVE-2026-12570)": (huge, "has shape"),
    "the right shape without bytes": (late, "not in this file"),
    "the right shape in a huge piece": (huge_piece, "not in this file"),
    "no bytes in pieces": (lambda f: f.create_dataset(KERNEL, (5, 4), "f4", chunks=(5, 4)), "not in this file"),
    "a group": (lambda f: f.create_group(KERNEL), "no dataset"),
    "text": (lambda f: f.create_dataset(KERNEL, (5, 4), h5py.string_dtype()), "no array of numbers"),
    "references": (lambda f: f.create_dataset(KERNEL, (5, 4), h5py.ref_dtype), "no array of numbers"),
    "vectors of any length": (lambda f: f.create_dataset(KERNEL, (5, 4), h5py.vlen_dtype("f4")), "no array of numbers"),
    "structures": (lambda f: f.create_dataset(KERNEL, (5, 4), [("a", "f4"), ("b", "i4")]), "no array of numbers"),
    "a type": (lambda f: f.__setitem__(KERNEL, np.dtype("f4")), "no dataset"),
    "nothing": (lambda f: f.create_dataset(KERNEL, dtype="f4"), "has shape None"),
    "the wrong rank": (lambda f: f.create_dataset(KERNEL, data=np.zeros(20, "f4")), r"has shape \(20,\)"),
    "one too many": (lambda f: [f.create_dataset(KERNEL, data=np.zeros((5, 4))), f.create_dataset("layers/dense/vars/2", data=0)],
                     "2 variables, and the file holds 3"),
    "one too few": (lambda f: None, "2 variables, and the file holds 0"),
}  # fmt: skip


@pytest.mark.parametrize("what", H5)
def test_hdf5(what, make):
    change, reason = H5[what]
    path = make(h5=replaced(change))
    refused(path, reason)
    model = network()
    before = model.get_weights()
    refused(path, reason, load=model.load_weights)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_a_group_that_is_a_link(make):
    def link(file):
        file.move("layers/dense", "elsewhere")
        file["layers/dense"] = h5py.SoftLink("/elsewhere")

    refused(make(h5=link), "link")


def test_a_group_that_contains_itself(make):
    """Only the paths of the model are followed, never the file's own idea of depth."""

    def ring(file):
        file["layers/dense/layers"] = file["layers"]
        file["loop"] = file["/"]

    assert keras.models.load_model(make(h5=ring)).built


def test_ordinary_variations_load(make, members):
    """Compressed, float64, big-endian and integer arrays of the right shape."""
    values = np.arange(20).reshape(5, 4)
    for options in ({"compression": "gzip", "shuffle": True}, {"dtype": "f8"}, {"dtype": ">f4"}, {"dtype": "i2"}):
        path = make(h5=replaced(lambda f: f.create_dataset(KERNEL, data=values, **{"dtype": "f4", **options})))
        np.testing.assert_array_equal(keras.models.load_model(path).get_weights()[0], values)


def at(data, signature, number=2):
    """Where the structure of that signature begins that is the `number`-th in the file."""
    places = [i for i in range(len(data)) if data[i : i + 4] == signature]
    return places[number]


def names_of(data, number=2):
    return struct.unpack_from("<Q", data, at(data, b"HEAP", number) + 24)[0]


@pytest.mark.parametrize("damage, reason", [
    (lambda d: struct.pack_into("<QQQQ", d, at(d, b"HEAP") + 8, 88, 8, names_of(d), 0) or
        struct.pack_into("<QQ", d, names_of(d) + 8, 8, 16), "list of free blocks"),  # it follows itself
    (lambda d: struct.pack_into("<Q", d, at(d, b"HEAP") + 16, 2**40), "list of free blocks"),
    (lambda d: struct.pack_into("<Q", d, at(d, b"HEAP") + 8, 2**40), "behind its end"),
    (lambda d: struct.pack_into("<Q", d, at(d, b"HEAP") + 24, names_of(d, 3)), "twice|free blocks"),  # two have the same names
    (lambda d: struct.pack_into("<Q", d, at(d, b"TREE") + 32, at(d, b"TREE")), "twice|damaged"),  # its own child
    (lambda d: struct.pack_into("<Q", d, at(d, b"TREE") + 16, at(d, b"TREE", 3)), "damaged at"),  # a neighbour
    (lambda d: struct.pack_into("<H", d, at(d, b"TREE") + 6, 60000), "damaged at"),
    (lambda d: struct.pack_into("<B", d, at(d, b"TREE") + 5, 3), "damaged at|twice|behind"),
    (lambda d: struct.pack_into("<Q", d, at(d, b"TREE") + 24, 5000), "name in a group"),
    (lambda d: struct.pack_into("<H", d, at(d, b"SNOD") + 6, 60000), "damaged at"),
    (lambda d: struct.pack_into("<Q", d, at(d, b"SNOD") + 8, 2**63), "name in a group"),
    (lambda d: struct.pack_into("<Q", d, at(d, b"SNOD") + 16, 2**64 - 9), "behind its end"),
    (lambda d: struct.pack_into("<B", d, 8, 2), "another version"),
])  # fmt: skip
def test_damaged_indexes(damage, reason, members, tmp_path):
    """The HDF5 library itself crashes or loops for ever on some of these, so it must never see them."""
    data, path, model = bytearray(members["model.weights.h5"]), tmp_path / "damaged.weights.h5", network(dropout=0.2)
    damage(data)
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h5py, "File", lambda *args: pytest.fail("the HDF5 library was asked"))
        refused(path, reason, load=model.load_weights)


def test_large_groups_and_pieces_are_indexed(tmp_path):
    """Indexes of several levels, whole, are read."""
    data, path = np.arange(40_000, dtype="f4").reshape(-1, 2), tmp_path / "large.h5"
    with h5py.File(path, "w") as file:
        for i in range(400):
            file[f"many/{i}"] = i
        file.create_dataset("pieces", data=data, chunks=(100, 1), compression="gzip", fletcher32=True, shuffle=True)
    with open(path, "rb") as opened, hdf5.Tree(opened) as tree:
        assert tree.count("many") == 400 == len(tree.names("many"))
        np.testing.assert_array_equal(tree.array("pieces"), data)


@pytest.mark.parametrize("change, reason", [
    (lambda f: f["optimizer/vars"].__setitem__("2", h5py.SoftLink("/layers/dense/vars/0")) , "link"),
    (lambda f: f.create_dataset("optimizer/vars/2", data=np.zeros((9, 9))), r"optimizer 'adam'.*\(9, 9\)"),
])
def test_the_optimizer(change, reason, make):
    def changed(file):
        del file["optimizer/vars/2"]
        change(file)

    refused(make(h5=changed), reason)
    assert not keras.models.load_model(make(h5=changed), compile=False).compiled


def with_state(state):
    def change(file):
        del file["minigrad/state"]
        text = state if isinstance(state, bytes) else json.dumps(state).encode()
        file["minigrad/state"] = np.frombuffer(text, np.uint8)

    return change


@pytest.mark.parametrize("state", [
    b"{", [], {"format": 1}, {"format": "x", "state": {}}, {"format": 1, "state": {"streams": 3}},
    {"format": 1, "state": {"streams": {"layers/dropout/": 3}}},
    {"format": 1, "state": {"streams": {"layers/dropout/": [{"__array__": 99}]}}},
    {"format": 1, "state": {"random": 3}}, {"format": 1, "state": {"random": {"generator": {}, "stream": [1]}}},
    {"format": 1, "state": {"random": {"generator": {"bit_generator": "MT19937"}}}},
    {"format": 1, "state": {"streams": {"layers/dropout/": [3]}}}, {"format": 1, "state": {"streams": {"layers/dropout/": []}}},
    {"format": 1, "state": {"streams": {"layers/dropout/": [{"__array__": "../0"}]}}},
])  # fmt: skip
def test_the_extra_state(state, make):
    refused(make(h5=with_state(state)), "can't be read")


# ------------------------------------------------------------------------------------------- ZIP archives


def test_a_zip_bomb_is_not_inflated(make, members):
    """A weights member of 2 GB of zeros in 2 MB, and one that lies about its size."""
    zeros = b"\0" * (64 << 20)
    path = make(raw={"model.weights.h5": members["model.weights.h5"] + zeros}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    refused(path, "more than the .* that it can need")
    refused(make(raw={"config.json": zeros}, compression=zipfile.ZIP_DEFLATED), "more than the .* that it can need")


def patched(path, name, **fields):
    """Overwrite fields in the two headers of a member: what a ZIP says about itself."""
    data = bytearray(path.read_bytes())
    places = {"flags": (8, 6, "<H"), "method": (10, 8, "<H"), "crc": (16, 14, "<I"), "compressed": (20, 18, "<I"), "size": (24, 22, "<I")}
    for signature, column in ((b"PK\1\2", 0), (b"PK\3\4", 1)):
        start = -1
        while (start := data.find(signature, start + 1)) >= 0:
            if data[start:].find(name.encode()) in (46, 30):
                for field, value in fields.items():
                    struct.pack_into(places[field][2], data, start + places[field][column], value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("fields, reason", [
    ({"size": 0xFFFFFFF0}, "tells two sizes|bomb"),
    ({"size": 10}, "tells two sizes"),
    ({"size": 0xFFFFFFF0, "compressed": 0xFFFFFFF0}, "more than the|damaged"),
    ({"crc": 1}, "CRC|damaged"),
    ({"flags": 1}, "encrypted"),
    ({"method": 12}, "other than DEFLATE"),
    ({"method": 14}, "other than DEFLATE"),
    ({"method": 99}, "other than DEFLATE"),
    ({"method": 8}, "damaged"),
])
@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_headers_that_lie(fields, reason, name, make):
    refused(patched(make(), name, **fields), reason)


def test_deflated_members_that_lie(make):
    for size in (10, 0x7FFFFFFF, 0xFFFFFFF0):
        path = make(compression=zipfile.ZIP_DEFLATED)
        refused(patched(path, "model.weights.h5", size=size), "bomb|damaged|not as long|more than|larger than")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members(make, members, tmp_path):
    refused(make(extra=[("config.json", b"{}")]), "two members named 'config.json'")
    for name in ("config.json", "model.weights.h5"):
        path = tmp_path / "lacking.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for other in members.keys() - {name}:
                archive.writestr(other, members[other])
        refused(path, f"no member '{name}'")


def test_no_member_becomes_a_file(make, tmp_path):
    """CVE-2025-12060 and its kin: names that lead elsewhere, links, devices. They are not looked at."""
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = 0o120777 << 16
    path = make(extra=[("../outside.txt", b"x"), ("/tmp/outside.txt", b"x"), (link, b"/etc/passwd")])
    before = sorted(os.listdir(tmp_path)), sorted(os.listdir(tmp_path.parent))
    assert keras.models.load_model(path).built
    assert (sorted(os.listdir(tmp_path)), sorted(os.listdir(tmp_path.parent))) == before


# ----------------------------------------------------------------------------- damaged and foreign files


@pytest.mark.parametrize("content, reason", [
    (b"", "it is empty"),
    (b"hello", "no file of a model"),
    (b"PK", "damaged or foreign"),
    (b"PK\3\4" + b"\0" * 100, "damaged or foreign"),
    (b"\x89HDF\r\n\x1a\n" + b"\0" * 500, "an HDF5 file of another version"),
    (b"PK\5\6" + b"\0" * 18, "no member 'config.json'"),
])
def test_foreign_files(content, reason, tmp_path):
    (tmp_path / "x.keras").write_bytes(content)
    refused(tmp_path / "x.keras", reason)
    (tmp_path / "x.weights.h5").write_bytes(content)
    refused(tmp_path / "x.weights.h5", "can't be read", load=network().load_weights)


def test_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "x.keras")
    refused(tmp_path / "x.keras", "a device")
    (tmp_path / "y.weights.h5").symlink_to("/dev/zero")
    refused(tmp_path / "y.weights.h5", "a device", load=network().load_weights)


@pytest.mark.parametrize("suffix, beginning", [(".keras", b"PK\3\4"), (".weights.h5", b"\x89HDF\r\n\x1a\n")])
def test_files_with_holes(suffix, beginning, tmp_path):
    """Much longer than what the disk holds: it is not read as a whole."""
    path = tmp_path / f"x{suffix}"
    with open(path, "wb") as file:
        file.write(beginning)
        file.truncate(1 << 32)
    refused(path, "can't be read", load=network().load_weights)


def test_truncated_files(make, tmp_path):
    whole = make().read_bytes()
    path = tmp_path / "short.keras"
    for length in [*range(1, 60, 7), *range(60, len(whole), len(whole) // 40), len(whole) - 1]:
        path.write_bytes(whole[:length])
        refused(path, "can't be read")


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_random_damage(suffix, make, members, tmp_path):
    """Hundreds of files with some bytes changed: an error that names the file, or a model; never anything else."""
    whole = make().read_bytes() if suffix == ".keras" else members["model.weights.h5"]
    path, rng, outcomes = tmp_path / f"damaged{suffix}", random.Random(7), {True: 0, False: 0}
    model = network(dropout=0.2)
    # What is not weights is where it hurts; a third of the changes go anywhere.
    places = [i for i in range(len(whole)) if whole[max(0, i - 8) : i + 8] != b"\0" * 16]
    with limits(seconds=60):
        for _ in range(250):
            data = bytearray(whole)
            for _ in range(rng.choice([1, 1, 3])):
                place = rng.choice(places) if rng.random() < 0.7 else rng.randrange(len(data))
                data[place] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
            path.write_bytes(data)
            try:
                with np.errstate(all="ignore"):
                    keras.models.load_model(path) if suffix == ".keras" else model.load_weights(path)
                outcomes[True] += 1
            except ValueError as error:
                assert str(path) in str(error) and "MemoryError" not in str(error)
                outcomes[False] += 1
            except UserWarning as warning:
                assert "starts anew" in str(warning)
    assert outcomes[False] > 20, outcomes
    if suffix == ".weights.h5":
        assert outcomes[True] > 20, outcomes
