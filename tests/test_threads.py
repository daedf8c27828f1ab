"""Threads, forked children and Ctrl-C: right answers to the bit, and a model that can be used afterwards."""

import dis
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_same, data, network, state

import minigrad as keras
from minigrad import layers
from minigrad.layers.context import context
from minigrad.parallel import threads
from minigrad.program import launching
from minigrad.saving import hdf5

THREADS = 8
QUIET = {"verbose": 0}


@pytest.fixture
def nervous():
    """Threads that take turns a thousand times as often as usual, so that races are lost."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# ---------------------------------------------------------------------------------------------------- threads


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_predicting_with_one_model_from_many_threads(in_threads, nervous, run_eagerly):
    """Every thread has rows of its own; a buffer shared by two would mix them up."""
    model = network("labels", dropout=0.5, run_eagerly=run_eagerly)
    inputs = [data(57, seed=i)[0] for i in range(THREADS)]
    expected = [(model.predict(x, batch_size=16, **QUIET), model(x).numpy()) for x in inputs]

    def work(i):
        return [
            (model.predict(inputs[i], batch_size=16, **QUIET), model(inputs[i]).numpy()) for _ in range(20)
        ]

    for results, right in zip(in_threads(work, THREADS), expected, strict=True):
        for result in results:
            assert_same(result, right)


def test_different_rows_and_batch_sizes_from_many_threads(in_threads):
    model = network()
    x, _ = data(200)
    sizes = [1, 2, 3, 7, 16, 32, 64, 200]
    expected = [model.predict(x[:n], batch_size=8, **QUIET) for n in sizes]

    def work(i):
        return [model.predict(x[:n], batch_size=8, **QUIET) for n in sizes[i:] + sizes[:i]]

    for i, results in enumerate(in_threads(work, THREADS)):
        for result, right in zip(results, expected[i:] + expected[:i], strict=True):
            assert_same(result, right)


def train(seed, **settings):
    """Build and train a model. Nothing in it draws from the one generator that all threads share."""
    model = keras.Sequential([
        keras.Input((5,)), layers.Dense(8, kernel_initializer=keras.initializers.HeNormal(seed=seed)),
        layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.3, seed=seed),
        layers.Dense(1, activation="sigmoid", kernel_initializer=keras.initializers.HeNormal(seed=seed + 1)),
    ])
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"], **settings)
    x, y = data(90, seed=seed)
    history = model.fit(x, y, batch_size=8, epochs=4, shuffle=False, validation_split=0.2, **QUIET).history
    arrays = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
    return arrays, history, model.predict(x, **QUIET), model.evaluate(x, y, **QUIET)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_training_different_models_in_many_threads(in_threads, nervous, run_eagerly):
    expected = [train(seed, run_eagerly=run_eagerly) for seed in range(THREADS)]
    assert_same(in_threads(lambda i: train(i, run_eagerly=run_eagerly), THREADS), expected)


def test_training_loops_of_ones_own_in_many_threads(in_threads, nervous):
    """The tape, no_grad and the training flag belong to their thread."""

    def loop(seed):
        x, y = data(30, seed=seed)
        layer = layers.Dense(1, kernel_initializer=keras.initializers.HeNormal(seed=seed))
        norm, optimizer, loss_function = (
            layers.BatchNormalization(),
            keras.optimizers.SGD(0.05),
            keras.losses.MeanSquaredError(),
        )
        losses = []
        for step in range(30):
            if step % 3 == 2:
                with keras.no_grad():
                    losses.append(float(loss_function(y, layer(norm(x)))))
                continue
            loss = loss_function(y, layer(norm(x, training=True)))
            variables = layer.trainable_weights + norm.trainable_weights
            for v in variables:
                v.grad = None
            loss.backward()
            optimizer.apply_gradients((v.grad, v) for v in variables)
            losses.append(float(loss))
        return losses

    expected = [loop(seed) for seed in range(THREADS)]
    assert in_threads(loop, THREADS) == expected
    assert expected[0][-1] < expected[0][0]


def test_evaluating_one_model_in_many_threads(in_threads):
    """Metrics have one state, so evaluations of one model take turns; each gets its own answer."""
    model = network()
    sets = [data(40, seed=i) for i in range(THREADS)]
    expected = [model.evaluate(*s, batch_size=8, **QUIET) for s in sets]
    assert in_threads(lambda i: model.evaluate(*sets[i], batch_size=8, **QUIET), THREADS) == expected
    assert in_threads(lambda i: model.test_on_batch(*sets[i]), THREADS) == [
        model.test_on_batch(*s) for s in sets
    ]


def test_fits_of_one_model_in_many_threads_take_turns(in_threads):
    """The same data in each: whatever the order, the steps are those of as many fits in turn."""
    x, y = data(32)
    model, twin = network(), network()
    settings = {"batch_size": 8, "shuffle": False, **QUIET}
    in_threads(lambda i: model.fit(x, y, **settings), THREADS)
    for _ in range(THREADS):
        twin.fit(x, y, **settings)
    assert_same(model.get_weights(), twin.get_weights())
    assert model.optimizer.iterations == THREADS * 4


def test_an_unbuilt_model_called_from_many_threads(in_threads, nervous):
    """It is built once: all threads see the same weights."""
    x, _ = data(20)
    for _ in range(5):
        model = keras.Sequential(
            [layers.Dense(6), layers.BatchNormalization(), layers.ReLU(), layers.Dense(2)]
        )
        results = in_threads(lambda i, model=model: model(x).numpy(), THREADS)
        assert len(model.weights) == 8
        for result in results:
            assert_same(result, model(x).numpy())


def test_predicting_while_others_train(in_threads):
    """A model that is not being trained predicts the same, whatever goes on beside it."""
    model = network()
    x, _ = data(40)
    expected = model.predict(x, **QUIET)
    trained = train(3)

    def work(i):
        return train(3) if i % 2 else [model.predict(x, **QUIET) for _ in range(30)]

    for i, result in enumerate(in_threads(work, 4)):
        if i % 2:
            assert_same(result, trained)
        else:
            for p in result:
                assert_same(p, expected)


def test_predicting_beside_a_fit_stays_replayed(in_threads):
    """What training writes meanwhile is no reason to think that the step of a prediction changes it."""
    model, (x, y) = network(), data(200)
    done = threading.Event()

    def work(i):
        if i == 0:
            model.fit(x, y, batch_size=4, epochs=150, **QUIET)
            done.set()
        rows = 0
        while not done.is_set():
            rows = rows % 150 + 1
            model.predict(x[:rows], batch_size=1 + rows % 40, **QUIET)

    in_threads(work, 3)  # warnings are errors
    assert model._eager_because is None


def test_penalties_belong_to_the_thread_that_called(in_threads, nervous):
    """A prediction in another thread does not take the penalty of a step that goes on away."""

    class Penalised(layers.Layer):
        def call(self, inputs):
            self.add_loss((inputs * 0.0).sum() + 1.0)
            return inputs

    model = keras.Sequential([keras.Input((5,)), Penalised(), layers.Dense(1)])
    model.compile("sgd", lambda y, p: 0.0 * (p - y), run_eagerly=True)
    x, y = data(16)

    def work(i):
        return [model.train_on_batch(x, y) if i == 0 else len(model.predict_on_batch(x)) for _ in range(100)]

    assert in_threads(work, 2)[0] == [1.0] * 100


def test_names_in_many_threads_are_all_different(in_threads):
    keras.utils.clear_session()
    names = sum(in_threads(lambda i: [layers.Dense(1).name for _ in range(50)], THREADS), [])
    assert len(set(names)) == len(names)


# ----------------------------------------------------------------------------------------------------- forks


def in_child(function, timeout=60):
    """What `function()` returns in a forked child; an AssertionError if it hangs or dies."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forks of a process with threads
        child = os.fork()
    if child == 0:
        try:
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(function(), pipe)
        finally:
            os._exit(0)
    os.close(write)
    end = time.monotonic() + timeout
    os.set_blocking(read, False)
    result = b""
    try:
        while time.monotonic() < end:
            try:
                part = os.read(read, 1 << 20)
            except BlockingIOError:
                time.sleep(0.005)
                continue
            if not part:
                break
            result += part
        else:
            raise AssertionError("the child hangs")
    finally:
        os.close(read)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert result, "the child died"
    return pickle.loads(result)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")


@needs_fork
def test_a_forked_child_predicts_and_trains():
    """With large products too, for which the parent's BLAS has started threads of its own."""
    x, y = data(64)
    model = network()
    model.fit(x, y, batch_size=8, **QUIET)
    large = keras.Sequential([keras.Input((512,)), layers.Dense(512), layers.Dense(512)])
    rows = np.random.default_rng(0).standard_normal((512, 512)).astype("float32")
    expected = model.predict(x, **QUIET), large.predict(rows, batch_size=512, **QUIET)

    def child():
        predictions = model.predict(x, **QUIET), large.predict(rows, batch_size=512, **QUIET)
        model.fit(x, y, batch_size=8, shuffle=False, **QUIET)
        return predictions, state(model), train(5)

    predictions, trained, fresh = in_child(child)
    assert_same(predictions[0], expected[0])
    np.testing.assert_allclose(predictions[1], expected[1], rtol=1e-4, atol=1e-4)
    model.fit(x, y, batch_size=8, shuffle=False, **QUIET)  # the parent goes on by itself
    assert_same(trained, state(model))
    assert_same(fresh, train(5))


@needs_fork
@pytest.mark.parametrize("beside", ["predicts", "trains", "draws", "builds"])
def test_a_fork_while_other_threads_work(in_threads, nervous, beside):
    """A lock that another thread held at the moment of the fork must not hang the child, nor the fork itself."""
    hdf5._library()  # which has locks of ours taken once more
    x, y = data(40)
    model, other = network(), network()
    expected = model.predict(x, **QUIET)
    numbers = np.arange(100_000)
    is_over = []

    def child():
        model.fit(x, y, batch_size=8, **QUIET)
        return keras.Sequential.from_config(model.get_config()).predict(x, **QUIET).shape

    def work(i):
        if i == 0:
            try:
                return [in_child(lambda: model.predict(x, **QUIET), 20) for _ in range(12)], in_child(
                    child, 20
                )
            finally:
                is_over.append(True)
        while not is_over:
            if beside == "predicts":
                model.predict(x, **QUIET)
            elif beside == "trains":
                other.fit(x, y, batch_size=8, **QUIET)
            elif beside == "draws":
                keras.config.generator().shuffle(numbers.copy())
            else:
                keras.Sequential([keras.Input((5,)), layers.Dense(3)])
        return None

    predictions, shape = in_threads(work, 4)[0]
    for prediction in predictions:
        assert_same(prediction, expected)
    assert shape == (40, 1)


def _work(seed):
    return train(seed)[2]


@needs_fork
def test_a_pool_of_forked_workers():
    expected = [_work(seed) for seed in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = pool.map_async(_work, range(4)).get(timeout=60)
    assert_same(results, expected)


@needs_fork
def test_children_draw_random_numbers_of_their_own():
    def draw():
        return keras.initializers.HeNormal()((3, 3))

    keras.utils.set_random_seed(1)
    first, second, own = in_child(draw), in_child(draw), draw()
    assert len({a.tobytes() for a in (first, second, own)}) == 3


@needs_fork
def test_a_seeded_child_repeats():
    def draw():
        keras.utils.set_random_seed(7)
        return keras.initializers.HeNormal()((3, 3))

    assert_same(in_child(draw), draw())


# ---------------------------------------------------------------------------------------------------- Ctrl-C

INTERRUPTED = """
import signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is started with it ignored
sys.path[:0] = {path!r}
import numpy as np
import minigrad as keras
from helpers import data, network

x, y = data(2000)
model = {model}
model.compile("adam", "binary_crossentropy", metrics=["accuracy"], run_eagerly={eager})
model.fit(x, y, batch_size=8, verbose=0)  # everything is compiled and recorded


class Tell(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            print("ready", flush=True)


try:
    model.fit(x, y, batch_size=8, epochs=10**6, verbose={verbose}, callbacks=[Tell()])
    print("never interrupted")
except KeyboardInterrupt:
    print("stopped", time.time(), flush=True)
    history = model.history.history
    assert len(history["loss"]) >= 2 and len(model.history.epoch) == len(history["loss"]), history
    assert np.isfinite(history["loss"]).all()
    p = model.predict(x, verbose=0)
    assert p.shape == (2000, 1) and np.isfinite(p).all()
    before = int(model.optimizer.iterations)
    again = model.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    assert model.optimizer.iterations == before + 500 and len(again["loss"]) == 2
    assert np.isfinite(again["loss"]).all() and again["loss"][0] > 0
    print("usable", flush=True)
"""


WIDE = "keras.Sequential([keras.layers.Dense(1024), keras.layers.Dense(512), keras.layers.Dense(1, 'sigmoid')])"


@pytest.mark.parametrize("verbose, model, eager", [
    pytest.param(0, "network()", False, id="replayed"),
    pytest.param(1, "network()", False, id="replayed, with a bar"),
    pytest.param(0, "network()", True, id="eager"),
    pytest.param(1, WIDE, False, id="lanes"),
])  # fmt: skip
def test_ctrl_c(verbose, model, eager):
    """It stops within a slice of the replay; the history stays, and the model predicts and trains again."""
    code = INTERRUPTED.format(
        path=[str(Path(__file__).parent), *filter(None, sys.path)], verbose=verbose, model=model, eager=eager
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stdout:
            if line.strip().endswith("ready"):
                break
        time.sleep(0.3)
        sent = time.time()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    words = out.split()
    assert words[-1] == "usable", (out, err)
    stopped = float(words[words.index("stopped") + 1])
    assert stopped - sent < 1.0  # 0.2 s are promised; a busy machine may take longer


# ------------------------------------------------------------------------------------- who computes when


def test_a_fork_lets_the_other_threads_leave():
    """It waits until nobody computes, and those who do must be able to say that they have done."""
    inside, go = threading.Event(), threading.Event()

    def compute():
        mine = [True]
        threads.enter(mine)
        inside.set()
        go.wait(10)
        time.sleep(0.05)
        threads.leave(mine)

    other = threading.Thread(target=compute)
    other.start()
    inside.wait(10)
    go.set()
    threads._before_fork()
    try:
        assert not threads._busy, "it gave up waiting"
    finally:
        threads._after_fork()
        other.join()


@needs_fork
def test_a_forked_child_waits_for_no_turn():
    """The thread that had it at the moment of the fork is not in the child."""
    lock = threading.Lock()

    def long_replay():
        threads.out_of_turn(lambda: None)
        return threads.here.has_it

    with threads.in_turn(lock):
        threads.out_of_turn(lock.acquire)  # as if another thread had begun its turn meanwhile
        assert not threads.here.has_it
        assert in_child(lambda: threads.here.turn) is None
        lock.release()
        assert long_replay()


def test_computing_in_the_middle_of_computing():
    outer, inner = [True], [True]
    assert threads.enter(outer)
    assert not threads.enter(inner)
    threads.leave(inner)
    assert threads._needs_one()
    threads.leave(outer)
    assert not threads._busy and not threads._needs_one()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers that signal")
def test_a_signal_handler_may_predict():
    x, y = data(20_000)  # so that most of the time goes into long replays
    model, other = network(), network()
    expected = model.predict(x[:8], **QUIET)
    found = []

    def handler(*_):
        found.append(model.predict(x[:8], **QUIET))
        signal.setitimer(signal.ITIMER_REAL, 0.002)  # the next one comes when this one is done

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    try:
        while len(found) < 20:
            other.fit(x, y, batch_size=8, **QUIET)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    for one in found:
        assert_same(one, expected)


COLLECTS = """
import gc, os, sys, threading, time
import minigrad as keras
os.chdir(sys.argv[1])
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
model.save_weights("w.weights.h5")
import h5py
gc.disable()
loop = [h5py.File("w.weights.h5", "r")["layers"]]
loop.append(loop)
del loop
started, inside, thread = threading.Event(), threading.Event(), None

class Collects(keras.layers.Dense):
    def __getattribute__(self, name):
        if name == "_variables" and started.is_set() and threading.current_thread() is thread:
            started.clear(); inside.set(); time.sleep(0.5); gc.collect()
        return super().__getattribute__(name)

layer = Collects(2)
layer.build((None, 3))
thread = threading.Thread(target=lambda: layer.weights, daemon=True)
keras.Variable(1.0)  # the structure has changed: it will be looked at anew
started.set()
thread.start()
assert inside.wait(5)
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
print("forked", flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
def test_a_fork_while_python_frees_an_object_of_h5py(tmp_path):
    """In a thread that holds a lock of ours: h5py's lock must not be taken before it."""
    command = [sys.executable, "-W", "ignore", "-c", COLLECTS, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "forked\n"


# ------------------------------------------------------------------------------------------------ Ctrl-C


CALLS = {dis.opmap[name] for name in ("CALL", "CALL_FUNCTION_EX", "CALL_KW", "CALL_FUNCTION", "CALL_METHOD") if name in dis.opmap}


def interrupted(work, name, file, number):
    """Whether Ctrl-C came while `work()` ran: at the `number`-th place where Python looks for it in a function.

    It looks after a call has returned.
    """
    found, last = [0], {}

    def in_function(frame, event, argument):
        if event == "opcode":
            before, last[id(frame)] = last.get(id(frame)), frame.f_code.co_code[frame.f_lasti]
            if before in CALLS:
                found[0] += 1
                if found[0] == number:
                    raise KeyboardInterrupt
        return in_function

    def anywhere(frame, event, argument):
        if frame.f_code.co_name == name and frame.f_code.co_filename.replace(os.sep, "/").endswith(file):
            frame.f_trace_opcodes = True
            last.pop(id(frame), None)
            return in_function
        return None

    outer = sys.gettrace()
    sys.settrace(anywhere)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(outer)
    return False


def test_ctrl_c_leaves_nothing_behind():
    """Wherever it comes: what was taken is given back, what was set is set back."""
    x, y = data()
    x = x.astype("float32")
    normalization = keras.layers.BatchNormalization()
    model = network()
    model.predict(x, verbose=0)
    normalization(x)

    def train():
        model.fit(x, y, verbose=0)

    def predict():
        model.predict(x, verbose=0)

    places = [
        (lambda: normalization(x, training=True), "__call__", "layers/base.py"),
        (predict, "enter", "parallel/threads.py"), (predict, "replay", "parallel/dividing.py"),
        (predict, "take", "trainer/pool.py"), (predict, "give_back", "trainer/pool.py"),
        (train, "fit", "trainer/fitting.py"),
        (lambda: keras.Program(lambda: None), "_instead", "program/launching.py"),
    ]
    came = set()
    for work, name, file in places:
        for number in range(1, 40):
            if not interrupted(work, name, file, number):
                break
            came.add(name)
            at = f"call {number} of {name}"
            assert (context.training, context.inside) == (None, False), at
            assert not threads._busy and not launching._guests, at
            assert model.fitting is None, at
            pool = model._pool
            assert pool._count == sum(map(len, pool._free.values())), at
            assert pool._bytes == sum(step.nbytes for steps in pool._free.values() for step in steps), at
            t = keras.Tensor([1.0], requires_grad=True)
            assert (t * 2)._node is not None, at
    assert came >= {"__call__", "enter", "replay", "take", "give_back", "fit", "_instead"}, came
