"""Which Arrow files are compressed, and that compressing never ends the process."""

import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.containers import _compression
from runstore.containers._compression import check_writable, compression_for
from runstore.errors import UnsupportedValueError

VIEWS = pa.string_view()
NOTHING = pa.opaque(pa.null(), "kind", "vendor")
NESTED = [
    lambda kind: kind,
    pa.list_,
    lambda kind: pa.struct([("x", pa.int8()), ("y", kind)]),
    lambda kind: pa.map_(pa.int8(), kind),
    lambda kind: pa.dictionary(pa.int8(), kind) if kind == VIEWS else pa.list_(kind, 2),
]


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize(("kind", "since"), [(VIEWS, 24), (NOTHING, 0), (pa.int8(), 0)])
def test_what_a_pyarrow_cannot_compress_stays_as_it_is(monkeypatch, nested, kind, since):
    """At any depth of the type, by the release that mended it."""
    schema = pa.schema([("a", pa.int64()), ("b", nested(kind))])
    for major in (21, 23, 24, 25, 26):
        monkeypatch.setattr(_compression, "_MAJOR", major)
        assert compression_for(schema, "zstd") == ("zstd" if major >= since else None), major
        assert compression_for(schema, None) is None


@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize(
    "storage",
    [
        pa.null(),
        pa.sparse_union([pa.field("a", pa.int8())]),
        pa.run_end_encoded(pa.int32(), pa.int8()),
    ],
)
def test_what_a_pyarrow_writes_wrongly_is_refused(monkeypatch, nested, storage):
    """At any depth of the type, with the column and the way out."""
    schema = pa.schema([("a", pa.int64()), ("b", nested(pa.opaque(storage, "kind", "vendor")))])
    monkeypatch.setattr(_compression, "_MAJOR", 25)
    with pytest.raises(UnsupportedValueError, match=r"column 'b' .* pyarrow 26"):
        check_writable(schema, "n/r/x")
    monkeypatch.setattr(_compression, "_MAJOR", 26)
    check_writable(schema, "n/r/x")


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_nulls_of_an_extension_type_end_no_process(compression):
    """They come back, or are refused: before pyarrow 26 nobody can read them."""
    array = pa.ExtensionArray.from_storage(NOTHING, pa.nulls(5))
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 5], pa.int32()), array)
    view = ObjectStore("memory://compressed").at(namespace="dev", run="r1")
    for value in (array, lists):
        if int(pa.__version__.partition(".")[0]) < 26:
            with pytest.raises(UnsupportedValueError, match="pyarrow 26"):
                view.put("x", value, compression=compression)
            continue
        view.put("x", value, compression=compression)
        assert value.equals(view.get("x"))
