"""All compiled arithmetic: plain loops over 2-D arrays, inputs first, what is written last, nothing allocated.

A kernel whose elements do not depend on each other is written as the formula of one element, with `formula` or with
`@each`. Kernels know neither tensors nor shapes of higher rank nor the tape: `ops` does. Constants are made with
`x.dtype.type(...)`, or `type(x)(...)` of a number: a bare 0.5 would promote a float32 loop to double and halve its
speed. A kernel's `helper` stays in the kernel's file, because Numba's cache does not notice a change in another file;
`vectors` and `functions`, which several files share, say what to do after a change.
"""

import importlib

from minigrad.program import Kernel

FILES = (
    "confusion", "convolution", "copying", "drawing", "elementwise", "errors", "exchanging", "grouping", "moving",
    "normalization", "optimizing", "ordering", "probability", "products", "recurrence", "reducing", "sampling",
    "scheduling",
)  # fmt: skip


def __getattr__(name):
    """The kernel of this name. All files are loaded when the first is asked for; `tensor` imports just `copying`."""
    if not name.startswith("__") and name not in FILES:
        for file in FILES:
            found = vars(importlib.import_module(f"{__name__}.{file}"))
            globals().update({n: value for n, value in found.items() if isinstance(value, Kernel)})
    if name not in globals():
        raise AttributeError(f"There is no kernel {name!r}.")
    return globals()[name]
