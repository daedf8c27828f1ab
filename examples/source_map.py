"""Draw which part of minigrad imports which, read from the files: figures/source_map.svg.

    python examples/source_map.py

A part is a folder or a file of the package. An arrow leads from a part down to one that imports it, unless a way
through other parts does, too. Parts with the same arrows share a box, and so do the files that need no folder.
"""

import ast
from pathlib import Path

import minigrad
from minigrad.utils.svg import LEAF, OPERATION, draw_boxes

ROOT = Path(minigrad.__file__).parent
PICTURE = Path(__file__).parent / "figures" / "source_map.svg"
ENGINE, ENGINE_COLOR = {"program/", "tensor/"}, "#cfe4f7"  # what README calls the engine


def imports(root):
    """{part: the parts that it imports at the top of its files}."""
    parts = {path.stem: path.stem + "/" * path.is_dir() for path in root.iterdir()}
    found = {}
    for path in sorted(root.rglob("*.py")):
        own = parts[path.relative_to(root).parts[0].removesuffix(".py")]
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            package, *modules = getattr(statement, "module", "").split(".")
            if isinstance(statement, ast.ImportFrom) and package == root.name:
                names = modules[:1] or [alias.name for alias in statement.names]
                found.setdefault(own, set()).update(parts[name] for name in names if name in parts)
        found.setdefault(own, set()).discard(own)
    return {part: found[part] for part in found if part != "__init__"}  # which imports all public names


def reduced(found):
    """({part: its nearest imports}, {part: all that it needs}), the parts in an order in which they can be read."""
    needs, nearest = {}, {}
    while len(needs) < len(found):
        for part in [part for part in found if part not in needs and found[part] <= needs.keys()]:
            needs[part] = found[part].union(*(needs[other] for other in found[part]))
            nearest[part] = {a for a in found[part] if not any(a in needs[b] for b in found[part])}
    return nearest, needs


def picture(root=ROOT):
    """The SVG."""
    found = imports(root)
    needs = reduced(found)[1]
    basic = [part for part in needs if not any(name.endswith("/") for name in {part} | needs[part])]
    name = " ".join(basic)
    found = {part: {name if other in basic else other for other in found[part]} for part in found if part not in basic}
    nearest = reduced({name: set(), **found})[0]
    boxes = {}  # (what is needed, what needs it): the parts of one box
    for part in nearest:
        users = frozenset(other for other in nearest if part in nearest[other])
        boxes.setdefault((frozenset(nearest[part]), users), []).append(part)
    boxes = list(boxes.values())
    number = {part: i for i, parts in enumerate(boxes) for part in parts}
    arrows = sorted({(number[other], number[part]) for part in nearest for other in nearest[part]})
    color = lambda parts: ENGINE_COLOR if ENGINE & {*parts} else OPERATION if "/" in parts[0] else LEAF
    return draw_boxes([((" ".join(parts),), color(parts)) for parts in boxes], arrows)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
