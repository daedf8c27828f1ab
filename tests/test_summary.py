"""`print_summary` against texts that Keras printed (golden/make_text.py makes them), and cases of its own."""
import contextlib
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from minigrad.utils.summary import print_summary

GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("summary.json").read_text(encoding="utf-8"))


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def variables(descriptions):
    return [SimpleNamespace(dtype=dtype, shape=tuple(shape)) for dtype, *shape in descriptions]


def fake(description):
    """A layer or model with what a summary asks for, and nothing else."""
    layer = type(description["class"], (SimpleNamespace,), {})()
    for name in ("name", "built", "trainable"):
        setattr(layer, name, description[name])
    layer.trainable_weights = variables(description["trainable_weights"])
    layer.non_trainable_weights = variables(description["non_trainable_weights"])
    layer.weights = layer.trainable_weights + layer.non_trainable_weights
    layer.count_params = lambda: sum(math.prod(v.shape) for v in layer.weights)
    if "output_shape" in description:
        layer.output_shape = tuple(description["output_shape"])
    if "layers" in description:
        layer.layers = [fake(inner) for inner in description["layers"]]
    if "optimizer" in description:
        layer.optimizer = SimpleNamespace(built=True, variables=variables(description["optimizer"]))
    return layer


def dense(name="dense", units=64, inputs=20, **changes):
    description = {"class": "Dense", "name": name, "built": True, "trainable": True,
                   "trainable_weights": [["float32", inputs, units], ["float32", units]],
                   "non_trainable_weights": [], "output_shape": [None, units]}
    return fake({**description, **changes})


def sequential(*layers, name="sequential", **attributes):
    weights = [v for layer in layers for v in layer.trainable_weights]
    return SimpleNamespace(name=name, built=True, layers=list(layers), trainable_weights=weights,
                           non_trainable_weights=[v for layer in layers for v in layer.non_trainable_weights],
                           **attributes)


def text_of(model, **options):
    pieces = []
    assert print_summary(model, print_fn=pieces.append, **options) is None
    assert len(pieces) == 1
    return pieces[0]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """What rich reads about the terminal."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")


def case_id(case):
    options = "-".join(f"{key}={value}" for key, value in case["options"].items())
    return f"{case['model']}-{case['columns']}-{'terminal' if case['terminal'] else 'file'}-{options}"


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=case_id)
def test_prints_what_keras_prints(case, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(case["columns"]))
    model = fake(GOLDEN["models"][case["model"]])
    with contextlib.redirect_stdout(Terminal() if case["terminal"] else io.StringIO()) as stdout:
        print_summary(model, **case["options"])
    assert stdout.getvalue() == "".join(case["lines"])
    if not case["terminal"]:
        assert text_of(model, **case["options"]) == stdout.getvalue()


def test_print_fn_gets_plain_text_on_a_terminal():
    with contextlib.redirect_stdout(Terminal()) as stdout:
        text = text_of(sequential(dense()))
    assert stdout.getvalue() == ""
    assert "\x1b" not in text


def test_optimizer_counts_only_once_built():
    step = SimpleNamespace(shape=(), dtype="int64")
    slots = [SimpleNamespace(shape=(20, 64), dtype="float32"), SimpleNamespace(shape=(64,), dtype="float32")]
    optimizer = SimpleNamespace(built=False, variables=[step, *slots])
    model = sequential(dense(), optimizer=optimizer)
    assert "Optimizer" not in text_of(model)
    assert " Total params: 1,344 (5.25 KB)" in text_of(model)
    optimizer.built = True
    assert text_of(model).endswith(" Optimizer params: 1,345 (5.26 KB)\n")
    assert " Total params: 2,689 (10.51 KB)" in text_of(model)
    model.optimizer = None
    assert "Optimizer" not in text_of(model)


@pytest.mark.parametrize("count, dtype, size", [
    (0, "float32", "0.00 B"), (255, "float32", "1020.00 B"), (128, "float64", "1.00 KB"),
    (2**18, "float32", "1.00 MB"), (2**28 - 1, "float32", "1024.00 MB"), (2**60, "float64", "8192.00 PB"),
])
def test_units_of_memory(count, dtype, size):
    layer = dense(trainable_weights=[[dtype, count]])
    assert f" Trainable params: {count:,} ({size})\n" in text_of(sequential(layer))


def test_shared_variable_counts_once():
    layer = dense()
    assert " Total params: 1,344 (5.25 KB)" in text_of(sequential(layer, layer))


def test_names_are_no_markup():
    text = text_of(sequential(dense("[red]:smile:"), name="[bold]:warning:"))
    assert 'Model: "[bold]:warning:"' in text
    assert "[red]:smile: (Dense)" in text


def test_narrow_encoding_gets_ascii():
    written = io.BytesIO()
    inner = fake({"class": "Sequential", "name": "inner", "built": False, "trainable": True,
                  "trainable_weights": [], "non_trainable_weights": []})
    inner.layers = [dense("a" * 80)]
    with contextlib.redirect_stdout(io.TextIOWrapper(written, encoding="ascii")) as stdout:
        print_summary(sequential(inner), expand_nested=True)
        stdout.flush()
        text = written.getvalue().decode("ascii")
    assert "| inner (Sequential)" in text
    assert "|    ? " in text
    assert "aaa? |" in text


def test_no_stdout(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    print_summary(sequential(dense()))


def test_narrow_table_is_refused():
    with pytest.raises(ValueError, match="Pass a larger line_length"):
        text_of(sequential(dense()), line_length=15)


@pytest.mark.parametrize("layer_range", [["dense"], ["dense", 1], ["dense", "nobody"]])
def test_layer_range_is_checked(layer_range):
    with pytest.raises(ValueError, match="layer_range"):
        text_of(sequential(dense()), layer_range=layer_range)


def test_rich_is_imported_only_for_a_summary():
    command = "import sys, minigrad.utils.summary; sys.exit('rich' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)
