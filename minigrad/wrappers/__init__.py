"""`keras.wrappers`: models as estimators of scikit-learn, which takes a second to import, so it waits."""

import importlib
import sys

from minigrad import older

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


def __getattr__(name):
    if name in __all__:
        return getattr(importlib.import_module("minigrad.wrappers.estimators"), name)
    return older.explaining(sys.modules[__name__])(name)
