"""plot_graph: the boxes and arrows of a tape, read back from the SVG."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import minigrad as keras
from minigrad import Tensor, no_grad, ops
from minigrad.utils import plot_graph

SPACE = "{http://www.w3.org/2000/svg}"


def leaf(*shape):
    return Tensor(np.ones(shape), requires_grad=True)


def drawn(picture):
    """(the two lines of each box, the number of arrows)"""
    tree = ElementTree.fromstring(picture)
    words = [text.text for text in tree.iter(f"{SPACE}text")]
    arrows = [path for path in tree.iter(f"{SPACE}path") if "marker-end" in path.attrib]
    return list(zip(words[::2], words[1::2])), len(arrows)


def test_the_tape_of_a_neuron(tmp_path):
    w, b = leaf(2, 1), leaf(3, 1)
    y = ops.exp(np.ones((3, 2)) @ w + b)
    picture = plot_graph(y * y, tmp_path / "neuron.svg", w=w, b=b)
    boxes = [("w", "2 x 1"), ("matmul", "3 x 1"), ("b", "3 x 1"), ("add", "3 x 1"), ("exp", "3 x 1"), ("multiply", "3 x 1")]
    assert drawn(picture) == (boxes, 6)  # two of them from exp to multiply
    ways = re.findall(r'<path d="([^"]*)" fill="none"', picture)
    assert len(set(ways)) == 6  # side by side
    assert (tmp_path / "neuron.svg").read_text() == picture == picture._repr_svg_()


@pytest.mark.parametrize("call, name", [
    (ops.log, "log"), (ops.tanh, "tanh"), (ops.softmax, "softmax"), (lambda x: x - 1.0, "subtract"),
    (lambda x: ops.reshape(x, (4, 1)), "reshape"), (lambda x: ops.concatenate([x, x]), "concatenate"),
    (lambda x: doubled(x), "doubled"),
])  # fmt: skip
def test_operations_have_their_names(call, name):
    assert drawn(plot_graph(call(leaf(2, 2))))[0][-1][0] == name


@ops.custom_gradient
def doubled(x):
    return x * 2.0, lambda gy: gy * 2.0


def test_a_model_called_outside_of_a_tape_shows_its_operations():
    keras.utils.clear_session()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "relu"), keras.layers.Dense(1)])
    expected = ["dense/kernel", "dense/bias", "dense_relu", "dense_1/kernel", "dense_1/bias", "dense"]
    y = model(np.ones((4, 3)))
    assert [name for name, _ in drawn(plot_graph(y))[0]] == expected
    assert [name for name, _ in drawn(plot_graph(ops.square(y)))[0]] == [*expected, "square"]


def test_many_ways_and_long_ones():
    y = leaf()
    for _ in range(100):
        y = y + y
    boxes, arrows = drawn(plot_graph(y))
    assert boxes[:2] == [("leaf", "scalar"), ("add", "scalar")] and (len(boxes), arrows) == (101, 200)


def test_what_has_no_tape():
    with no_grad():
        y = ops.exp(leaf(2))
    for one in (y, leaf(2), Tensor([1.0]), ops.exp(leaf(2)).detach()):
        with pytest.raises(ValueError, match="plot_graph: a tensor of shape .* has no tape, because .* requires_grad=True"):
            plot_graph(one)
    with pytest.raises(TypeError, match=r"plot_graph: tensor must be a Tensor, got 3 \(int\)"):
        plot_graph(3)
    with pytest.raises(TypeError, match=r"plot_graph: w must be a Tensor, got 'w' \(str\)"):
        plot_graph(ops.exp(leaf(2)), w="w")


def test_names_are_escaped():
    w = leaf(2)
    assert drawn(plot_graph(ops.exp(w), **{"<w & b>": w}))[0][0] == ("<w & b>", "2")
