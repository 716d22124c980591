"""The check of an Ed25519 public key that OpenSSL leaves out: it loads any 32 bytes."""

__all__ = ["is_public_key"]

# RFC 8032 section 5.1: the prime of the field, and the constant of the curve.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def is_public_key(encoded: bytes) -> bool:
    """Return whether 32 bytes encode a point that can be a public key.

    The point is on the curve (RFC 8032 section 5.1.3), and not one of the eight of small order: for
    these, such as the one of 32 zero bytes, anybody can make signatures.
    """
    # The top bit is the sign of x, which decides neither.
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    square = y * y % _P
    is_small = square in (0, 1) or (_D * square * square + 2 * square - 1) % _P == 0
    # x² is the quotient of these, which has a root where their product has one (Euler's criterion).
    quotient = (square - 1) * (_D * square + 1)
    return y < _P and not is_small and pow(quotient, (_P - 1) // 2, _P) == 1
