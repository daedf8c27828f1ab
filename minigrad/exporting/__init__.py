"""Models as ONNX files, for other programs that predict.

A step of prediction is recorded twice, for two numbers of rows. What is written are the launches of these recordings,
kernel by kernel; so it does not matter which layers made them. Lengths that differ in the two follow the number of
rows. `writing` knows ONNX and no kernel, `translations` says what each kernel is in ONNX.
"""

from minigrad.exporting.exporting import export
from minigrad.names import public

__all__ = public(globals())
