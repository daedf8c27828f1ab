"""Global settings, seeds, and the fixture of conftest.py that fails a test which leaks them."""

import os
import random
import select
import signal
import threading
import warnings

import helpers
import numpy as np
import pytest

import minigrad as keras
from minigrad import config
from minigrad.tensor import Tensor

pytest_plugins = ["pytester"]


def test_floatx_is_the_dtype_of_what_is_built_from_then_on():
    assert config.floatx() == "float32" and Tensor([1]).dtype == "float32"
    config.set_floatx("float64")
    try:
        assert config.floatx() == "float64" and Tensor([1]).dtype == "float64"
        assert keras.layers.Dense(2).dtype == "float64"
    finally:
        config.set_floatx("float32")


@pytest.mark.parametrize("value", ["float16", "bfloat16", "int32", 32, None, np.float32])
def test_other_floats_are_refused(value):
    with pytest.raises(ValueError, match="'float32' or 'float64', got"):
        config.set_floatx(value)
    assert config.floatx() == "float32"


def test_epsilon():
    assert config.epsilon() == 1e-7
    config.set_epsilon(1)
    try:
        assert config.epsilon() == 1.0 and type(config.epsilon()) is float
    finally:
        config.set_epsilon(1e-7)
    with pytest.raises(ValueError):
        config.set_epsilon("small")


def test_there_is_one_back_end_and_one_format():
    assert (config.backend(), config.image_data_format(), config.dtype_policy()) == ("minigrad", "channels_last", "float32")
    config.set_backend("minigrad")
    config.set_image_data_format("channels_last")
    for setter, value in ((config.set_backend, "jax"), (config.set_image_data_format, "channels_first"),
                          (config.set_dtype_policy, "mixed_float16")):  # fmt: skip
        with pytest.raises(ValueError, match=value):
            setter(value)
    config.set_dtype_policy("float64")
    try:
        assert config.floatx() == "float64"
    finally:
        config.set_floatx("float32")


def test_switches():
    assert config.is_traceback_filtering_enabled()
    config.disable_traceback_filtering()
    assert not config.is_traceback_filtering_enabled() and config.is_interactive_logging_enabled()
    config.enable_traceback_filtering()
    assert config.is_traceback_filtering_enabled()


def test_without_interactive_logging_auto_means_silent(capsys):
    keras.utils.disable_interactive_logging()
    try:
        assert not keras.utils.is_interactive_logging_enabled()
        model = helpers.network()
        model.fit(*helpers.data(8))
        assert capsys.readouterr().out == ""
        model.fit(*helpers.data(8), verbose=2)
        assert "loss" in capsys.readouterr().out
    finally:
        keras.utils.enable_interactive_logging()
    model.fit(*helpers.data(8))
    assert "loss" in capsys.readouterr().out


def test_a_seed_makes_everything_repeat():
    def draw():
        return [
            random.random(),
            np.random.rand(),
            config.generator().random(),
            config.draw_seed(),
            *keras.initializers.GlorotUniform()((2, 2)).ravel(),
        ]

    keras.utils.set_random_seed(5)
    first = draw()
    assert draw() != first
    keras.utils.set_random_seed(5)
    assert draw() == first
    keras.utils.set_random_seed(6)
    assert draw() != first


def test_seeds_drawn_differ_and_fit_where_keras_wants_them():
    seeds = [config.draw_seed() for _ in range(1000)]
    assert len(set(seeds)) == 1000 and all(0 < seed < 2**31 for seed in seeds)
    config.set_seed(None)
    fresh = config.draw_seed()
    config.set_seed(None)
    assert config.draw_seed() != fresh


def fork():
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python 3.12 warns of a fork beside other threads
        return os.fork()


def test_forked_children_draw_numbers_of_their_own():
    """A child that repeated its parent's numbers would see the same shuffles and masks as its siblings."""
    drawn = []
    for _ in range(3):
        reader, writer = os.pipe()
        child = fork()
        if child == 0:
            os.write(writer, str(config.draw_seed()).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as stream:
            drawn.append(int(stream.read()))
        os.waitpid(child, 0)
    drawn.append(config.draw_seed())
    assert len(set(drawn)) == 4


def test_a_child_forked_while_another_thread_draws_can_draw_itself():
    """The lock of the generator may be taken at that moment, by a thread that does not exist in the child."""
    stop = threading.Event()
    thread = threading.Thread(
        target=lambda: [config.generator().random(1000) for _ in iter(stop.is_set, True)]
    )
    thread.start()
    try:
        for _ in range(20):
            reader, writer = os.pipe()
            child = fork()
            if child == 0:
                os.write(writer, str(config.draw_seed()).encode())
                os._exit(0)
            os.close(writer)
            if not select.select([reader], [], [], 10)[0]:
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            with os.fdopen(reader) as stream:
                assert int(stream.read() or 0) > 0, "the child waited for ever"
    finally:
        stop.set()
        thread.join()


LEAKS = {
    "floatx": "config.set_floatx('float64')",
    "epsilon": "config.set_epsilon(1e-3)",
    "tape switched off": "no_grad().__enter__()",
    "recording a Program": "program.launching._state.trace = []",
    "inside when()": "program.launching._state.condition = 1",
    "custom_object_scope": "registry._scopes.stack = ({},)",
    "numpy.errstate": "np.seterr(all='ignore')",
}


def test_a_test_that_leaks_global_state_is_failed_and_the_next_one_is_not(pytester):
    with open(os.path.join(os.path.dirname(__file__), "conftest.py")) as conftest:
        pytester.makeconftest(conftest.read())
    lines = ["import numpy as np", "from minigrad import config, no_grad, program, registry"]
    for i, leak in enumerate(LEAKS.values()):
        lines += [f"def test_leak_{i}():", f"    {leak}", f"def test_clean_{i}():", "    pass"]
    pytester.makepyfile("\n".join(lines))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2 * len(LEAKS), errors=len(LEAKS))
    result.stdout.fnmatch_lines([f"*leaks global state: {{'{name}'*" for name in LEAKS])
