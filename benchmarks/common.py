"""What the benchmarks share: the models, their data, workers that take turns, and the printed table.

Every library runs in a process of its own (two Keras backends can't share one), started by `Worker` and
answered for by `serve`: they talk in lines of JSON, and only the one that was asked something computes.
The parent imports nothing but the standard library.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

SIDES = {  # name on the command line: (heading in the table, modules whose versions are reported)
    "minigrad": ("minigrad", ["minigrad", "numba", "numpy"]),
    "keras-tf": ("Keras/TF", ["keras", "tensorflow"]),
    "keras-jax": ("Keras/JAX", ["keras", "jax"]),
    "torch": ("PyTorch", ["torch"]),
    "jax": ("JAX scan", ["jax"]),
    "sklearn": ("scikit-learn", ["sklearn"]),
    "onnxruntime": ("onnxruntime", ["onnx", "onnxruntime"]),
}

DISTURBED = 0.2  # cores busy with something else, from which on a measurement is marked
STAR = "* ? measured while other programs used the processor, which slows some libraries far more than others"


@dataclass(frozen=True)
class Model:
    """A row of layers: all but the last are Dense, BatchNormalization, relu; Adam(1e-3); accuracy.

    With `dropout`, a rate, they are what most people write instead: Dense with relu, BatchNormalization, Dropout.
    Other kinds than "chain":
    - "functional", the same as Model(inputs, outputs); "own", this with a train_step of its own;
    - "residual": a Dense brings the input to the hidden width; each further pair of hidden layers is added to what
      goes into it;
    - "embedding": of the inputs, `columns` are categories of `values` kinds each, an Input and an Embedding of 8
      numbers per column; the rest are numbers; all of them go side by side into Dense layers with relu.
    """
    widths: tuple  # inputs, hidden units ..., outputs; one output is a sigmoid, several a softmax
    batch: int
    rows: int  # a multiple of the batch, and enough for an epoch's fixed costs not to count
    dropout: float = 0.0
    kind: str = "chain"
    columns: int = 0
    values: int = 0

    @property
    def steps(self):
        return self.rows // self.batch

    @property
    def binary(self):
        return self.widths[-1] == 1

    @property
    def hidden(self):
        return self.widths[1:-1]

    @property
    def title(self):
        dropout = f", Dropout({self.dropout})" if self.dropout else ""
        kind = "" if self.kind == "chain" else f"{self.kind}, "
        return f"{kind}{'-'.join(map(str, self.widths))}, batch {self.batch}{dropout}"


MODELS = {
    "article-32": Model((20, 64, 32, 1), batch=32, rows=32_768),
    "usual-32": Model((20, 64, 32, 1), batch=32, rows=32_768, dropout=0.3),
    "functional-32": Model((20, 64, 32, 1), batch=32, rows=32_768, kind="functional"),
    "own-32": Model((20, 64, 32, 1), batch=32, rows=32_768, kind="own"),
    "article-256": Model((20, 64, 32, 1), batch=256, rows=131_072),
    "tabular": Model((100, 256, 128, 64, 1), batch=128, rows=65_536),
    "residual": Model((100, *[128] * 7, 1), batch=128, rows=32_768, kind="residual"),
    "embedding": Model((30, 128, 64, 1), batch=256, rows=65_536, kind="embedding", columns=20, values=1_000),
    "digits": Model((784, 1024, 1024, 10), batch=128, rows=8_192),
}


def data(model, rows=None):
    """Noise, labeled by a small random network; every tenth label is random, so that no loss runs to 0."""
    import numpy as np  # not at the top: startup.py counts it as a part of importing the library
    rows, inputs, classes = rows or model.rows, model.widths[0], max(model.widths[-1], 2)
    random = np.random.default_rng(0)
    x = random.standard_normal((rows, inputs), dtype="float32")
    teacher = random.standard_normal((inputs, 16), dtype="float32") / inputs**0.5
    y = (np.tanh(x @ teacher) @ random.standard_normal((16, classes))).argmax(1)
    y = np.where(random.random(rows) < 0.1, random.integers(classes, size=rows), y)
    if model.columns:  # categories by rank: the label still depends on them
        ranks = np.argsort(np.argsort(x[:, : model.columns], axis=0), axis=0)
        x = (ranks * model.values // rows).astype("int32"), np.ascontiguousarray(x[:, model.columns :])
    return x, y.astype("float32" if model.binary else "int32")


def library(side):
    """Import and return what a Keras script would call `keras`."""
    if side == "minigrad":
        import minigrad as keras
    else:
        os.environ["KERAS_BACKEND"] = {"keras-tf": "tensorflow", "keras-jax": "jax"}[side]
        import keras
    return keras


def version(side):
    """'keras 3.15.1, jax 0.10.2': what this process has imported for `side`."""
    names = (name for name in SIDES[side][1] if name in sys.modules)
    return ", ".join(f"{name} {getattr(sys.modules[name], '__version__', '?')}" for name in names)


class Worker:
    """A process running `script --worker side *arguments`; `hello` is its first answer.

    `failed` is None, or why it can't answer (any more): 'not installed', or the error itself.
    """
    def __init__(self, script, side, *arguments, env=()):
        environment = {
            **os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu",
            **dict(env),
        }
        self.side, self.failed, self.log = side, None, tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, script, "--worker", side, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment,
        )
        self.hello = self.read()

    def ask(self, request=None):
        """Its answer to one request; it works while we wait. None once it has failed."""
        if self.failed:
            return None
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it has died meanwhile: reading finds out why
        return self.read()

    def read(self):
        answer = json.loads(self.process.stdout.readline() or "null")
        if answer is None:
            self.log.seek(0)
            error = (self.log.read().strip().splitlines() or ["ended without a word"])[-1]
            missing = any(f"No module named '{name}'" in error for name in SIDES[self.side][1])
            self.failed = "not installed" if missing else "failed"
            print(f"{self.side}: {error}", file=sys.stderr)
        return answer

    def close(self):
        try:
            self.process.stdin.close()  # tells it to end
        except BrokenPipeError:
            pass
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def serve(talk):
    """Be the process behind a Worker: send it each dict the generator yields, hand back each request.

    To every answer is added how many cores `others` kept busy while it was being worked out.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the library prints must not mix with the answers
    request = None
    while True:
        start, elsewhere = time.perf_counter(), busy() - time.process_time()
        answer = talk.send(request)
        others = (busy() - time.process_time() - elsewhere) / (time.perf_counter() - start)
        print(json.dumps({**answer, "others": round(others, 2)}), file=answers, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        request = json.loads(line)


def busy():
    """Seconds all cores together have worked since the machine started (Linux; elsewhere nobody can tell)."""
    if not os.path.exists("/proc/stat"):
        return time.process_time()
    with open("/proc/stat") as lines:
        user, nice, system, _idle, _iowait, *more = map(int, lines.readline().split()[1:9])
    return (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")


def quiet(patience):
    """Wait until no other program computes, but no longer than `patience` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = busy()
        time.sleep(0.25)
        if busy() - before < 0.25 * DISTURBED:
            return


def options(description, rounds):
    """The arguments all benchmarks understand."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help=f"how often each side takes its turn ({rounds})")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: to see that it runs")
    parser.add_argument("--patience", type=float, default=0, metavar="SECONDS",
                        help="wait so long before each round for other programs to finish (0)")
    parser.add_argument("--json", metavar="FILE", help="write every single measurement to FILE")
    parser.set_defaults(default_rounds=rounds)
    return parser


def parse(parser):
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (2 if arguments.quick else arguments.default_rounds)
    return arguments


def machine():
    """Which computer this was, and how busy it was with other things."""
    name = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, {platform.system()}, Python {platform.python_version()}, " \
           f"load average {os.getloadavg()[0]:.1f} at the start"


def number(value):
    """Three digits that count: 13.4, 1146, 0.38."""
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def best(rounds, key):
    """The round with the lowest `key`, or an empty one."""
    return min(rounds, key=lambda turn: turn[key], default={})


def disturbed(*turns):
    return any(turn.get("others", 0) > DISTURBED for turn in turns)


def timing(turn, key):
    """The cell for a round's time: with a star if other programs were at work meanwhile."""
    return number(turn.get(key)) + "*" * disturbed(turn)


def verdict(goal, reached, *turns):
    """The goal and whether these rounds meet it: a question, if other programs were at work meanwhile."""
    return f"{goal} {'reached' if reached else 'MISSED'}{'?' * disturbed(*turns)}"


def table(rows):
    """Rows of strings (the first is the heading) as Markdown, aligned."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def save(path, **everything):
    if path:
        with open(path, "w") as file:
            json.dump(everything, file, indent=1)
