"""Change a file, and make its digests fit again, as anybody can who may write."""

import io
import json
import random
import struct
import zipfile
from typing import Any

import pyarrow as pa
import xxhash

from runstore import containers
from runstore.containers._layout import Layout
from runstore.containers._messages import parse_footer
from runstore.containers._structure import StructureDigest

__all__ = ["mutated", "resealed"]

_NUMBERS = (0, 1, 2, 7, 8, 63, 64, 127, 128, 255, 256, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 1 << 40)
_MOST = (1 << 63) - 1
_SIGNS = (1, -1)
_CONTAINERS = (b"ARROW1", b"PAR1")


def mutated(name: str, data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Return a changed file of the same kind whose digests fit, as far as it has any.

    Args:
        name: The object's, which tells the format.
        data: The file as it was written.
        chance: Says what is changed.
        others: Files to take a description from.
    """
    if name.endswith(".skops"):
        return _archive(data, chance)
    if not data.endswith(_CONTAINERS):
        return bytes(_changed(bytearray(_without_digest(name, data)), chance, 0, None))
    start = containers.footer_start(data[-10:], len(data), name)
    if chance.random() < 0.3 and (described := _described(data, start, chance, others)):
        return described
    where = chance.random()
    if where < 0.35:
        lowest, highest = start, len(data) - 10
    elif where < 0.6:
        lowest, highest = 0, min(start, 4096)
    else:
        lowest, highest = 0, start
    changed = _changed(bytearray(data), chance, lowest, highest)
    return resealed(data, bytes(changed))


def _changed(data: bytearray, chance: random.Random, lowest: int, highest: int | None) -> bytearray:
    highest = len(data) if highest is None else highest
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(lowest, max(lowest + 1, highest))
        kind = chance.randrange(6)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.randrange(256)
        elif kind == 2:
            _put(data, at - at % 8, "<q", chance)
        elif kind == 3:
            _put(data, at - at % 4, "<i", chance)
        elif kind == 4:
            _put(data, at - at % 2, "<h", chance)
        else:  # take something from elsewhere
            size = chance.choice((4, 8, 16, 64))
            other = chance.randrange(lowest, max(lowest + 1, highest))
            part = data[other : other + size]
            if at + len(part) <= highest:
                data[at : at + len(part)] = part
    return data


def _put(data: bytearray, at: int, form: str, chance: random.Random) -> None:
    size = struct.calcsize(form)
    if at < 0 or at + size > len(data):
        return
    limit = 1 << (8 * size - 1)
    if chance.random() < 0.5:
        (number,) = struct.unpack_from(form, data, at)
        number += chance.choice(_NUMBERS) * chance.choice(_SIGNS)
    else:
        number = chance.choice((*_NUMBERS, _MOST)) * chance.choice(_SIGNS)
    struct.pack_into(form, data, at, (number + limit) % (2 * limit) - limit)


def resealed(before: bytes, data: bytes) -> bytes:
    """Make the digests of a changed file of the same length fit, in the slots where they were."""
    start = containers.footer_start(before[-10:], len(before), "file")
    body, footer, old = data[:start], bytearray(data[start:]), before[start:]
    slots = _slots(old)
    if "digest" not in slots:
        return data
    digests = {"body": xxhash.xxh3_128_hexdigest(body)}
    if "structure" in slots and (structure := _structure(body, bytes(footer))):
        digests["structure"] = structure
    for slot, digits in digests.items():
        footer[slots[slot] : slots[slot] + 32] = digits.encode()
    at = slots["digest"]
    footer[at : at + 32] = b"0" * 32
    footer[at : at + 32] = xxhash.xxh3_128_hexdigest(bytes(footer)).encode()
    return body + bytes(footer)


def _structure(body: bytes, footer: bytes) -> str | None:
    try:
        reader = pa.ipc.RecordBatchFileReader(pa.py_buffer(b"ARROW1\0\0" + footer))
        digest = StructureDigest(Layout(reader.schema))
        digest.add(memoryview(body))
    except Exception:  # noqa: BLE001 - then it cannot fit
        return None
    return digest.hexdigest()


def _slots(footer: bytes) -> dict[str, int]:
    found = {}
    if footer.endswith(b"PAR1"):
        import pyarrow.parquet as pq

        entries = pq.read_metadata(pa.BufferReader(b"PAR1" + footer)).metadata or {}
    else:
        entries = parse_footer(footer).entries
    for slot in ("body", "digest", "structure"):
        if value := entries.get(f"runstore.{slot}".encode()):
            found[slot] = footer.index(value) + len(b"xxh3_128:")
    return found


# The description -----------------------------------------------------------------------------


def _described(data: bytes, start: int, chance: random.Random, others: list[bytes]) -> bytes | None:
    """Give the file another description: changed, or that of another object."""
    found = _header(data, start)
    if found is None or data.endswith(b"PAR1"):
        return None
    header = json.loads(found)
    if chance.random() < 0.3:
        other = chance.choice(others)
        taken = _header(other, containers.footer_start(other[-10:], len(other), "x"))
        if taken is None:
            return None
        described = json.loads(taken)
        header |= {key: described[key] for key in ("codec", "codec_version") if key in described}
        header["spec"] = described.get("spec", {})
    for _ in range(chance.choice((0, 1, 1, 2))):
        header = _tree(header, chance, top=True)
    text = json.dumps(header).encode()
    reader = pa.ipc.RecordBatchFileReader(pa.py_buffer(data))
    entries = {b"runstore.version": b"1", b"runstore.object": text}
    entries |= {b"runstore.body": _EMPTY, b"runstore.digest": _EMPTY}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, reader.schema, metadata=entries) as writer:
        for i in range(reader.num_record_batches):
            writer.write_batch(reader.get_batch(i))
    file = sink.getvalue().to_pybytes()
    start = containers.footer_start(file[-10:], len(file), "x")
    body = b"xxh3_128:" + xxhash.xxh3_128_hexdigest(file[:start]).encode()
    footer = file[start:].replace(_EMPTY, body, 1)
    if parse_footer(footer).entries[b"runstore.body"] != body:
        footer = file[start:]
        at = footer.rindex(_EMPTY)
        footer = footer[:at] + body + footer[at + len(body) :]
    at = footer.index(_EMPTY) + 9
    digits = xxhash.xxh3_128_hexdigest(footer).encode()
    return file[:start] + footer[:at] + digits + footer[at + 32 :]


_EMPTY = b"xxh3_128:" + b"0" * 32


def _header(data: bytes, start: int) -> bytes | None:
    if data.endswith(b"PAR1"):
        return None
    return parse_footer(data[start:]).entries.get(b"runstore.object")


_STRANGE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**31, 2**63, 10**30, -(10**9), 999_999_999, 1.5, 1e308),
    *("", "x", "O", "|O", "<U0", "V0", "datetime64", "../x", "\ud800", "a" * 1000),
    *([], {}, [[]], [999_999_999], {"k": "pickle"}, {"k": "np"}, [[{"k": "np"}, 999_999_999]]),
)


def _tree(value: Any, chance: random.Random, top: bool = False) -> Any:
    """Return a JSON value with one place changed; the object's own name and place mostly stay."""
    if isinstance(value, dict) and value and chance.random() < (1 if top else 0.8):
        key = chance.choice(["spec"] * 20 + list(value)) if top else chance.choice(list(value))
        if key not in value:
            key = chance.choice(list(value))
        changed = dict(value)
        if chance.random() < 0.1:
            del changed[key]
        else:
            changed[key] = _tree(value[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        part = [] if chance.random() < 0.1 else [_tree(value[at], chance)]
        again = part * (2 if chance.random() < 0.1 else 1)
        return [*value[:at], *again, *value[at + 1 :]]
    if type(value) is int and chance.random() < 0.5:
        return value + chance.choice(_NUMBERS) * chance.choice(_SIGNS)
    return chance.choice(_STRANGE)


# Files without our description ---------------------------------------------------------------


def _without_digest(name: str, data: bytes) -> bytes:
    """Return a plain file as another program would have written it: without a digest."""
    if name.endswith(".json"):
        return data[129:]
    if name.endswith(".npy"):
        return data.replace(b"\t", b" ", 1) if b"\t" not in data[:1024] else _blank(data)
    if name.endswith(".safetensors"):
        return data.replace(b"runstore.body", b"runstore_body").replace(
            b"runstore.digest", b"runstore_digest"
        )
    return data


def _archive(data: bytes, chance: random.Random) -> bytes:
    """Return a .skops one of whose members is changed; its checksums fit."""
    sink, changed = io.BytesIO(), chance.randrange(3)
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(sink, "w") as after:
        for i, member in enumerate(before.infolist()):
            content = before.read(member)
            if i % 3 == changed and member.filename.endswith(".json"):
                content = json.dumps(_tree(json.loads(content), chance)).encode()
            elif i % 3 == changed:
                content = bytes(_changed(bytearray(content), chance, 0, None))
            after.writestr(member.filename, content)
    return sink.getvalue()


def _blank(data: bytes) -> bytes:
    end = data.index(b"\n") + 1
    return data[:end].replace(b"\t", b" ") + data[end:]
