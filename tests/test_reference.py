"""What is made from the source: the map of its parts, the reference pages, the notebooks."""

import inspect
import re
from pathlib import Path

import pytest
from helpers import load_script

import minigrad as keras

nbformat = pytest.importorskip("nbformat")

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_source_map_shows_the_imports():
    script = load_script(EXAMPLES / "source_map.py")
    assert script.PICTURE.read_text(encoding="utf-8") == script.picture(), "run: python examples/source_map.py"


def test_what_the_source_map_shows(tmp_path):
    """b, c/ and d need a; e needs them; d and f/ have the same arrows."""
    files = {"__init__": "import os", "a": "", "b": "from pack import a", "c/x": "from pack.c.y import z\nfrom pack.b import a",
             "d/x": "from pack import c", "e/x": "from pack import a, d, f", "f/x": "from pack.c import x"}  # fmt: skip
    root = tmp_path / "pack"
    for name, text in files.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    script = load_script(EXAMPLES / "source_map.py")
    assert script.imports(root) == {"a": set(), "b": {"a"}, "c/": {"b"}, "d/": {"c/"}, "e/": {"a", "d/", "f/"}, "f/": {"c/"}}
    picture = script.picture(root)
    assert [line.split(">")[1].split("<")[0] for line in picture.splitlines() if "<text" in line] == ["a b", "c/", "d/ f/", "e/"]
    assert picture.count("marker-end") == 3


def test_the_reference_shows_docstrings(tmp_path):
    pytest.importorskip("pdoc")
    pytest.importorskip("sklearn")
    load_script(EXAMPLES / "reference.py").write(tmp_path, ["minigrad.wrappers", "minigrad.activations"])
    wrappers, activations = ((tmp_path / "minigrad" / f"{name}.html").read_text() for name in ("wrappers", "activations"))
    assert 'id="SKLearnClassifier.predict"' in wrappers and "<li><strong>warm_start:</strong>" in wrappers
    assert "<p>y = 1 / (1 + e^-x);   dx = dy y (1 - y)." in activations and "registry.register" not in activations


def test_markdown_takes_no_star_of_a_docstring_for_its_own():
    pdoc = pytest.importorskip("pdoc")
    for module in (keras.layers, keras.ops, keras.losses, keras.optimizers):
        for name in module.__all__:
            text = inspect.getdoc(getattr(module, name)) or ""
            assert not re.search("<em>|<strong>(?!.*:</strong>)", str(pdoc.render_helpers.to_html(pdoc.docstrings.google(text)))), name


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The notebooks by their names, read from the files."""
    pytest.importorskip("jupytext")
    script, folder = load_script(EXAMPLES / "notebooks.py"), tmp_path_factory.mktemp("made") / "notebooks"
    script.write(folder)
    return {path.stem: nbformat.read(path, 4) for path in sorted(folder.iterdir())}


def test_the_first_chapters_are_notebooks(made):
    names = "batchnorm_01_what_it_computes batchnorm_02_faster_convergence batchnorm_03_gradients_over_depth"
    assert [*made] == [*names.split(), "engine_01_tape", "engine_02_network"]
    for name, notebook in made.items():
        nbformat.validate(notebook)
        strand, _, stem = name.partition("_")
        story, names, *cells, run = notebook.cells
        script = (EXAMPLES / strand / f"{stem}.py").read_text()
        assert f'"""{story.source[2:].splitlines()[0]}\n' in script and "python examples" not in story.source
        assert names.source.startswith("__file__ = ") and "import course" in names.source
        assert all(cell.source in script or cell.cell_type == "markdown" for cell in cells)
        assert sum(cell.source.startswith(("def ", "class ")) for cell in cells) == script.count("\ndef ") + script.count("\nclass ")
        assert run.source.startswith('main(["--quick"])')


@pytest.mark.filterwarnings("ignore")  # Jupyter's own
def test_the_notebooks_run(made, tmp_path):
    """One after the other in one kernel, which saves its start."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    whole = nbformat.v4.new_notebook(cells=[cell for notebook in made.values() for cell in notebook.cells])
    for number, cell in enumerate(whole.cells):
        cell.id = str(number)
        cell.source = cell.source.replace('"../', f'"{EXAMPLES}/').replace("--quick", f'--quick", "--out", "{tmp_path}')
    nbclient.NotebookClient(whole, timeout=120, kernel_name="python3").execute()
    runs = [cell.outputs for cell in whole.cells if cell.source.startswith("main(")]
    assert len(runs) == len(made)
    for outputs, notebook in zip(runs, made.values()):
        printed = "".join(output.text for output in outputs if output.output_type == "stream")
        assert printed.startswith(notebook.cells[0].source[2:].splitlines()[0]) and "holds:" in printed
        assert [list(o.data) for o in outputs if o.output_type == "display_data"] == [["image/svg+xml"]]
