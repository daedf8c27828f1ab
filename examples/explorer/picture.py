"""The picture of the explorer: an SVG that plays the training. No script, no fonts or files from elsewhere.

SVG can move by itself: an <animate> holds the values of an attribute over time. So the whole training is in one image,
which a browser plays, a README shows, and a viewer that can't play shows as it ended.
"""

from pathlib import Path

import numpy as np
from words import WORDS

WIDE, NARROW = 960, 390  # of the picture: networks beside each other; below each other, for a phone
TALL, MARGIN, GAP = 208, 40, 20  # of the curves; of the labels beside them; between two networks
COLORS = {"without": "#D55E00", "with": "#0072B2", "layer": "#009E73"}
INK, GREY, LIGHT = "#22262B", "#6B7280", "#E6E8EB"
LOSSES = (0.01, 10.0)  # nats, at the bottom and the top of the curves
NORMS = (1e-8, 1e4)  # gradients, at the left and the right end of their axis


def svg(runs, seconds=3.0, again=False, language="en", narrow=False):
    """The picture as a string.

    Args:
        runs: {"without": Run, "with": Run, "layer": Run}, or some of them.
        seconds: how long the training takes in the picture; 0 shows how it ended, at rest.
        again: whether it starts anew, after a look at the end, for ever.
        language: a key of WORDS.
        narrow: whether it is for a phone.
    """
    say, play, width = WORDS[language], _Player(seconds, again), NARROW if narrow else WIDE
    depth = next(iter(runs.values())).histograms.shape[1]
    row = min(34.0, 300 / depth) if narrow else min(46.0, 380 / depth)
    top, tall = TALL + 18 * narrow, 116 + row * depth
    along, down = (0, tall) if narrow else ((width + GAP) / len(runs), 0)
    panels = [
        _panel(name, run, k * along, top + k * down, width if narrow else along - GAP, row, play, say)
        for k, (name, run) in enumerate(runs.items())
    ]
    height = top + tall + (len(runs) - 1) * down
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" '
        f'font-family="system-ui, Segoe UI, Helvetica, Arial, PingFang SC, Microsoft YaHei, sans-serif" font-size="12" '
        f'fill="{INK}"><rect width="100%" height="100%" fill="white"/>'
        f"{_curves(runs, top, width, play, say)}{''.join(panels)}</svg>"
    )


def describe(runs, language="en"):
    """The picture in words, for those who can't see it."""
    say = WORDS[language]
    return "; ".join(f"{say['networks'][name]}: {_ending(run, say)}" for name, run in runs.items())


def _ending(run, say):
    if run.diverged is not None:
        return say["by"].format(step=run.diverged + 1)
    return say["ending"].format(loss=run.losses[-20:].mean(), accuracy=run.accuracy)


# ------------------------------------------------------------------------------------------------- moving


class _Player:
    """How attributes move: from the first of their values to the last in so many seconds."""

    def __init__(self, seconds, again):
        self.seconds, self.again = seconds, again

    def __call__(self, attribute, values):
        """The attribute as it is at the end, and the <animate> that leads there."""
        still = f'{attribute}="{values[-1]}"'
        if not self.seconds:
            return still, ""
        ending, duration = 'fill="freeze"', self.seconds
        if self.again:
            rest = len(values) // 3
            values, ending = [*values, *values[-1:] * rest], 'repeatCount="indefinite"'
            duration *= len(values) / (len(values) - rest)
        return still, (f'<animate attributeName="{attribute}" dur="{duration:g}s" {ending} '
                       f'values="{";".join(values)}"/>')  # fmt: skip


def _text(x, y, words, color=INK, anchor="start", size=12, weight=400):
    return (f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}" text-anchor="{anchor}" font-size="{size}" '
            f'font-weight="{weight}">{words}</text>')  # fmt: skip


def _line(x1, y1, x2, y2, color=LIGHT, extra=""):
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{color}" {extra}/>'


# ------------------------------------------------------------------------------------------------- curves


def smoothed(losses, share=0.85):
    """A running mean that remembers `share` of itself a step; it starts with the first value."""
    found, mean = np.empty(len(losses)), losses[0]
    for k, loss in enumerate(losses):
        mean = found[k] = share * mean + (1 - share) * loss
    return found


def _curves(runs, height, width, play, say):
    """Loss by step, on a logarithmic axis, drawn from left to right as time goes on."""
    left, right, top, bottom = MARGIN, width - 8, height - TALL + 34, height - 30
    low, high = np.log10(LOSSES)
    steps = len(next(iter(runs.values())).losses)

    def up(loss):
        return bottom - (np.log10(np.clip(loss, *LOSSES)) - low) / (high - low) * (bottom - top)

    parts = [_text(0, 16, say["losses"], weight=600)]
    for loss in (0.01, 0.1, 1, 10):
        parts += [_line(left, up(loss), right, up(loss)), _text(left - 6, up(loss) + 4, f"{loss:g}", GREY, "end", 11)]
    guess = up(np.log(10))
    parts += [_line(left, guess, right, guess, GREY, 'stroke-dasharray="2 3"'),
              _text(right, guess - 5, say["guessing"], GREY, "end", 11)]  # fmt: skip
    for share in (0, 0.25, 0.5, 0.75, 1):
        label = f"{share * steps:.0f}" if share < 1 else say["end"].format(steps=steps)
        anchor = "middle" if share < 1 else "end"
        parts.append(_text(left + share * (right - left), bottom + 17, label, GREY, anchor, 11))
    x = left + np.arange(steps) / max(1, steps - 1) * (right - left)
    curves = []
    for name, run in runs.items():
        end = steps if run.diverged is None else run.diverged
        for losses, style in ((run.losses, 'opacity="0.25"'), (smoothed(run.losses), 'stroke-width="2.5"')):
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[:end], up(losses[:end])))
            curves.append(f'<polyline points="{points}" fill="none" stroke="{COLORS[name]}" {style}/>')
        for beyond, y, tip in ((run.losses[:end] > LOSSES[1], top, -7), (run.losses[:end] < LOSSES[0], bottom, 7)):
            places = np.unique(x[:end][beyond] // 10) * 10 + 5  # no two closer than their width
            if len(places):
                marks = "".join(f"M{place - 4:.0f} {y}h8l-4 {tip}z" for place in places)
                curves.append(f'<path class="beyond" d="{marks}" fill="{COLORS[name]}"/>')
        if run.diverged is not None:
            late = end > steps / 2
            curves.append(_text(x[end] + (-4 if late else 4), top + 12, say["diverged"], COLORS[name],
                                "end" if late else "start", weight=600))  # fmt: skip
    moments = next(iter(runs.values())).moments
    still, animation = play("width", [f"{k / max(1, steps - 1) * (right - left) + 8:.0f}" for k in moments])
    window = f'<rect x="{left - 4}" y="0" height="{height}" {still}>{animation}</rect>'
    parts.append(f'<clipPath id="now">{window}</clipPath><g clip-path="url(#now)">{"".join(curves)}</g>')
    for k, name in enumerate(reversed(runs)):
        parts.append(_text(right - 147 * k, 16 + height - TALL, say["networks"][name], COLORS[name], "end", weight=600))
    return "".join(parts)


# ------------------------------------------------------------------------------------------------- layers


def _panel(name, run, x, y, wide, row, play, say):
    """One network: a row for each layer, with the histogram of its outputs and the size of its gradient."""
    color, depth, label = COLORS[name], run.histograms.shape[1], say["networks"][name]
    split = wide * 0.56
    left, right = x + 26, x + split
    scale_left, scale_right = x + split + 24, x + wide - 8
    top, bottom = y + 86, y + 86 + row * depth
    speed = say["speed"].format(steps=len(run.losses), ms=1e3 * run.seconds)
    parts = [_text(x, y + 16, label[0].upper() + label[1:], color, size=14, weight=600),
             _text(x + wide - 8, y + 16, speed, GREY, "end"),
             _text(x, y + 36, _ending(run, say), color, size=13),
             _text(left, y + 64, say["outputs"], GREY),
             _text(x + wide - 8, y + 64, say["norms"], GREY, "end")]  # fmt: skip

    def along(norms):
        low, high = np.log10(NORMS)
        share = (np.log10(np.clip(norms, *NORMS)) - low) / (high - low)
        return scale_left + share * (scale_right - scale_left)

    for power in (-8, -4, 0, 4):
        at = along(10.0**power)
        label = "1" if power == 0 else f'10<tspan dy="-4" font-size="8">{power}</tspan>'
        anchor = "end" if power == 4 else "middle"
        parts += [_line(at, top, at, bottom), _text(at, bottom + 16, label, GREY, anchor, 11)]
    for i in range(depth):
        base = top + (i + 1) * row - 2
        parts += [_text(left - 8, base - row * 0.25, str(i + 1), GREY, "end", 11), _line(left, base, right, base)]
        parts += _ridge(run.histograms[:, i], left, right, base, row * 0.92, color, play)
        parts += _mark(run.gradients[:, i], along, base - row * 0.42, min(5.5, row * 0.25), color, play)
    for value, at, anchor in zip(run.range, (left, right), ("start", "end")):
        beyond = "≥ " if value > 1 else ""  # ReLU has no upper end: what is larger is in the last bin
        parts.append(_text(at, bottom + 16, f"{beyond}{value:g}", GREY, anchor, 11))
    return "".join(parts)


def _ridge(histograms, left, right, base, tall, color, play):
    """A histogram that changes. Its height is the root of the share, so that a spike does not flatten all else."""
    shares = np.nan_to_num(histograms) / 0.4  # more than 40 % in one bin are as tall as it gets
    heights = np.rint(np.sqrt(np.minimum(shares, 1)) * tall * 10).astype(int)
    steps = np.diff(np.pad(heights, ((0, 0), (1, 1))))
    width = round((right - left) * 10 / histograms.shape[1])
    # In whole tenths of a pixel, each move from where the one before ended: v-31h74v12h74 ... is short.
    paths = ["M0 0" + "".join(f"v{-up}h{width}" for up in row[:-1]) + f"v{-row[-1]}z" for row in steps]
    still, animation = play("d", paths)
    return [f'<path transform="translate({left:.1f} {base:.1f}) scale(.1)" fill="{color}" fill-opacity="0.75" '
            f"{still}>{animation}</path>"]  # fmt: skip


def _mark(norms, along, y, size, color, play):
    """A circle that moves along the axis; a triangle at an end of it, while the value is beyond or not finite."""
    norms = np.where(np.isfinite(norms), norms, np.inf)
    below, above = norms < NORMS[0], norms > NORMS[1]
    still, animation = play("cx", [f"{v:.1f}" for v in along(norms)])
    shapes = [(f'circle {still} cy="{y:.1f}" r="{size:.1f}"', "circle", animation, ~(below | above))]
    for beyond, end, tip in ((below, NORMS[0], -size), (above, NORMS[1], size)):
        path = f"M{along(end):.1f} {y - size:.1f}v{2 * size:.1f}l{1.5 * tip:.1f} {-size:.1f}z"
        shapes.append((f'path class="beyond" d="{path}"', "path", "", beyond))
    parts = []
    for shape, tag, animation, shown in shapes:
        still = ""
        if not shown.all():
            still, fading = play("opacity", [str(int(s)) for s in shown])
            animation += fading
        if shown.any():
            parts.append(f'<{shape} fill="{color}" {still}>{animation}</{tag}>')
    return parts


def main():
    """Write the picture of the start in both languages, playing for ever, to the figures of the course."""
    import training  # not at the top: the picture does not need to know how a run is made

    settings, data = training.Settings(), training.digits()
    # They differ in their times only. The first one loads the kernels, and the quickest is least disturbed.
    again = {name: [training.train(settings, name, data) for _ in range(10)] for name in ("without", "with")}
    runs = {name: min(same, key=lambda run: run.seconds) for name, same in again.items()}
    figures = Path(__file__).parents[1] / "figures"
    for folder, language in ((figures, "en"), (figures / "zh", "zh-CN")):
        (folder / "explorer.svg").write_text(svg(runs, 4.0, again=True, language=language), encoding="utf-8")
    print(f"{describe(runs)}\nFigure: {figures / 'explorer.svg'}")


if __name__ == "__main__":
    main()
