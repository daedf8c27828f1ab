"""What every test runs under: a fixed seed, and failure if it leaks global state into the next one.

Warnings are errors (setup.cfg). The whole suite is divided among processes, one for each core.
"""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from minigrad import config, program, registry, tensor, utils

# Programs that a test starts get the minigrad that is tested, whatever is installed and wherever they run.
ROOT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """How many processes `-n auto` means: for some files none but this one, as others take seconds to start."""
    return min(os.cpu_count(), 4) if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


def pytest_ignore_collect(collection_path, config):
    """Where the comparison with the real Keras is not wanted, nobody imports TensorFlow to find that out."""
    return True if collection_path.name == "peers" and "not peers" in config.option.markexpr else None


@pytest.fixture(scope="session", autouse=True)
def no_kernel_is_compiled_twice(tmp_path_factory):
    """Of several processes of this run one compiles a kernel; the others wait, and load it from the cache."""
    if fcntl is None or "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    folder, original = tmp_path_factory.getbasetemp().parent, program.compiling.compiled

    def compiled(function, *arguments):
        with open(folder / f"{function.__name__}.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            return original(function, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        for module in (program.compiling, program.replaying):
            patch.setattr(module, "compiled", compiled)
        yield


def global_state():
    """Everything in minigrad and NumPy that would change what another test computes, under readable names."""
    return {
        "floatx": config.floatx(),
        "epsilon": config.epsilon(),
        "recording a Program": program.launching._state.trace is not None,
        "inside when()": program.launching._state.condition is not None,
        "tape switched off": not tensor.tensor._mode.recording,
        "custom_object_scope": registry._scopes.stack,
        "numpy.errstate": np.geterr(),
    }


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers for a test whatever ran before it."""
    utils.set_random_seed(1234)


@pytest.fixture(autouse=True)
def leaks_nothing():
    """Fail a test that leaves global state behind, and clean up after it."""
    before = global_state()
    yield
    after = global_state()
    config.set_floatx(before["floatx"])
    config.set_epsilon(before["epsilon"])
    program.launching._state.trace = program.launching._state.condition = None
    tensor.tensor._mode.recording = True
    registry._scopes.stack = ()
    np.seterr(**before["numpy.errstate"])
    leaked = {name: after[name] for name in before if after[name] != before[name]}
    assert not leaked, f"the test leaks global state: {leaked}"


@pytest.fixture
def leaf():
    """`leaf(3, 4)`: a float64 tensor to differentiate, with values of size 0.3 to 2 and random signs."""

    def make(*shape, dtype="float64"):
        values = config.generator().uniform(0.3, 2.0, shape) * config.generator().choice([-1.0, 1.0], shape)
        return tensor.Tensor(np.asarray(values, dtype), requires_grad=True)

    return make


@pytest.fixture
def replace_launch(monkeypatch):
    """`replace_launch(f)`: all that minigrad launches goes to `f(kernel, *operands)` from now on."""

    original = program.launch

    def replace(function):
        for name, module in list(sys.modules.items()):
            if name.startswith("minigrad.") and getattr(module, "launch", None) is original:
                monkeypatch.setattr(module, "launch", function)

    return replace


@pytest.fixture
def in_threads():
    """`in_threads(f, 8)`: the results of f(0), ..., f(7), each run in a thread of its own, all at once."""

    def run(function, count):
        results, errors, barrier = [None] * count, [], threading.Barrier(count)

        def work(i):
            try:
                barrier.wait(10)
                results[i] = function(i)
            except BaseException as error:  # handed to the test's own thread, which raises it
                errors.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results

    return run
