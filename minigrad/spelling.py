"""Misspelt names: which name was meant, and errors for arguments that do not fit."""

import difflib
import functools
import inspect

from minigrad import older

_LIKE = (  # tests whether a name is the one that was meant, the surest first; both are in lower case
    lambda word, name: sorted(word.replace("_", "")) == sorted(name.replace("_", "")),  # adma: adam
    lambda word, name: word == "".join(part[:1] for part in name.split("_")),  # lr: learning_rate
    lambda word, name: name in _shorter(word) or word in _shorter(name),  # fitt: fit
    lambda word, name: name.startswith(word),  # eps: epsilon
    lambda word, name: set(word.split("_")) < set(name.split("_")),  # logits: from_logits
)


def _shorter(word):
    """All words that are `word` without one of its letters."""
    return {word[:i] + word[i + 1 :] for i in range(len(word))}


def nearest(word, names):
    """The one of `names` that `word` abbreviates or misspells, or None."""
    lower = {name.lower(): name for name in sorted(names, key=lambda name: (-len(name), name))}
    word = word.lower()
    for like in _LIKE if len(word) > 1 else ():
        for name in reversed(lower):
            if like(word, name):
                return lower[name]
    near = difflib.get_close_matches(word, lower, 1)
    return lower[near[0]] if near else None


def did_you_mean(word, names):
    """" Did you mean 'name'?" with the nearest of `names`; "" if none is near."""
    near = nearest(word, names)
    return "" if near is None else f" Did you mean {near!r}?"


def some_of(names, word, most):
    """The names, sorted and joined; if there are more than `most`, only the dozen that are most like `word`."""
    if len(names) > most:
        names = difflib.get_close_matches(word, names, 12, cutoff=0.0)
        return f"among others {', '.join(sorted(names))}"
    return ", ".join(sorted(names))


def rejected_keywords(owner, keywords, known):
    """The ValueError for keyword arguments that `owner` does not have. It names the nearest ones in `known`."""
    hints = []
    for word in keywords:
        near = nearest(word, known)
        hints.append(f"{word!r}" + (f" (did you mean {near!r}?)" if near else ""))
    return ValueError(f"{owner} got unrecognized keyword arguments: {', '.join(hints)}. It knows {', '.join(known)}.")


def misfit(owner, error, given, known):
    """The TypeError for the keyword arguments `given` of a call that raised Python's `error`.

    It repeats that error, and names the nearest argument in `known` for each unknown one.
    """
    near = {word: nearest(word, known) for word in given if word not in known}
    hints = [f" Did you mean {name!r} instead of {word!r}?" for word, name in near.items() if name is not None]
    said = str(error).partition("() ")[2] or str(error)
    return TypeError(f"{owner}(): {said}.{''.join(hints)} Its arguments: {', '.join(known)}.")


def argument_names(function):
    """The names of a function's arguments, without its `self` or `model`, *args and **kwargs."""
    parameters = inspect.signature(function).parameters.values()
    named = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    is_method = named[:1] in (["self"], ["model"])
    return tuple(named[1:] if is_method else named)


def explaining(function):
    """Decorator: `function` also takes old words (see `older`).

    Its TypeError for missing or unknown arguments names the nearest arguments and lists all.
    """

    @functools.wraps(function)
    def explained(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError) as error:
            today = older.arguments(function, args, kwargs)
            if today is None and (isinstance(error, ValueError) or fits(function, args, kwargs)):
                raise
            if today is None:
                is_made = function.__name__ == "__init__"
                owner = type(args[0]).__name__ if is_made else function.__qualname__
                raise misfit(owner, error, kwargs, argument_names(function)) from None
        return function(*today[0], **today[1])

    return explained


def fits(function, args, kwargs):
    """Whether a function can be called with these arguments; False if it does not tell, as a list's `__getitem__`."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return False
    return True
