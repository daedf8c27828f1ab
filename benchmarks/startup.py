"""Seconds from nothing to a trained model: import, build and compile, first fit, in fresh processes.

    python benchmarks/startup.py [--peers keras-tf keras-jax] [--rounds 5] [--quick] [--json FILE]

The article's small model is fitted for one epoch of 1,024 rows. minigrad runs with its kernels in Numba's
cache, and 'cold' with a cache folder that is new and empty, so that everything is compiled. A first run of
each side, not counted, fills the caches, the operating system's as well. Memory is the peak resident set.
"""
import os
import sys
import tempfile
import time

from common import (
    MODELS, SIDES, STAR, Worker, best, data, library, machine, options, parse, quiet, save,
    serve, table, timing, verdict, version,
)
from networks import build

ROWS = 1024
QUANTITIES = ["import", "build", "first fit", "together", "whole process", "peak memory, MB"]
GOALS = [  # whose, what, at most so much, and is that seconds or a share of Keras/TF's
    ("minigrad", "together", 1, "s"),
    ("minigrad", "together", 1 / 6, "of Keras/TF's"),
    ("minigrad cold", "together", 10, "s"),
    ("minigrad", "peak memory, MB", 1 / 4, "of Keras/TF's"),
]


def worker(side):
    """One life: no request is ever answered."""
    import resource  # not on Windows
    clock = [time.perf_counter()]
    keras = library(side)
    clock.append(time.perf_counter())
    net = build(keras, MODELS["article-32"])
    clock.append(time.perf_counter())
    x, y = data(MODELS["article-32"], ROWS)  # counted for nobody
    pause = time.perf_counter() - clock[-1]
    net.fit(x, y, batch_size=32, verbose=0)
    clock.append(time.perf_counter() - pause)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    parts = [later - earlier for earlier, later in zip(clock, clock[1:])]
    yield {**dict(zip(QUANTITIES, parts)), "together": sum(parts), "peak memory, MB": peak,
           "version": version(side)}


def life(name):
    """One run of 'minigrad', 'minigrad cold', 'keras-tf' ...: its quantities, or why there are none."""
    side, *cold = name.split()
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        with Worker(__file__, side, env={"NUMBA_CACHE_DIR": cache} if cold else {}) as one:
            whole = time.perf_counter() - start
        if cold and one.hello and not os.listdir(cache):
            print(f"{name}: NUMBA_CACHE_DIR stayed empty, so this was no cold start", file=sys.stderr)
    return {**one.hello, "whole process": whole} if one.hello else {"failed": one.failed}


def main():
    parser = options(__doc__, rounds=5)
    parser.add_argument("--peers", nargs="*", choices=["keras-tf", "keras-jax"], default=["keras-tf"],
                        metavar="PEER", help="keras-tf keras-jax")
    arguments = parse(parser)
    names, where = ["minigrad", "minigrad cold", *arguments.peers], machine()
    failed, found = {name: life(name).get("failed") for name in names}, {name: [] for name in names}
    for turn in range(arguments.rounds):
        print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr)
        for name in names:
            quiet(arguments.patience)
            run = {} if failed[name] else life(name)
            if "together" in run:
                found[name].append(run)
    print(table(report(names, found, failed)))
    print(f"\n{MODELS['article-32'].title}; {where}\nSeconds, each the best of {arguments.rounds} fresh "
          "processes in turns; 'whole process' includes the interpreter's own start.")
    print(*(runs[0]["version"] for runs in found.values() if runs), sep="; ")
    print(STAR)
    save(arguments.json, machine=where, runs=found)


def report(names, found, failed):
    """The table: a line for each quantity, then one for each goal."""
    lines = [["", *(SIDES[name.split()[0]][0] + name.removeprefix(name.split()[0]) for name in names)]]
    lows = {name: {what: best(runs, what) for what in QUANTITIES} for name, runs in found.items()}
    for what in QUANTITIES:
        cells = (failed[name] or timing(lows[name][what], what) for name in names)
        lines.append([what, *(steady(cell, what) for cell in cells)])
    for name, what, limit, unit in GOALS:
        ours = lows[name][what]
        scale = {what: 1} if unit == "s" else lows.get("keras-tf", {}).get(what)
        text = f"{limit:.2g} {unit}"
        if ours and scale:
            text = steady(verdict(text, ours[what] <= limit * scale[what], ours, scale), what)
        lines.append([f"{what}: at most", *(text if other == name else "" for other in names)])
    return lines


def steady(cell, what):
    """The cell without its mark of doubt where other programs can't matter."""
    return cell.rstrip("*?") if "memory" in what else cell


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        serve(worker(*sys.argv[2:]))
    else:
        main()
