"""The real Keras, on TensorFlow unless KERAS_BACKEND says otherwise: imported once, its names and graphs cleared per file.

Not per test: `clear_session` collects garbage all over TensorFlow, which takes longer than most tests here.
"""

import os
import warnings

import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# On some processors TensorFlow's faster kernels end the whole process in the gradient of some strided convolutions.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


@pytest.fixture(scope="module")
def keras_of_the_file():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = pytest.importorskip("keras")
    yield keras
    keras.utils.clear_session()


@pytest.fixture
def keras(keras_of_the_file):
    """Keras; what it warns of is none of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield keras_of_the_file


@pytest.fixture
def without_graphs(keras):
    """Keras takes its steps eagerly: where there are few of them, it takes longer to make and compile its graphs."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)
