"""One register / get / serialize / deserialize for every string and config that Keras knows; and automatic names.

A `Registry` holds the classes (or functions) of one kind under all the strings they answer to.
"""

import collections
import contextlib
import difflib
import os
import re
import threading


def snake_case(name):
    """`BatchNormalization` -> `batch_normalization`, with Keras' rules (RMSprop -> rm_sprop, AUC -> auc)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


_counts = collections.Counter()
_counting = threading.Lock()
os.register_at_fork(before=_counting.acquire, after_in_parent=_counting.release, after_in_child=_counting.release)


def auto_name(prefix):
    """`dense`, then `dense_1`, `dense_2`, ...: one count a prefix in the whole process, until `reset_names`."""
    with _counting:
        count = _counts[prefix]
        _counts[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def reset_names():
    """Start all counts of `auto_name` anew."""
    with _counting:
        _counts.clear()


class _Scopes(threading.local):
    stack = ()


_custom = {}  # what register_keras_serializable has been given, under "package>Name"
_scopes = _Scopes()


def register_keras_serializable(package="Custom", name=None):
    """Class decorator: let configs that name this class (as "package>Name") be read back."""

    def register(target):
        target._registered_name = f"{package}>{name or target.__name__}"
        _custom[target._registered_name] = target
        return target

    return register


def get_custom_objects():
    """The dict of all that was registered; what is added to it is found everywhere."""
    return _custom


@contextlib.contextmanager
def custom_object_scope(objects):
    """Inside, the names in the dict `objects` mean its values wherever a string or a config is looked up."""
    _scopes.stack = (*_scopes.stack, dict(objects))
    try:
        yield
    finally:
        _scopes.stack = _scopes.stack[:-1]


def custom_object(name):
    """What `custom_object_scope` or `register_keras_serializable` knows under `name`, else None."""
    for objects in reversed(_scopes.stack):
        if name in objects:
            return objects[name]
    return _custom.get(name) or _custom.get(f"Custom>{name}")


def rejected_keywords(owner, keywords, known):
    """The ValueError for keyword arguments that `owner` does not have, with the nearest that it has."""
    hints = []
    for word in keywords:
        near = difflib.get_close_matches(word, known, 1)
        hints.append(f"{word!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    return ValueError(f"{owner} got unrecognized keyword arguments: {', '.join(hints)}. It knows {', '.join(known)}.")


class Registry:
    """Everything of one kind that a string or a config may name.

    Args:
        kind: what a member is called in error messages, such as "activation".
        module: the public module that configs name, such as "keras.activations".
        instantiate: whether a class found under a string is called without arguments.
    """

    def __init__(self, kind, module, instantiate=True, ignore_case=False):
        self.kind, self.module = kind, module
        self.instantiate, self.ignore_case = instantiate, ignore_case
        self.members = {}

    def register(self, *aliases):
        """Class or function decorator: known under its own name, the snake_case of it, and `aliases`."""

        def add(member):
            own = member.__name__
            for name in (own, snake_case(own), *aliases):
                self.members[name] = member
            return member

        return add

    def get(self, identifier):
        """The member that `identifier` (None, a string, a config, a class, or a member already) stands for."""
        if identifier is None:
            return None
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if isinstance(identifier, str):
            found = self._find(identifier)
            return found() if self.instantiate and isinstance(found, type) else found
        if isinstance(identifier, type) and self.instantiate:
            return identifier()
        if callable(identifier) or hasattr(identifier, "get_config"):
            return identifier
        raise ValueError(f"Could not interpret {identifier!r} as {self._a()}: it must be a string, or a callable.")

    def _a(self):
        return f"{'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind}"

    def _find(self, name):
        found = custom_object(name) or self.members.get(name)
        if found is None and self.ignore_case:
            found = next((m for n, m in self.members.items() if n.lower() == name.lower()), None)
        if found is None:
            near = difflib.get_close_matches(name, self.members, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(sorted({n for n in self.members if n == snake_case(n)}))
            raise ValueError(f"Unknown {self.kind}: {name!r}.{hint} Known: {known}.")
        return found

    def serialize(self, member):
        """The JSON-able config from which `deserialize` makes an equal member."""
        if member is None or isinstance(member, str):
            return member
        if hasattr(member, "get_config"):
            registered = vars(type(member)).get("_registered_name")  # not that of a base class
            return {
                "module": self.module if registered is None else None,
                "class_name": type(member).__name__,
                "config": member.get_config(),
                "registered_name": registered,
            }
        return getattr(member, "__name__", str(member))

    def deserialize(self, config):
        """The member that a config made by `serialize` (here or in Keras) describes. Runs no code from it."""
        if config is None or isinstance(config, str):
            return self.get(config)
        if not isinstance(config, dict) or "class_name" not in config:
            raise ValueError(f"Expected the config of {self._a()}, a dict with 'class_name'; got {config!r}.")
        member = self._find(config.get("registered_name") or config["class_name"])
        if not isinstance(member, type):
            return member
        inner = config.get("config") or {}
        return member.from_config(inner) if hasattr(member, "from_config") else member(**inner)


class Configurable:
    """What is made again from its config: `get_config` returns the arguments of `__init__`."""

    def get_config(self):
        """The arguments from which `from_config` makes an equal object, JSON-able."""
        return {}

    @classmethod
    def from_config(cls, config):
        """An object made from what `get_config` returned."""
        return cls(**config)
