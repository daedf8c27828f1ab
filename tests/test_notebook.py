"""A Keras notebook on minigrad: one line, `%load_ext minigrad`, and what its cells show."""

import numpy as np
import pytest

import minigrad
from minigrad import callbacks

CELLS = [
    "%load_ext minigrad",
    """
import numpy as np
from tensorflow import keras
from tensorflow.keras.layers import Dense
model = keras.Sequential([keras.Input((2,)), Dense(1)])
model.compile("sgd", "mse")
model.fit(np.ones((8, 2)), np.ones(8), batch_size=4, epochs=2, verbose=0)""",
    "model.train_program",
    "type(keras.Sequential()).__module__",
    """
%unload_ext minigrad
import os, sys
'keras' in sys.modules, 'children' in os.environ.get('PYTHONPATH', '')""",
]


@pytest.mark.filterwarnings("ignore")  # Jupyter's own
def test_a_notebook(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    results = [[o for o in cell.outputs if o.output_type == "execute_result"] for cell in notebook.cells]
    shown = [[output["data"] for output in outputs] for outputs in results]  # without what was printed while compiling
    assert shown[0] == []
    assert "lowest" in shown[1][0]["text/plain"] and "<td>loss</td>" in shown[1][0]["text/html"]
    assert shown[2][0]["text/plain"].startswith("one training step of sequential, 4 rows: ")
    assert "sgd" in shown[2][0]["text/html"] and "-&gt;" in shown[2][0]["text/html"]
    assert shown[3][0]["text/plain"] == "'minigrad.models.sequential'" and shown[4][0]["text/plain"] == "(False, False)"


def test_a_history_shows_its_numbers():
    history = callbacks.History()
    assert repr(history).split() == ["0", "epochs", "first", "last", "lowest", "highest"]
    history.epoch = [0, 1, 2]
    history.history = {"loss": [3.0, 1.0, 2.0], "<f1>": [[0.5, 0.5]] * 3, "<a>": [1.0, float("nan"), 0.123456], "note": ["a"] * 3}
    lines = repr(history).splitlines()
    assert [line.split() for line in lines] == [
        ["3", "epochs", "first", "last", "lowest", "highest"], ["loss", "3", "2", "1", "3"],
        ["<a>", "1", "0.12346", "nan", "nan"],
    ]  # fmt: skip
    assert len({len(line) for line in lines}) == 1
    assert "<td>&lt;a&gt;</td><td>1</td>" in history._repr_html_()


def test_a_program_shows_its_listing():
    x = minigrad.Tensor(np.ones((2, 3), "float32"))
    program = minigrad.Program(lambda: minigrad.ops.relu(x), title="a <step>")
    assert repr(program) == str(program) and str(program).startswith("a <step>: 1 instructions\n")
    assert "a &lt;step&gt;" in program._repr_html_()
