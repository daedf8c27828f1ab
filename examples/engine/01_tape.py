"""1. Where do gradients come from? Those of a neuron, by hand, by a tape of twenty lines, and by minigrad.

    python examples/engine/01_tape.py

Training moves every weight a little against the gradient, the slope of the loss along that weight. A network computes
its loss in many small steps, each with a derivative you know from school, and the chain rule multiplies the slopes
along the way. All that a program has to add is bookkeeping: a list of the steps, read from its end. Read this file from
top to bottom; each function is one step of the story.
"""

import math
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
import course
from engine import drawing

from minigrad import Tensor, ops, utils

# One neuron with one input x, and what we want it to say, t. How does the loss change with the weight w?
W, X, B, T = 0.5, 2.0, -0.4, 1.0


def by_hand(script):
    """Write down every step, then walk back: each gradient is the one after it times a slope."""
    product = W * X
    z = product + B
    p = 1 / (1 + math.exp(-z))
    e = p - T
    loss = e**2

    d_loss = 1.0
    d_e = d_loss * 2 * e  # the slope of e^2
    d_p = d_e * 1  # the slope of p - t along p
    d_z = d_p * p * (1 - p)  # the slope of the sigmoid
    d_b = d_product = d_z * 1  # a sum hands the gradient on to both of its parts
    d_w = d_product * X  # a product hands it on times the other factor

    script.table(("step", "value", "d loss / d step"), [
        ("product = w x", product, d_product), ("z = product + b", z, d_z), ("p = sigmoid(z)", p, d_p),
        ("e = p - t", e, d_e), ("loss = e^2", loss, d_loss),
    ], title="By hand: values from top to bottom, gradients from bottom to top")  # fmt: skip

    def nudged(w):
        return (1 / (1 + math.exp(-(w * X + B))) - T) ** 2

    slope = (nudged(W + 1e-6) - nudged(W - 1e-6)) / 2e-6
    script.claim(abs(slope - d_w) < 1e-9, f"d loss / d w is {d_w:.6f}; the finite difference says {slope:.6f}")
    return {"w": d_w, "b": d_b}


class Number:
    """A number that writes itself on the tape with what it came from, and its slope along each of those."""

    tape = []

    def __init__(self, value, name, parents=(), slopes=()):
        self.value, self.name, self.parents, self.slopes = value, name, parents, slopes
        self.gradient = 0.0
        self.tape.append(self)

    def __add__(self, other):
        return Number(self.value + other.value, "+", (self, other), (1.0, 1.0))

    def __sub__(self, other):
        return Number(self.value - other.value, "-", (self, other), (1.0, -1.0))

    def __mul__(self, other):
        return Number(self.value * other.value, "×", (self, other), (other.value, self.value))

    def sigmoid(self):
        p = 1 / (1 + math.exp(-self.value))
        return Number(p, "sigmoid", (self,), (p * (1 - p),))

    def backward(self):
        """The whole of automatic differentiation: the tape from its end, the chain rule, and a sum."""
        self.gradient = 1.0
        for number in reversed(self.tape):
            for parent, slope in zip(number.parents, number.slopes):
                parent.gradient += number.gradient * slope


def by_tape(script, expected):
    """The same neuron: the bookkeeping is done by the numbers themselves."""
    Number.tape.clear()
    w, x, b, t = Number(W, "w"), Number(X, "x"), Number(B, "b"), Number(T, "t")
    product = w * x
    z = product + b
    p = z.sigmoid()
    e = p - t
    loss = e * e
    loss.backward()
    names = ("product = w x", "z = product + b", "p = sigmoid(z)", "e = p - t", "loss = e e")
    for number, name in zip((product, z, p, e, loss), names):
        number.name = name
    print("\nBy tape: this is what the numbers wrote down")
    label = lambda n: f"{n.name:<15} {n.value:7.4f}   gradient {n.gradient:7.4f}"
    print(drawing.text(loss, lambda n: n.parents, label))
    script.claim(math.isclose(w.gradient, expected["w"]) and math.isclose(b.gradient, expected["b"]),
                 "the tape finds the gradients that we found by hand")  # fmt: skip
    return loss


def by_minigrad(script, expected):
    """minigrad does just that, with arrays for numbers: an operation knows its slopes, backward() reads the tape."""
    w, b = Tensor(W, requires_grad=True, dtype="float64"), Tensor(B, requires_grad=True, dtype="float64")
    loss = ops.square(ops.sigmoid(w * X + b) - T)
    loss.backward()
    script.claim(math.isclose(w.grad, expected["w"]) and math.isclose(b.grad, expected["b"]),
                 f"minigrad finds them, too: d loss / d w = {w.grad:.6f}, d loss / d b = {b.grad:.6f}")  # fmt: skip

    def parents(node):
        """Of a Node on minigrad's tape; a leaf is the Tensor itself. None stands for what needs no gradient: x, t."""
        return [] if isinstance(node, Tensor) else [parent for parent in node.parents if parent is not None]

    def label(node):
        return node.name if not isinstance(node, Tensor) else "w" if node is w else "b"

    print("  Its tape (each node holds the function that carries the gradient back, not the value):")
    print(drawing.text(loss._node, parents, label))
    print("  utils.plot_graph(loss, w=w, b=b) draws it.")

    x = Tensor([[0.3, -1.2], [2.0, 0.7]], dtype="float64")
    weights = Tensor([[0.5], [-0.8]], requires_grad=True, dtype="float64")
    script.claim(utils.gradcheck(lambda v: ops.square(ops.sigmoid(x @ v) - T), weights),
                 "and utils.gradcheck compares them with finite differences, for arrays of any size")  # fmt: skip


def why_this_order(script):
    """A number that is used twice must not pass its gradient on before it has heard from both uses."""

    def impatient(number, gradient):
        """Depth first: whoever gets a gradient adds it up and passes on at once what it has."""
        number.gradient += gradient
        for parent, slope in zip(number.parents, number.slopes):
            impatient(parent, number.gradient * slope)

    results = []
    for backward in (lambda c: impatient(c, 1.0), Number.backward):
        Number.tape.clear()
        a = Number(1.0, "a")
        b = a + a
        c = b + b
        backward(c)
        results.append(a.gradient)
    print("\nb = a + a; c = b + b. So c = 4 a, and dc/da must be 4.")
    script.claim(results == [6.0, 4.0], f"passing on too early says {results[0]:g}, the tape says {results[1]:g}")

    def patient(number, gradient):
        """Right, but along every way from c to a by itself; the number of calls."""
        number.gradient += gradient
        return 1 + sum(patient(p, gradient * slope) for p, slope in zip(number.parents, number.slopes))

    rows = []
    for doublings in (2, 8, 12 if script.quick else 16):
        Number.tape.clear()
        a = top = Number(1.0, "a")
        for _ in range(doublings):
            top = top + top
        calls = patient(top, 1.0)
        assert a.gradient == 2.0**doublings and calls == 2 ** (doublings + 1) - 1
        rows.append((f"{doublings} doublings", calls, len(Number.tape)))
    script.table(("", "ways walked one by one", "lines of the tape"), rows,
                 title="\nWalking each way by itself is right, but there are too many")  # fmt: skip


def why_no_recursion(script, length=10_000):
    """The order in which things were made is an order in which they can be undone: a loop over a list will do."""

    def recursive(number, gradient):
        number.gradient += gradient
        for parent, slope in zip(number.parents, number.slopes):
            recursive(parent, gradient * slope)

    Number.tape.clear()
    one = Number(1.0 + 1e-4, "factor")
    a = end = Number(1.0, "a")
    for _ in range(length):
        end = end * one
    try:
        recursive(end, 1.0)
        gave_up = False
    except RecursionError:
        gave_up = True
    for number in Number.tape:
        number.gradient = 0.0
    end.backward()
    expected = (1.0 + 1e-4) ** length
    script.claim(gave_up and math.isclose(a.gradient, expected),
                 f"in a chain of {length:,} products recursion gives up; the loop says {a.gradient:.4f}")  # fmt: skip

    x = y = Tensor(1.0, requires_grad=True, dtype="float64")
    for _ in range(length):
        y = y * (1.0 + 1e-4)
    y.backward()
    script.claim(math.isclose(x.grad, expected), f"minigrad's backward() is that loop: {x.grad:.4f}")


def main(argv=None):
    """The story in order."""
    with course.Script(__file__, __doc__, argv) as script:
        gradients = by_hand(script)
        neuron = by_tape(script, gradients)
        names = {n: (n.name.split(" = ")[0], f"{n.value:.3g}", f"{n.gradient:.3g}") for n in Number.tape}
        by_minigrad(script, gradients)
        why_this_order(script)
        why_no_recursion(script)
        title = "One neuron: values (green), gradients (pink)"
        script.save(*drawing.figures(script, (8.4, 2.6), title, neuron, lambda n: n.parents, names.get))


if __name__ == "__main__":
    main()
