"""The floors of the package, read from its syntax trees: a file imports from lower floors only, at its top.

What stands on one floor does not know its neighbours, so that it can be read, tested and changed alone.
"""

import ast
import graphlib
from pathlib import Path

import pytest

import minigrad

ROOT = Path(minigrad.__file__).parent

FLOORS = [  # lowest first; a package counts as one, unless its files are named; "" is minigrad itself
    {"older"},
    {"checks", "config", "names", "spelling", "trees", "utils.progbar"},
    {"configurable", "registry"},
    {"program"},
    {"parallel"},
    {"kernels"},
    {"tensor"},
    {"exchange"},
    {"ops"},
    {"distribution", "texts", "utils.hashes", "utils.layout"},
    {"graph", "tables"},
    {"preparation"},
    {
        "activations",
        "constraints",
        "data",
        "initializers",
        "losses",
        "optimizers",
        "random",
        "regularizers",
        "utils.arrays",
        "utils.gradcheck",
        "utils.plot",
        "utils.summary",
        "utils.svg",
    },
    {"layers", "metrics", "utils"},  # a metric may be a loss that is averaged
    {"saving"},
    {"callbacks", "datasets", "preprocessing"},
    {"backend", "trainer"},
    {"exporting"},
    {"models"},
    {"many", "wrappers"},
    {"model_selection"},
    {""},
    {"compat"},
    {"__main__"},
]
PACKAGES = {
    "callbacks",
    "compat",
    "datasets",
    "exporting",
    "kernels",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "parallel",
    "preprocessing",
    "program",
    "saving",
    "tensor",
    "trainer",
    "utils",
    "wrappers",
}  # whose files may import each other, not in circles
LATE = {  # imports inside a function, and what they save
    ("distribution", "mpi4py"): "an extra: only who trains on several processes needs it",
    ("exporting.writing", "onnx"): "an extra: only who exports needs it",
    ("models.model", "exporting"): "few export models",
    ("compat.tensorflow", "tensorboardX.proto.tensor_pb2"): "slow to import; only TensorBoard's plugins ask for it",
    ("callbacks.tensorboard", "tensorboardX"): "slow to import, most of all where PyTorch is installed",
    ("parallel.threads", "scipy.linalg"): "many a script needs no matrix product, and it takes 0.1 s to import",
    ("preprocessing.image.files", "PIL"): "an extra: only who reads or writes pictures needs it",
    ("preprocessing.image.transforms", "scipy.ndimage"): "0.1 s: only who turns pictures needs it",
    ("saving.hdf5", "h5py"): "h5py takes 60 ms to import; only who saves or loads needs it",
    ("utils.plot", "IPython"): "the picture is shown in a notebook, if this is one",
    ("utils.plot", "matplotlib.figure"): "an extra, and half a second: only who draws a picture needs it",
    ("utils.plot", "matplotlib.font_manager"): "the same",
    ("utils.plot", "matplotlib.patches"): "the same",
    ("utils.plot", "matplotlib.path"): "the same",
    ("utils.plot", "matplotlib.textpath"): "the same",
    ("utils.summary", "rich.console"): "rich takes 35 ms to import; only who prints a summary needs it",
    ("utils.summary", "rich.table"): "the same",
    ("utils.summary", "rich.text"): "the same",
}
COMPILERS = {"numba", "llvmlite"}


def modules(root):
    """Dotted names, without the package's own in front, of all files below `root`."""
    names = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(tree, known):
    """(imported module, whether it is ours, whether inside a function) for each import."""
    inside = {n for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.Lambda)) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            own = base.partition(".")[2] if base.split(".")[0] == "minigrad" else None
            below = [f"{own}.{alias.name}".strip(".") for alias in node.names] if own is not None else []
            # `from minigrad import config` names a module, `from minigrad import Tensor` does not
            targets = [f"minigrad.{name}" if name in known else base for name in below] or [base]
        else:
            continue
        for target in targets:
            first, _, rest = target.partition(".")
            yield (rest if first == "minigrad" else target), first == "minigrad", node in inside


def unit(name, floors):
    """The entry of `floors` that a module belongs to (itself or the package around it), and its number."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        entry = ".".join(parts[:length])
        for number, floor in enumerate(floors):
            if entry in floor:
                return entry, number
    return None, None


def violations(root, floors=FLOORS, packages=PACKAGES, late=LATE):
    """A sentence for each import that breaks a rule."""
    known, found, used = modules(root), [], set()
    for name, path in known.items():
        here, floor = unit(name, floors)
        if here is None:
            found.append(f"{name} stands on no floor")
            continue
        for target, is_own, is_late in imports(ast.parse(path.read_text()), known):
            if is_late:
                used.add((name, target))
                if (name, target) not in late:
                    found.append(f"{name} imports {target} inside a function")
            if not is_own:
                if target.startswith("."):
                    found.append(f"{name} imports {target} relatively")
                if target.split(".")[0] in COMPILERS and here not in ("program", "parallel", "kernels"):
                    found.append(f"{name} imports {target}: only program, parallel and kernels compile")
                continue
            there, other = unit(target, floors)
            if there is None:
                found.append(f"{name} imports {target}, which stands on no floor")
            elif other == floor and not (there == here and here in packages):
                found.append(f"{name} imports {target} sideways, on floor {floor}")
            elif other > floor:
                found.append(f"{name} on floor {floor} imports {target} from floor {other}")
    return found + [
        f"{name} does not import {target} inside a function any more" for name, target in set(late) - used
    ]


def test_every_file_imports_from_lower_floors_only():
    assert violations(ROOT) == []


@pytest.mark.parametrize("kind, most", [
    (minigrad.layers.Layer, 3),
    (minigrad.layers.Dense, 4),
    (minigrad.layers.Dropout, 6),
    (minigrad.Model, 4),
    (minigrad.Sequential, 5),
    (minigrad.losses.Huber, 4),
    (minigrad.optimizers.Adam, 4),
])  # fmt: skip
def test_few_classes_stand_above_each_other(kind, most):
    """Of a class and all its base classes, `object` does not count. No base class of these is a mixin."""
    chain = kind.__mro__[:-1]
    assert len(chain) <= most and all(len(one.__bases__) == 1 for one in chain)


def test_no_floor_lists_what_does_not_exist():
    names = set(modules(ROOT))
    assert {name for floor in FLOORS for name in floor} <= names and names >= PACKAGES
    assert {name for name in names if (ROOT / name).is_dir()} - {""} == PACKAGES


def test_the_files_of_a_package_do_not_import_in_circles():
    known = modules(ROOT)
    graph = {}
    for name, path in known.items():
        found = imports(ast.parse(path.read_text()), known)
        graph[name] = {target for target, is_own, _ in found if is_own and target != name}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("name, source, sentence", [
    ("tensor", "from minigrad import kernels", None),
    ("tensor", "import math, numpy.linalg", None),
    ("kernels.moving", "from minigrad.kernels.products import dot", None),
    ("kernels.moving", "from numba.extending import register_jitable", None),
    ("kernels.moving", "from minigrad.program import kernel", None),
    ("tensor", "from minigrad import ops", "tensor on floor 3 imports ops from floor 4"),
    ("tensor", "from minigrad.ops import add", "tensor on floor 3 imports ops from floor 4"),
    ("tensor", "import minigrad.ops", "tensor on floor 3 imports ops from floor 4"),
    ("tensor", "from minigrad import Tensor", "tensor on floor 3 imports  from floor 5"),
    ("tensor", "import minigrad", "tensor on floor 3 imports  from floor 5"),
    ("config", "from minigrad import registry", "config imports registry sideways, on floor 0"),
    ("registry", "from minigrad.config import floatx", "registry imports config sideways, on floor 0"),
    ("ops", "from . import tensor", "ops imports . relatively"),
    ("ops", "from .tensor import Tensor", "ops imports .tensor relatively"),
    ("ops", "def f():\n    import math", "ops imports math inside a function"),
    ("ops", "class A:\n    def f(self):\n        from minigrad import tensor",
     "ops imports tensor inside a function"),
    ("ops", "import numba", "ops imports numba: only program, parallel and kernels compile"),
    ("ops", "from llvmlite import ir", "ops imports llvmlite: only program, parallel and kernels compile"),
    ("new", "import math", "new stands on no floor"),
    ("", "if True:\n    from minigrad import compat", " imports compat sideways, on floor 5"),
])  # fmt: skip
def test_what_the_rules_forbid(tmp_path, name, source, sentence):
    """Each rule on a small tree: one file breaks it, the others are empty."""
    floors = [{"config", "registry"}, {"program"}, {"kernels"}, {"tensor"}, {"ops"}, {"", "compat"}]
    files = dict.fromkeys([*set().union(*floors), "kernels.moving", "kernels.products"], "") | {name: source}
    for module, text in files.items():
        folder = tmp_path.joinpath(*module.split("."))
        path = folder / "__init__.py" if module in ("", "kernels") else folder.with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert violations(tmp_path, floors, {"kernels"}, {}) == ([sentence] if sentence else [])
