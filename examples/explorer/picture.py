"""The picture of the explorer: an SVG that plays the training. No script, no fonts or files from elsewhere.

SVG can move by itself: an <animate> holds the values of an attribute over time. So the whole training is in one image,
which a browser plays, a README shows, and a viewer that can't play shows as it ended.
"""

from pathlib import Path

import numpy as np

WIDTH, TOP, MARGIN = 960, 208, 40  # of the picture, the height of the curves, the width of the labels beside them
COLORS = {"without": "#D55E00", "with": "#0072B2"}
INK, GREY, LIGHT = "#22262B", "#6B7280", "#E6E8EB"
LOSSES = (0.01, 10.0)  # nats, at the bottom and the top of the curves
NORMS = (1e-8, 1e4)  # gradients, at the left and the right end of their axis


def svg(runs, seconds=3.0, again=False):
    """The picture as a string.

    Args:
        runs: {"without": Run, "with": Run}, or one of the two.
        seconds: how long the training takes in the picture; 0 shows how it ended, at rest.
        again: whether it starts anew, after a look at the end, for ever.
    """
    depth = next(iter(runs.values())).histograms.shape[1]
    row = min(46.0, 380 / depth)
    height = TOP + 74 + row * depth + 30
    wide = (WIDTH - 20 * (len(runs) - 1)) / len(runs)
    play = _Player(seconds, again)
    panels = [_panel(name, run, k * (wide + 20), wide, row, play) for k, (name, run) in enumerate(runs.items())]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="12" fill="{INK}">'
        f'<rect width="100%" height="100%" fill="white"/>{_curves(runs, play)}{"".join(panels)}</svg>'
    )


def describe(runs):
    """The picture in words, for those who can't see it."""
    return "; ".join(f"{name} Batch Normalization: {_ending(run)}" for name, run in runs.items())


def _ending(run):
    if run.diverged is not None:
        return f"diverged at step {run.diverged + 1}"
    return f"loss {run.losses[-20:].mean():.3g}, {run.accuracy:.0%} of new digits right"


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


def _curves(runs, play):
    """Loss by step, on a logarithmic axis, drawn from left to right as time goes on."""
    left, right, top, bottom = MARGIN, WIDTH - 8, 34, TOP - 30
    low, high = np.log10(LOSSES)
    steps = len(next(iter(runs.values())).losses)

    def up(loss):
        return bottom - (np.log10(np.clip(loss, *LOSSES)) - low) / (high - low) * (bottom - top)

    parts = [_text(0, 16, "Loss of each batch (nats)", weight=600)]
    for loss in (0.01, 0.1, 1, 10):
        parts += [_line(left, up(loss), right, up(loss)), _text(left - 6, up(loss) + 4, f"{loss:g}", GREY, "end", 11)]
    guess = up(np.log(10))
    parts += [_line(left, guess, right, guess, GREY, 'stroke-dasharray="2 3"'),
              _text(right, guess - 5, "guessing", GREY, "end", 11)]  # fmt: skip
    for share in (0, 0.25, 0.5, 0.75, 1):
        label, anchor = f"{share * steps:.0f}", "middle"
        if share == 1:
            label, anchor = f"{label} steps", "end"
        parts.append(_text(left + share * (right - left), bottom + 17, label, GREY, anchor, 11))
    x = left + np.arange(steps) / max(1, steps - 1) * (right - left)
    curves = []
    for name, run in runs.items():
        end = steps if run.diverged is None else run.diverged
        for losses, style in ((run.losses, 'opacity="0.25"'), (smoothed(run.losses), 'stroke-width="2.5"')):
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[:end], up(losses[:end])))
            curves.append(f'<polyline points="{points}" fill="none" stroke="{COLORS[name]}" {style}/>')
        if run.diverged is not None:
            curves.append(_text(x[min(end, steps - 1)] + 4, top + 10, "✕ diverged", COLORS[name], size=12, weight=600))
    moments = next(iter(runs.values())).moments
    still, animation = play("width", [f"{k / max(1, steps - 1) * (right - left) + 5:.0f}" for k in moments])
    parts.append(f'<clipPath id="now"><rect x="{left}" y="0" height="{TOP}" {still}>{animation}</rect></clipPath>'
                 f'<g clip-path="url(#now)">{"".join(curves)}</g>')  # fmt: skip
    legend = right
    for name in reversed(runs):
        parts.append(_text(legend, 16, f"{name} Batch Normalization", COLORS[name], "end", weight=600))
        legend -= 190
    return "".join(parts)


# ------------------------------------------------------------------------------------------------- layers


def _panel(name, run, x, wide, row, play):
    """One network: a row for each layer, with the histogram of its outputs and the size of its gradient."""
    color, depth = COLORS[name], run.histograms.shape[1]
    split = wide * 0.56
    left, right = x + 26, x + split
    scale_left, scale_right = x + split + 24, x + wide - 8
    top, bottom = TOP + 62, TOP + 62 + row * depth
    speed = f"{len(run.losses)} steps in {1e3 * run.seconds:.0f} ms"
    parts = [_text(x, TOP + 16, f"{name.capitalize()}: {_ending(run)}", color, size=14, weight=600),
             _text(x + wide - 8, TOP + 16, speed, GREY, "end"),
             _text(left, TOP + 40, "outputs of each layer", GREY),
             _text(scale_left, TOP + 40, "norm of its gradient", GREY)]  # fmt: skip

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
        norms = np.where(np.isfinite(run.gradients[:, i]), run.gradients[:, i], NORMS[1])
        values = [f"{v:.1f}" for v in along(norms)]
        still, animation = play("cx", values)
        parts.append(f'<circle {still} cy="{base - row * 0.42:.1f}" r="{min(5.5, row * 0.25):.1f}" fill="{color}">'
                     f"{animation}</circle>")  # fmt: skip
    for value, at, anchor in zip(run.range, (left, right), ("start", "end")):
        parts.append(_text(at, bottom + 16, f"{value:g}", GREY, anchor, 11))
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


def main():
    """Write the picture of the defaults, playing for ever, to the figures of the course."""
    import training  # not at the top: the picture does not need to know how a run is made

    settings, data = training.Settings(), training.digits()
    # They differ in their times only. The first one loads the kernels, and the quickest is least disturbed.
    again = {name: [training.train(settings, name == "with", data) for _ in range(10)] for name in COLORS}
    runs = {name: min(same, key=lambda run: run.seconds) for name, same in again.items()}
    path = Path(__file__).parents[1] / "figures" / "explorer.svg"
    path.write_text(svg(runs, 4.0, again=True), encoding="utf-8")
    print(f"{describe(runs)}\nFigure: {path}")


if __name__ == "__main__":
    main()
