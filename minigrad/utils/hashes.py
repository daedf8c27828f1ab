"""Two 64-bit hashes of bytes, with which TensorFlow puts words into buckets.

FarmHash64: Google's FarmHash, `farmhashna`, https://github.com/google/farmhash. SipHash-2-4: Aumasson and Bernstein
2012, "SipHash: a fast short-input PRF".
"""

import functools

import numpy as np

_ALL = 2**64 - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def bucket(text, count, salt=None):
    """The bucket, from 0 to count - 1, of a text (bytes): by FarmHash64, or by SipHash with `salt`, a pair of ints."""
    return (farm_hash(text) if salt is None else sip_hash(text, *salt)) % count


def joined_hashes(a, b):
    """One hash for two: the function that TensorFlow calls FingerprintCat64, for arrays of uint64."""
    mul, bits = np.uint64(0xC6A4A7935BD1E995), np.uint64(47)
    b, a = b * mul, a ^ mul
    a = (a ^ (b ^ b >> bits) * mul) * mul
    a = (a ^ a >> bits) * mul
    return a ^ a >> bits


def _turn(x, bits):
    """x, 64 bits, rotated to the right."""
    x &= _ALL
    return (x >> bits | x << (64 - bits)) & _ALL


def _fold(x):
    x &= _ALL
    return x ^ x >> 47


def _mix(u, v, mul):
    a = _fold((u ^ v) * mul)
    return _fold((v ^ a) * mul) * mul & _ALL


def _word(text, at, size=8):
    return int.from_bytes(text[at : at + size], "little")


@functools.lru_cache(1 << 16)
def farm_hash(text):
    """The FarmHash64 of bytes."""
    n = len(text)
    mul = _K2 + 2 * n
    if n > 64:
        return _long(text)
    if n > 16:
        return _middle(text, mul)
    if n >= 8:
        a, b = _word(text, 0) + _K2, _word(text, n - 8)
        return _mix((_turn(b, 37) * mul + a) & _ALL, (_turn(a, 25) + b) * mul & _ALL, mul)
    if n >= 4:
        return _mix(n + (_word(text, 0, 4) << 3), _word(text, n - 4, 4), mul)
    if n:
        y, z = text[0] + (text[n >> 1] << 8), n + (text[n - 1] << 2)
        return _fold(y * _K2 ^ z * _K0) * _K2 & _ALL
    return _K2


def _middle(text, mul):
    """Of 17 to 64 bytes."""
    n = len(text)
    is_short = n <= 32
    a, b = _word(text, 0) * (_K1 if is_short else _K2) & _ALL, _word(text, 8)
    c, d = _word(text, n - 8) * mul & _ALL, _word(text, n - 16) * _K2
    y = (_turn(a + b, 43) + _turn(c, 30) + d) & _ALL
    z = _mix(y, (a + _turn(b + _K2, 18) + c) & _ALL, mul)
    if is_short:
        return z
    e, f = _word(text, 16) * mul & _ALL, _word(text, 24)
    g, h = (y + _word(text, n - 32)) * mul & _ALL, (z + _word(text, n - 24)) * mul
    return _mix((_turn(e + f, 43) + _turn(g, 30) + h) & _ALL, (e + _turn(f + a, 18) + g) & _ALL, mul)


def _weak(text, at, a, b):
    w, x, y, z = (_word(text, at + 8 * i) for i in range(4))
    a += w
    b, c = _turn(b + a + z, 21), a
    a += x + y
    return (a + z) & _ALL, (b + _turn(a, 44) + c) & _ALL


def _long(text):
    """Of more than 64 bytes."""
    n, y = len(text), (81 * _K1 + 113) & _ALL
    x, z, v, w = (81 * _K2 + _word(text, 0)) & _ALL, _fold(y * _K2 + 113) * _K2 & _ALL, (0, 0), (0, 0)
    end = (n - 1) // 64 * 64

    def step(at, x, y, z, v, w, mul, nine):
        x = _turn(x + y + v[0] + _word(text, at + 8), 37) * mul & _ALL
        y = _turn(y + v[1] + _word(text, at + 48), 42) * mul & _ALL
        x ^= w[1] * nine & _ALL
        y = (y + v[0] * nine + _word(text, at + 40)) & _ALL
        z = _turn(z + w[0], 33) * mul & _ALL
        v = _weak(text, at, v[1] * mul, x + w[0])
        w = _weak(text, at + 32, z + w[1], y + _word(text, at + 16))
        return z, y, x, v, w

    for at in range(0, end, 64):
        x, y, z, v, w = step(at, x, y, z, v, w, _K1, 1)
    mul = _K1 + ((z & 0xFF) << 1)
    w = (w[0] + (n - 1 & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x, y, z, v, w = step(n - 64, x, y, z, v, w, mul, 9)
    first = (_mix(v[0], w[0], mul) + _fold(y) * _K0 + z) & _ALL
    return _mix(first, (_mix(v[1], w[1], mul) + x) & _ALL, mul)


@functools.lru_cache(1 << 16)
def sip_hash(text, key, other_key):
    """The SipHash-2-4 of bytes, with a key of two 64-bit numbers."""
    start = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    v = [half & _ALL ^ number for half, number in zip((key, other_key) * 2, start)]

    def rounds(count):
        a, b, c, d = v
        for _ in range(count):
            a, c = (a + b) & _ALL, (c + d) & _ALL
            b, d = _turn(b, 51) ^ a, _turn(d, 48) ^ c
            a, c = (_turn(a, 32) + d) & _ALL, (c + b) & _ALL
            b, d = _turn(b, 47) ^ c, _turn(d, 43) ^ a
            c = _turn(c, 32)
        v[:] = a, b, c, d

    whole = len(text) // 8 * 8
    words = [_word(text, at) for at in range(0, whole, 8)]
    for word in [*words, _word(text, whole) | (len(text) & 0xFF) << 56]:
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
