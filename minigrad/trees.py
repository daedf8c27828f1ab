"""Trees: values in lists, tuples and dicts, at any depth, such as the inputs of a model that has several."""

import itertools


def leaves(tree):
    """The values in lists, tuples and dicts, in order."""
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return [tree]
    return list(tree) if _is_flat(tree) else [leaf for part in tree for leaf in leaves(part)]


def _is_flat(parts):
    return not any(map(isinstance, parts, itertools.repeat((list, tuple, dict))))


def held(attributes):
    """The values of a dict of attributes, and in place of lists, tuples and dicts what they hold, also at any depth."""
    stack, opened = list(reversed(attributes.values())), {}  # opened: by their ids
    while stack:
        value = stack.pop()
        if not isinstance(value, (list, tuple, dict)):
            yield value
        elif id(value) not in opened:
            opened[id(value)] = value
            stack.extend(reversed(value.values() if isinstance(value, dict) else value))


def mapped(function, tree, is_leaf=None):
    """The tree with `function(leaf)` in place of each leaf. Parts for which `is_leaf(part)` is true are leaves, too."""
    if is_leaf is not None and is_leaf(tree):
        return function(tree)
    if isinstance(tree, dict):
        return {key: mapped(function, part, is_leaf) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        is_flat = is_leaf is None and _is_flat(tree)
        parts = [*map(function, tree)] if is_flat else [mapped(function, part, is_leaf) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree)


def filled(tree, values):
    """The tree with the next one of `values` in place of each leaf."""
    if type(tree) is list and _is_flat(tree):
        return list(values)
    values = iter(values)
    return mapped(lambda _: next(values), tree)
