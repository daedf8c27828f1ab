"""Where minigrad differs from Keras on purpose: what `python -m minigrad --differences` shows."""

import textwrap

from minigrad.compat import old_names
from minigrad.compat.missing import REMEDIES
from minigrad.compat.tables import sections


def deviations():
    """{topic: [(what it is about, what Keras 3 does, what minigrad does)]}"""
    return {topic: [tuple(row.split(" | ")) for row in rows] for topic, rows in sections("deviations").items()}


def report():
    """The tables of deviations, of what is missing and of old names, as text."""
    lines = ["Where minigrad differs from Keras 3"]
    for topic, rows in deviations().items():
        lines += ["", topic.upper(), ""]
        for subject, theirs, ours in rows:
            lines += [subject, *_indented(f"Keras: {theirs}"), *_indented(f"minigrad: {ours}")]
    lines += ["", "What it does not have", ""]
    by_remedy = {}
    for name, remedy in REMEDIES.items():
        by_remedy.setdefault(remedy, []).append(name)
    for remedy, names in by_remedy.items():
        lines += [*textwrap.wrap(", ".join(names), 100), *_indented(remedy)]
    lines += ["", "What Keras 1 and 2 called things: taken, with one warning each", ""]
    for old, today in old_names.described():
        lines += [*textwrap.wrap(old, 100), *_indented(today)]
    return "\n".join(lines)


def _indented(text):
    return textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="        ")
