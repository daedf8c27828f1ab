"""Places of boxes that are joined by arrows, for the pictures of models and tapes; the windows of a layer in words."""

import collections

GAP, ENTRY = 22.0, 12.0  # between two boxes; between two arrows that enter one box


class Layout:
    """Places boxes of the sizes (across, along) in ranks, so that all arrows lead along (Sugiyama et al. 1981).

    An arrow that passes a rank has a lane in it, which no box may cover. `centers` are those of the boxes, `size` is
    that of the whole layout.
    """

    def __init__(self, sizes, arrows):
        self.sizes, self.ranks = list(sizes), self._ranks(len(sizes), arrows)
        self.paths, links = [], []  # each arrow as a path over numbers of boxes and lanes
        for start, end in arrows:
            lanes = range(len(self.sizes), len(self.sizes) + self.ranks[end] - self.ranks[start] - 1)
            self.sizes += [(0.0, 0.0)] * len(lanes)
            self.ranks += range(self.ranks[start] + 1, self.ranks[end])
            self.paths.append([start, *lanes, end])
            links += zip(self.paths[-1], self.paths[-1][1:])
        count = max(self.ranks, default=-1) + 1
        self.rows = [[i for i, rank in enumerate(self.ranks) if rank == n] for n in range(count)]
        self.above = {i: [a for a, b in links if b == i] for i in range(len(self.sizes))}
        self.below = {i: [b for a, b in links if a == i] for i in range(len(self.sizes))}
        gap = GAP if all(len(row) == 1 for row in self.rows) else 1.5 * GAP
        self.thickness = [max(self.sizes[i][1] for i in row) for row in self.rows]
        self.begins = [sum(self.thickness[:n]) + gap * n for n in range(len(self.rows))]
        self._order()
        self.across = self._across()
        low = min((a - w / 2 for a, (w, _) in zip(self.across, self.sizes)), default=0.0)
        high = max((a + w / 2 for a, (w, _) in zip(self.across, self.sizes)), default=0.0)
        self.across = [a - low for a in self.across]
        self.size = (high - low, self.begins[-1] + self.thickness[-1] if self.rows else 0.0)
        self.centers = [
            (self.across[i], self.begins[rank] + self.thickness[rank] / 2) for i, rank in enumerate(self.ranks)
        ][: len(sizes)]

    @staticmethod
    def _ranks(count, arrows):
        """The rank of each box: behind all boxes with an arrow to it. A box without such stands before its first."""
        if not arrows:
            return list(range(count))
        ranks = [0] * count
        for start, end in sorted(arrows, key=lambda arrow: arrow[1]):
            ranks[end] = max(ranks[end], ranks[start] + 1)
        for i in {start for start, _ in arrows} - {end for _, end in arrows}:
            ranks[i] = min(ranks[end] for start, end in arrows if start == i) - 1
        return ranks

    def _order(self):
        """Order the boxes of each rank by the mean place of their neighbors, so that fewer arrows cross."""
        for sweep in range(8):
            neighbours, rows = (self.above, self.rows) if sweep % 2 == 0 else (self.below, self.rows[::-1])
            for row in rows:
                places = {i: n for other in self.rows for n, i in enumerate(other)}
                means = {i: _mean([places[j] for j in neighbours[i]], places[i]) for i in row}
                row.sort(key=means.get)

    def _across(self):
        """Centers across the direction, as near to those of the neighbors as the boxes of the rank allow."""
        across = [0.0] * len(self.sizes)
        for sweep in range(9):
            neighbours, rows = (self.above, self.rows) if sweep % 2 == 0 else (self.below, self.rows[::-1])
            for row in rows:
                wish = [_mean([across[j] for j in neighbours[i]], across[i]) for i in row]
                apart = [(self.sizes[a][0] + self.sizes[b][0]) / 2 + GAP for a, b in zip(row, row[1:])]
                first, last = list(wish), list(wish)  # moved apart to the one side and to the other; then the mean
                for n, distance in enumerate(apart):
                    first[n + 1] = max(first[n + 1], first[n] + distance)
                for n, distance in reversed(list(enumerate(apart))):
                    last[n] = min(last[n], last[n + 1] - distance)
                for i, a, b in zip(row, first, last):
                    across[i] = (a + b) / 2
        return across

    def lines(self):
        """The points of each arrow: its start, and for each rank a straight line's end and three of a curve."""
        entered = collections.Counter()
        for path in self.paths:
            points = []
            for here, there in zip(path, path[1:]):
                rank = self.ranks[here]
                middle = self.begins[rank] + self.thickness[rank] / 2
                edge, begin = self.begins[rank] + self.thickness[rank], self.begins[rank + 1]
                if here < len(self.centers):  # the arrow begins at the edge of the box, not at that of the rank
                    middle += self.sizes[here][1] / 2
                end = begin
                if there < len(self.centers):
                    end += (self.thickness[rank + 1] - self.sizes[there][1]) / 2
                start, goal = self.across[here], self._entry(there, here, entered[here, there])
                entered[here, there] += 1
                points = points or [(start, middle)]
                points += [(start, edge), (start, (edge + begin) / 2), (goal, (edge + begin) / 2), (goal, end)]
            yield points

    def _entry(self, box, source, earlier):
        """Where across an arrow enters a box, after `earlier` ones of the same source. All enter side by side, in the
        order of their sources.
        """
        sources = sorted(self.above[box], key=self.across.__getitem__)
        step = min(ENTRY, self.sizes[box][0] / (len(sources) + 1))
        return self.across[box] + (sources.index(source) + earlier - (len(sources) - 1) / 2) * step


def _mean(values, otherwise):
    return sum(values) / len(values) if values else otherwise


def geometry(layer):
    """The windows of a layer in words, such as "3x3, stride 2"; "" if it has none."""
    size = getattr(layer, "kernel_size", getattr(layer, "pool_size", None))
    if not isinstance(size, tuple):
        return ""
    found = ["x".join(map(str, size))]
    usual = size if hasattr(layer, "pool_size") else (1,) * len(size)
    for word, lengths in (("stride", layer.strides), ("dilation", getattr(layer, "dilation_rate", usual))):
        if lengths != usual:
            found.append(f"{word} {lengths[0] if len(set(lengths)) == 1 else 'x'.join(map(str, lengths))}")
    return ", ".join(found)
