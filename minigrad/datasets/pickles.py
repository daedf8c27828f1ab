"""Reads the values in pickles without running the code that a pickle may name.

A pickle is a program for a machine with a stack. The machine here knows the instructions that make numbers, strings,
lists, tuples and dicts, and only two calls: those that make a NumPy array and its dtype. Names are just labels; nothing
is imported.
"""

import math
import re
import struct

import numpy as np

_MOST = 1 << 20  # lists, tuples, dicts, marks and memo entries that a file may make; real files make 50,000

_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
_EMPTY = {b"]": list, b"}": dict, b")": tuple}
_INTEGERS = {b"K": "<B", b"M": "<H", b"J": "<i"}
_INTEGER = re.compile(rb"(?s:K.|M..|J....)")
_RUN = re.compile(rb"(?s:K.|M..|J....)+")
_BYTES = {b"U": "<B", b"T": "<i", b"C": "<B", b"B": "<I", b"\x8e": "<Q"}  # instruction: the form of the length
_TEXTS = {b"\x8c": "<B", b"X": "<I", b"\x8d": "<Q"}
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
_SKIPPED = {b"\x80": 1, b"\x95": 8}  # the protocol, and the length of the next frame
_PUT, _GET = {b"q": "<B", b"r": "<I"}, {b"h": "<B", b"j": "<I"}

_ARRAY = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}
_ARRAY_TYPE, _DTYPE = ("numpy", "ndarray"), ("numpy", "dtype")
_DTYPES = re.compile(r"[biufO][1248]?|\?")


class _Name(tuple):
    """A name in a pickle: (module, name)."""


class _Integers(dict):
    """{instruction that pushes an integer: the integer}. Each is decoded once, since texts repeat a few words often."""

    def __missing__(self, instruction):
        self[instruction] = value = struct.unpack(_INTEGERS[instruction[:1]], instruction[1:])[0]
        return value


class _Made:
    """An array or a dtype that a pickle has made, and whose value it sets later."""

    def __init__(self, value=None):
        self.value = value


def loads(data):
    """The value in a pickle, `data` of type bytes. Strings of Python 2 come as bytes.

    Raises:
        ValueError: the pickle asks for anything but plain values and NumPy arrays, or for more than it holds.
    """
    return _Machine(data).run()


class _Machine:
    def __init__(self, data):
        self.data, self.place = data, 0
        self.stack, self.marks, self.memo, self.made = [], [], {}, 0
        self.integers = _Integers()

    def run(self):
        push = self.stack.append
        while (code := self._take(1)) != b".":
            if code in _INTEGERS:
                self._push_integers()
            elif code in _CONSTANTS:
                push(_CONSTANTS[code])
            elif code in _EMPTY:
                self._count()
                push(_EMPTY[code]())
            elif code in _BYTES:
                push(self._take(self._number(_BYTES[code])))
            elif code in _TEXTS:
                push(self._take(self._number(_TEXTS[code])).decode())
            elif code in _TUPLES:
                self._count()
                push(tuple(self._pop(_TUPLES[code])))
            elif code in _SKIPPED:
                self._take(_SKIPPED[code])
            elif code in _PUT:
                self._remember(self._number(_PUT[code]))
            elif code in _GET:
                push(self.memo[self._number(_GET[code])])
            elif code in _OTHERS:
                _OTHERS[code](self)
            else:
                raise ValueError(f"it holds more than plain values (instruction {code!r} of a pickle)")
        return self._pop(1)[0]

    def _take(self, size):
        end = self.place + size
        if size < 0 or end > len(self.data):
            raise ValueError("it ends too early")
        taken = self.data[self.place : end]
        self.place = end
        return taken

    def _number(self, form):
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _push_integers(self):
        run = _RUN.match(self.data, self.place - 1)
        if run is None:
            raise ValueError("it ends too early")
        self.stack.extend(map(self.integers.__getitem__, _INTEGER.findall(run[0])))
        self.place = run.end()

    def _pop(self, count):
        if count > len(self.stack):
            raise ValueError("it takes values that are not there")
        values = [
            value.value if type(value) is _Made else value for value in self.stack[len(self.stack) - count :]
        ]
        del self.stack[len(self.stack) - count :]
        return values

    def _pop_to_mark(self):
        return self._pop(len(self.stack) - self.marks.pop())

    def _count(self):
        self.made += 1
        if self.made > _MOST:
            raise ValueError(f"it holds more than {_MOST:,} lists")

    def _remember(self, key):
        self._count()
        self.memo[key] = self.stack[-1]

    def _mark(self):
        self._count()
        self.marks.append(len(self.stack))

    def _long(self):
        self.stack.append(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def _tuple(self):
        self.stack.append(tuple(self._pop_to_mark()))

    def _append(self, values):
        self._onto(list).extend(values)

    def _set(self, values):
        keys = [key.decode() if isinstance(key, bytes) else key for key in values[::2]]
        self._onto(dict).update(zip(keys, values[1::2]))

    def _onto(self, kind):
        if not isinstance(self.stack[-1], kind):
            raise ValueError(f"it adds to what is no {kind.__name__}")
        return self.stack[-1]

    def _name(self, module, name):
        self.stack.append(_Name((module, name)))

    def _line(self):
        end = self.data.index(b"\n", self.place)
        return self._take(end + 1 - self.place)[:-1].decode()

    def _call(self):
        function, arguments = self._pop(2)
        if isinstance(function, _Name) and isinstance(arguments, tuple):
            if function in _ARRAY and arguments[:1] == (_ARRAY_TYPE,):
                self.stack.append(_Made())
                return
            if function == _DTYPE and isinstance(arguments[0], (str, bytes)):
                self.stack.append(_Made(_dtype(arguments[0])))
                return
        what = ".".join(function) if isinstance(function, _Name) else "what it has made"
        raise ValueError(f"it holds more than plain values: it calls {what}")

    def _build(self):
        (state,), target = self._pop(1), self.stack[-1]
        if not isinstance(target, _Made):
            raise ValueError("it holds more than plain values and arrays")
        target.value = _array(*state[1:]) if target.value is None else _ordered(target.value, state[1])


_OTHERS = {
    b"(": _Machine._mark,
    b"G": lambda self: self.stack.append(self._number(">d")),
    b"\x8a": _Machine._long,
    b"t": _Machine._tuple,
    b"a": lambda self: self._append(self._pop(1)),
    b"e": lambda self: self._append(self._pop_to_mark()),
    b"s": lambda self: self._set(self._pop(2)),
    b"u": lambda self: self._set(self._pop_to_mark()),
    b"\x94": lambda self: self._remember(len(self.memo)),
    b"c": lambda self: self._name(self._line(), self._line()),
    b"\x93": lambda self: self._name(*self._pop(2)),
    b"R": _Machine._call,
    b"b": _Machine._build,
}


def _dtype(name):
    name = name.decode() if isinstance(name, bytes) else name
    if not _DTYPES.fullmatch(name):
        raise ValueError(f"it holds an array of dtype {name!r}: numbers are expected")
    return np.dtype(name)


def _ordered(dtype, order):
    order = order.decode() if isinstance(order, bytes) else order
    return dtype.newbyteorder(order) if order in ("<", ">") else dtype


def _array(shape, dtype, is_fortran, content):
    """The array of a pickle's (shape, dtype, order, content): content is bytes, or a list of objects."""
    if not isinstance(dtype, np.dtype) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("an array in it has no shape or no dtype")
    needed = math.prod(shape) * (1 if dtype.hasobject else dtype.itemsize)
    if len(content) != needed or isinstance(content, list) != dtype.hasobject:
        raise ValueError(f"an array of shape {shape} in it needs {needed:,} elements or bytes, got {len(content):,}")
    if not dtype.hasobject:
        return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C").copy()
    array = np.empty(len(content), object)
    for i, value in enumerate(content):  # an assignment to array[:] would look into lists of one length
        array[i] = value
    return array.reshape(shape)
