"""Microseconds a training step takes in minigrad and in five peers, on the same models and data.

    python benchmarks/step.py [--models article-32 ...] [--peers keras-tf ...] [--rounds 7] [--quick]
                              [--json FILE]

Measured is `fit()` as a user calls it (or the library's own idiom, see peers.py), without compiling, divided
by its steps; the sides take turns, and each one's best round counts. The loss after three epochs shows that
all train the same thing (scikit-learn's has no BatchNormalization: its steps do less, and its loss differs).
usual-32 is the network of article-32 in the order that most people write: Dense with relu, BatchNormalization,
Dropout; its loss is that of training, with dropout. functional-32 and own-32 are article-32 as a Model(inputs, outputs)
and with a train_step of its own; residual and embedding are graphs, see common.Model.
"""
import sys
import time

from common import (
    MODELS, SIDES, STAR, Worker, best, data, machine, number, options, parse, quiet, save, serve, table,
    timing, verdict, version,
)

GOALS = {  # the peer's time over minigrad's
    "article-32": {"keras-tf": 100, "keras-jax": 20, "torch": 40, "jax": 3.0, "sklearn": 20},
    "usual-32": {"keras-tf": 100, "keras-jax": 20, "torch": 40, "jax": 3.0, "sklearn": 20},
    "functional-32": {"keras-tf": 5, "keras-jax": 2.5, "torch": 4},
    "own-32": {"keras-tf": 5, "keras-jax": 2.5, "torch": 4},
    "article-256": {"keras-tf": 15, "keras-jax": 4, "torch": 7, "jax": 1.7, "sklearn": 4},
    "tabular": {"keras-tf": 4, "keras-jax": 1.9, "torch": 3.2, "jax": 1.4, "sklearn": 2.6},
    "residual": {"keras-tf": 5, "keras-jax": 2.5, "torch": 4},
    "embedding": {"keras-tf": 5, "keras-jax": 2.5, "torch": 4},
    "digits": {"keras-tf": 2.1, "keras-jax": 1.25, "torch": 1.6, "jax": 1.1, "sklearn": 3.5},
}
SLOWER = {"usual-32": 1.25, "functional-32": 1.03, "own-32": 1.1}  # the most that a step may take, in article-32's
WARM_UP = 3  # epochs


def worker(side, name, seconds):
    """Train in rounds of about that many seconds, at least one epoch."""
    from peers import TRAINERS
    model = MODELS[name]
    fit = TRAINERS[side](model, *data(model))

    def timed(epochs):
        start = time.perf_counter()
        result = fit(epochs)
        return (time.perf_counter() - start) / epochs, result

    first, last = fit(1), fit(WARM_UP - 1)
    epochs = max(1, round(float(seconds) / timed(1)[0]))
    answer = {"version": version(side), "first": first, "last": last, "epochs a round": epochs}
    while True:
        yield answer
        each, result = timed(epochs)
        answer = {"us": each / model.steps * 1e6, "result": result}


def measure(name, sides, rounds, seconds, patience, script=__file__, key="us"):
    """{side: what it said and all its rounds} for one model; in the best round `key` is the lowest."""
    workers, found = [], {}
    try:
        for side in sides:
            print(f"{name}: {side} warms up", file=sys.stderr)
            workers.append(Worker(script, side, name, seconds))
        for one in workers:
            found[one.side] = {**(one.hello or {}), "rounds": []}
        for turn in range(rounds):
            print(f"{name}: round {turn + 1} of {rounds}", file=sys.stderr)
            for one in workers:
                quiet(patience)
                answer = one.ask()
                if answer:
                    found[one.side]["rounds"].append(answer)
    finally:
        for one in workers:
            one.close()
    for one in workers:
        found[one.side].update(failed=one.failed, best=best(found[one.side]["rounds"], key))
    return found


def rows(name, found):
    """The table's lines for one model."""
    ours = found["minigrad"]["best"]
    lines = [[name, "us a step"], [MODELS[name].title, "times minigrad's"], ["", "goal"],
             ["", f"loss after {WARM_UP} epochs"]]
    for side, one in found.items():
        if one is None:
            for line in lines:
                line.append("")
            continue
        theirs, goal = one["best"], GOALS[name].get(side)
        ratio = theirs["us"] / ours["us"] if theirs and ours and goal else None
        cells = [one["failed"] or timing(theirs, "us"), number(ratio),
                 verdict(goal, ratio >= goal, theirs, ours) if ratio else number(goal),
                 f"{one['last'][0]:.3f}" if "last" in one else ""]
        for line, cell in zip(lines, cells):
            line.append(cell)
    return lines


def main():
    parser = options(__doc__, rounds=7)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL",
                        help=" ".join(MODELS))
    peers = [side for side in SIDES if side != "minigrad"]
    parser.add_argument("--peers", nargs="*", choices=peers, default=peers, metavar="PEER",
                        help=" ".join(peers))
    arguments = parse(parser)
    sides, where = ["minigrad", *arguments.peers], machine()
    settings = arguments.rounds, 0.2 if arguments.quick else 0.8, arguments.patience
    found = {}
    for name in arguments.models:  # some peers can't have every model
        known = [side for side in sides if side == "minigrad" or side in GOALS[name]]
        measured = measure(name, known, *settings)
        found[name] = {side: measured.get(side) for side in sides}
    lines = [["model", "", *(SIDES[side][0] for side in sides)]]
    for name in arguments.models:
        lines += rows(name, found[name])
    print(table(lines))
    ours = {name: found[name]["minigrad"]["best"] for name in found}
    for name, most in SLOWER.items() if ours.get("article-32") else ():
        if ours.get(name):
            ratio = ours[name]["us"] / ours["article-32"]["us"]
            print(f"\nminigrad's {name} takes {ratio:.2f} times its article-32: "
                  f"{verdict(most, ratio <= most, ours[name], ours['article-32'])}")
    print(f"\n{where}\nBest of {arguments.rounds} rounds in turns; each library's default number of threads.")
    print(*sorted({one["version"] for model in found.values() for one in model.values() if one and "version" in one}),
          sep="; ")
    print(STAR)
    if "sklearn" in sides:
        print("scikit-learn's MLPClassifier has no BatchNormalization, Dropout and accuracy: its steps do less.")
    save(arguments.json, machine=where, models=found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        serve(worker(*sys.argv[2:]))
    else:
        main()
