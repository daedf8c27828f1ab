"""`keras.wrappers.scikit_learn` of Keras 2: makes an estimator of scikit-learn from a function that builds a model."""

import copy
import inspect

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from minigrad.models import Sequential
from minigrad.utils import to_categorical

__all__ = ["KerasClassifier", "KerasRegressor"]

_METHODS = (Sequential.fit, Sequential.predict, Sequential.evaluate)


class _Wrapper(BaseEstimator):
    """An estimator around `build_fn`, a function that returns a compiled model.

    Args:
        build_fn: the function (or an object with a `__call__`); a subclass may define `__call__` instead.
        sk_params: arguments of `build_fn` and of fit, predict and evaluate, such as epochs=10. Each function gets
            those that it has; `set_params` and grid searches change them.

    Raises:
        ValueError: a parameter that none of these functions has.
    """

    def __init__(self, build_fn=None, **sk_params):
        self.build_fn, self.sk_params = build_fn, sk_params
        self.check_params(sk_params)

    def check_params(self, params):
        """Raise a ValueError for a parameter that neither `build_fn` nor a method of the model has."""
        known = {name for function in (self._build(), *_METHODS) for name in inspect.signature(function).parameters}
        takes_all = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(self._build()).parameters.values())
        unknown = [name for name in params if name not in known and name not in ("nb_epoch", "workers")]
        if unknown and not takes_all:
            raise ValueError(f"{type(self).__name__}: {unknown} are arguments neither of build_fn nor of fit.")

    def _build(self):
        return self.__call__ if self.build_fn is None else self.build_fn

    def get_params(self, deep=True):
        """The parameters: `build_fn` and all others."""
        return {**copy.copy(self.sk_params), "build_fn": self.build_fn}

    def set_params(self, **params):
        """Change some parameters."""
        self.build_fn = params.pop("build_fn", self.build_fn)
        self.check_params(params)
        self.sk_params.update(params)
        return self

    def filter_sk_params(self, function, override=None):
        """The parameters that `function` has, and those in `override`."""
        known = inspect.signature(function).parameters
        return {name: value for name, value in self.sk_params.items() if name in known} | (override or {})

    def fit(self, x, y, **kwargs):
        """Build a new model and train it. Returns the History, as in Keras 2."""
        self.model = self._build()(**self.filter_sk_params(self._build()))
        loss = getattr(self.model.loss, "name", None) or getattr(self.model.loss, "__name__", self.model.loss)
        if loss == "categorical_crossentropy" and np.ndim(y) != 2:
            y = to_categorical(y)
        options = self.filter_sk_params(Sequential.fit)
        if "nb_epoch" in self.sk_params:
            options["nb_epoch"] = self.sk_params["nb_epoch"]
        self.history = self.model.fit(x, y, **{**options, **kwargs})
        return self.history

    def _predicted(self, x, kwargs):
        return self.model.predict(x, **{"verbose": 0, **self.filter_sk_params(Sequential.predict, kwargs)})

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model")


class KerasClassifier(ClassifierMixin, _Wrapper):
    __doc__ = _Wrapper.__doc__.replace("An estimator", "A classifier", 1)

    def fit(self, x, y, **kwargs):
        """Build a new model and train it on labels (n,) or one column per class. Returns the History, as in Keras 2."""
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_, y = np.unique(y.ravel(), return_inverse=True)
        self.n_classes_ = len(self.classes_)
        return super().fit(x, y, **kwargs)

    def predict(self, x, **kwargs):
        """The label of each row."""
        outputs = self._predicted(x, kwargs)
        return self.classes_[outputs.argmax(-1) if outputs.shape[-1] > 1 else (outputs[:, 0] > 0.5).astype(int)]

    def predict_proba(self, x, **kwargs):
        """The probabilities of the classes, one column per class."""
        outputs = self._predicted(x, kwargs)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def score(self, x, y, **kwargs):
        """The share of rows whose label is predicted."""
        y = np.asarray(y)
        y = y.argmax(-1) if y.ndim == 2 and y.shape[1] > 1 else y.ravel()
        return float(np.mean(self.predict(x, **kwargs) == y))


class KerasRegressor(RegressorMixin, _Wrapper):
    __doc__ = _Wrapper.__doc__.replace("An estimator", "A regressor", 1)

    def predict(self, x, **kwargs):
        """The output for each row; (n,) if there is one."""
        return np.squeeze(self._predicted(x, kwargs), axis=-1)

    def score(self, x, y, **kwargs):
        """Minus the loss, as in Keras 2: larger is better."""
        loss = self.model.evaluate(x, y, **{"verbose": 0, **self.filter_sk_params(Sequential.evaluate, kwargs)})
        return -float(loss[0] if isinstance(loss, list) else loss)
