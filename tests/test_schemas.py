"""What is remembered of a schema."""

import pyarrow as pa

from runstore.schemas import BySchema


def test_a_value_is_made_once_for_equal_schemas():
    """Equal schemas share it; other names in the middle, types or metadata have their own."""
    made = []
    known = BySchema(lambda schema: made.append(schema) or len(made))

    def schema(middle="b", kind=None, metadata=None):
        fields = [("a", pa.int64()), (middle, kind or pa.int8()), ("c", pa.string())]
        return pa.schema(fields, metadata)

    assert [1, 1] == [known.of(schema()), known.of(schema())]
    others = [schema("x"), schema(kind=pa.int16()), schema(metadata={"k": "v"}), pa.schema([])]
    assert [2, 3, 4, 5] == [known.of(other) for other in others]
    assert [1, 2, 5] == [known.of(schema()), known.of(schema("x")), known.of(pa.schema([]))]


def test_few_wide_schemas_are_kept():
    """A schema of 5,000 columns takes megabytes: the third one drops the first."""
    made = []
    known = BySchema(lambda schema: made.append(schema.names[0]))
    wide = [pa.schema([(f"{name}{i}", pa.int8()) for i in range(5000)]) for name in "abc"]
    for schema in (*wide, *wide[1:], wide[0]):
        known.of(schema)
    assert ["a0", "b0", "c0", "a0"] == made


def test_extension_types_in_dictionaries_are_told_apart():
    """Arrow takes two extension types for equal as the values of dictionaries and of runs."""
    known = BySchema(str)
    for wrap in (
        lambda kind: pa.dictionary(pa.int8(), kind),
        lambda kind: pa.run_end_encoded(pa.int16(), kind),
        lambda kind: pa.list_(pa.dictionary(pa.int8(), pa.struct([("b", kind)]))),
    ):
        for kind in (pa.uuid(), pa.opaque(pa.binary(16), "a", "b"), pa.bool8(), pa.uuid()):
            schema = pa.schema([("a", wrap(kind))])
            assert str(schema) == known.of(schema)
