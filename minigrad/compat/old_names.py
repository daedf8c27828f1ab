"""What Keras 1 and 2 called things: how a name of the table `old_names.txt` is looked up.

Each old name warns once per process, at the line outside of minigrad that says it.
"""

import importlib
import inspect
import threading
import types
import warnings

import minigrad
from minigrad.compat import conversions, missing
from minigrad.compat.tables import meanings, sections
from minigrad.compat.tensorflow import tensorflow
from minigrad.older import UNKNOWN


def _by_owner(rows):
    """{owner: {word: meaning}} of rows such as "Model.fit.nb_epoch = epochs"."""
    found = {}
    for name, meaning in meanings(rows).items():
        owner, _, word = name.rpartition(".")
        found.setdefault(owner, {})[word] = meaning
    return found


_table = sections("old_names")
_names = meanings(_table["names"])
_modules, _keys = ({old: new.split() for old, new in meanings(_table[part]).items()} for part in ("modules", "keys"))
_arguments, _attributes = _by_owner(_table["arguments"]), _by_owner(_table["attributes"])
_old_roots, _new_roots = _table["private roots"][0].split(), _table["private roots of today"][0].split()
_private = [*_old_roots, *_new_roots]
_private += [root.replace("keras", "minigrad", 1) for root in _private if root.startswith("keras.")]
_roots = sorted([*_private, *_table["roots"][0].split()], key=len, reverse=True)

_told, _telling = set(), threading.Lock()


def tell(old, text):
    """Warn of the old word `old`, once per process, at the line outside of minigrad that uses it."""
    with _telling:
        if old in _told:
            return
        _told.add(old)
    frame = missing.outside()
    names = frame.f_globals
    registry, module = names.setdefault("__warningregistry__", {}), names.get("__name__")
    warnings.warn_explicit(text, FutureWarning, frame.f_code.co_filename, frame.f_lineno, module, registry)


def forget():
    """Let every word warn again."""
    _told.clear()


def _tell(old, new):
    if new == "-":
        text = f"{old} has no effect here: leave it out."
    elif new[0] in ":(":
        first = _first_line(new)
        text = f"{old} is what older Keras called it. {first}" if first.startswith("Today") else f"{old}: {first}"
    else:
        text = f"{old} is what older Keras called it: today {new}."
    tell(old, text)


def _first_line(new):
    return (inspect.getdoc(getattr(conversions, new.lstrip(":()"))) or "").partition("\n")[0]


def described():
    """Pairs of texts: old words, and what they are called today."""
    by_today = {}
    for old, targets in _modules.items():
        is_kept = targets[0].startswith("compat.")
        by_today.setdefault("as it was" if is_kept else f"today {' and '.join(targets)}", []).append(old)
    by_today["today keras, and what lies below it"] = list(_old_roots)
    for old, new in _names.items():
        by_today.setdefault(_meaning(new), []).append(old)
    for table, show in ((_arguments, "{}({}=)"), (_attributes, "{}.{}")):
        for owner, rules in table.items():
            for old, new in rules.items():
                whose = "any optimizer" if owner == "optimizers.rules" else owner
                by_today.setdefault(_meaning(new), []).append(show.format(whose, old))
    for old, new in _keys.items():
        by_today.setdefault(f"the key {' or '.join(new)} of logs and History", []).append(old)
    return [(", ".join(old), today) for today, old in by_today.items()]


def _meaning(new):
    if new == "-":
        return "no effect"
    return _first_line(new) if new[0] in ":(" else f"today {new}"


# ------------------------------------------------------------------------------------------------- dotted names


def _split(full):
    """(root, path below the root) of a dotted name: ("keras", "layers.core"), or ("tf", "set_random_seed")."""
    for root in _roots:
        if full == root or full.startswith(f"{root}."):
            return root, full[len(root) + 1 :]
    return "tf", full.partition(".")[2].removeprefix("compat.v1.").removeprefix("compat.v2.")


def _today(path):
    """The object with a dotted name of today: below minigrad, or after "tf" below the module `tensorflow`."""
    first, *rest = path.split(".")
    if first == "compat":
        return importlib.import_module(f"minigrad.{path}")
    found, rest = (tensorflow(), rest) if first == "tf" else (minigrad, [first, *rest] if first else [])
    for part in rest:
        found = vars(found)[part]
    return found


def module(full):
    """The list of today's modules that an old module stands for; UNKNOWN if Keras never had one of that name."""
    root, path = _split(full)
    if root in _private:
        targets = _below_private(path)
        if root.replace("minigrad", "keras", 1) not in _new_roots:
            tell(root, f"{root} is where older Keras kept it: today keras.")
    else:
        targets = _modules.get(f"tf.{path}" if root == "tf" else path)
        if targets is None:
            return UNKNOWN
        _tell_module(full, targets)
    return [_today(target) for target in targets]


def _tell_module(old, targets):
    today = " and ".join(f"keras.{target}".rstrip(".") for target in targets)
    if old.endswith("wrappers.scikit_learn"):
        today = "keras.wrappers.SKLearnClassifier and SKLearnRegressor"
    elif targets[0].startswith(("compat", "tf")):
        return
    tell(old, f"{old} is where older Keras kept it: today {today}.")


def _below_private(path):
    """The names of the modules for a path below a private root: the path itself, or the nearest module around it."""
    while path:
        if path in _modules:
            return _modules[path]
        try:
            if isinstance(_today(path), types.ModuleType):
                return [path]
        except KeyError:
            pass
        path = path.rpartition(".")[0]
    return ["", "layers", "models", "optimizers.schedules", "optimizers"]


def name(full):
    """What the dotted name `full` means today; UNKNOWN if it is not an old name."""
    root, path = _split(full)
    key = f"tf.{path}" if root == "tf" else path
    if key in _modules or full in _private:
        return importlib.import_module(full)
    if key in _names:
        return _named(full, _names[key])
    around, _, last = path.rpartition(".")
    if root == "tf" and f"tf.{around}" in _modules and f"tf.{last}" in _names:
        return _named(full, _names[f"tf.{last}"])
    for target in _modules.get(around, ()):  # minigrad has another module of that name
        if last in vars(_today(target)):
            _tell_module(full.rpartition(".")[0], [target])
            return _today(f"{target}.{last}")
    if full.startswith("tensorflow.compat.") and path in vars(tensorflow()):
        return _today(f"tf.{path}")
    return UNKNOWN


def _named(old, new):
    if new.startswith(":"):
        _tell(old, new)
        return getattr(conversions, new[1:])
    if new == "-":
        return _without_effect(old)
    _tell(old, new)
    return _today(new)


def _without_effect(old):
    def function(*args, **kwargs):
        _tell(old, "-")
        return conversions.Nothing()

    function.__name__ = old.rpartition(".")[2]
    function.__doc__ = "Accepted for older Keras; it changes nothing here."
    return function


def member(registry, word):
    """What a string means today in a Registry; UNKNOWN if it is not an old name.

    Raises:
        ValueError: the name is gone; the error says what to do instead.
    """
    place = registry.module.removeprefix("keras.")
    new = _names.get(f"{place}.{word}")
    if new is None:
        way_out = missing.remedy(f"{place}.{word}")
        if way_out is not None:
            raise ValueError(f"{word!r} is a {registry.kind} of older Keras that minigrad does not have: {way_out}.")
        return UNKNOWN
    today = new.rpartition(".")[2]
    if new != f"{place}.{today}" or today not in registry.members:
        found = _named(f"{registry.kind} {word!r}", new)
        return found() if isinstance(found, type) and not registry.instantiate else found  # such as LeakyReLU()
    _tell(f"{registry.kind} {word!r}", repr(today))
    return registry.members[today]


# --------------------------------------------------------------------------------- arguments, attributes and keys


def arguments(function, args, kwargs):
    """(args, kwargs) with today's words for `function`; None if there was no old word among them."""
    owner = function.__qualname__.removesuffix(".__init__")
    rules = {**_arguments.get(function.__module__.removeprefix("minigrad."), {}), **_arguments.get(owner, {})}
    parameters = inspect.signature(function).parameters
    own = [name for name in list(parameters)[:1] if name in ("self", "model")]  # a method's, or that of a Model
    if len(args) > len(own) and any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return None
    names = list(parameters)[len(own) :]
    if len(args) == 4 and "Conv2D" in type(args[0]).__name__ and rules.keys() & kwargs.keys():
        names[1:3] = "nb_row", "nb_col"  # Convolution2D(32, 3, 3, border_mode="same"): its strides were never third
    given = {**dict(zip(names, args[len(own) :])), **kwargs}
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    found, is_changed = dict(given), False
    for word in [w for w in rules if w in given]:
        new, value = rules[word], found.pop(word)
        better = {} if new == "-" else {new: value}
        if new.startswith(":"):
            better = getattr(conversions, new[1:])(value, found, defaults)
        if better is None:  # the value is one of today's
            found[word] = value
            continue
        if better.keys() & found.keys():
            return None  # today's word is given, too: the error of `function` says so
        found, is_changed = found | better, True
        who = type(args[0]).__name__ if own and "." not in owner else owner
        _tell_argument(f"{who}({word}={_brief(value)})", new, better)
    return (args[: len(own)], found) if is_changed else None


def _tell_argument(old, rule, better):
    if better:
        today = ", ".join(f"{name}={_brief(new)}" for name, new in better.items())
        text = f"{old} is what older Keras called it: today {today}."
    else:
        text = f"{old} has no effect here: leave it out."
        if rule[0] == ":" and getattr(conversions, rule[1:]).__doc__:
            text = f"{text} {_first_line(rule)}"
    word = old.partition("(")[2].partition("=")[0]  # it means the same in all layers
    tell(f"{word}= {rule}", text)


def _brief(value):
    text = repr(value)
    return f"{type(value).__name__}(...)" if text[0] == "<" or len(text) > 100 else text


def attribute(owner, name):
    """The attribute `name` that an object had in older Keras; UNKNOWN if it never had one."""
    for kind in type(owner).__mro__:
        new = _attributes.get(kind.__name__, {}).get(name)
        if new is not None and kind.__module__.startswith("minigrad."):
            return _attribute(owner, f"{kind.__name__}.{name}", new)
    return UNKNOWN


def _attribute(owner, old, new):
    """The attribute that is called `new` today. The warning comes now, or for a method when it is called."""
    if new.startswith("()"):
        _tell(old, new)
        return getattr(conversions, new[2:])(owner)
    found = types.MethodType(getattr(conversions, new[1:]), owner) if new[0] == ":" else getattr(owner, new)
    if not inspect.ismethod(found):
        _tell(old, new)
        return found

    def method(*args, **kwargs):
        _tell(old, new)
        return found(*args, **kwargs)

    return method


def key(logs, old):
    """The key in the logs of what older Keras called `old`; None if there is none."""
    if not isinstance(old, str):
        return None
    prefix = "val_" if old.startswith("val_") else ""
    old = old.removeprefix(prefix)
    for new in _keys.get(old, ()):
        if prefix + new in logs:
            tell(f"key {old}", f"{old!r} is what older Keras called {new!r} in logs and History.")
            return prefix + new
    return None
