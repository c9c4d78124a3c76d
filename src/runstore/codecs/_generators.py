"""NumPy's random generators: their state, and the seed from which they make others.

NumPy takes over a state as it is: a position past the end of a buffer reads other memory. So each
part of it is checked first.
"""

from typing import Any

import numpy as np

from runstore.errors import CorruptObjectError

__all__ = ["generator_of", "generator_parts"]

# Of each part an integer's bound, or dtype and length of an array.
_HALF = {"has_uint32": 2, "uinteger": 1 << 32}
_PCG = {"state": {"state": 1 << 128, "inc": 1 << 128}, **_HALF}
_STATES: dict[str, dict[str, Any]] = {
    "MT19937": {"state": {"key": ("u4", 624), "pos": 625}},
    "PCG64": _PCG,
    "PCG64DXSM": _PCG,
    "Philox": {
        "state": {"counter": ("u8", 4), "key": ("u8", 2)},
        "buffer": ("u8", 4),
        "buffer_pos": 5,
        **_HALF,
    },
    "SFC64": {"state": {"state": ("u8", 4)}, **_HALF},
}
_LEAST_POOL, _LARGEST_POOL = 4, 1024  # words of a seed; the time goes by its square
_MOST = 256  # numbers of a seed
_NUMBER = 1 << 4096  # bound of each


def generator_parts(value: Any) -> tuple[str, Any] | None:
    """Return tag and parts of a `Generator` or `RandomState`; None if it would change."""
    name = type(value).__name__
    if name == "RandomState":
        parts = [name, value.get_state(legacy=False), None]
    else:
        bits = value.bit_generator
        seed = getattr(bits, "seed_seq", None)
        known = getattr(np.random, type(bits).__name__, None) is type(bits)
        if not known or type(seed) is not np.random.SeedSequence:
            return None
        parts = [name, bits.state, dict(seed.state)]
    try:
        generator_of(parts, "the value")
    except CorruptObjectError:
        return None
    return "$rng", parts


def generator_of(parts: Any, ref: str) -> Any:
    """Rebuild what `generator_parts` was given.

    Raises:
        CorruptObjectError: The parts are none of a generator.
    """
    name, state, seed = parts
    kind = state.get("bit_generator") if type(state) is dict else None
    if type(kind) is not str or kind not in _STATES:
        raise _damaged(ref)
    fields = {"bit_generator": None, **_STATES[kind]}
    if name == "RandomState" and kind == "MT19937" and seed is None:
        if type(state.get("gauss")) is not float:
            raise _damaged(ref)
        fields |= {"has_gauss": 2, "gauss": None}
        _check_state(state, fields, ref)
        made: Any = np.random.RandomState(0)
        made.set_state(state)
        back: Any = made.get_state(legacy=False)
    elif name == "Generator":
        _check_state(state, fields, ref)
        _check_seed(seed, ref)
        bits = getattr(np.random, kind)(np.random.SeedSequence(**seed))
        bits.state = state
        made, back = np.random.Generator(bits), bits.state
    else:
        raise _damaged(ref)
    if not _is_same(state, back):
        raise _damaged(ref)
    return made


def _check_state(state: Any, fields: dict[str, Any], ref: str) -> None:
    if type(state) is not dict or state.keys() != fields.keys():
        raise _damaged(ref)
    for name, told in fields.items():
        part = state[name]
        if isinstance(told, dict):
            _check_state(part, told, ref)
        elif isinstance(told, int):
            if type(part) is not int or not 0 <= part < told:
                raise _damaged(ref)
        elif told is not None:
            dtype, count = told
            if type(part) is not np.ndarray or part.dtype != dtype or part.shape != (count,):
                raise _damaged(ref)


def _check_seed(seed: Any, ref: str) -> None:
    known = {"entropy", "spawn_key", "pool_size", "n_children_spawned"}
    if type(seed) is not dict or seed.keys() != known or type(seed["spawn_key"]) is not tuple:
        raise _damaged(ref)
    entropy, pool, spawned = seed["entropy"], seed["pool_size"], seed["n_children_spawned"]
    words = entropy if type(entropy) is list else [entropy]
    numbers = [*words, *seed["spawn_key"]]
    if (
        len(numbers) > _MOST
        or any(type(number) is not int or not 0 <= number < _NUMBER for number in numbers)
        or type(pool) is not int
        or not _LEAST_POOL <= pool <= _LARGEST_POOL
        or type(spawned) is not int
        or not 0 <= spawned < 1 << 32
    ):
        raise _damaged(ref)


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    return bool(one == other) or (one != one and other != other)


def _damaged(ref: str) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is damaged: no random generator", ref)
