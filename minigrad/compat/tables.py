"""The tables in this folder, `*.txt`. They are read when somebody uses an old name, or one that is absent.

    # A comment.
    [section]
    a row
    another row,
        which goes on in indented lines
    old_name older_name = meaning
"""

from pathlib import Path


def sections(name):
    """{section: list of rows, each a string} of the table `name`."""
    found = {}
    for line in Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            rows = found[line.strip("[]")] = []
        elif line.startswith(" "):
            rows[-1] += f" {line.strip()}"
        elif line and not line.startswith("#"):
            rows.append(line)
    return found


def meanings(rows):
    """{name: meaning} of rows such as "old_name older_name = meaning"."""
    pairs = (row.split(" = ", 1) for row in rows)
    return {name: meaning for names, meaning in pairs for name in names.split()}
