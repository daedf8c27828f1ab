"""Microseconds a call takes on the article's small model, in minigrad, in Keras on TensorFlow and in onnxruntime.

    python benchmarks/predict.py [--peers keras-tf keras-jax onnxruntime] [--rounds 7] [--quick] [--json FILE]

All have the same weights and get the same NumPy rows; a run whose answers disagree fails. onnxruntime predicts with
the file that `model.export` writes. Each call is repeated for a third of a second or so, the sides take turns, and
each one's best round counts.
"""
import os
import sys
import tempfile
import time
from functools import partial

from common import (
    MODELS, SIDES, STAR, Worker, best, data, library, machine, number, options, parse, quiet, save,
    serve, table, timing, verdict, version,
)
from networks import build

ROWS = 100_000
CASES = {  # what is called, and how many times faster than Keras/TF it should be
    "predict, 1 row": (300, lambda net, x, y: partial(net.predict, x[:1], verbose=0)),
    "predict_on_batch, 32 rows": (40, lambda net, x, y: partial(net.predict_on_batch, x[:32])),
    "model(x), 1 row": (200, lambda net, x, y: partial(net, x[:1])),
    "model(x), 32 rows": (200, lambda net, x, y: partial(net, x[:32])),
    "train_on_batch, 32 rows": (40, lambda net, x, y: partial(net.train_on_batch, x[:32], y[:32])),
    "predict, 100,000 rows": (8, lambda net, x, y: partial(net.predict, x, batch_size=1024, verbose=0)),
    "evaluate, 100,000 rows": (8, lambda net, x, y: partial(net.evaluate, x, y, batch_size=1024, verbose=0)),
}


PREDICTING = [name for name in CASES if "predict" in name or "model(x)" in name]  # what onnxruntime does, too


class Exported:
    """What onnxruntime makes of a model, called as a model is."""

    def __init__(self, net):
        import onnxruntime
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            net.export(path, format="onnx", verbose=False)
            self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def __call__(self, x):
        return self.session.run(None, {self.name: x})[0]

    predict_on_batch = __call__

    def predict(self, x, batch_size=None, verbose=0):
        import numpy as np
        size = batch_size or len(x)
        parts = [self(x[i:i + size]) for i in range(0, len(x), size)]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def worker(side, seconds):
    """Answers the name of a case with a round of it."""
    import numpy as np
    model, keras = MODELS["article-32"], library("minigrad" if side == "onnxruntime" else side)
    net, (x, y) = build(keras, model), data(model, ROWS)
    random = np.random.default_rng(0)  # kernels around 0, everything else (a variance among them) around 1
    net.set_weights([random.normal(0, 0.3, weight.shape) if weight.ndim == 2 else
                     random.uniform(0.5, 1.5, weight.shape) for weight in net.get_weights()])
    loss, names = net.evaluate(x, y, verbose=0)[0], CASES
    if side == "onnxruntime":
        net, names = Exported(net), PREDICTING
    calls = {name: CASES[name][1](net, x, y) for name in names}
    repeats = {}
    answer = {"version": version(side), "predicted": float(net.predict(x, verbose=0).mean()), "loss": loss}
    while True:
        name = yield answer
        if name not in repeats:  # the first calls compile; the next ones tell how many fit into a round
            for _ in range(3):
                calls[name]()
            repeats[name] = 1
            while timed(calls[name], repeats[name]) < float(seconds) / 2:
                repeats[name] *= 2
        answer = {"us": timed(calls[name], repeats[name]) / repeats[name] * 1e6}


def timed(call, times):
    start = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - start


def measure(sides, rounds, seconds, patience):
    """{side: what it said first, and for each case its rounds}."""
    workers = []
    try:
        for side in sides:
            print(f"{side} warms up", file=sys.stderr)
            workers.append(Worker(__file__, side, seconds))
        found = {one.side: {**(one.hello or {}), "rounds": {name: [] for name in CASES}} for one in workers}
        for name in CASES:
            print(name, file=sys.stderr)
            for _ in range(rounds):
                for one in workers:
                    if one.side == "onnxruntime" and name not in PREDICTING:
                        continue
                    quiet(patience)
                    answer = one.ask(name)
                    if answer:
                        found[one.side]["rounds"][name].append(answer)
    finally:
        for one in workers:
            one.close()
    for one in workers:
        found[one.side]["failed"] = one.failed
    return found


def agree(found):
    """Raises if two sides compute different things."""
    hellos = [one for one in found.values() if "predicted" in one]
    for one in hellos:
        for key in "predicted", "loss":
            if abs(one[key] - hellos[0][key]) > 1e-4:
                raise SystemExit(f"The sides disagree on {key}: {[hello[key] for hello in hellos]}")


def main():
    parser = options(__doc__, rounds=7)
    parser.add_argument("--peers", nargs="*", choices=["keras-tf", "keras-jax", "onnxruntime"],
                        default=["keras-tf", "onnxruntime"], metavar="PEER", help="keras-tf keras-jax onnxruntime")
    arguments = parse(parser)
    sides, where = ["minigrad", *arguments.peers], machine()
    found = measure(sides, arguments.rounds, 0.1 if arguments.quick else 0.3, arguments.patience)
    lines = [["us a call", *(SIDES[side][0] for side in sides), "Keras/TF: times minigrad's", "goal"]]
    for name, (goal, _) in CASES.items():
        rounds = {side: best(one["rounds"][name], "us") for side, one in found.items()}
        ours, theirs = (rounds.get(side) for side in ("minigrad", "keras-tf"))
        ratio = theirs["us"] / ours["us"] if ours and theirs else None
        cells = (found[side]["failed"] or timing(rounds[side], "us") for side in sides)
        lines.append([name, *cells, number(ratio),
                      verdict(goal, ratio >= goal, ours, theirs) if ratio else number(goal)])
    print(table(lines))
    print(f"\n{MODELS['article-32'].title}; {where}\nBest of {arguments.rounds} rounds in turns.")
    print(*(one["version"] for one in found.values() if "version" in one), sep="; ")
    print(STAR)
    save(arguments.json, machine=where, sides=found)
    agree(found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        serve(worker(*sys.argv[2:]))
    else:
        main()
