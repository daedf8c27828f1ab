"""Checks the indexes of an HDF5 file before the HDF5 library sees them: damaged ones make it crash or loop for ever.

Only the form is accepted that h5py writes by default, and so every Keras. In this form a group is a "symbol table":

    object header -> TREE, a B-tree -> SNOD, nodes of entries (name, object header)
                  -> HEAP, the names

A B-tree also lists the pieces of an array that is stored in pieces. (HDF5 File Format Specification, version 0.)
"""

import os
import struct

_MOST = 1 << 24  # bytes of one structure; the names of 100,000 layers take a tenth of that
_NOWHERE = 2**64 - 1
_NO_FREE_BLOCK = 1
_LAYOUT, _ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE = 0x08, 0x0C, 0x10, 0x11  # messages in an object header
_VARIABLE = 9  # the class of strings and others whose bytes lie elsewhere in the file
_GROUPS, _PIECES = 0, 1  # kinds of B-trees
_PIECES_K = 32  # a node for pieces has room for twice as many children; the number for groups stands in the file


def check(file):
    """Raise a ValueError unless every index in an HDF5 file, open as binary, is whole."""
    _Indexes(file).walk()


class _Indexes:
    def __init__(self, file):
        self._file, self._length = file, file.seek(0, os.SEEK_END)
        self._seen = set()  # objects, groups and arrays, which several entries may name
        self._claimed = set()  # addresses of structures: a second way to one is an error, so no walk is endless
        self._objects = []  # addresses of object headers that are still to be checked
        version, sizes, symbols, self._groups_k, base, root = self._unpack("8x B 4x H x H H 4x Q 32x Q", 0)
        if version != 0 or sizes != 0x0808 or base != 0:
            raise ValueError("it is an HDF5 file of another version than those that Keras writes")
        self._symbols = 2 * symbols
        self._objects.append(root)
        self._entry(self._bytes(56, 40))

    def _bytes(self, address, size):
        if address + size > self._length:
            raise ValueError(f"an index of the file leads to byte {address + size:,}, behind its end")
        if size > _MOST:
            raise ValueError(f"an index of the file claims {size:,} bytes at once")
        self._file.seek(address)
        return self._file.read(size)

    def _unpack(self, form, address):
        return struct.unpack("<" + form, self._bytes(address, struct.calcsize("<" + form)))

    def _is_new(self, *what):
        is_new = what not in self._seen
        self._seen.add(what)
        return is_new

    def _claim(self, address):
        if address in self._claimed:
            raise ValueError(f"an index of the file leads to byte {address:,} twice")
        self._claimed.add(address)

    def walk(self):
        while self._objects:
            address = self._objects.pop()
            if self._is_new("object", address):
                self._claim(address)
                self._object(address)

    def _object(self, address):
        """Check an object header: a list of messages, in one stretch of bytes or several."""
        version, size = self._unpack("B 7x I", address)
        if version != 1:
            raise ValueError("it has an object of another version than those that Keras writes")
        stretches = [(address + 16, size)]
        for start, size in stretches:
            self._claim(start)
            content, at = self._bytes(start, size), 0
            while at + 8 <= size:
                kind, length, flags = struct.unpack_from("<HHB", content, at)
                message = content[at + 8 : at + 8 + length]
                at += 8 + length
                if kind == _CONTINUATION:
                    stretches.append(_two(message))
                elif kind == _SYMBOL_TABLE:
                    self._group(*_two(message))
                elif kind == _ATTRIBUTE:
                    self._attribute(message, flags)
                elif kind == _LAYOUT and message[:2] in (b"\3\2", b"\4\2"):
                    self._pieces(message)

    def _attribute(self, message, flags):
        """Check an attribute: many references to one long string would make more bytes than the file has."""
        version, is_shared, *sizes = struct.unpack_from("<BBHHH", message)
        if version not in (1, 3) or is_shared or flags & 2:
            raise ValueError("it has an attribute of another version than those that Keras writes")
        start = 9
        if version == 1:
            start, sizes = 8, [-(-size // 8) * 8 for size in sizes]
        data = message[start + sum(sizes) :]
        if message[start + sizes[0]] & 15 == _VARIABLE:
            claimed = sum(length for (length,) in struct.iter_unpack("<I 12x", data[: len(data) // 16 * 16]))
            if claimed > self._length:
                raise ValueError(f"the strings of an attribute claim {claimed:,} bytes, more than the file has")

    def _group(self, tree, heap):
        if not self._is_new("group", tree, heap):
            return
        names = self._names(heap)
        for keys, nodes in self._leaves(tree, _GROUPS, 8, self._groups_k):
            for (key,) in struct.iter_unpack("<Q", keys):
                _require_name(names, key)
            for node in nodes:
                self._node(node, names)

    def _names(self, heap):
        """The bytes of a heap, whose free blocks form a list."""
        signature, size, free, address = self._unpack("8s Q Q Q", heap)
        if signature != b"HEAP\0\0\0\0":
            raise ValueError(f"the names of a group are not at byte {heap:,}")
        self._claim(heap)
        self._claim(address)
        names = self._bytes(address, size)
        blocks = set()
        while free != _NO_FREE_BLOCK:
            if free in blocks or free + 16 > size:
                raise ValueError("the names of a group have a damaged list of free blocks")
            blocks.add(free)
            following, length = struct.unpack_from("<QQ", names, free)
            if free + length > size:
                raise ValueError("the names of a group have a damaged list of free blocks")
            free = following
        return names

    def _leaves(self, root, kind, key_size, k):
        """The lowest nodes of a B-tree, a pair (keys, children) each. A ValueError if one is not where it should be."""
        nodes, level = [root], None
        while nodes and level != 0:
            found = []
            for i, node in enumerate(nodes):
                self._claim(node)
                around = [*([_NOWHERE] if i == 0 else nodes[i - 1 : i]), *(nodes[i + 1 : i + 2] or [_NOWHERE])]
                signature, its_kind, its_level, used, *beside = self._unpack("4s B B H Q Q", node)
                level = its_level + 1 if level is None else level
                if (signature, its_kind, its_level, beside) != (b"TREE", kind, level - 1, around) or used > 2 * k:
                    raise ValueError(f"an index of the file is damaged at byte {node:,}")
                room = self._bytes(node + 24, 2 * k * (key_size + 8) + key_size)
                places = range(0, used * (key_size + 8) + 1, key_size + 8)
                keys = b"".join(room[at : at + key_size] for at in places)
                found.append((keys, [struct.unpack_from("<Q", room, at + key_size)[0] for at in places[:-1]]))
            nodes, level = [child for _, children in found for child in children], level - 1
        return found

    def _node(self, node, names):
        self._claim(node)
        signature, used = self._unpack("6s H", node)
        entries = self._bytes(node + 8, 40 * self._symbols)
        if signature != b"SNOD\1\0" or used > self._symbols:
            raise ValueError(f"a group of the file is damaged at byte {node:,}")
        for at in range(0, 40 * used, 40):
            _require_name(names, *struct.unpack_from("<Q", entries, at))
            self._entry(entries[at : at + 40], names)

    def _entry(self, entry, names=b""):
        """Check the entry of a name in a group: an object, whose symbol table the entry may repeat, or a link."""
        _, address, kind, first, second = struct.unpack("<Q Q I 4x 8s 8s", entry)
        if kind == 2:
            _require_name(names, *struct.unpack("<I", first[:4]))
        else:
            self._objects.append(address)
        if kind == 1:
            self._group(*_two(first + second))

    def _pieces(self, layout):
        """Check the B-tree of an array that is stored in pieces."""
        if layout[0] != 3:
            raise ValueError("it has an array of another version than those that Keras writes")
        dimensions, tree = struct.unpack_from("<BQ", layout, 2)
        if tree != _NOWHERE and self._is_new("pieces", tree):
            self._leaves(tree, _PIECES, 8 + 8 * dimensions, _PIECES_K)


def _two(message):
    return struct.unpack_from("<QQ", message)


def _require_name(names, start):
    if names.find(b"\0", start) < 0 or start >= len(names):
        raise ValueError("a name in a group of the file is damaged")
