"""A slow JPEG-LS encoder: those at hand write 8 and 16 bits only, and radiographs have 10 or 12.

Source: ITU-T T.87, annexes A and C; names as there.
"""

import numpy as np

J = [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15]
RESET = 64


class Bits:
    """Bits into bytes; after a byte of 0xFF comes one of seven (T.87 A.1)."""

    def __init__(self):
        self.data, self.byte, self.free = bytearray(), 0, 8

    def put(self, value, count):
        for shift in range(count - 1, -1, -1):
            self.free -= 1
            self.byte |= ((value >> shift) & 1) << self.free
            if not self.free:
                self.data.append(self.byte)
                self.free = 7 if self.byte == 0xFF else 8
                self.byte = 0

    def golomb(self, value, k, limit, qbpp):
        if value >> k < limit - qbpp - 1:
            self.put(1, (value >> k) + 1)
            self.put(value & ((1 << k) - 1), k)
        else:
            self.put(1, limit - qbpp)
            self.put(value - 1, qbpp)

    def bytes(self):
        whole = 7 if self.data and self.data[-1] == 0xFF else 8
        return bytes(self.data) + (bytes([self.byte]) if self.free < whole else b"")


class Encoder:
    def __init__(self, bits, near):
        self.near, self.maxval = near, (1 << bits) - 1
        self.range = (self.maxval + 2 * near) // (2 * near + 1) + 1
        self.qbpp, bpp = (self.range - 1).bit_length(), max(2, bits)
        self.limit = 2 * (bpp + max(8, bpp))
        self.A, self.B, self.C = [max(2, (self.range + 32) // 64)] * 367, [0] * 367, [0] * 367
        self.N, self.Nn, self.run, self.out = [1] * 367, [0] * 367, 0, Bits()
        self.T = self.thresholds()

    def thresholds(self):
        def clamp(i, j):
            return j if i > self.maxval or i < j else i

        near = self.near
        if self.maxval >= 128:
            factor = (min(self.maxval, 4095) + 128) // 256
            wanted = [factor + 2 + 3 * near, factor * 4 + 3 + 5 * near, factor * 17 + 4 + 7 * near]
        else:
            factor = 256 // (self.maxval + 1)
            wanted = [max(2, 3 // factor + 3 * near), max(3, 7 // factor + 5 * near), max(4, 21 // factor + 7 * near)]
        t1 = clamp(wanted[0], near + 1)
        t2 = clamp(wanted[1], t1)
        return t1, t2, clamp(wanted[2], t2)

    def quantized(self, d):
        t1, t2, t3 = self.T
        size = sum(abs(d) >= t for t in (self.near + 1, t1, t2, t3))
        return size if d > 0 else -size

    def image(self, image):
        previous, start = [0] * (image.shape[1] + 2), 0
        for row in image.tolist():
            # Position 0 holds the pixel before the line, the last one that after it.
            current = [previous[1], *row, 0]
            previous[0], start = start, previous[1]
            self.line(current, previous, len(row))
            current[-1] = current[-2]
            previous = current
        return self.out.bytes()

    def line(self, x, above, columns):
        above[columns + 1] = above[columns]
        at = 1
        while at <= columns:
            ra, rb, rc, rd = x[at - 1], above[at], above[at - 1], above[at + 1]
            gradients = (rd - rb, rb - rc, rc - ra)
            if all(abs(d) <= self.near for d in gradients):
                at = self.run_mode(x, above, at, columns)
            else:
                x[at] = self.regular(x[at], ra, rb, rc, gradients)
                at += 1

    def error(self, value, predicted, sign):
        """The error as it is coded, and the value as it is decoded."""
        step, e = 2 * self.near + 1, (value - predicted) * sign
        e = (e + self.near) // step if e > 0 else -((self.near - e) // step)
        decoded = min(max(predicted + sign * e * step, 0), self.maxval)
        e += self.range if e < 0 else 0
        return e - (self.range if e >= (self.range + 1) // 2 else 0), decoded

    def regular(self, value, ra, rb, rc, gradients):
        q, sign = [self.quantized(d) for d in gradients], 1
        if next(v for v in q if v) < 0:
            q, sign = [-v for v in q], -1
        c = 81 * q[0] + 9 * q[1] + q[2]
        low, high = min(ra, rb), max(ra, rb)
        predicted = low if rc >= high else high if rc <= low else ra + rb - rc
        predicted = min(max(predicted + sign * self.C[c], 0), self.maxval)
        e, decoded = self.error(value, predicted, sign)
        k = next(k for k in range(32) if self.N[c] << k >= self.A[c])
        if not self.near and not k and 2 * self.B[c] <= -self.N[c]:
            mapped = 2 * e + 1 if e >= 0 else -2 * (e + 1)
        else:
            mapped = 2 * e if e >= 0 else -2 * e - 1
        self.out.golomb(mapped, k, self.limit, self.qbpp)
        self.update(c, e)
        return decoded

    def update(self, c, e):
        self.B[c] += e * (2 * self.near + 1)
        self.A[c] += abs(e)
        if self.N[c] == RESET:
            self.A[c], self.B[c], self.N[c] = self.A[c] >> 1, self.B[c] >> 1, self.N[c] >> 1
        self.N[c] += 1
        if self.B[c] <= -self.N[c]:
            self.C[c] -= self.C[c] > -128
            self.B[c] = max(self.B[c] + self.N[c], -self.N[c] + 1)
        elif self.B[c] > 0:
            self.C[c] += self.C[c] < 127
            self.B[c] = min(self.B[c] - self.N[c], 0)

    def run_mode(self, x, above, at, columns):
        run_value, length = x[at - 1], 0
        while at <= columns and abs(x[at] - run_value) <= self.near:
            x[at] = run_value
            at, length = at + 1, length + 1
        while length >= 1 << J[self.run]:
            self.out.put(1, 1)
            length -= 1 << J[self.run]
            self.run = min(self.run + 1, 31)
        if at > columns:
            if length:
                self.out.put(1, 1)
            return at
        self.out.put(0, 1)
        self.out.put(length, J[self.run])
        x[at] = self.interruption(x[at], run_value, above[at])
        self.run = max(self.run - 1, 0)
        return at + 1

    def interruption(self, value, ra, rb):
        kind = int(abs(ra - rb) <= self.near)
        sign = -1 if not kind and ra > rb else 1
        e, decoded = self.error(value, ra if kind else rb, sign)
        c = 365 + kind
        total = self.A[c] + (self.N[c] >> 1 if kind else 0)
        k = next(k for k in range(32) if self.N[c] << k >= total)
        flag = int(
            e > 0 and 2 * self.Nn[c] < self.N[c]
            if not k and e >= 0
            else (e < 0 and (k or 2 * self.Nn[c] >= self.N[c])) or 0
        )
        mapped = 2 * abs(e) - kind - (1 if flag else 0)
        self.out.golomb(mapped, k, self.limit - J[self.run] - 1, self.qbpp)
        self.Nn[c] += e < 0
        self.A[c] += (mapped + 1 - kind) >> 1
        if self.N[c] == RESET:
            self.A[c], self.N[c], self.Nn[c] = self.A[c] >> 1, self.N[c] >> 1, self.Nn[c] >> 1
        self.N[c] += 1
        return decoded


def encode(image: np.ndarray, bits: int, near: int = 0) -> bytes:
    """image: (rows, columns), from 0 to 2**bits - 1. near: the largest error."""
    rows, columns = image.shape
    frame = b"\xff\xf7\0\x0b" + bytes([bits]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + b"\x01\x01\x11\0"
    scan = b"\xff\xda\0\x08\x01\x01\0" + bytes([near]) + b"\0\0"
    return b"\xff\xd8" + frame + scan + Encoder(bits, near).image(image) + b"\xff\xd9"
