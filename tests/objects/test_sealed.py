"""Objects of parts: put side by side, sealed as one, read, copied, deleted and verified as one."""

import json
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from runstore import ObjectStore, codecs
from runstore.buffers import flat
from runstore.context import Lease
from runstore.errors import (
    CorruptObjectError,
    InvalidNameError,
    InvalidRequestError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StaleRunError,
    UnsafePickleError,
    UnsupportedFormatError,
    UnsupportedValueError,
)
from runstore.keys import PartPlace, Place, key_of, parts_folder
from runstore.objects import seal_header, write_seal
from runstore.seals import Sealed, SealedPart
from runstore.testing import assert_same


def frame(number, rows=3):
    """Give a frame with what concatenation likes to change."""
    return pd.DataFrame(
        {
            "n": np.arange(rows, dtype="int32") + 10 * number,
            "c": pd.Categorical(["b", "a", "b"][:rows], categories=["b", "a", "z"], ordered=True),
            "t": pd.date_range("2026-01-01", periods=rows, tz="Europe/Berlin"),
            "s": [f"{number}", None, "x"][:rows],
        },
        index=pd.Index(np.arange(rows) + number, name="i"),
    )


def files_of(view, name="f"):
    """Give the keys of the files in the folder of parts."""
    return [e.key for e in view.store.backend.list(parts_folder(Place("dev", "r1", name)))]


def put_parts(view, keys=(2, 0, 1), name="f", scale=1):
    """Put frames as parts; give what was returned by key."""
    return {key: view.put(name, frame(key * scale), part=key) for key in keys}


@pytest.mark.parametrize("what", ["parts", "folder"])
def test_the_stored_file_of_what_is_made_of_parts_is_not_given(view, what, tmp_path):
    """Who asks for the bytes of such an object gets no seal, but the way to its content."""
    if what == "parts":
        view.put("x", frame(1), part=1)
        view.seal("x")
        way = r"get\(name\) and iter_batches\(name\)"
    else:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "f").write_text("f")
        view.put_dir("x", tmp_path / "folder")
        way = r"get_dir\(name, path\)"
    goal = tmp_path / "goal"
    goal.write_text("old")
    for call in (
        lambda: view.open("x"),
        lambda: view.open("x", "r"),
        lambda: view.get_file("x"),
        lambda: view.get_file("x", goal),
        lambda: view.get_file("x", goal, progress=print),
    ):
        with pytest.raises(InvalidRequestError, match=way):
            call()
    assert "old" == goal.read_text()


def test_nothing_is_seen_before_the_seal(view):
    """Parts alone are no object: no verb finds one, and lists show none."""
    put_parts(view)
    assert ([], False) == (view.list(), view.exists("f"))
    for verb in (view.get, view.stat, view.delete, view.parts):
        with pytest.raises(ObjectNotFoundError):
            verb("f")
    with pytest.raises(ObjectNotFoundError, match="parts of it that were not sealed"):
        view.get("f", part=0)
    assert 7 == view.get("f", part=0, default=7)


def test_sealed_parts_are_one_value_in_the_order_of_their_keys(view):
    """get reads all parts as one frame, with dtypes, categories and index; or one of them."""
    put_parts(view)
    info = view.seal("f", metadata={"a": 1})
    assert_same(pd.concat([frame(0), frame(1), frame(2)]), view.get("f"))
    assert_same(frame(1), view.get("f", part=1))
    assert_same(pd.concat([frame(0), frame(1), frame(2)])[["t"]], view.get("f", columns=["t"]))
    assert (9, 4, 3, {"a": 1}) == (info.rows, info.columns, info.parts, info.metadata)
    assert info == view.stat("f")
    assert [(0, 3), (1, 3), (2, 3)] == [(part.part, part.rows) for part in view.parts("f")]
    assert ["f"] == [found.name for found in view.list()]


def test_a_part_that_is_put_again_replaces_itself(view):
    """The last write of each part is sealed, and no other is ever read."""
    put_parts(view)
    view.put("f", frame(50), part=1)
    view.seal("f")
    assert_same(frame(50), view.get("f", part=1))
    assert 9 == len(view.get("f"))


def test_what_is_put_after_the_seal_takes_part_in_the_next_one_only(view):
    """The seal names exact writes; a reader of the old object goes on with the old parts."""
    put_parts(view)
    view.seal("f")
    old, parts = view.get("f"), view.parts("f")
    view.put("f", frame(70), part=0)
    assert_same(old, view.get("f"))
    view.seal("f")
    assert_same(frame(70), view.get("f", part=0))
    assert_same(frame(0), view.get("f", part=parts[0]))


def test_exactly_the_given_parts_are_sealed(view):
    """With what put returned, or with keys, nothing else takes part; all of it must be there."""
    infos = put_parts(view)
    stale = view.put("f", frame(60), part=1)
    view.seal("f", [infos[1], infos[0]])
    assert_same(pd.concat([frame(0), frame(1)]), view.get("f"))
    view.seal("f", iter([1, 2]))
    assert_same(pd.concat([frame(60), frame(2)]), view.get("f"))
    with pytest.raises(InvalidRequestError, match="two writes of the part 1"):
        view.seal("f", [infos[1], stale])
    with pytest.raises(ObjectNotFoundError, match="7"):
        view.seal("f", [0, 7])
    view.store.backend.delete(key_of(infos[0].part_place))
    with pytest.raises(ObjectNotFoundError, match="1 part is missing: 0"):
        view.seal("f", infos.values())
    assert_same(pd.concat([frame(60), frame(2)]), view.get("f"))


def test_parts_of_another_object_are_refused(view):
    """What put returned for another name, or without part=, is no part."""
    put_parts(view)
    for info in (view.put("g", frame(0), part=0), view.put("h", 1)):
        with pytest.raises(InvalidRequestError, match="is no part of it"):
            view.seal("f", [info])


def test_a_reference_names_one_seal(view):
    """It gives the object, or a part of it, as it was sealed then; after another seal neither."""
    put_parts(view)
    view.seal("f")
    ref = view.ref("f")
    assert_same(pd.concat([frame(0), frame(1), frame(2)]), view.get(ref))
    assert_same(frame(1), view.get(ref, part=1))
    view.put("f", frame(8), part=0)
    view.seal("f")
    for how in ({}, {"part": 1}):
        with pytest.raises(PreconditionFailedError):
            view.get(ref, **how)


def test_sealing_twice_is_the_same(view):
    """A stage that has sealed, and is run again, finds its parts and seals them again."""
    put_parts(view)
    view.seal("f")
    assert [] == view.pending("f", range(3))
    view.seal("f")
    assert 3 == len(view.parts("f"))


def test_pending_says_which_parts_are_not_there(view):
    """In order, each once, whatever kind of key; after delete all of them are."""
    keys = ["b", 1, ("a", 2), "x" * 500, "b"]
    assert ["b", 1, ("a", 2), "x" * 500] == view.pending("f", keys)
    for key in (1, "x" * 500):
        view.put("f", frame(0), part=key)
    assert ["b", ("a", 2)] == view.pending("f", iter(keys))
    assert [1, "x" * 500] == [info.part for info in view.parts("f", sealed=False)]
    view.seal("f")
    assert [1, "x" * 500] == [info.part for info in view.parts("f")]
    view.delete("f")
    assert [1] == view.pending("f", [1])
    assert [] == files_of(view)


ALIKE = {
    "polars": [
        pl.DataFrame({"a": [n], "e": pl.Series(["x"], dtype=pl.Enum(["x", "y"]))}) for n in (1, 2)
    ],
    "polars series": [pl.Series("s", [n, None]) for n in (1, 2)],
    "arrow": [
        pa.table({"a": pa.array([n], pa.int8())}).replace_schema_metadata({"k": "v"})
        for n in (1, 2)
    ],
    "numpy": [np.full((n, 2), n, dtype="datetime64[s]") for n in (1, 2)],
    "series": [pd.Series([1.5, None], name=("a", 1)) for _ in (1, 2)],
    "empty": [frame(1), frame(1).iloc[:0]],
    "multi": [frame(n).set_index(["c", "t"]) for n in (1, 2)],
}  # fmt: skip


@pytest.mark.parametrize("values", ALIKE.values(), ids=ALIKE)
def test_values_of_each_library_join_as_it_joins_them(view, values):
    """Frames, series, tables and arrays come back as the library itself concatenates them."""
    for number, value in enumerate(values):
        view.put("f", value, part=number)
    view.seal("f")
    library = type(values[0]).__module__.partition(".")[0]
    join = {
        "pandas": pd.concat, "polars": pl.concat, "numpy": np.concatenate,
        "pyarrow": pa.concat_tables,
    }[library]  # fmt: skip
    assert_same(join(values), view.get("f"))


UNLIKE = {
    "column 'n' is int64, and not int32": frame(1).astype({"n": "int64"}),
    "it has more columns: 'm'": frame(1).assign(m=1),
    "it has no 's'": frame(1)[["n", "c", "t"]],
    "another order": frame(1)[["c", "n", "t", "s"]],
    "column 'c' is ordered category of 2": frame(1).assign(
        c=pd.Categorical(["b", "a", "b"], categories=["b", "a"], ordered=True)
    ),
    "levels of the index": frame(1).reset_index(drop=True),
    "it is a polars.dataframe.frame.DataFrame": pl.DataFrame({"a": [1]}),
    "part 1 is a builtins.dict, and values of that type do not join": {"a": 1},
}


@pytest.mark.parametrize("reason", UNLIKE)
def test_parts_that_do_not_join_are_refused_at_the_seal(view, reason):
    """The reason names the part and what differs; the old object stays."""
    view.put("f", frame(0), part=0)
    view.seal("f")
    info = view.put("f", UNLIKE[reason], part=1)
    with pytest.raises(UnsupportedValueError, match="cannot seal") as caught:
        view.seal("f")
    assert reason in str(caught.value)
    assert_same(frame(0), view.get("f"))
    assert_same(UNLIKE[reason], view.get("f", part=info))


def test_another_type_is_made_of_each_part(view):
    """as_type converts part by part, and joins what comes of it."""
    for number in (0, 1):
        view.put("f", pd.DataFrame({"a": [number, 5]}), part=number)
    view.seal("f")
    assert pl.DataFrame({"a": [0, 5, 1, 5]}).equals(view.get("f", as_type=pl.DataFrame))
    assert [0, 5, 1, 5] == view.get("f", as_type=pa.Table)["a"].to_pylist()


def test_conditions_hold_for_the_seal(view):
    """if_absent and if_match look at the object; a part takes neither."""
    put_parts(view)
    info = view.seal("f", if_absent=True)
    with pytest.raises(ObjectExistsError):
        view.seal("f", if_absent=True)
    view.seal("f", if_match=info.version)
    with pytest.raises(PreconditionFailedError):
        view.seal("f", if_match=info.version)
    with pytest.raises(InvalidRequestError, match="give them to seal"):
        view.put("f", frame(0), part=0, if_absent=True)


@pytest.mark.parametrize("name", ["f.parquet", "f.csv", "f.json"])
def test_a_file_has_no_parts(view, name):
    """A name with a format of its own is one file; the error says what to do."""
    for call in (
        lambda: view.put(name, frame(0), part=0),
        lambda: view.seal(name),
        lambda: view.pending(name, [1]),
    ):
        with pytest.raises(InvalidRequestError, match="without the extension"):
            call()


def test_wrong_keys_and_names_are_refused(view):
    """Before anything is touched."""
    for part in (1.5, True, (), "\ud800"):
        with pytest.raises(InvalidNameError):
            view.put("f", 1, part=part)
    with pytest.raises(InvalidRequestError, match="put a single one into a list"):
        view.pending("f", "abc")
    view.put("g", 1)
    with pytest.raises(InvalidRequestError, match="is not made of parts"):
        view.get("g", part=1)
    with pytest.raises(InvalidRequestError, match="is not made of parts"):
        view.parts("g")


def test_a_copy_takes_all_of_it(view):
    """The copy stands alone: it is read and verified after the source is gone."""
    put_parts(view)
    whole = view.seal("f", metadata={"a": 1})
    info = view.copy("f", to_scope="namespace", to_name="deep/" + "g" * 150)
    expected = view.get("f")
    view.delete("f")
    assert [] == files_of(view)
    assert_same(expected, view.get(info.name, scope="namespace"))
    assert (whole.rows, whole.metadata) == (info.rows, info.metadata)
    assert [None] == [found.error for found in view.store.verify("dev", shared=True)]
    put_parts(view)
    view.seal("f")
    with pytest.raises(ObjectExistsError):
        view.copy("f", to_scope="namespace", to_name=info.name, if_absent=True)


def test_delete_many_and_delete_run_take_all_of_it(view):
    """Nothing of a deleted object or run is left, sealed or not."""
    for name in ("f", "g", "h"):
        put_parts(view, name=name)
        view.seal(name)
    view.put("f/inner", 1)
    view.delete_many(["f", "g"])
    assert ([], []) == (files_of(view), files_of(view, "g"))
    assert (["f/inner", "h"], 9) == ([info.name for info in view.list()], len(view.get("h")))
    put_parts(view, name="unsealed")
    view.store.delete_run("r1", namespace="dev")
    assert ([], []) == (view.store.namespaces(), files_of(view, "unsealed"))


def test_a_run_of_parts_alone_is_seen_and_deleted(view):
    """A run that was killed before its first seal is no secret."""
    put_parts(view)
    assert (["dev"], ["r1"]) == (view.store.namespaces(), view.store.runs_with_objects("dev"))
    view.store.delete_run("r1", namespace="dev")
    assert [] == files_of(view)


def test_an_attempt_that_was_given_up_neither_puts_parts_nor_seals(store):
    """Its lease is gone, so nothing of it reaches a seal."""
    view = store.at(namespace="dev", run="r1")
    lease = view._lease = Lease("of test_sealed", "attempt 1 of stage 's'")
    view.put("f", frame(0), part=0)
    lease.revoke("it was given up")
    with pytest.raises(StaleRunError):
        view.put("f", frame(1), part=1)
    with pytest.raises(StaleRunError):
        view.seal("f")
    assert [0] == [info.part for info in view.parts("f", sealed=False)]


def test_sweep_removes_what_no_seal_names(view):
    """Older writes and stopped loops go when nothing was put or sealed for that long."""
    put_parts(view)
    view.seal("f")
    whole = view.get("f")
    view.put("f", frame(9), part=1)
    put_parts(view, name="stopped")
    put_parts(view, name="/".join(["n" * 100] * 5))
    assert 0 == view.store.sweep()
    assert 0 == view.store.sweep(older_than=100)
    assert 7 == view.store.sweep(older_than=0)
    assert_same(whole, view.get("f"))
    assert [0, 1, 2] == view.pending("stopped", range(3))


def test_damage_of_a_part_is_found(view):
    """A bit of a part that is another, or a part that is missing, is damage of the object."""
    infos = put_parts(view)
    view.seal("f")
    backend, key = view.store.backend, key_of(infos[1].part_place)
    good = bytes(flat(backend.get(key)[0]))
    for bad in (good[:90] + bytes([good[90] ^ 1]) + good[91:], good[:-20], b""):
        backend.put(key, [bad])
        for read in (view.get, lambda name: view.get(name, part=1)):
            with pytest.raises(CorruptObjectError):
                read("f")
        assert [True] == [found.damaged for found in view.store.verify("dev", "r1")]
    backend.delete(key)
    for read in (view.get, lambda name: view.get(name, part=1)):
        with pytest.raises(CorruptObjectError, match="a part that it names is missing"):
            read("f")
    assert [True] == [found.damaged for found in view.store.verify("dev", "r1")]


def test_parts_stay_in_their_places(view):
    """A part in place of another part, of another write, or of an object is found out."""
    infos = put_parts(view)
    again = view.put("f", frame(1), part=1)
    view.seal("f", infos.values())
    backend = view.store.backend
    keys = {key: key_of(info.part_place) for key, info in infos.items()}
    good = bytes(flat(backend.get(keys[1])[0]))
    for other in (keys[2], key_of(again.part_place)):
        backend.put(keys[1], [bytes(flat(backend.get(other)[0]))])
        with pytest.raises(CorruptObjectError, match=r"is damaged|was stored as|names"):
            view.get("f")
    backend.put(keys[1], [good])
    assert 9 == len(view.get("f"))
    backend.put(key_of(Place("dev", "r1", "g")), [good])
    with pytest.raises(CorruptObjectError, match="was stored as part 1 of dev/r1/f"):
        view.get("g")


def forge(view, parts, **changes):
    """Write a seal that says so, with all digests right."""
    place = Place("dev", "r1", "f")
    write_seal(
        view.store._objects, place, Sealed("parts", parts, **changes), seal_header(place, "x")
    )


FORGED = {
    "a path as write id": [SealedPart(1, "../../r2/x", "", 0, 0)],
    "a slash": [SealedPart(1, "a/b", "", 0, 0)],
    "twice": [SealedPart(1, "a", "", 0, 1), SealedPart(1, "b", "", 0, 1)],
    "no order": [SealedPart(2, "a", "", 0, 1), SealedPart(1, "b", "", 0, 1)],
    "negative": [SealedPart(1, "a", "", -1, 0)],
}


@pytest.mark.parametrize("parts", FORGED.values(), ids=FORGED)
def test_a_forged_seal_is_refused(view, parts):
    """It names no file outside of its folder, no part twice, and nothing out of order."""
    forge(view, tuple(parts))
    with pytest.raises(CorruptObjectError, match="is no seal of parts"):
        view.get("f")
    assert [True] == [found.damaged for found in view.store.verify("dev", "r1")]
    view.delete("f")


def test_a_seal_of_another_write_is_found_out(view):
    """The digest that a seal names is compared before anything is decoded."""
    info = put_parts(view)[1]
    wrong = SealedPart(1, info.write_id, "xxh3_128:" + "0" * 32, 3, info.size)
    forge(view, (wrong,))
    with pytest.raises(CorruptObjectError, match="not what the object's seal"):
        view.get("f")


def test_a_kind_of_seal_that_is_not_known_is_no_damage(view):
    """A newer runstore may seal other things: the error says to upgrade."""
    forge(view, ())
    with pytest.raises(CorruptObjectError):
        view.get("f")
    place = Place("dev", "r1", "f")
    sealed = Sealed("future", (SealedPart(1, "a", "", None, 0),))
    write_seal(view.store._objects, place, sealed, seal_header(place, "x"))
    with pytest.raises(UnsupportedFormatError, match="upgrade"):
        view.get("f")


def test_a_reader_that_meets_a_new_seal_reads_that(view, monkeypatch):
    """If parts of the old seal are gone when they are read, the seal is read again."""
    put_parts(view)
    view.seal("f")
    objects = view.store._objects
    real = objects.get

    def get(place, **how):
        if isinstance(place, PartPlace) and not moved:
            moved.append(place)
            view.delete("f")
            put_parts(view, scale=2)
            view.seal("f")
        return real(place, **how)

    moved = []
    monkeypatch.setattr(objects, "get", get)
    assert [0, 20, 40] == view.get("f")["n"].tolist()[::3]


def test_signed_parts_and_seals_need_the_key(tmp_path, monkeypatch):
    """Under the policy signed, seal and parts are signed; a forged one of either is refused."""
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "k" * 32)
    signed = ObjectStore(tmp_path, pickle="signed").at(namespace="dev", run="r1")
    put_parts(signed)
    assert signed.seal("f").signed
    assert_same(frame(1), signed.get("f", part=1))
    whole = signed.get("f")
    signed.copy("f", to_name="g")
    assert_same(whole, signed.get("g"))
    assert [None, None] == [found.error for found in signed.store.verify("dev", "r1")]
    plain = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    plain.seal("f")
    with pytest.raises(UnsafePickleError):
        signed.get("f")
    with pytest.raises(UnsafePickleError):
        signed.parts("f")


def test_descriptions_of_parts_survive_the_way_between_processes(view):
    """What put returned is pickled by engines, and seals on the other side."""
    import pickle

    infos = pickle.loads(pickle.dumps(list(put_parts(view).values())))
    view.seal("f", infos)
    assert 9 == len(view.get("f"))


def test_a_plain_object_over_a_sealed_one_replaces_it(view):
    """And the other way round; what was replaced is left for sweep."""
    put_parts(view)
    view.seal("f")
    view.put("f", 5)
    assert 5 == view.get("f")
    assert 3 == view.store.sweep(older_than=0)
    put_parts(view)
    view.seal("f")
    assert 9 == len(view.get("f"))


def test_any_arrow_reader_sees_what_a_seal_lists(tmp_path):
    """A seal is a small Arrow file: one row for a part, in order."""
    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    infos = put_parts(view)
    view.seal("f")
    rows = pa.ipc.open_file(tmp_path / "dev/r1/f.arrow").read_all().to_pylist()
    assert [0, 1, 2] == [json.loads(row["part"]) for row in rows]
    assert [(infos[n].digest, 3, infos[n].size) for n in range(3)] == [
        (row["digest"], row["rows"], row["size"]) for row in rows
    ]


def test_codecs_know_seals_but_nobody_puts_one(view):
    """A seal as a value is any object: it does not become one."""
    assert "sealed" in codecs.known_codecs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        view.put("x", Sealed("parts", ()))
    assert view.stat("x").pickled
