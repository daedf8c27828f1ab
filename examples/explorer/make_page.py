"""The explorer without installing: one HTML file that plays recorded trainings, offline and on a phone.

    python examples/explorer/make_page.py               trains all networks (some ten minutes), writes explorer.html
    python examples/explorer/make_page.py --recorded    keeps its trainings: when only words or template have changed

A browser can't run minigrad, but it can look up: every choice of the six controls is trained here, with and without
Batch Normalization. A run takes some hundred bytes, since what is drawn needs no more than 255 levels. template.html is
the page without these numbers and without words: how the numbers are read back stands there, the words in words.py.
"""

import base64
import itertools
import json
import re
import sys
from pathlib import Path

import numpy as np
import training
import words

HERE = Path(__file__).parent
PAGE = HERE / "explorer.html"
AXES = {  # what the controls offer
    "activation": ["sigmoid", "tanh", "relu"],
    "depth": [2, 4, 8, 12],
    "width": [8, 32],
    "gain": [0.1, 1.0, 1.4, 10.0],
    "rate": [0.01, 0.1, 1.0, 3.0],
    "batch": [4, 32, 256],
}
LOSSES, NORMS = (1e-2, 1e2), (1e-12, 1e4)  # what the lowest and the highest level stand for; beyond, values are cut
NOT_FINITE = 255
GROUP = 5  # steps whose mean loss is kept
MOMENTS = [0, 1, 2, 4, 6, 9, 12, 16, 20, 25, 30, 35]  # which of a run's moments are kept, most of them early


def levels(values, low, high):
    """A byte for each value: 0 to 254 from `low` to `high` on a logarithmic axis, NOT_FINITE for NaN and infinity."""
    share = np.log(np.clip(values, low, high) / low) / np.log(high / low)
    return np.where(np.isfinite(values), np.rint(254 * share), NOT_FINITE).astype(np.uint8)


def record(settings, arm, data):
    """A training as bytes: losses, gradients of all layers for each moment, accuracy in percent."""
    run = training.train(settings, arm, data)
    losses = levels(run.losses.reshape(-1, GROUP).mean(1), *LOSSES)
    gradients = levels(run.gradients[MOMENTS], *NORMS)
    return losses.tobytes() + gradients.tobytes() + bytes([round(100 * run.accuracy)])


def choices(axes):
    """All settings, the last axis changing fastest."""
    return [training.Settings(**dict(zip(axes, values))) for values in itertools.product(*axes.values())]


def recordings(axes=AXES):
    """What the page needs: the axes and, for each depth, its runs (without, with, without, with ...) in base64."""
    data, runs = training.digits(), {depth: [] for depth in axes["depth"]}
    for settings in choices(axes):
        runs[settings.depth] += [record(settings, arm, data) for arm in ("without", "with")]
    start = training.Settings()
    return {
        "axes": axes,
        "start": {name: getattr(start, name) for name in axes},
        "steps": start.steps,
        "group": GROUP,
        "moments": [int(k) for k in np.linspace(0, start.steps - 1, training.FRAMES).astype(int)[MOMENTS]],
        "losses": LOSSES,
        "norms": NORMS,
        "runs": {depth: base64.b64encode(b"".join(same)).decode() for depth, same in runs.items()},
    }


def page(found):
    """The whole page, with the words and these recordings."""
    html = (HERE / "template.html").read_text(encoding="utf-8")
    tries = [tried for tried in words.TRIES if set(tried["set"]) <= set(found["axes"])]  # those that were recorded
    said = {"words": words.WORDS, "tries": tries}
    for name, held in (
        ("words", json.dumps(said, ensure_ascii=False)),
        ("recordings", json.dumps(found, separators=(",", ":"))),
    ):
        html = html.replace(f"{{{{{name}}}}}", held)
    return html


def recorded(html):
    """The recordings that a page holds."""
    return json.loads(re.search(r'<script type="application/json" id="recordings">(.*?)</script>', html)[1])


def main(options):
    found = recorded(PAGE.read_text(encoding="utf-8")) if options == ["--recorded"] else recordings()
    PAGE.write_text(page(found), encoding="utf-8", newline="\n")
    print(f"{len(choices(found['axes']))} settings, {PAGE.stat().st_size / 1e3:.0f} kB: {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
