"""What is small stays small: the engine loads and reads alone, in an evening; few Python calls lie between two kernels.

The numbers may fall without a word. They rise only with a reason, which the commit tells.
"""

import operator
import subprocess
import sys
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
from helpers import frames

import minigrad as keras
from minigrad import Tensor, ops
from minigrad.layers import Activation, BatchNormalization, Dense
from minigrad.ops.masks import MASKS
from minigrad.tensor import Structure

ROOT = Path(keras.__file__).parent

LOAD = """if True:
    import sys, types
    root = sys.modules["minigrad"] = types.ModuleType("minigrad")  # none of what minigrad/__init__.py imports
    root.__path__ = [sys.argv[1]]
    import minigrad.program, minigrad.tensor
    print(*[module.__file__ for name, module in sys.modules.items() if name.startswith("minigrad.")], sep="\\n")
"""


def lines(path):
    return len(path.read_text().splitlines())


def test_the_engine_loads_alone_and_reads_in_an_evening():
    done = subprocess.run([sys.executable, "-c", LOAD, str(ROOT)], capture_output=True, text=True, check=True)
    files = [Path(name) for name in done.stdout.split()]
    folders = {file.relative_to(ROOT).parts[0] for file in files}
    assert folders == {"config.py", "names.py", "trees.py", "kernels", "program", "tensor"}
    assert {file.name for file in files if file.parent.name == "kernels"} == {"__init__.py", "copying.py"}
    assert len(files) <= 15 and sum(map(lines, files)) <= 2300


def test_the_lines_of_the_package():
    assert sum(lines(path) for path in ROOT.rglob("*.py")) <= 42_920


def test_no_file_of_tests_is_long():
    assert [path.name for path in Path(__file__).parent.rglob("*.py") if lines(path) > 690] == []


def test_frames_of_relu_forward_and_backward():
    x = Tensor(np.ones((3, 4), "float32"), requires_grad=True)
    g = np.ones((3, 4), "float32")

    def once():
        ops.relu(x).backward(g)

    once()  # which compiles
    x.grad = None
    assert frames(once) <= 20


def article():
    return keras.Sequential([
        Dense(64, input_shape=(20,)), BatchNormalization(), Activation("relu"), Dense(32), BatchNormalization(),
        Activation("relu"), Dense(1, activation="sigmoid"),
    ])  # fmt: skip


def test_frames_of_single_calls(monkeypatch):
    """Of the article's model: to build it, and of one call of each method, once it has been called before."""
    for key in list(MASKS):  # of tensors that other tests keep: where nothing is masked, a mask costs nothing
        monkeypatch.delitem(MASKS, key)
    monkeypatch.setattr(Structure, "left", WeakValueDictionary())  # the same of memory that variables have left
    model, optimizer, loss = article(), keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()
    model.compile(optimizer, loss, metrics=["accuracy"])
    x, y = np.ones((32, 20), "float32"), np.ones((32, 1), "float32")
    model.train_on_batch(x, y)

    def step():
        value = loss(y, model(x, training=True))
        for variable in model.trainable_variables:
            variable.grad = None
        value.backward()
        optimizer.step()

    def with_tape():
        with keras.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)

    ceilings = {
        article: 2900,
        step: 115,
        with_tape: 140,
        lambda: model.train_on_batch(x, y): 68,
        lambda: model.test_on_batch(x, y): 67,
        lambda: model.predict_on_batch(x): 18,
        lambda: model.predict(x, verbose=0): 43,
        lambda: model(x): 30,
        lambda: model.evaluate(x, y, verbose=0): 115,
        lambda: model.fit(x, y, verbose=0): 260,
    }
    found = [(call(), call(), frames(call))[-1] for call in ceilings]
    assert all(map(operator.le, found, ceilings.values())), str(found)
    model.run_eagerly = True
    for _ in range(2):
        model.train_on_batch(x, y)
    assert frames(lambda: model.train_on_batch(x, y)) <= 245
