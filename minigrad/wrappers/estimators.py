"""SKLearnClassifier, SKLearnRegressor, SKLearnTransformer: models that do what scikit-learn asks of an estimator."""

import inspect
import threading

import numpy as np
from scipy.special import softmax

from minigrad.checks import extra
from minigrad.models import Model, clone_model
from minigrad.parallel import in_turn
from minigrad.utils import to_categorical

with extra("keras.wrappers makes estimators of scikit-learn", "scikit-learn"):
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
    from sklearn.utils import validation
    from sklearn.utils.multiclass import check_classification_targets

_in_turn = in_turn(threading.Lock())  # scikit-learn may call estimators in threads


def _validated(estimator, *data, **options):
    """The data as arrays that fit what the estimator has seen; scikit-learn raises errors for what does not."""
    if hasattr(validation, "validate_data"):
        return validation.validate_data(estimator, *data, **options)
    return estimator._validate_data(*data, **options)  # scikit-learn below 1.6


class _Estimator(BaseEstimator):
    """An estimator of scikit-learn around a model.

    Each `fit` trains a new model, `model_`.

    Args:
        model: a compiled Model, of which each `fit` makes a copy with new weights; or a function that returns a
            compiled model, called as model(X=X, y=y, **model_kwargs). Its `y` is what the model is trained on.
        warm_start: let each `fit` go on with the weights of the one before; a Model given as `model` is then trained
            itself.
        model_kwargs: a dict of further arguments of the function `model`.
        fit_kwargs: a dict of arguments of the model's `fit`, such as {"epochs": 10, "verbose": 0}.

    Attributes:
        model_: the trained model.
        history_: the History that its `fit` has returned.
    """

    _takes_numbers = True  # as targets

    # What metadata routing may bring to `fit`: anything that a model's `fit` takes.
    __metadata_request__fit = dict.fromkeys(list(inspect.signature(Model.fit).parameters)[3:])

    def __init__(self, model, warm_start=False, model_kwargs=None, fit_kwargs=None):
        self.model, self.warm_start = model, warm_start
        self.model_kwargs, self.fit_kwargs = model_kwargs, fit_kwargs

    @_in_turn
    def fit(self, X, y, **kwargs):
        """Train a new model on rows X (n, features) and targets y (n,).

        Args:
            kwargs: arguments of the model's `fit`; they go before those in `fit_kwargs`.

        Raises:
            ValueError: data that scikit-learn or the model refuses. RuntimeError: the model is not compiled.
        """
        X, y = _validated(self, X, y, y_numeric=self._takes_numbers)
        targets = self._targets(y)
        model = self._next_model(X, targets)
        if not model.compiled or model.loss is None:
            raise RuntimeError(
                f"{type(self).__name__}: model {model.name!r} must be compiled, with a loss: call compile(optimizer, "
                "loss) before it is given or returned."
            )
        self.history_ = model.fit(X, targets, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def predict(self, X):
        """The output for each row; (n,) if the model has one."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1:] == (1,) else outputs

    def _next_model(self, X, targets):
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            return self.model if self.warm_start else clone_model(self.model)
        return self.model(X=X, y=targets, **(self.model_kwargs or {}))

    def _targets(self, y):
        """What the model is trained on: a column."""
        return y.reshape(-1, 1)

    @_in_turn
    def _outputs(self, X):
        validation.check_is_fitted(self)
        return self.model_.predict(_validated(self, X, reset=False), verbose=0)

    @property
    def epoch_(self):
        """How many epochs the last `fit` took."""
        return len(self.history_.epoch) if hasattr(self, "history_") else 0

    def __sklearn_is_fitted__(self):
        return hasattr(self, "model_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def _more_tags(self):  # the tags of scikit-learn below 1.6
        return {"non_deterministic": True, "preserves_dtype": []}


class SKLearnClassifier(ClassifierMixin, _Estimator):
    __doc__ = f"""{_Estimator.__doc__.replace("An estimator", "A classifier", 1).rstrip()}
        classes_: the labels, in the order of the model's outputs.

    The model is trained on targets (n, classes) that are 1 at the class of a row and 0 elsewhere, so its last layer has
    an output for each class, also if there are two, and its loss is that of such targets.

    >>> def build(X, y, units=32):
    ...     model = Sequential([Input(X.shape[1:]), Dense(units, "relu"), Dense(y.shape[1], "softmax")])
    ...     model.compile("adam", "categorical_crossentropy")
    ...     return model
    >>> estimator = SKLearnClassifier(build, fit_kwargs={{"epochs": 10, "verbose": 0}})
    >>> search = GridSearchCV(estimator, {{"model_kwargs": [{{"units": 16}}, {{"units": 64}}]}}, n_jobs=-1)
    """

    _takes_numbers = False

    def _targets(self, y):
        check_classification_targets(y)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(f"SKLearnClassifier needs rows of two classes; got 1 class: {self.classes_[0]!r}.")
        return to_categorical(indices, len(self.classes_))

    def _outputs(self, X):
        outputs = super()._outputs(X)
        if outputs.shape[1:] != (len(self.classes_),):
            raise ValueError(
                f"SKLearnClassifier: the model needs {len(self.classes_)} outputs per row, one for each class; it has "
                f"{outputs.shape[1:]}."
            )
        if not np.isfinite(outputs).all():
            raise ValueError("SKLearnClassifier: outputs of the model are NaN or infinite, which are no class.")
        return outputs

    def predict(self, X):
        """The label of each row, that of the largest output."""
        largest = self._outputs(X).argmax(1)
        return self.classes_[largest]

    def decision_function(self, X):
        """The outputs of the model, (n, classes). Of two classes (n,): by how much the second output is larger."""
        outputs = self._outputs(X).astype(np.float64)  # scikit-learn's calibration asks for that
        return outputs[:, 1] - outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict_proba(self, X):
        """The probabilities of the classes, (n, classes): the model's outputs, or the softmax of logits.

        Raises:
            ValueError: the outputs are neither.
        """
        outputs = self._outputs(X)
        if getattr(self.model_.loss, "from_logits", False):
            return softmax(outputs, axis=1)
        if outputs.min() < 0 or not np.allclose(outputs.sum(1), 1, atol=1e-3):
            raise ValueError(
                "SKLearnClassifier: the model's outputs are no probabilities: let its last layer have "
                'activation="softmax", or its loss from_logits=True. decision_function returns outputs as they are.'
            )
        return outputs


class SKLearnRegressor(RegressorMixin, _Estimator):
    __doc__ = _Estimator.__doc__.replace("An estimator", "A regressor", 1)


class SKLearnTransformer(TransformerMixin, _Estimator):
    __doc__ = _Estimator.__doc__.replace("An estimator", "A transformer", 1)

    def transform(self, X):
        """The outputs of the model for each row."""
        return self._outputs(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
