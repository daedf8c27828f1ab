"""What the replay saves: the article's training step eagerly, in a loop of one's own and replayed, where its time goes,
and two threads.

    python benchmarks/launch.py [--rounds 7] [--quick] [--json FILE]

Prints (1) the eager step over the replayed one (goal: at most 5), and a step of a loop of one's own, with
`loss.backward()` and with a tape (goal: at most 60 microseconds each), (2) the share of a replayed step that is spent
outside of the kernels: the loop, the building of views, the calls (goal: at most 10 %), measured by replaying the same
number of instructions of a kernel that does nothing, (3) microseconds per instruction, each repeated alone with its
operands in the cache, and (4) two trainings in two threads against the two in turn (goal: 1.6 times as fast).
"""
import threading
import time

import minigrad
import numpy as np
from common import MODELS, data, machine, number, options, parse, save, table, verdict
from networks import build
from minigrad import Program, kernel, launch
from minigrad.data import Rows

MODEL = MODELS["article-32"]


@kernel
def nothing(a, b, c, d, e, y: "out"):
    """Touch nothing: what is left is the cost of the launch."""


def fit_microseconds(net, x, y, epochs):
    """Microseconds a step of `fit` takes."""
    start = time.perf_counter()
    net.fit(x, y, batch_size=MODEL.batch, epochs=epochs, verbose=0)
    return (time.perf_counter() - start) / (epochs * MODEL.steps) * 1e6


def eager(net):
    """The same model, compiled to run step by step in Python."""
    net.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return net


def loop(net, x, y, has_tape):
    """A function that takes steps of a loop of one's own and returns the microseconds that the fastest one took."""
    optimizer, loss = minigrad.optimizers.Adam(), minigrad.losses.BinaryCrossentropy()
    x, y, variables = x[:MODEL.batch], y[:MODEL.batch], net.trainable_variables

    def step():
        if has_tape:
            with minigrad.GradientTape() as tape:
                value = loss(y, net(x, training=True))
            optimizer.apply(tape.gradient(value, variables), variables)
            return
        value = loss(y, net(x, training=True))
        for variable in variables:
            variable.grad = None
        value.backward()
        optimizer.step()

    def run():
        times = []
        for _ in range(200):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        return min(times) * 1e6

    optimizer.build(variables)
    return run


def best_of(rounds, *functions):
    """The least result of each function, which take turns."""
    results = [[function() for function in functions] for _ in range(rounds)]
    return [min(column) for column in zip(*results)]


def replay_microseconds(program, steps):
    """Microseconds a replayed step takes, without `fit` around it."""
    start = time.perf_counter()
    program.replay(steps)
    return (time.perf_counter() - start) / steps * 1e6


def empty_program(instructions):
    """A Program of as many launches that do nothing."""
    operands = [np.zeros((1, 1), np.float32) for _ in range(6)]

    def step():
        for _ in range(instructions):
            launch(nothing, *operands)

    return Program(step)


def threads_ratio(nets, x, y, epochs):
    """How many times as fast two trainings are in two threads as in turn."""
    start = time.perf_counter()
    for net in nets:
        fit_microseconds(net, x, y, epochs)
    in_turn = time.perf_counter() - start
    workers = [threading.Thread(target=fit_microseconds, args=(net, x, y, epochs)) for net in nets]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return in_turn / (time.perf_counter() - start)


def main():
    """Measure and print."""
    arguments = parse(options(__doc__, rounds=7))
    epochs = 1 if arguments.quick else 4
    x, y = data(MODEL)
    where = machine()
    replayed, eagerly, spare = build(minigrad, MODEL), eager(build(minigrad, MODEL)), build(minigrad, MODEL)
    for net in (replayed, eagerly, spare):
        fit_microseconds(net, x, y, 1)
    fast, slow = best_of(
        arguments.rounds,
        lambda: fit_microseconds(replayed, x, y, epochs),
        lambda: fit_microseconds(eagerly, x, y, 1),
    )
    loops = [loop(build(minigrad, MODEL), x, y, has_tape) for has_tape in (False, True)]
    own, taped = best_of(arguments.rounds, *loops)
    both = max(threads_ratio((replayed, spare), x, y, 4 * epochs) for _ in range(arguments.rounds))
    program, empty = replayed.train_program, empty_program(len(replayed.train_program))
    rows = Rows(x, y, None, MODEL.batch)
    rows.shuffle(True, MODEL.batch, np.random.default_rng(0))
    program.bind(**rows.inputs)
    pure, idle = best_of(
        arguments.rounds, lambda: replay_microseconds(program, 1000), lambda: replay_microseconds(empty, 1000)
    )
    share = idle / pure
    print(table([
        ["article's model, batch 32", "", "goal"],
        ["fit, replayed: us a step", number(fast), ""],
        ["fit, eager: us a step", number(slow), ""],
        ["eager / replayed", number(slow / fast), verdict(5, slow / fast <= 5)],
        ["loop of one's own: us a step", number(own), verdict(60, own <= 60)],
        ["the same with a tape: us a step", number(taped), verdict(60, taped <= 60)],
        ["replay alone: us a step", number(pure), ""],
        ["of which outside of kernels: us", number(idle), ""],
        ["share outside of kernels, %", number(100 * share), verdict(10, share <= 0.1)],
        ["two threads against in turn", number(both), verdict(1.6, both >= 1.6)],
    ]))
    profiles = [program.profile(1000) for _ in range(arguments.rounds)]
    lines = [["instruction", "us"]]
    for column in zip(*profiles):
        lines.append([column[0][0], number(min(seconds for _, seconds in column) * 1e6)])
    lines.append(["sum", number(sum(min(s for _, s in column) for column in zip(*profiles)) * 1e6)])
    print(table(lines))
    print(f"\n{where}\nBest of {arguments.rounds} rounds in turns.")
    save(arguments.json, machine=where, replayed=fast, eager=slow, loop=own, tape=taped, outside=share, threads=both)


if __name__ == "__main__":
    main()
