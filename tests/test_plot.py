"""plot_model: what is drawn, read back from the SVG; files, directions, errors."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from helpers import network

import minigrad as keras
from minigrad import layers as L
from minigrad.utils import plot_model
from minigrad.utils.layout import GAP, Layout

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def readable_text():
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "1"}):
        yield


def nested():
    keras.utils.clear_session()
    inner = keras.Sequential([L.Dense(8), L.BatchNormalization(), L.Activation("relu")], name="inner")
    return keras.Sequential([keras.Input((20,)), inner, L.Dropout(0.2), L.Dense(1, activation="sigmoid")])


def drawn(model, tmp_path, **options):
    """All texts of the picture as (x, y, text), from top to bottom."""
    path = tmp_path / "model.svg"
    assert plot_model(model, path, **options) is None
    texts = []
    for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text"):
        x, y = re.search(r"translate\(([\d.]+) ([\d.]+)\)", element.get("transform", "")) .groups() if "translate" in element.get(
            "transform", "") else (element.get("x"), element.get("y"))
        texts.append((float(x), float(y), element.text))
    return sorted(texts, key=lambda t: (t[1], t[0]))


def words(texts):
    return [text for _, _, text in texts]


def test_a_plain_picture_shows_classes(tmp_path):
    assert words(drawn(network(), tmp_path)) == ["InputLayer", "Dense", "BatchNormalization", "Activation", "Dense"]


def test_everything_that_can_be_shown(tmp_path):
    model = nested()
    model.layers[-1].trainable = False
    texts = words(drawn(
        model, tmp_path, show_shapes=True, show_dtype=True, show_layer_names=True, show_layer_activations=True,
        expand_nested=True, show_trainable=True,
    ))  # fmt: skip
    titles = ["InputLayer", "inner (Sequential)", "dense (Dense): linear", "batch_normalization (BatchNormalization)",
              "activation (Activation): relu", "dropout (Dropout)", "dense_1 (Dense): sigmoid"]  # fmt: skip
    assert [t for t in texts if t in titles] == titles
    assert texts.count("Input: (None, 20)") == 2 and texts.count("Output: (None, 8)") == 4 and "Output: (None, 1)" in texts
    assert texts.count("dtype: float32") == 6
    assert texts.count("trainable: True") == 2 and texts.count("trainable: False") == 1


def test_a_nested_model_is_one_box_unless_expanded(tmp_path):
    assert words(drawn(nested(), tmp_path)) == ["InputLayer", "Sequential", "Dropout", "Dense"]


@pytest.mark.parametrize("rankdir, axis, sign", [("TB", 1, 1), ("BT", 1, -1), ("LR", 0, 1), ("RL", 0, -1)])
def test_directions(rankdir, axis, sign, tmp_path):
    texts = drawn(nested(), tmp_path, rankdir=rankdir, expand_nested=True)
    places = {text: place[axis] for *place, text in texts}
    order = ["InputLayer", "BatchNormalization", "Activation", "Dropout"]
    assert sorted(order, key=lambda text: sign * places[text]) == order
    across = {round(place[1 - axis], 1) for *place, text in texts if text in ("Dropout", "InputLayer")}
    assert len(across) == 1 or axis == 1  # one line


@pytest.mark.parametrize("name, start", [("m.png", b"\x89PNG"), ("m.pdf", b"%PDF"), ("m.jpg", b"\xff\xd8"), ("m", b"\x89PNG")])
def test_files(name, start, tmp_path):
    plot_model(network(), str(tmp_path / name), dpi=50)
    (written,) = tmp_path.iterdir()
    assert written.read_bytes().startswith(start)


def test_boxes_hold_their_texts_and_do_not_overlap():
    from minigrad.utils import plot

    wanted = {"names": True, "shapes": True, "dtype": False, "activations": True, "trainable": False, "nested": False}
    model = keras.Sequential([keras.Input((7,)), L.Dense(3, activation="relu", name="a" * 60)])
    boxes, arrows = plot._parts(model, wanted, with_input=True)
    for box in boxes:
        assert box.width >= plot._width(box.title, bold=True) + plot.PADDING
        assert all(box.width / len(row) >= plot._width(text) + plot.PADDING for row in box.rows for text in row)
    group = plot._Group(None, boxes, arrows, "TB")
    assert group.width == max(box.width for box in boxes)
    assert group.height == sum(box.height for box in boxes) + GAP


def test_a_subclassed_model(tmp_path):
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = L.Dense(3), L.Dense(1)

        def call(self, x):
            return self.second(self.first(x))

    model = Mine()
    model(np.ones((2, 4)))
    assert words(drawn(model, tmp_path, show_shapes=True)).count("Dense") == 2


@pytest.mark.parametrize("options, message", [
    ({"rankdir": "up"}, "one of TB, BT, LR, RL; got 'up'"), ({"show_shape": True}, "did you mean 'show_shapes'"),
    ({"layer_range": ["a", "b"]}, "layer_range"),
])
def test_errors(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plot_model(network(), tmp_path / "m.png", **options)
    assert not any(tmp_path.iterdir())


def test_a_model_that_is_not_built(tmp_path):
    with pytest.raises(ValueError, match="'lazy' is not built"):
        plot_model(keras.Sequential([L.Dense(1)], name="lazy"), tmp_path / "m.png")


def test_matplotlib_is_imported_only_for_a_picture():
    command = "import sys, minigrad; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)


def residual():
    keras.utils.clear_session()
    x = keras.Input((4,), name="x")
    shared = L.Dense(4, name="shared")
    h = L.Activation("relu", name="act")(shared(shared(x)))
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4, name="inside")], name="inner")
    return keras.Model(x, [L.Dense(1, name="last")(h + inner(x)) * 2.0, h])


def test_a_graph(tmp_path):
    texts = words(drawn(residual(), tmp_path, show_layer_names=True, show_shapes=True, expand_nested=True))
    for title in ("x (InputLayer)", "shared (Dense), call 1 of 2", "shared (Dense), call 2 of 2", "act (Activation)",
                  "add (Add)", "inner (Sequential)", "inside (Dense)", "last (Dense)", "multiply (Multiply)"):  # fmt: skip
        assert texts.count(title) == 1, title
    assert "Input: [(None, 4), (None, 4)]" in texts


@pytest.mark.parametrize("rankdir, axis, sign", [("TB", 1, 1), ("BT", 1, -1), ("LR", 0, 1), ("RL", 0, -1)])
def test_directions_of_a_graph(rankdir, axis, sign, tmp_path):
    places = {text: place[axis] for *place, text in drawn(residual(), tmp_path, rankdir=rankdir, show_layer_names=True)}
    order = ["x (InputLayer)", "shared (Dense), call 1 of 2", "shared (Dense), call 2 of 2", "act (Activation)",
             "add (Add)", "last (Dense)", "multiply (Multiply)"]  # fmt: skip
    assert sorted(order, key=lambda text: sign * places[text]) == order


def test_boxes_of_a_graph_do_not_overlap_and_arrows_lead_along():
    random = np.random.default_rng(0)
    for count in (2, 5, 30):
        sizes = [tuple(size) for size in random.uniform(20, 90, (count, 2))]
        arrows = sorted({(int(random.integers(end)), end) for end in range(1, count) for _ in range(2)})
        layout = Layout(sizes, arrows)
        boxes = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(layout.centers, sizes)]
        assert all(box[0] >= -1e-6 and box[2] <= layout.size[0] + 1e-6 for box in boxes)
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        for points, (start, end) in zip(layout.lines(), arrows, strict=True):
            along = [y for _, y in points]
            assert np.diff(along).min() >= -1e-6 and len(points) % 4 == 1
            assert along[0] == pytest.approx(boxes[start][3]) and along[-1] == pytest.approx(boxes[end][1])
