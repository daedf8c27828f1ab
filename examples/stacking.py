"""A figure for a phone: the panels of an SVG below each other, where beside each other their text would be tiny.

Nothing is drawn anew. Each panel of matplotlib's SVG is one group, which is moved; a panel that shared the numbers of
its axis with the one on its left takes a copy of them along, and the entries of a legend flow as words do.
"""

import copy
import re
import xml.etree.ElementTree as ElementTree

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
WIDE, WIDEST, GAP = 250, 400, 12  # of a stacked figure, of a panel that fits into one, between panels; in points
EDGE = 4  # left and right of all
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def stacked(svg):
    """The stacked figure as a string; None where there is nothing to stack: one panel, or panels too wide."""
    root = ElementTree.fromstring(svg)
    figure = root.find(f"{SVG}g")
    clips = {clip.get("id"): _rectangle(clip[0]) for clip in root.iter(f"{SVG}clipPath")}
    panels = [_Panel(group, clips) for group in figure if group.get("id").startswith("axes")]
    if len(panels) < 2 or (widest := max(panel.width for panel in panels)) > WIDEST:
        return None
    panels.sort(key=lambda panel: (round(panel.axes[3] / 40), panel.axes[0]))  # as one reads: by lower edge, then left
    rows, before, most = [], None, max(310, widest)
    for panel in panels:
        beside = before and panel.axes[1] < before.axes[3]  # in the wide figure
        if beside and sum(one.width + GAP for one in rows[-1]) + panel.width <= most:
            rows[-1].append(panel)
        else:
            if beside:
                panel.borrow(before.lender)
            rows.append([panel])
        before = panel
    margin = max(row[0].axes[0] - row[0].box[0] for row in rows)
    width = max(WIDE, *(sum(panel.width + GAP for panel in row) - GAP for row in rows))
    down = 6.0
    for legend in [group for group in figure if group.get("id").startswith("legend")]:
        down = _flow(legend, clips, width, down) + GAP
    for row in rows:
        space = width - sum(panel.width + GAP for panel in row) + GAP
        along = min(margin - (row[0].axes[0] - row[0].box[0]), space)  # axes begin below each other
        top = min(panel.box[1] for panel in row)
        for panel in row:
            _move(panel.group, EDGE + along - panel.box[0], down - top)
            along += panel.width + GAP
        down += max(panel.box[3] for panel in row) - top + GAP
    width += 2 * EDGE
    figure.remove(next(group for group in figure if group.get("id").startswith("patch")))  # the white ground
    figure.insert(0, ElementTree.Element(f"{SVG}rect", width="100%", height="100%", fill="white"))
    root.attrib |= {"width": f"{width:.1f}pt", "height": f"{down:.1f}pt", "viewBox": f"0 0 {width:.1f} {down:.1f}"}
    ElementTree.register_namespace("", SVG[1:-1])
    ElementTree.register_namespace("xlink", XLINK[1:-1])
    return ElementTree.tostring(root, encoding="unicode") + "\n"


class _Panel:
    """A group of the figure, its box with all labels, and the rectangle of its axes: (left, top, right, bottom)."""

    def __init__(self, group, clips):
        self.group = group
        own = [clips[name] for name in re.findall(r"url\(#(\w+)\)", ElementTree.tostring(group, encoding="unicode"))]
        frame = group.find(f"{SVG}g/{SVG}path")
        self.axes = own[0] if own else _box(group, clips) if frame is None else _corners(frame.get("d"))
        self.box, self.lender = _box(group, clips), self

    @property
    def width(self):
        return self.box[2] - self.box[0]

    def labels(self):
        """The words of the vertical axis, one group each."""
        axes = [group for group in self.group if group.get("id", "").startswith("matplotlib.axis")]
        return [group for group in axes[1].iter() if group.get("id", "").startswith("text")] if len(axes) > 1 else []

    def borrow(self, other):
        """Take those labels of the panel on the left along that it had in common with this one."""
        ours = ["".join(label.itertext()).split() for label in self.labels()]
        taken = [label for label in other.labels() if "".join(label.itertext()).split() not in ours]
        if self.box[0] < self.axes[0] - 10 and (not ours or len(taken) != 1):  # other numbers, or names
            return
        self.lender = other
        shift = ElementTree.SubElement(self.group, f"{SVG}g")
        shift.extend(copy.deepcopy(label) for label in taken)
        _move(shift, self.axes[0] - other.axes[0], 0)
        self.box = (self.axes[0] - other.axes[0] + other.box[0], *self.box[1:])


def _flow(legend, clips, width, down):
    """Move the entries of a legend, handles and a text each, into lines from `down` on; where the last one ends."""
    entries, entry = [], []
    for group in list(legend):
        entry.append(group)
        if group.get("id", "").startswith("text"):
            entries.append(entry)
            entry = []
    along, height = EDGE, 14
    for entry in entries:
        left, top, right, _ = _union(_box(group, clips) for group in entry)
        if along + right - left > width:
            along, down = EDGE, down + height
        for group in entry:
            _move(group, along - left, down - min(top, _box(entry[-1], clips)[1]))
        along += right - left + GAP
    return down + height


def _move(group, along, down):
    inner = ElementTree.Element(f"{SVG}g", transform=f"translate({along:.2f} {down:.2f})")
    inner.extend(list(group))
    for child in list(group):
        group.remove(child)
    group.append(inner)


# ------------------------------------------------------------------------------------------------- extents


def _union(boxes):
    lefts, tops, rights, bottoms = zip(*boxes)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _corners(path):
    numbers = [float(number) for number in _NUMBER.findall(path)]
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


def _rectangle(rect):
    x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def _box(group, clips):
    """What a group covers. Lines are cut to what they are clipped to; marks count as all of it."""
    return _union(_boxes(group, clips))


def _boxes(element, clips):
    if clip := element.get("clip-path"):
        (left, top, right, bottom), path = clips[clip[5:-1]], element.get("d")
        a, b, c, d = _corners(path) if path else (left, top, right, bottom)
        if a < right and c > left and b < bottom and d > top:
            yield max(a, left), max(b, top), min(c, right), min(d, bottom)
    elif element.tag == f"{SVG}text" and "transform" in element.attrib:
        yield _words(element)
    elif element.tag == f"{SVG}use":
        x, y = float(element.get("x")), float(element.get("y"))
        yield x - 3, y - 3, x + 3, y + 3
    elif element.tag == f"{SVG}path":
        yield _corners(element.get("d"))
    elif element.tag == f"{SVG}g" and (place := element.get("transform", "")).startswith("translate"):  # 10 to a power
        (x, y), last = map(float, _NUMBER.findall(place)[:2]), list(element.iter(f"{SVG}tspan"))[-1]
        yield x, y - 9, x + float(last.get("x").split()[-1]) + 5, y + 2
    elif element.tag != f"{SVG}defs":
        for child in element:
            yield from _boxes(child, clips)


def _words(text):
    style, place = text.get("style"), text.get("transform")  # "rotate(-90 x y)" or "translate(x y) rotate(-90)"
    x, y = map(float, re.search(r"(?:rotate\(\S+|translate\()\s*(\S+) ([^)\s]+)\)", place).groups())
    size = float(re.search(r"font(?:-size)?:[^;]*?([\d.]+)px", style)[1])
    weight = "bold" if re.search(r"font(-weight)?:[^;]*(700|bold)", style) else "normal"
    wide, _, _ = text_to_path.get_text_width_height_descent(text.text, FontProperties(size=size, weight=weight), False)
    start = -wide * {"middle": 0.5, "end": 1.0}.get((re.search(r"text-anchor: (\w+)", style) or [0, ""])[1], 0.0)
    if "rotate(-90" in place:
        return x - 0.8 * size, y - start - wide, x + 0.2 * size, y - start
    return x + start, y - 0.8 * size, x + start + wide, y + 0.25 * size
