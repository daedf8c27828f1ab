"""6. What does a training step consist of? The article's network, one step, every line explained and checked.

    python examples/engine/06_program.py

All arithmetic in minigrad passes through one door, `launch(kernel, *operands)`. `fit` writes down what passes during
one training step; the list is called a Program, and it replays the list without Python. Here is the list for the
network of the article, and what each line is for. We also run it line by line ourselves, and check after each line,
with NumPy, that it did what the text says.
"""

import sys
import textwrap
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import course
import numpy as np

import minigrad as keras
from minigrad import launch
from minigrad.layers import Activation, BatchNormalization, Dense

ROWS = 32


def article_network():
    """The network of the article, and data made up for it: is the sum of the first five of 20 columns positive?"""
    model = keras.Sequential([
        Dense(64, input_shape=(20,)), BatchNormalization(), Activation("relu"),
        Dense(32), BatchNormalization(), Activation("relu"),
        Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    x = np.random.default_rng(0).standard_normal((1024, 20)).astype("float32")
    return model, x, (x[:, :5].sum(1, keepdims=True) > 0).astype("float32")


# What NumPy expects of a line: a function of the operands before it ran, in the order of the listing (inputs first),
# that returns what its outputs must hold afterwards, as many as it wants to check.


def gather(x, order, cursor, *_):
    return [x[order[cursor[0, 0] :][:ROWS, 0]]]


def normalize_relu(x, bias, gamma, beta, settings, moving_mean, moving_variance, *_):
    momentum, epsilon, floor = settings[0]
    u, v = x.mean(0, keepdims=True), x.var(0, keepdims=True)
    y = np.maximum(floor, gamma * (x - u) / np.sqrt(v + epsilon) + beta)
    return [momentum * moving_mean + (1 - momentum) * (u + bias), momentum * moving_variance + (1 - momentum) * v, y]


def normalize_relu_vjp(gy, x, y, gamma, settings, mean, inverse, *_):
    g, h = np.where(y > 0, gy, 0), (x - mean) * inverse
    gx = gamma * inverse * (g - g.mean(0) - h * (g * h).mean(0))
    return [None, gx, 0, (g * h).sum(0, keepdims=True), g.sum(0, keepdims=True)]


def crossentropy(t, z, *_):
    return [np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0) - z * t]


def adam(g, learning_rate, settings, step, momentum, velocity, top, weights):
    b1, b2, epsilon, _ = settings[0]
    t = step[0, 0] + 1
    rate = learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t)
    m, v = b1 * momentum + (1 - b1) * g, b2 * velocity + (1 - b2) * g**2
    return [m, v, None, weights - rate * m / (np.sqrt(v) + epsilon)]


def times(a, b, *_):
    return [a @ b]


def times_turned(a, b, *_):
    return [a.T @ b]


def times_the_turned(a, b, *_):
    return [a @ b.T]


# The walk: (heading, [(kernel, what it is for, what NumPy expects or None)]). Line by line as the Program has them.
WALK = [
    ("Take the next 32 rows", [
        ("gather_rows", "The rows are shuffled once per epoch, as a list of row numbers: `order`. `cursor` says how "
         "far we are in it. This line copies the next 32 rows of x to one place, t1.", gather),
        ("gather_rows", "The same rows of y.", gather),
    ]),
    ("Forward", [
        ("matmul", "Dense: each of 64 units takes a weighted sum of the 20 inputs. No bias here: the line below takes "
         "care of it.", times),
        ("batch_normalization", "All of Batch Normalization, and the relu after it, in one pass: zero-center, scale, "
         "gamma, beta, cut off below 0 (the last of the three numbers in brackets: momentum, epsilon, floor). The "
         "bias of Dense would be subtracted again with the mean, so it only shifts the moving mean. The two small "
         "results, mean and 1/deviation, are kept for the way back.", normalize_relu),
        ("matmul", "The second Dense, 64 to 32.", times),
        ("batch_normalization", "And its Batch Normalization and relu.", normalize_relu),
        ("affine", "The last Dense, 32 to 1, with its bias: without Batch Normalization it matters.",
         lambda x, w, b, *_: [x @ w + b]),
        ("sigmoid", "The probability that is the output. Nothing below but accuracy uses it:",
         lambda x, *_: [1 / (1 + np.exp(-x))]),
    ]),
    ("Loss", [
        ("binary_crossentropy_logits", "the loss is computed from the number before the sigmoid instead, where no "
         "logarithm of 0 can occur. One number per row: -ln of the probability given to the truth.", crossentropy),
        ("mean_all", "Their mean: the loss. (0.03125 is 1/32.)", lambda x, *_: [x.mean()]),
    ]),
    ("Backward: the same lines from the last to the first, each as its derivative", [
        ("fill_scaled", "d loss / d (loss of a row) is 1/32, for each row.", lambda *_: [np.full((1, 32), 1 / 32)]),
        ("binary_crossentropy_logits_vjp", "Through the loss: (p - t) / 32. The sigmoid and the logarithm cancel to "
         "the plainest formula of all.", lambda g, t, z, *_: [g * (1 / (1 + np.exp(-z)) - t)]),
        ("sum_rows", "The bias was added to each row, so its gradient is the sum over the rows.",
         lambda g, *_: [g.sum(0, keepdims=True)]),
        ("matmul_tn", "The gradient of the kernel: inputs, turned, times what came back.", times_turned),
        ("matmul_nt", "What goes on to the layer before: what came back times the kernel, turned.", times_the_turned),
        ("batch_normalization_vjp", "Through relu and Batch Normalization, by the formula of script 5. The gradient of "
         "the bias before it is zero, exactly.", normalize_relu_vjp),
        ("matmul_nt", "What goes on to the layer before.", times_the_turned),
        ("matmul_tn", "The gradient of the second kernel.", times_turned),
        ("batch_normalization_vjp", "Through the first Batch Normalization.", normalize_relu_vjp),
        ("matmul_tn", "The gradient of the first kernel. Nobody asks for that of the data, so this is the end.",
         times_turned),
    ]),
    ("Update", [
        ("adam", "All 3,664 trained numbers live side by side in one row, and so do their gradients: one line "
         "updates them all. (t23 would hold something for AMSGrad, a variant: it is empty.)", adam),
        ("increment", "Count the step: the size of Adam's first steps depends on how many there have been.",
         lambda by, n: [n + by]),
    ]),
    ("Keep the books", [
        ("track_loss", "The progress bar shows the mean loss of the epoch: add 32 times this one. And count the "
         "batches after which that sum was still finite: so TerminateOnNaN can say which was the first that was not.",
         lambda loss, w, total, count, finite: [total + w * loss, count + w, finite + np.isfinite(total + w * loss)]),
        ("binary_match", "Which rows were right? Both above 0.5, or both not.",
         lambda t, p, *_: [(p > 0.5) == (t > 0.5)]),
        ("accumulate", "Add them to the accuracy.",
         lambda right, by, total, count: [total + right.sum(), count + 32]),
        ("increment", "Move the cursor 32 rows on. The next replay takes the next batch.", lambda by, n: [n + by]),
    ]),
]  # fmt: skip


def run_checked(kernel, operands, expect):
    """Launch one line, and compare what it wrote with what NumPy expects."""
    inputs = [o for o, out in zip(operands, kernel.is_out) if not out]
    outputs = [o for o, out in zip(operands, kernel.is_out) if out]
    wanted = expect(*[o.copy() for o in (*inputs, *outputs)]) if expect else []
    launch(kernel, *operands)
    for output, want in zip(outputs, wanted):
        if want is not None:
            np.testing.assert_allclose(output, np.broadcast_to(want, output.shape), rtol=2e-4, atol=2e-6)
    return sum(want is not None for want in wanted)


def walk(script, program):
    """Print each line with its explanation, and run it."""
    lines = str(program).splitlines()
    print(lines[0])
    explained = [step for _, steps in WALK for step in steps]
    script.claim([kernel.name for kernel, *_ in program.instructions] == [name for name, *_ in explained],
                 f"the {len(program)} lines are the ones that are explained here")  # fmt: skip
    number = checked = 0
    for heading, steps in WALK:
        print(f"\n{heading}\n{'-' * len(heading)}")
        for _, why, expect in steps:
            kernel, operands, _ = program.instructions[number]
            number += 1
            line = lines[number]
            print(line if len(line) <= 118 else f"{line[:114]} ...")
            print(textwrap.fill(why, 108, initial_indent=" " * 8, subsequent_indent=" " * 8))
            checked += run_checked(kernel, operands, expect)
    print()
    script.claim(checked > 40, f"{checked} results of these lines are what NumPy computes")


def main(argv=None):
    """Record, walk, replay."""
    with course.Script(__file__, __doc__, argv) as script:
        keras.utils.set_random_seed(script.seed)
        keras.utils.clear_session()
        model, x, y = article_network()
        model.fit(x, y, batch_size=ROWS, epochs=1, verbose=0)
        program = model.train_program
        rewind = {"x": x, "y": y, "order": np.arange(len(x))[:, None], "cursor": np.zeros((1, 1), np.int64)}
        program.bind(**rewind)  # `fit` lets go of the data when it is done: here it is again

        start = model.get_weights()
        walk(script, program)
        by_hand = model.get_weights()

        # The same step again from the same start, replayed. Two models: the weights are one state, Adam's another.
        keras.utils.set_random_seed(script.seed)
        keras.utils.clear_session()
        twin, _, _ = article_network()
        twin.fit(x, y, batch_size=ROWS, epochs=1, verbose=0)
        twin.train_program.bind(**{**rewind, "cursor": np.zeros((1, 1), np.int64)})
        assert all(np.array_equal(a, b) for a, b in zip(start, twin.get_weights()))
        twin.train_program.replay()
        script.claim(all(np.array_equal(a, b) for a, b in zip(by_hand, twin.get_weights())),
                     "line by line or replayed, the weights afterwards are the same to the bit")  # fmt: skip


if __name__ == "__main__":
    main()
