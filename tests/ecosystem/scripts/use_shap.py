"""SHAP's explainers that call a model: their values and the mean prediction add up to each prediction."""

import numpy as np
import shap
from keras.wrappers import SKLearnClassifier
from tensorflow import keras

x = np.random.default_rng(0).normal(size=(100, 3)).astype("float32")


def build(X, y):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(2, "softmax")])
    model.compile("adam", "categorical_crossentropy")
    return model


network = SKLearnClassifier(build, fit_kwargs={"epochs": 80, "verbose": 0}).fit(x, x[:, 0] > 0)
for predict in (network.predict_proba, lambda rows: network.model_.predict(rows, verbose=0)):
    kernel = shap.KernelExplainer(predict, x[:20])
    values = kernel.shap_values(x[:2], nsamples=50, silent=True)
    np.testing.assert_allclose(values.sum(1) + kernel.expected_value, predict(x[:2]), atol=1e-4)
    found = shap.PermutationExplainer(predict, x[:20])(x[:2])
    np.testing.assert_allclose(found.values.sum(1) + found.base_values, predict(x[:2]), atol=1e-4)
print("done")
