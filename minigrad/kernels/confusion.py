"""The sums that metrics are made of: hits and misses per threshold or per class, and the sums of R^2.

`weights` may have a single row or a single column, which then counts for all. A NaN is no miss: the result is NaN, too.
"""

import numpy as np

from minigrad.program import kernel


@kernel
def count_confusion(target, p, weights, thresholds, tp: "out", fp: "out", tn: "out", fn: "out"):
    """tp_kj += sum of weight_ij over the i with target_ij != 0 and p_ij > threshold_k; fp, tn, fn accordingly"""
    down = 1 if weights.shape[0] > 1 else 0
    right = 1 if weights.shape[1] > 1 else 0
    for k in range(thresholds.shape[1]):
        for j in range(p.shape[1]):
            hits = misses = alarms = rest = p.dtype.type(0)
            for i in range(p.shape[0]):
                w = weights[i * down, j * right]
                is_above, is_target = p[i, j] > thresholds[0, k], target[i, j] != 0
                if is_target:
                    hits += w if is_above else p.dtype.type(0)
                    misses += p.dtype.type(0) if is_above else w
                else:
                    alarms += w if is_above else p.dtype.type(0)
                    rest += p.dtype.type(0) if is_above else w
                if p[i, j] != p[i, j]:
                    hits = misses = alarms = rest = p[i, j]
            tp[k, j] += hits
            fp[k, j] += alarms
            tn[k, j] += rest
            fn[k, j] += misses


@kernel
def bucket_confusion(
    target, p, weights, settings, yes: "out", no: "out", tp: "out", fp: "out", tn: "out", fn: "out"
):
    """As count_confusion for the thresholds k / steps, k = 0 ... steps, in one pass; settings = [steps, lowest]

    p_ij, kept within [0, 1], falls into the bucket max(ceil(p steps), lowest), which is the number of thresholds below
    it. With lowest = 1 every p, also 0, is above the first threshold. `yes` and `no` are histograms, one row per
    bucket, of the p whose target is not 0 and of the others; the counts are sums of their rows from one end.
    """
    zero, one = p.dtype.type(0), p.dtype.type(1)
    steps, lowest = settings[0, 0], settings[0, 1]
    down = 1 if weights.shape[0] > 1 else 0
    right = 1 if weights.shape[1] > 1 else 0
    yes[:] = zero
    no[:] = zero
    last = tp.shape[0]
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            v = p[i, j]
            w = weights[i * down, j * right]
            if v != v:
                yes[0, j] = yes[last, j] = no[0, j] = no[last, j] = v
                continue
            v = zero if v < zero else v
            v = one if v > one else v
            bucket = np.ceil(v * steps)
            bucket = lowest if bucket < lowest else bucket
            if target[i, j] != 0:
                yes[int(bucket), j] += w
            else:
                no[int(bucket), j] += w
    for j in range(p.shape[1]):
        above_yes, above_no = zero, zero
        for k in range(last, 0, -1):
            above_yes += yes[k, j]
            above_no += no[k, j]
            tp[k - 1, j] += above_yes
            fp[k - 1, j] += above_no
        below_yes, below_no = zero, zero
        for k in range(last):
            below_yes += yes[k, j]
            below_no += no[k, j]
            fn[k, j] += below_yes
            tn[k, j] += below_no


@kernel
def keep_top(x, k: "int64", low, y: "out"):
    """y_ij = x_ij where it is one of the k largest of its row, else low; of equal ones the first are taken"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = low[0, 0]
        last = -1
        for _ in range(min(k[0, 0], x.shape[1])):
            best = -1
            for j in range(x.shape[1]):
                if last >= 0 and (x[i, j] > x[i, last] or (x[i, j] == x[i, last] and j <= last)):
                    continue  # it is taken already
                if x[i, j] == x[i, j] and (best < 0 or x[i, j] > x[i, best]):
                    best = j
            if best < 0:
                break
            y[i, best] = x[i, best]
            last = best
        for j in range(x.shape[1]):
            if x[i, j] != x[i, j]:
                y[i, j] = x[i, j]


@kernel
def top_match(label, x, k: "int64", y: "out"):
    """y_i = 1 if x_i,label is finite and fewer than k of the x_ij are larger, else 0"""
    zero, n = x.dtype.type(0), x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        c = label[i, 0]
        y[i, 0] = zero
        if c >= zero and c < n:
            chosen = x[i, int(c)]
            larger = 0
            for j in range(x.shape[1]):
                larger += x[i, j] > chosen
            if larger < k[0, 0] and np.isfinite(chosen):
                y[i, 0] = y.dtype.type(1)


@kernel
def count_classes(target, p, weights, settings, tp: "out", fp: "out", fn: "out", support: "out"):
    """tp_j += sum over i of w_i h_ij t_ij, fp_j of w h (1 - t), fn_j of w (1 - h) t, support_j of w t; t is the target

    settings = [threshold, top]. h_ij is 1 where p_ij > threshold, or, if top != 0, where p_ij is the largest of its row
    and not 0. If the sums have a single column, it holds the total over all classes.
    """
    one, zero, tiny = p.dtype.type(1), p.dtype.type(0), p.dtype.type(1e-9)
    right = 1 if tp.shape[1] > 1 else 0
    down = 1 if weights.shape[0] > 1 else 0
    for i in range(p.shape[0]):
        w = weights[i * down, 0]
        top = p[i, 0]
        for j in range(p.shape[1]):
            if p[i, j] > top or p[i, j] != p[i, j]:
                top = p[i, j]
        for j in range(p.shape[1]):
            if settings[0, 1] != zero:
                h = one if p[i, j] >= top and abs(p[i, j]) > tiny else zero
                h = top if top != top else h
            else:
                h = one if p[i, j] > settings[0, 0] else zero
                h = p[i, j] if p[i, j] != p[i, j] else h
            t = target[i, j]
            tp[0, j * right] += w * h * t
            fp[0, j * right] += w * h * (one - t)
            fn[0, j * right] += w * (one - h) * t
            support[0, j * right] += w * t


@kernel
def accumulate_regression(
    target, x, weights, total: "out", squared: "out", residual: "out", count: "out", rows: "out"
):
    """Per column: total += sum of w t, squared of w t^2, residual of w (t - x)^2, count of w; rows += rows of w != 0"""
    down = 1 if weights.shape[0] > 1 else 0
    right = 1 if weights.shape[1] > 1 else 0
    for i in range(x.shape[0]):
        counts = False
        for j in range(x.shape[1]):
            w = weights[i * down, j * right]
            t = target[i, j]
            d = t - x[i, j]
            total[0, j] += w * t
            squared[0, j] += w * t * t
            residual[0, j] += w * d * d
            count[0, j] += w
            counts |= w != 0
        if counts:
            rows[0, 0] += rows.dtype.type(1)


@kernel
def count_pairs(label, guess, weights, ignored, matrix: "out"):
    """matrix[label_i, guess_i] += weight_i, where both are classes and the label is not ignored"""
    down = 1 if weights.shape[0] > 1 else 0
    zero, n = label.dtype.type(0), label.dtype.type(matrix.shape[0])
    for i in range(label.shape[0]):
        a, b = label[i, 0], guess[i, 0]
        if a >= zero and a < n and b >= zero and b < n and a != ignored[0, 0]:
            matrix[int(a), int(b)] += weights[i * down, 0]
