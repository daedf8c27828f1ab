"""Make notebooks of the first chapters, from their scripts: notebooks/*.ipynb.

    pip install ".[notebooks]" && python examples/notebooks.py && jupyter lab examples/notebooks

A notebook holds the text above the script as text, and each function in a cell. The last cell runs the experiment. To
change something, and to see what comes of it, is what notebooks are for; the scripts stay the source.
"""

import ast
from pathlib import Path

import jupytext
from nbformat.v4 import new_code_cell, new_markdown_cell

HERE = Path(__file__).parent
SCRIPTS = [*sorted(HERE.glob("batchnorm/0[123]_*.py")), *sorted(HERE.glob("engine/0[12]_*.py"))]
RUN = 'main(["--quick"])  # main([]) is the whole experiment, which takes longer'


def notebook(script):
    """The notebook of a script. It runs in a folder beside that of the script."""
    text = script.read_text(encoding="utf-8")
    story = ast.get_docstring(ast.parse(text))
    title, *paragraphs = [part for part in story.split("\n\n") if not part.startswith("    python ")]
    code = text.split('"""\n', 1)[1].removesuffix('\n\nif __name__ == "__main__":\n    main()\n')
    made = jupytext.reads(code.lstrip(), fmt="py:light")
    names = f'__file__ = "../{script.parent.name}/{script.name}"\n__doc__ = {title!r}'
    while made.cells[0].source.startswith(("import ", "from ", "sys.path")):
        names += f"\n\n{made.cells.pop(0).source}"
    made.cells.insert(0, new_markdown_cell("\n\n".join([f"# {title}", *paragraphs])))
    made.cells.insert(1, new_code_cell(names))
    made.cells.append(new_code_cell(RUN))
    for number, cell in enumerate(made.cells):
        cell.id = str(number)  # the same bytes each time
    return made


def write(folder):
    """Write all notebooks into `folder`."""
    folder.mkdir(exist_ok=True)
    for script in SCRIPTS:
        jupytext.write(notebook(script), folder / f"{script.parent.name}_{script.stem}.ipynb")


if __name__ == "__main__":
    write(HERE / "notebooks")
