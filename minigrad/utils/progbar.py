"""The progress bar of `fit`, `evaluate` and `predict`, and `keras.utils.Progbar` for loops of one's own.

It writes the same lines as Keras to stdout, but for the differences that `Progbar` lists. It knows nothing of models.
"""
import math
import shutil
import sys
import time

import numpy as np

BOLD, GREEN, GREY = 1, 32, 37  # the numbers of colors in terminals


class Progbar:
    """Show progress as one line that is rewritten in place:

        25/25 ━━━━━━━━━━━━━━━━━━━━ 1s 15ms/step - accuracy: 0.5288 - loss: 0.6943

    While running, the line shows the time that is left; at the end, the time spent. Unlike in Keras, a file or a pipe
    gets only the final line, without colors, and a running line is cut to the width of the window, because few
    terminals can rewrite a wrapped line. A notebook counts as a terminal.

    Args: `target`, the number of steps, None if unknown; `width` of the bar; `verbose`, 0 silent, 1 bar, 2
    one plain line at the end; `interval`, the least seconds between two drawings; `unit_name` of a step.
    Values are averaged over the steps, except those named in `stateful_metrics`; if `stateless_metrics` is
    given instead, only those named there are averaged.

    >>> bar = Progbar(target=1000)
    >>> for step in range(1000):
    ...     bar.update(step + 1, [("loss", 1 / (step + 1))])
    """

    def __init__(self, target, width=20, verbose=1, interval=0.1, stateful_metrics=None,
                 stateless_metrics=None, unit_name="step"):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Progbar expects stateful_metrics or stateless_metrics, as each implies the other; got both: "
                f"{stateful_metrics} and {stateless_metrics}.")
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._all_as_given = self.stateless_metrics == set()
        self._in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
        self._on_terminal = self._in_notebook or (hasattr(sys.stdout, "isatty") and sys.stdout.isatty())
        self._values = {}  # the last values, or weighted sums of the values
        self._weights = {}  # the sums of the weights
        self._seen = 0
        self._open_width = 0  # the width of the unfinished line on which the cursor stands
        self._start = time.perf_counter()
        self._first_step_at = None
        self._drawn_at = -math.inf

    def update(self, current, values=None, finalize=None):
        """Report that `current` steps are done. Cheap when it is too early to draw again.

        `values` are pairs `(name, value)`, or a dict, for the steps since the last call. `finalize` ends the line, and
        shows the values of this call instead of averages; by default it is true when `current` reaches the target.
        """
        now = time.perf_counter()
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if values:
            self._take(values, current, finalize)
        self._seen = current
        if current == 1:
            self._first_step_at = now
        if self.verbose == 1:
            if finalize or self._on_terminal and now - self._drawn_at >= self.interval:
                self._drawn_at = now
                self._draw_bar(now, finalize)
        elif self.verbose == 2 and finalize and self.target:
            write(f"{self._count()} - {now - self._start:.0f}s - {self._pace(now)}{self._metrics()}\n")

    def add(self, n, values=None):
        """Report that `n` more steps are done; otherwise as `update`."""
        self.update(self._seen + n, values)

    def close(self):
        """End an unfinished line, so that what is printed next (a traceback, a prompt) starts on its own."""
        if self._open_width:
            self._open_width = 0
            write("\n")

    def _take(self, values, current, finalize):
        if self._all_as_given:  # nothing to average: fit asks often
            self._values.update(values)
            return
        weight = max(current - self._seen, 1)
        for name, value in dict(values).items():
            if self._is_averaged(name) and not finalize:
                self._values[name] = self._values.get(name, 0) + value * weight
                self._weights[name] = self._weights.get(name, 0) + weight
            else:
                self._values[name] = value
                self._weights[name] = 1

    def _is_averaged(self, name):
        if self.stateless_metrics is None:
            return name not in self.stateful_metrics
        return name in self.stateless_metrics

    def _draw_bar(self, now, finalize):
        line = self._line(now, finalize)
        width = sum(len(text) for text, _ in line)
        if not self._on_terminal:
            write("".join(text for text, _ in line) + "\n")
            return
        if not finalize:
            width = min(width, shutil.get_terminal_size().columns - 1)
        drawing = "\r" if self._in_notebook else "\b" * self._open_width + "\r"  # a notebook would show each "\b"
        room = width
        for text, color in line:
            text = text[:room]
            room -= len(text)
            drawing += f"\x1b[{color}m{text}\x1b[0m" if color else text
        drawing += " " * (self._open_width - width)
        # Set before writing, so that an interrupt during the writing finds an unfinished line.
        self._open_width = width
        write(drawing + "\n" if finalize else drawing)
        if finalize:
            self._open_width = 0

    def _line(self, now, finalize):
        """The pieces of the line, each with its color."""
        clock = f"{now - self._start:.0f}s"
        if self.target:
            filled = int(self.width * (self._seen / self.target))
            bar = [(self._count(), BOLD), (" ", None)]
            if filled:
                bar.append(("━" * filled, GREEN))
            bar.append(("━" * (self.width - filled), GREY))
            if not finalize:
                clock = _clock(self._seconds_per_step(now) * (self.target - self._seen))
        else:
            bar = [(f"{self._seen:7}/Unknown", None)]
        return [*bar, (" ", None), (clock, BOLD), (f" {self._pace(now)}{self._metrics()}", None)]

    def _count(self):
        return f"{self._seen:{len(str(self.target))}}/{self.target}"

    def _seconds_per_step(self, now):
        if not self._seen:
            return 0
        if self._first_step_at is None or self._seen == 1:
            return (now - self._start) / self._seen
        # The first step compiles and allocates, so it says little about the time that is left.
        return (now - self._first_step_at) / (self._seen - 1)

    def _pace(self, now):
        seconds = self._seconds_per_step(now)
        if seconds >= 1 or seconds == 0:
            return f"{seconds:.0f}s/{self.unit_name}"
        if seconds >= 1e-3:
            return f"{seconds * 1e3:.0f}ms/{self.unit_name}"
        return f"{seconds * 1e6:.0f}us/{self.unit_name}"

    def _metrics(self):
        text = ""
        for name, value in self._values.items():
            if self._all_as_given and type(value) is int:  # such as a number of networks
                text += f" - {name}: {value}"
                continue
            mean = np.mean(value) / self._weights.get(name, 1)
            # Like Keras, which tests the absolute value only for the bar: lines show negative values with an exponent.
            size = abs(mean) if self.verbose == 1 else mean
            text += f" - {name}: {mean:.4f}" if size > 1e-3 else f" - {name}: {mean:.4e}"
        return text


def _clock(seconds):
    minutes, rest = divmod(int(seconds), 60)
    if seconds > 3600:
        return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
    if seconds > 60:
        return f"{minutes}:{rest:02}"
    return f"{int(seconds)}s"


def write(text):
    """Print a text, with other characters in place of those that the encoding of stdout does not have."""
    try:
        print(text, end="", flush=True)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        print(text.replace("━", "=").encode(encoding, "replace").decode(encoding), end="", flush=True)
