# /// script
# [tool.marimo.display]
# theme = "system"
# ///
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
app = marimo.App(width="medium", app_title="Batch Normalization: watch it train")


@app.cell
def _():
    import base64
    import functools
    import sys
    from pathlib import Path

    import marimo as mo

    sys.path.insert(0, str(Path(__file__).parent))
    from words import TRIES, WORDS

    return TRIES, WORDS, base64, functools, mo


@app.cell
def _(mo):
    _request = mo.app_meta().request
    first = "zh-CN" if _request and _request.headers.get("accept-language", "").startswith("zh") else "en"
    language, set_language = mo.state(first, allow_self_loops=True)
    return first, language, set_language


@app.cell
def _(WORDS, language, mo, set_language):
    say = WORDS[language()]
    _others = {"en": "zh-CN", "zh-CN": "en"}
    switch = mo.ui.button(label=say["other"], on_click=lambda _: set_language(_others[language()]))
    mo.Html(f"""
    <style>
      .top {{ display: flex; justify-content: space-between; align-items: start; gap: 12px; }}
      .top h1 {{ margin: 0; font-size: 26px; line-height: 1.25; font-weight: 700; word-break: keep-all; }}
      .top > :last-child {{ flex: none; white-space: nowrap; }}
      h2 {{ margin: 0 0 8px; font-size: 18px; font-weight: 700; }}
      .without {{ color: #D55E00; }} .with {{ color: #0072B2; }}
      .dark .without {{ color: #F28C4E; }} .dark .with {{ color: #56B4E9; }}
      .dark picture img {{ filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; }}
      .controls {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(270px, 1fr)); }}
      .controls {{ grid-auto-rows: 32px; gap: 0 40px; }}
      .controls label {{ display: grid; grid-template-columns: 128px minmax(0, 1fr); align-items: center; }}
      .buttons {{ display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: center; }}
      .tries {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 12px 32px; }}
      @media (max-width: 640px) {{ .top {{ margin-right: 40px; }} }}  /* marimo's menu is there */
    </style>
    <div lang="{language()}"><div class="top"><h1>{say["title"]}</h1>{switch}</div>
    <p>{say["intro"]}</p>
    <p>{say["trained"]}</p></div>
    """)
    return say, switch


@app.cell
def _(WORDS, first, mo):
    # Only the first visit on a machine waits for the kernels.
    with mo.status.spinner(WORDS[first]["loading"]) as _spinner:
        import picture
        import training

        data = training.digits()
        _spinner.update(WORDS[first]["compiling"])
        for _activation in training.RANGES:
            for _optimizer, _arm in zip(["SGD", "SGD", "Adam"], training.ARMS):
                training.train(training.Settings(1, 4, _activation, optimizer=_optimizer, steps=1), _arm, data)
    return data, picture, training


@app.cell
def _(data, functools, training):
    import dataclasses

    start = {**dataclasses.asdict(training.Settings()), "without": True, "with": True, "layer": False, "seconds": 3}
    chosen = dict(start)  # where the controls stand
    train = functools.lru_cache(30)(lambda settings, arm: training.train(settings, arm, data))
    return chosen, start, train


@app.cell
def _(TRIES, chosen, language, mo, say, start):
    def choose(**others):
        return lambda _: chosen.update(start | others)

    tries = mo.ui.array([mo.ui.button(on_click=choose(**t["set"]), label=t[language()][0]) for t in TRIES])
    reset = mo.ui.button(on_click=choose(), label=say["reset"])
    replay = mo.ui.button(on_click=lambda times: times + 1, value=0, label=say["replay"])
    return replay, reset, tries


@app.cell
def _(chosen, mo, reset, say, training, tries):
    _ = reset.value, tries.value  # a click on one of them makes the controls anew

    def slider(name, steps):
        return mo.ui.slider(steps=steps, value=chosen[name], show_value=True, full_width=True)

    def dropdown(name, options):
        return mo.ui.dropdown(list(options), value=chosen[name], full_width=True)

    def checkbox(name):
        return mo.ui.checkbox(chosen[name], label=say["networks"][name])

    controls = mo.ui.dictionary({
        "activation": dropdown("activation", ["sigmoid", "tanh", "relu"]),
        "depth": slider("depth", list(range(1, 13))),
        "width": slider("width", [4, 8, 16, 32, 64, 128]),
        "gain": slider("gain", [0.01, 0.03, 0.1, 0.3, 1.0, 1.4, 3.0, 10.0, 30.0]),
        "optimizer": dropdown("optimizer", training.OPTIMIZERS),
        "rate": slider("rate", [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]),
        "batch": slider("batch", [2, 4, 8, 16, 32, 64, 128, 256]),
        "steps": slider("steps", [100, 200, 300, 500, 1000]),
        "seed": slider("seed", list(range(21))),
        "seconds": slider("seconds", [0, 1, 2, 3, 5, 10]),
        **{arm: checkbox(arm) for arm in training.ARMS},
    }, on_change=chosen.update)  # fmt: skip
    return (controls,)


@app.cell
def _(controls, language, mo, replay, reset, say, training):
    _rows = [f"<label><span>{say[_name]}</span>{_control}</label>" for _name, _control in controls.items()
             if _name not in training.ARMS]  # fmt: skip
    _networks = "".join(f"{controls[_arm]}" for _arm in training.ARMS)
    mo.Html(f'<div lang="{language()}"><div class="controls">{"".join(_rows)}</div>'
            f'<div class="buttons">{_networks}{reset}{replay}</div></div>')  # fmt: skip
    return


@app.cell
def _(controls, train, training):
    _values = dict(controls.value)
    seconds = _values.pop("seconds")
    _arms = [arm for arm in training.ARMS if _values.pop(arm)]
    _settings = training.Settings(**_values)
    runs = {arm: train(_settings, arm) for arm in _arms}
    return runs, seconds


@app.cell
def _(base64, language, mo, picture, replay, runs, say, seconds):
    # As an image, an SVG begins to play whenever it is exchanged. The browser takes the one that fits its width.
    def _address(narrow):
        svg = picture.svg(runs, seconds, language=language(), narrow=narrow) + f"<!-- {replay.value} -->"
        return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"

    mo.Html(
        f'<picture lang="{language()}"><source media="(max-width: 640px)" srcset="{_address(True)}">'
        f'<img src="{_address(False)}" alt="{picture.describe(runs, language())}" style="width: 100%"></picture>'
        if runs
        else say["none"]
    )
    return


@app.cell
def _(TRIES, language, mo, say, tries):
    _tries = "".join(f"<div>{_button}<br>{_words[language()][1]}</div>" for _button, _words in zip(tries, TRIES))
    mo.Html(f'<div lang="{language()}"><h2>{say["tries"]}</h2>'
            f'<div class="tries">{_tries}</div><p>{say["find"]}</p></div>')  # fmt: skip
    return


@app.cell
def _(language, mo, say):
    _parts = ["what_loss", "what_outputs", "what_gradient", "what_scale", "what_gain"]
    _what = mo.accordion({say["what"]: mo.md("\n\n".join(say[_part] for _part in _parts))})
    mo.Html(f'<div lang="{language()}">{_what}</div>')
    return


@app.cell
def _(mo, picture, runs):
    if mo.app_meta().mode == "script":
        print(picture.describe(runs))
    return


if __name__ == "__main__":
    app.run()
