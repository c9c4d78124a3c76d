import hashlib
import hmac
import json
import re
import secrets
import struct
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from runstore import containers
from runstore.buffers import flat
from runstore.containers import Header
from runstore.errors import CorruptObjectError, UnsupportedFormatError, UnsupportedValueError
from runstore.keys import Place

TABLE = pa.table({"a": [1.5, 2.5, None], "b": ["x", "é", None]})


def header(**changes):
    fields = {
        "namespace": "dev",
        "run": "r1",
        "name": "x",
        "type": "pyarrow.lib.Table",
        "codec": "arrow",
        "codec_version": 1,
        "created_at": datetime(2026, 11, 22, 1, 2, 3, 456789, UTC),
        "write_id": secrets.token_hex(8),
        "spec": {"kind": "table"},
        "metadata": {"text": "é", "n": [1, None]},
    }
    return Header(**{**fields, **changes})


def written(table=TABLE, write=containers.arrow_file, **changes):
    file = write(table.schema, table.to_batches(), header(**changes))
    data = bytearray(b"".join(flat(part) for part in file))
    assert (len(data), True) == (file.size, file.digest.startswith("xxh3_128:"))
    return data, file.digest


def footer_of(data):
    return bytes(data[containers.footer_start(data[-10:], len(data), "x") :])


WRITERS = [containers.arrow_file, containers.parquet_file]


def opened(data, write=containers.arrow_file, **options):
    reader = containers.open_arrow if write is containers.arrow_file else containers.open_parquet
    return reader(data, "dev/r1/x", **options)


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_written_is_read(write):
    """Schema, data and header come back."""
    expected = header()
    file = write(TABLE.schema, TABLE.to_batches(), expected)
    stored = opened(b"".join(flat(part) for part in file), write, verify=True)
    assert TABLE.equals(stored.table())
    assert expected == stored.header


def test_the_specification_can_be_followed_by_hand():
    """docs/format.md's recipe, with pyarrow and xxhash alone, finds header and both digests."""
    data, digest = written()
    length = int.from_bytes(data[-10:-6], "little")
    start = len(data) - 10 - length
    entries = pa.ipc.open_file(data).metadata
    assert b"1" == entries[b"runstore.version"]
    assert "dev" == json.loads(entries[b"runstore.object"])["namespace"]
    body = entries[b"runstore.body"].decode()
    assert body == digest == "xxh3_128:" + xxhash.xxh3_128_hexdigest(data[:start])
    seal = entries[b"runstore.digest"].removeprefix(b"xxh3_128:")
    footer = bytes(data[start:])
    assert 1 == footer.count(seal)
    zeroed = footer.replace(seal, b"0" * 32)
    assert seal.decode() == xxhash.xxh3_128_hexdigest(zeroed)


def test_equal_data_has_an_equal_digest():
    """The digest of the data does not depend on name, time or metadata."""
    assert written()[1] == written(name="other", metadata={"a": 1})[1]
    assert written()[1] != written(TABLE.slice(0, 2))[1]


@pytest.mark.parametrize("write", WRITERS)
def test_every_flipped_byte_is_found_out(write):
    """Whatever byte is damaged, reading raises CorruptObjectError, not a wrong value."""
    data, _ = written(write=write)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        with pytest.raises(CorruptObjectError):
            opened(damaged, write)


@pytest.mark.parametrize("write", WRITERS)
def test_every_truncation_is_found_out(write):
    """However much is missing at the end, reading raises CorruptObjectError."""
    data, _ = written(write=write)
    for length in range(len(data)):
        with pytest.raises(CorruptObjectError):
            opened(data[:length], write)


def test_a_flipped_byte_in_the_footer_is_found_without_the_body():
    """stat() and large mapped reads check the footer although they do not read the data."""
    data, _ = written()
    footer = bytearray(footer_of(data))
    for position in range(len(footer)):
        footer[position] ^= 0x01
        with pytest.raises(CorruptObjectError):
            containers.read_footer(bytes(footer), "x")
        footer[position] ^= 0x01
    assert containers.read_footer(bytes(footer), "x") is not None


def test_a_large_mapped_file_is_verified_on_request():
    """Damage in the data of a large mapped file is found with verify=True, its structure always."""
    table = pa.table({"a": np.zeros(100_000)})
    data, _ = written(table)
    data[len(data) // 2] ^= 1
    assert opened(data, mapped=True).table() is not None
    for options in ({"mapped": True, "verify": True}, {"mapped": False}):
        with pytest.raises(CorruptObjectError, match="digest"):
            opened(data, **options)


@pytest.mark.parametrize("write", WRITERS)
def test_the_footer_alone_tells_header_and_schema(write):
    """Header, digest and schema are read from the file's last bytes."""
    data, digest = written(write=write)
    read, found, signed = containers.read_footer(footer_of(data), "x")
    assert ("x", digest, False) == (read.name, found, signed)
    assert TABLE.schema.equals(containers.schema_in(footer_of(data), "x"))


@pytest.mark.parametrize("write", WRITERS)
def test_a_copy_gets_a_new_place_in_a_footer_of_the_same_length(write):
    """The footer is rewritten for another place; the result is whole and the data the same."""
    data, _ = written(write=write)
    footer = footer_of(data)
    old, _, _ = containers.read_footer(footer, "x")
    new = old.at(Place("prod", None, "promoted/x"))
    moved = containers.readdressed(footer, old, new)
    assert len(footer) == len(moved)
    stored = opened(data[: -len(footer)] + moved, write, verify=True)
    assert (new, True) == (stored.header, TABLE.equals(stored.table()))
    far = old.at(Place("prod", None, "x" * 500))
    assert containers.readdressed(footer, old, far) is None


def test_metadata_that_imitates_the_seal_deceives_nobody():
    """Digest-like text in the user's metadata is not taken for the digest."""
    fake = "xxh3_128:" + "0" * 32
    data, _ = written(metadata={"runstore.digest": fake, "b": fake})
    assert fake == opened(data, verify=True).header.metadata["b"]
    data[20] ^= 1
    with pytest.raises(CorruptObjectError):
        opened(data)


def test_a_newer_version_is_told(monkeypatch):
    """An object of a version to come raises UnsupportedFormatError, saying to upgrade."""
    monkeypatch.setattr("runstore.containers._streamed._VERSION", b"2")
    data, _ = written()
    with pytest.raises(UnsupportedFormatError, match="upgrade runstore"):
        opened(data)


def test_fields_of_the_future_are_ignored():
    """Header fields this version does not know are no error."""
    text = header().to_json()
    document = json.loads(text) | {"colour": "blue"}
    assert header().name == Header.from_json(json.dumps(document).encode(), b"1", "x").name


def test_foreign_files_have_no_header():
    """A file of another program is opened, with no header; verify=True cannot be had."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    stored = opened(sink.getvalue())
    assert (None, True) == (stored.header, TABLE.equals(stored.table()))
    sink = pa.BufferOutputStream()
    pq.write_table(TABLE, sink)
    stored = opened(sink.getvalue(), containers.parquet_file)
    assert (None, True) == (stored.header, TABLE.equals(stored.table()))
    with pytest.raises(CorruptObjectError, match="no digest"):
        opened(sink.getvalue(), containers.parquet_file, verify=True)


def test_what_goes_out_is_private():
    """No buffer shares the caller's memory, and none is large: a piece is copied at a time."""
    array = np.arange(100_000.0)
    table = pa.table({"a": array})
    parts = list(containers.arrow_file(table.schema, table.to_batches(), header()))
    assert not any(np.shares_memory(np.frombuffer(flat(p), "u1"), array) for p in parts)
    assert 1 << 20 >= max(flat(part).nbytes for part in parts)


@pytest.mark.parametrize("rows", [9_000, 10_001, 100_000])
def test_data_starts_at_a_multiple_of_64(rows):
    """The first column of each batch, and each blob, is aligned in the file."""
    batches = [pa.record_batch({"a": np.arange(float(rows)), "b": np.arange(rows)})] * 3
    file = containers.arrow_file(batches[0].schema, batches, header(spec={"long": "x" * rows}))
    data = b"".join(flat(part) for part in file)
    reader = pa.ipc.open_file(pa.py_buffer(data))
    base = pa.py_buffer(data).address
    starts = [reader.get_batch(i).column(0).buffers()[1].address - base for i in range(3)]
    assert [0, 0, 0] == [start % 64 for start in starts]


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_files_are_read(compression):
    """Compressed record batches come back equal, also under every check."""
    table = pa.table({"a": np.zeros(50_000), "b": ["x"] * 50_000})
    file = containers.arrow_file(
        table.schema, table.to_batches(), header(), compression=compression
    )
    data = b"".join(flat(part) for part in file)
    assert len(data) < table.nbytes / 2
    assert table.equals(opened(data, verify=True).table())


def test_what_arrow_cannot_write_is_refused():
    """An error of Arrow's writer becomes UnsupportedValueError, naming the object."""

    def batches():
        yield from TABLE.to_batches()
        raise pa.ArrowInvalid("boom")

    with pytest.raises(UnsupportedValueError, match=r"dev/r1/x.*boom"):
        list(containers.arrow_file(TABLE.schema, batches(), header()))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a"]).dictionary_encode(),
        pa.array([[1]], pa.list_(pa.timestamp("s"))),
        pa.array([1 << 60], pa.timestamp("s")),
    ],
)
def test_what_parquet_would_change_is_refused(column):
    """A column whose type or categories Parquet would change is named, with the way out."""
    table = pa.table({"fine": [1], "odd": column})
    with pytest.raises(UnsupportedValueError, match=r"'odd'.* without \.parquet"):
        written(table, containers.parquet_file)


def test_seconds_are_seconds_again():
    """They lie in Parquet as milliseconds, and come back as they were, in schema and columns."""
    seconds = pa.array([-1, None, 1 << 40], pa.timestamp("s", "Europe/Paris"))
    table = pa.table({"a": [1, 2, 3], "t": seconds, "b": seconds.cast(pa.timestamp("ms"))})
    file = bytes(written(table, containers.parquet_file)[0])
    assert pa.timestamp("ms", "Europe/Paris") == pq.read_schema(pa.BufferReader(file)).field(1).type
    assert table == opened(file, containers.parquet_file).table()
    part = opened(file, containers.parquet_file).project([2, 1])
    assert table.select([2, 1]) == part.table()
    assert table.schema == containers.schema_in(footer_of(file), "x")


@pytest.mark.parametrize("told", [b"[7]", b"[-1]", b"[0]", b"{}1", b"[null]", b"3"])
def test_seconds_that_are_none_are_damage(told):
    """A file that says so of a column that it has not, or of another type."""
    table = pa.table({"t": pa.array([1], pa.timestamp("us"))})
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({b"runstore.seconds": told})
    with pytest.raises(CorruptObjectError, match=r"damaged|seconds"):
        opened(sink.getvalue(), containers.parquet_file)


KEY = b"0123456789abcdef"


def signed(write=containers.arrow_file):
    file = write(TABLE.schema, TABLE.to_batches(), header(), key=KEY)
    return b"".join(bytes(part) for part in file)


def fits(data, key=KEY):
    start = containers.footer_start(data[-10:], len(data), "x")
    return containers.signature_at(data[:start], data[start:], key) is not None


@pytest.mark.parametrize("write", WRITERS)
def test_the_signature_can_be_checked_by_hand(write):
    """docs/format.md says all that is needed to check it with the standard library."""
    data = signed(write)
    start = containers.footer_start(data[-10:], len(data), "x")
    footer = data[start:]
    (signature,) = re.findall(rb"hmac-sha256:([0-9a-f]{64})", footer)
    at = footer.index(signature)
    (digest_at,) = [
        match.start(1)
        for match in re.finditer(rb"xxh3_128:([0-9a-f]{32})", footer)
        if match[1].decode() == xxhash.xxh3_128_hexdigest(footer.replace(match[1], b"0" * 32))
    ]
    zeroed = footer[:at] + b"0" * 64 + footer[at + 64 :]
    zeroed = zeroed[:digest_at] + b"0" * 32 + zeroed[digest_at + 32 :]
    message = data[:start] + zeroed + struct.pack("<qqq", start, digest_at, at)
    assert hmac.new(KEY, message, hashlib.sha256).hexdigest().encode() == signature


@pytest.mark.parametrize("write", WRITERS)
def test_a_signature_fits_its_key_alone(write):
    """Another key, or no signature, is told apart; the file is read all the same."""
    data = signed(write)
    assert (True, False) == (fits(data), fits(data, KEY[::-1]))
    assert not fits(bytes(written(write=write)[0]))
    assert TABLE.equals(opened(data, write, verify=True).table())


@pytest.mark.parametrize("write", WRITERS)
def test_no_signature_fits_changed_bytes(write):
    """Whatever byte is changed, the signature does not fit any more."""
    data = signed(write)
    start = containers.footer_start(data[-10:], len(data), "x")
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        body, footer = bytes(changed[:start]), bytes(changed[start:])
        assert containers.signature_at(body, footer, KEY) is None
