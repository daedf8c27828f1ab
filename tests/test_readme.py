"""What README.md shows is what happens: its programs run, and print what stands below them."""

import re
import textwrap
from pathlib import Path

from helpers import load_script

import minigrad as keras

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_programs(tmp_path, capsys):
    keras.utils.clear_session()  # names that are counted begin anew
    script = tmp_path / "readme.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)))
    keras.utils.clear_session()  # the model is called `sequential` in the listing
    names = load_script(script)
    (listing,) = re.findall(r"```\n(one training step.*?)```", PAGE, re.DOTALL)
    assert listing in capsys.readouterr().out
    example = textwrap.dedent(keras.Model.train_step.__doc__.partition("eagerly.\n")[2])
    exec(example, found := {"keras": keras})  # to which it points
    model = found["Smooth"](names.model.inputs, names.model.outputs)
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(names.np.zeros((64, 20)), names.np.zeros(64), verbose=0)
    assert "one training step" in str(model.train_program)


def test_its_links():
    files = [link for link in re.findall(r'(?:\]\(|src="|srcset=")([^)"#]+)', PAGE) if not link.startswith("http")]
    assert len(files) >= 4
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_its_number_of_lines():
    engine = [file for name in ("program", "tensor") for file in (ROOT / "minigrad" / name).glob("*.py")]
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in engine)
    (told,) = {text.replace(",", "") for text in re.findall(r"([\d,]+) lines", PAGE)}
    assert round(lines, -2) == int(told)
