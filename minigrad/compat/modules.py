"""The modules that a script gets for `keras` and `tensorflow`, and modules of older Keras below minigrad."""

import importlib
import importlib.abc
import importlib.util
import sys
import types

import minigrad
from minigrad.compat import old_names
from minigrad.compat.missing import LOOKED_UP, Absent, absent, explanation, is_inside, offered, remedy_for, statement
from minigrad.compat.tensorflow import tensorflow
from minigrad.older import UNKNOWN

ROOTS = ("keras", "tensorflow", "keras_preprocessing")


class _Module(types.ModuleType):
    """One or several modules of minigrad under a name of Keras'. Names that they do not have raise explanations."""

    def __init__(self, name, *targets):
        super().__init__(name, targets[0].__doc__)
        self.__dict__["_targets"] = targets
        self.__dict__["__version__"] = minigrad.__version__
        self.__dict__["__path__"] = []  # makes it a package; the Finder below finds the modules in it
        names = [name for target in targets for name in offered(target)]
        self.__dict__["__all__"] = list(dict.fromkeys([*names, *(LOOKED_UP if minigrad in targets else ())]))

    def __reduce__(self):
        return importlib.import_module, (self.__name__,)  # so that it can be pickled for another process

    def __getattr__(self, name):
        full = f"{self.__name__}.{name}"
        if name.startswith("__"):
            raise AttributeError(f"There is no {full}.")
        places = (target for target in self._targets if name in vars(target) or name in offered(target))
        value = next((getattr(target, name) for target in places), UNKNOWN)
        if value is not UNKNOWN and not isinstance(value, types.ModuleType):
            return value
        for place in (full, _place_today(full, self)):
            found = old_names.name(place)
            if found is not UNKNOWN:
                return found
        return absent(place, self._targets[0]) if value is UNKNOWN else importlib.import_module(full)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds keras, tensorflow, keras_preprocessing and everything below them in minigrad."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ROOTS:
            return None
        module = self._module(name)
        if module is None:
            return _refused(name)
        return _spec(name, module)

    def _module(self, name):
        """The module of this name; None if there is none."""
        parent, _, last = name.rpartition(".")
        if name == "tensorflow":
            return _Module(name, tensorflow())
        if name in ("keras", "tensorflow.keras"):
            return _Module(name, minigrad)
        if name == "keras_preprocessing":  # a package of its own, from Keras 2.2 to 2.12
            return _Module(name, minigrad.preprocessing)
        old = old_names.module(name)
        if old is not UNKNOWN:
            return _Module(name, *old)
        around = sys.modules[parent]  # Python has imported it already; an Absent has no targets
        found = (vars(target).get(last) for target in vars(around).get("_targets", ()))
        target = next((value for value in found if isinstance(value, types.ModuleType)), None)
        return None if target is None else _Module(name, target)

    def create_module(self, spec):
        return spec.loader_state

    def exec_module(self, module):
        pass


def old_spec(name):
    """The spec of a module that Keras 1 and 2 had, and that lies elsewhere today."""
    old = old_names.module(name)
    if old is UNKNOWN:
        return _refused(name)
    return _spec(name, _Module(name, *old))


def _refused(name):
    """The spec of a module that minigrad does not have: an Absent, which raises when it is used; or None.

    Raises:
        ImportError: with the explanation, if the import stands in a `try`, or the module has no remedy.
    """
    instruction, is_guarded = statement()
    if instruction != "IMPORT_NAME":
        return None  # importlib.util.find_spec asks whether there is such a module
    is_name = _is_asked_for_a_name()
    around = sys.modules.get(name.rpartition(".")[0], minigrad)
    place = _place_today(name, around)
    if is_guarded or remedy_for(place) is None:
        error = ImportError if is_name else ModuleNotFoundError
        raise error(explanation(place, vars(around).get("_targets", (around,))[0]), name=name)
    if is_name:
        return None  # Python then asks the module around it for an attribute of that name: see missing.absent
    return _spec(name, Absent(name, around))


def _spec(name, module):
    spec = importlib.util.spec_from_loader(name, Finder(), is_package=True)
    spec.loader_state = module
    return spec


def _place_today(full, around):
    """The dotted name `full`, below the module of today if the module around it is an old one."""
    target = vars(around).get("_targets", (around,))[0].__name__
    is_old = around.__name__.partition("keras.")[2] != target.partition("minigrad.")[2]
    is_better = is_old and target.startswith("minigrad.") and remedy_for(full) is None
    return f"{target}.{full.rpartition('.')[2]}" if is_better else full


def _is_asked_for_a_name():
    """Whether Python looks for the module because `from ... import name` has not found an attribute."""
    frame = sys._getframe(1)
    while frame is not None and is_inside(frame):
        if frame.f_code.co_name == "_handle_fromlist":
            return True
        frame = frame.f_back
    return False
