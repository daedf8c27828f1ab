"""3. How do I teach the engine something new? An operation of one's own, its derivative, and a check that can fail.

    python examples/engine/03_new_op.py

minigrad has no operation for snake(x) = x + sin(a x)^2 / a, an activation that lets networks learn what repeats
(Ziyin, Hartwig and Ueda 2020, https://arxiv.org/abs/2006.08195). To add one takes a kernel, which is a plain loop over
numbers; its vjp ("vector-Jacobian product"), the loop that carries the gradient back; and a line that says which
shapes go in and come out. With s = sin(2 a x):

    snake(x, a) = x + sin(a x)^2 / a        d/dx = 1 + s        d/da = x s / a - sin(a x)^2 / a^2
"""

import math
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import course
import numpy as np

import minigrad as keras
from minigrad import Tensor, kernel, launch, op, ops

# A kernel sees arrays of two axes, what it writes comes last and is marked "out". It is compiled for float32 and for
# float64 when first used, so its constants are made with the dtype at hand: a bare 2.0 would be float64.


@kernel
def snake_forward(x, a, y: "out"):
    """y_ij = x_ij + sin(a_j x_ij)^2 / a_j"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            sine = math.sin(a[0, j] * x[i, j])
            y[i, j] = x[i, j] + sine * sine / a[0, j]


@kernel
def snake_vjp(gy, x, a, gx: "out", ga: "out"):
    """gx_ij = gy_ij (1 + s),   ga_j = sum over the rows of gy_ij (x_ij s - sin(a_j x_ij)^2 / a_j) / a_j"""
    one = x.dtype.type(1)
    two = x.dtype.type(2)
    for j in range(x.shape[1]):
        ga[0, j] = x.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            sine = math.sin(a[0, j] * x[i, j])
            s = math.sin(two * a[0, j] * x[i, j])
            gx[i, j] = gy[i, j] * (one + s)
            ga[0, j] += gy[i, j] * (x[i, j] * s - sine * sine / a[0, j]) / a[0, j]


# The signature says: any axes and then n columns, a row of n numbers; out comes the shape of the first. It is checked
# on every call and it allocates y. The inner function is what the tape keeps.


@op("(...,n), (n) -> (...,n)")
def snake(y, x, a):
    """y = x + sin(a x)^2 / a, with an a for each column."""
    launch(snake_forward, x, a, y)

    def vjp(gy, gx, ga):  # where nobody wants a gradient its buffer is None
        gx = np.empty_like(x) if gx is None else gx
        ga = np.empty_like(a) if ga is None else ga
        launch(snake_vjp, gy, x, a, gx, ga)

    return vjp


# Three mistakes that everybody makes once. Each is the operation above with another vjp.


def mistaken(name, backward):
    """An operation with the right forward and a vjp in NumPy that is wrong."""

    def operation(y, x, a):
        launch(snake_forward, x, a, y)

        def vjp(gy, gx, ga):
            gx[...], ga[...] = backward(gy, x, a)

        return vjp

    operation.__name__, operation.__doc__ = name, f"snake, wrong: {name}."
    return op("(...,n), (n) -> (...,n)")(operation)


def _right(gy, x, a):
    s, square = np.sin(2 * a * x), np.sin(a * x) ** 2
    return gy * (1 + s), (gy * (x * s - square / a) / a).sum(0)


MISTAKES = {
    "forgets the 2 in sin(2 a x)": lambda gy, x, a: (gy * (1 + np.sin(a * x)), _right(gy, x, a)[1]),
    "forgets the gradient that comes in": lambda gy, x, a: _right(np.ones_like(gy), x, a),
    "takes the mean of the rows for their sum": lambda gy, x, a: (_right(gy, x, a)[0], _right(gy, x, a)[1] / len(x)),
}


def check(script):
    """gradcheck moves the inputs a little in random directions and compares; it is a check because it can fail."""
    random = np.random.default_rng(script.seed)
    x = Tensor(random.normal(size=(5, 3)), requires_grad=True)
    a = Tensor(random.uniform(0.5, 2.0, 3), requires_grad=True)
    script.claim(keras.utils.gradcheck(snake, x, a), "gradcheck accepts snake")
    script.claim(keras.utils.gradcheck(mistaken("right", _right), x, a), "and the same in NumPy")
    print("\n  Three wrong ones:")
    for name, backward in MISTAKES.items():
        try:
            keras.utils.gradcheck(mistaken(name, backward), x, a)
            verdict = None
        except AssertionError as error:
            verdict = str(error)
        script.claim(verdict is not None, f"caught: one that {name}\n         {verdict}")
    try:
        snake(x, np.ones(4))
        message = ""
    except ValueError as error:
        message = str(error)
    script.claim("n cannot be both 3 and 4" in message, f"a wrong shape is refused with a reason:\n         {message}")


def train(activation, x, y, steps, seed):
    """A network 1-32-32-1 of Tensors alone, as in script 2, with Adam; its prediction as a function of NumPy arrays."""
    keras.utils.set_random_seed(seed)
    sizes = ((1, 32), (32, 32), (32, 1))
    weights = [keras.Variable(keras.initializers.HeNormal()(size), name=f"w{i}") for i, size in enumerate(sizes)]
    biases = [keras.Variable(np.zeros(n), name=f"b{i}") for i, (_, n) in enumerate(sizes)]
    bends = [keras.Variable(np.full(32, 5.0), name=f"a{i}") for i in range(2)]
    trained = weights + biases + (bends if activation is snake else [])

    def network(x):
        for w, b, a in zip(weights, biases, bends):
            x = activation(x @ w + b, a)
        return x @ weights[-1] + biases[-1]

    optimizer = keras.optimizers.Adam(0.005)
    optimizer.build(trained)
    inputs, targets = Tensor(x[:, None], dtype="float32"), Tensor(y[:, None], dtype="float32")

    def step():
        for v in trained:
            v.grad = None
        ops.mean(ops.squared_error(targets, network(inputs))).backward()
        optimizer.step()

    keras.Program(step).replay(steps)  # the new kernels are recorded like any other
    with keras.no_grad():
        return lambda x: network(Tensor(x[:, None], dtype="float32")).numpy()[:, 0]


def main(argv=None):
    """Check it, then use it."""
    with course.Script(__file__, __doc__, argv) as script:
        check(script)

        random = np.random.default_rng(script.seed)
        x = np.sort(random.uniform(-1, 1, 100))
        y = np.sin(8 * x) + random.normal(0, 0.1, 100)
        wide = np.linspace(-2, 2, 240)
        outside = np.abs(wide) > 1
        figure, axes = script.figure(1, 2, size=(8.4, 2.7), sharey=True)
        errors = {}
        contestants = {"tanh": (lambda x, a: ops.tanh(x), course.PINK), "snake": (snake, course.GREEN)}
        for ax, (name, (activation, color)) in zip(axes, contestants.items()):
            predicted = train(activation, x, y, 800 if script.quick else 3000, script.seed)(wide)
            errors[name] = [np.mean((predicted - np.sin(8 * wide))[rows] ** 2) ** 0.5 for rows in (~outside, outside)]
            ax.axvspan(-1, 1, color="#F1F5F9", zorder=0)
            ax.plot(wide, np.sin(8 * wide), color=course.GREY, linewidth=1, linestyle="--", label="the truth")
            ax.plot(x, y, ".", color=course.INK, markersize=4, alpha=0.5, label="what it saw")
            ax.plot(wide, predicted, color=color, label="its answer")
            ax.set(title=f"{name}: typical error outside {errors[name][1]:.2f}", xlabel="x", ylim=(-2.6, 2.6))
            ax.legend(loc="lower center", ncols=3, handlelength=1.2, columnspacing=1)
        axes[0].set_ylabel("y")
        print()
        script.table(("activation", "error where it saw points", "error beyond"),
                     [(name, *values) for name, values in errors.items()])
        script.claim(errors["snake"][1] < 0.5 * errors["tanh"][1],
                     "a network of snakes continues the wave, one of tanh does not")
        script.save(figure)


if __name__ == "__main__":
    main()
