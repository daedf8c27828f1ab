"""The explorer: choose a network, and watch it train with and without Batch Normalization.

    pip install ".[explorer]" && marimo run examples/explorer/page.py

Written with marimo, because a page of it is a plain Python file: it reads from top to bottom, diffs line by line, runs
as a script (`python examples/explorer/page.py` prints the defaults' results), and its server brings all that the
browser needs, so it works without a network. Cells run again when what they use changes, and so a moved control is a
new training: there is no other machinery. Jupyter widgets would need a notebook file and a kernel beside it, Streamlit
runs the whole script anew for each change, and both draw slower than minigrad trains.
"""

import marimo

__generated_with = "0.25.2"  # marimo asks for it
app = marimo.App(width="medium", app_title="minigrad: watch Batch Normalization")


@app.cell
def _():
    import base64
    import sys
    from pathlib import Path

    import marimo as mo

    sys.path.insert(0, str(Path(__file__).parent))
    import picture
    import training

    data = training.digits()
    return base64, data, mo, picture, training


@app.cell
def _(mo):
    mo.md("""
    # Watch it train

    Deep networks learn to read handwritten digits, by plain gradient descent, **as fast as you move the controls**: the
    picture below plays in slow motion what took a fraction of a second. Left without Batch Normalization, right with.
    """)
    return


@app.cell
def _(mo, training):
    start = training.Settings()
    rates = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
    gains = [0.01, 0.03, 0.1, 0.3, 1.0, 1.4, 3.0, 10.0, 30.0]

    def slider(label, value, steps):
        return mo.ui.slider(steps=steps, value=value, label=label, show_value=True)

    controls = mo.ui.dictionary({
        "depth": slider("hidden layers", start.depth, list(range(1, 13))),
        "width": slider("units in each", start.width, [4, 8, 16, 32, 64, 128]),
        "activation": mo.ui.dropdown(["sigmoid", "tanh", "relu"], value=start.activation, label="activation"),
        "gain": slider("initial gain", start.gain, gains),
        "rate": slider("learning rate", start.rate, rates),
        "batch": slider("rows in a batch", start.batch, [2, 4, 8, 16, 32, 64, 128, 256]),
        "steps": slider("steps", start.steps, [100, 200, 300, 500, 1000]),
        "seed": slider("random seed", start.seed, list(range(21))),
    })  # fmt: skip
    shown = mo.ui.dropdown(["side by side", "without", "with"], value="side by side", label="Batch Normalization")
    seconds = slider("slow motion (s)", 3, [0, 1, 2, 3, 5, 10])
    return controls, seconds, shown


@app.cell
def _(controls, mo, seconds, shown):
    mo.hstack(
        [
            mo.vstack([controls["depth"], controls["width"], controls["activation"], shown]),
            mo.vstack([controls["gain"], controls["rate"], controls["batch"]]),
            mo.vstack([controls["steps"], controls["seed"], seconds]),
        ],
        widths="equal",
        align="start",
        wrap=True,
    )
    return


@app.cell
def _(controls, data, shown, training):
    settings = training.Settings(**controls.value)
    names = ["without", "with"] if shown.value == "side by side" else [shown.value]
    runs = {name: training.train(settings, name == "with", data) for name in names}
    return (runs,)


@app.cell
def _(base64, mo, picture, runs, seconds):
    # As an image, an SVG begins to play whenever it is exchanged.
    code = base64.b64encode(picture.svg(runs, seconds.value).encode()).decode()
    mo.image(f"data:image/svg+xml;base64,{code}", alt=picture.describe(runs), width="100%")
    return


@app.cell
def _(mo):
    mo.accordion({
        "What am I looking at?": mo.md("""
    - **The curves**: the loss of every batch (thin) and its running mean (thick). Dotted: what pure guessing gets.
    - **Outputs of each layer**: a histogram, layer 1 next to the data. Its height is the square root of the share, so
      that a spike does not flatten the rest. All in one place: the layer says the same whatever the digit. At the
      ends: it is saturated, and passes hardly any gradient. Beyond the axis: in the last bin.
    - **Norm of its gradient**: how much the layer's weights are told to move, on a logarithmic axis. A slope across the
      layers is a vanishing or an exploding gradient.
    """),
        "What shall I try?": mo.md("""
    - *Sigmoid, 8 layers* (the start): without Batch Normalization the gradient shrinks about four times a layer.
    - *Tanh, gain 1*: well initialised, it learns without. Now move the gain to 0.1 or to 10.
    - *Relu, gain 1.4, learning rate 1*: the larger steps are what Batch Normalization allows.
    - *Tanh, 4 rows in a batch*: the statistics of four rows are mostly noise. Here Batch Normalization does harm.
    - *Relu, gain 1.4, 12 layers*: look at the gradients with Batch Normalization. They grow by a fifth or so a
      layer towards the data ([Yang et al. 2019](https://arxiv.org/abs/1902.08129)).
    """),
    })  # fmt: skip
    return


@app.cell
def _(mo, picture, runs):
    if mo.app_meta().mode == "script":
        print(picture.describe(runs))
    return


if __name__ == "__main__":
    app.run()
