"""Registries: which class or function a string or a config means, and what a config calls it.

There is a `Registry` for each kind of thing: layers, losses, initializers and so on.
"""

import contextlib
import re
import threading

from minigrad import older
from minigrad.checks import warn
from minigrad.names import class_name, snake_case
from minigrad.spelling import did_you_mean, some_of


class _Scopes(threading.local):
    stack = ()
    noted = None  # inside of `remembering`, what configs have named so far, by its name


_custom = {}  # what was given to register_keras_serializable, by "package>Name"
_scopes = _Scopes()


def register_keras_serializable(package="Custom", name=None):
    """Decorate a class or function, so that configs and files can name it (as "package>Name") and be read again."""

    def register(target):
        if isinstance(target, type) and not hasattr(target, "get_config"):
            raise ValueError(f"{target.__name__} needs a get_config() that returns the arguments to make it again.")
        target._registered_name = f"{package}>{name or target.__name__}"
        _custom[target._registered_name] = target
        return target

    return register


def get_registered_name(target):
    """ "package>Name" of a class or function that was registered, else its own name."""
    own = getattr(target, "__dict__", {})  # not what a base class was registered as
    return own.get("_registered_name") or target.__name__


def get_registered_object(name, custom_objects=None, module_objects=None):
    """The object that `name` means: in an open scope, among registered ones, or in one of the dicts; else None."""
    found = custom_object(name)
    return found if found is not None else (custom_objects or {}).get(name) or (module_objects or {}).get(name)


def get_custom_objects():
    """The dict of all registered objects. An object that is added to it is found everywhere."""
    return _custom


@contextlib.contextmanager
def custom_object_scope(objects):
    """Context manager, inside of which strings and configs may name the values of the dict `objects` by its keys."""
    _scopes.stack = (*_scopes.stack, dict(objects or {}))
    try:
        yield
    finally:
        _scopes.stack = _scopes.stack[:-1]


@contextlib.contextmanager
def remembering():
    """Context manager, inside of which configs may name all that configs made inside of it have named.

    So what is made again at once from its config need not be registered, nor have a name of its own.
    """
    before = _scopes.stack, _scopes.noted
    _scopes.noted = {}
    _scopes.stack = (*_scopes.stack, _scopes.noted)
    try:
        yield
    finally:
        _scopes.stack, _scopes.noted = before


def _noted(target):
    """The name under which a config mentions a class or function; other ones of that name get another one."""
    name = get_registered_name(target) if hasattr(target, "__name__") else type(target).__name__  # such as a partial
    if _scopes.noted is None or _scopes.noted.setdefault(name, target) is target:
        return name
    _scopes.noted[name := f"{name} {id(target)}"] = target
    return name


def custom_object(name):
    """The object that a `custom_object_scope` or `register_keras_serializable` has under `name`, else None."""
    for objects in reversed(_scopes.stack):
        if name in objects:
            return objects[name]
    return _custom.get(name) or _custom.get(f"Custom>{name}")


# The modules in which Keras 2 and 3 keep their own classes. A config's module tells only whether the class is Keras'.
_KERAS = re.compile(r"(tensorflow\.(python\.)?)?(tf_)?keras(\.|$)")
_MEND = "pass custom_objects={{{0!r}: ...}}, or decorate the class or function with register_keras_serializable()."


class Registry:
    """The classes or functions of one kind, its members, by the strings that name them.

    A config can name members and the user's registered objects only, and reaches nothing else.

    Args:
        kind: what error messages call a member, such as "activation".
        module: the public module that configs name, such as "keras.activations".
        instantiate: whether `get` calls a class that it finds under a string, without arguments.
        ignore_case: whether strings name members in capitals, too.
        also: the module of another kind whose members can take the place of this kind's, as layers can of activations.
    """

    kinds = []

    def __init__(self, kind, module, instantiate=True, ignore_case=False, also=None):
        self.kind, self.module, self.also = kind, module, also
        self.instantiate, self.ignore_case = instantiate, ignore_case
        self.members = {}
        self.modules = {}  # member -> the module in which Keras shows it
        self.kinds.append(self)

    def register(self, *aliases, module=None):
        """Decorate a class or function: it becomes a member under its name, its name in snake_case, and `aliases`."""

        def add(member):
            own = member.__name__
            for name in (own, snake_case(own), *aliases):
                self.members[name] = member
            self.modules[member] = module or self.module
            return member

        return add

    def get(self, identifier):
        """The member that `identifier` means: a string, a config, a class, a member itself, or None."""
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
        if found is None and (found := older.member(self, name)) is older.UNKNOWN:
            if self.ignore_case:
                known = {member.__name__.lower() for member in self.members.values()}
            else:
                known = {n for n in self.members if n == snake_case(n)}
            hint = did_you_mean(name, known if name.islower() or self.ignore_case else self.members)
            raise ValueError(f"Unknown {self.kind}: {name!r}.{hint} Known: {some_of(known, name, 24)}.")
        return found

    def serialize(self, member):
        """The JSON-able config from which `deserialize` makes an equal member, as Keras writes it."""
        if member is None or isinstance(member, str):
            return member
        if hasattr(member, "get_config"):
            return self._described(member)
        name = getattr(member, "__name__", None)
        if name in self.members and self.members[name] is member:
            return name
        own = _noted(member)
        if name in (None, "<lambda>") and _scopes.noted is None:
            what = (
                f"{member!r} has no name under which a config could mention it. Define it with `def`, and pass it in "
                "custom_objects when the model is loaded, or register it with register_keras_serializable()."
            )
            if self.module != "keras.activations":
                raise ValueError(what)
            warn(f"{what} As it is, loading the model needs custom_objects={{{own!r}: ...}}; load_weights does not.")
        return {"module": "builtins", "class_name": "function", "config": own, "registered_name": "function"}

    def _described(self, member):
        kind = type(member)
        module = next((one.modules[kind] for one in (self, *self.kinds) if kind in one.modules), None)
        config = {
            "module": module,
            "class_name": vars(kind).get("_config_name", class_name(member)),
            "config": member.get_config(),
            "registered_name": None if module else _noted(kind),
        }
        for what in ("build_config", "compile_config"):
            extra = getattr(kind, f"get_{what}", lambda member: None)(member)
            if extra is not None:
                config[what] = extra
        return config

    def deserialize(self, config, custom_objects=None):
        """The member that a config made by `serialize` (here or in Keras) describes. No code in the config is run.

        Raises:
            ValueError: the config names neither a member nor a registered object of the user's.
        """
        if custom_objects:
            with custom_object_scope(custom_objects):
                return self.deserialize(config)
        if config is None or isinstance(config, str):
            return self.get(config)
        if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
            raise ValueError(f"Expected the config of {self._a()}, a dict with 'class_name'; got {str(config)[:200]}.")
        other = next((one for one in self.kinds if one.module == self.also), None)
        if other is not None and not self._knows(config["class_name"]) and other._knows(config["class_name"]):
            found = other.deserialize(config)
            if config.get("build_config"):  # nothing else tells the shape that it has weights for
                found.build_from_config(config["build_config"])
            return found
        member = self._named_by(config)
        inner = config.get("config") or {}
        if not isinstance(member, type):
            return member
        if not isinstance(inner, dict):
            raise ValueError(f"The config of the {self.kind} {config['class_name']!r} must be a dict, got {inner!r}.")
        made = member.from_config(inner) if hasattr(member, "from_config") else member(**inner)
        build = made.build_from_config if hasattr(type(made), "build_from_config") else None
        if config.get("build_config") and not getattr(build, "__module__", "minigrad").startswith("minigrad"):
            build(config["build_config"])  # a user's layer may need more than a shape to be built
        return made

    def _knows(self, name):
        return name in self.members or custom_object(name) is not None

    def _named_by(self, config):
        """The class or function that a config names."""
        name, module, registered = config["class_name"], config.get("module"), config.get("registered_name")
        if name == "__lambda__":
            raise ValueError(f"{name} holds code, which minigrad never reads from a config; there is no unsafe mode.")
        if name == "function":
            name = registered = config.get("config")
            module = None
            if not isinstance(name, str) or (name == "<lambda>" and custom_object(name) is None):
                raise ValueError(f"A config can't name the function {name!r}: {_MEND.format(name)}")
        found = custom_object(registered if isinstance(registered, str) and registered else name)
        if found is not None:
            return found
        if not (module is None or module == "builtins" or _KERAS.match(str(module))):
            raise ValueError(
                f"The config names {module}.{name}, which is not Keras' and was not registered. If it is yours: "
                f"{_MEND.format(name)}"
            )
        own = name.removeprefix("Custom>")  # tf_keras puts this before the names of its optimizers
        is_own = own in self.members and registered in (own, f"Custom>{own}")
        if registered not in (None, "", "function") and not is_own:
            raise ValueError(f"Unknown {self.kind}: {registered!r}. If it is yours: {_MEND.format(registered)}")
        return self._find(own)
