"""All compiled arithmetic: plain loops over 2-D arrays, inputs first, what is written last, nothing allocated.

Kernels know nothing of tensors, shapes of higher rank or gradients' bookkeeping: `ops` does. Constants are made with
`x.dtype.type(...)`: a bare 0.5 would promote a float32 loop to double and halve its speed. A kernel's `helper` stays in
the kernel's file, because Numba's cache does not see a change in another one; `vectors` and `functions`, which several
files share, say what to do then.
"""

import importlib

from minigrad.program import Kernel

FILES = (
    "confusion", "copying", "drawing", "elementwise", "errors", "moving", "normalization", "optimizing", "ordering",
    "probability", "products", "reducing", "scheduling", "unary",
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
