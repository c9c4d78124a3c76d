"""The pickle policy, above all ``signed``."""

import pickle
import re
import sys
import types
from statistics import NormalDist

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runstore import ObjectStore, containers
from runstore.codecs import PickleWarning
from runstore.context import StoreAddress
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    SettingsError,
    UnsafePickleError,
    UnsupportedValueError,
)
from runstore.settings import current_settings
from runstore.testing import assert_same

KEY = "0123456789abcdef0123456789abcdef"
PICKLED = {
    "model": NormalDist(),
    "table": pd.DataFrame({"a": [NormalDist(), "b"], "c": [1.5, 2.5]}),
}
PLAIN = {
    "x": pd.DataFrame({"a": [1, 2]}),
    "y": np.arange(30_000),
    "z.parquet": pa.table({"a": [1]}),
}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", KEY)


@pytest.fixture
def signed(tmp_path):
    """Give a view that signs, on disk."""
    return ObjectStore(tmp_path / "store", pickle="signed").at(namespace="dev", run="r1")


@pytest.fixture
def loose(signed):
    """Give a view of the same place that neither signs nor minds."""
    return ObjectStore(signed.store.url, pickle="allow").at(namespace="dev", run="r1")


def entries_of(data):
    return pa.ipc.open_file(data).metadata


@pytest.mark.parametrize("url", ["memory://signed", None])
@pytest.mark.parametrize("name", [*PICKLED, *PLAIN])
def test_what_is_signed_is_read(url, name, tmp_path):
    """Every value, pickled or not, comes back under the policy it was signed under."""
    view = ObjectStore(url or tmp_path, pickle="signed").at(namespace="dev", run="r1")
    value = (PICKLED | PLAIN)[name]
    info = view.put(name, value)
    assert (name in PICKLED) == info.pickled
    assert_same(value, view.get(name))
    assert_same(value, view.get(name, verify=True))


def test_signed_objects_stay_readable_elsewhere(signed, loose):
    """A signature hinders no one: neither stores without the policy nor Arrow readers."""
    signed.put("x", PICKLED["model"])
    assert_same(PICKLED["model"], loose.get("x"))
    (path,) = _files(signed, "x.arrow")
    assert 1 == pa.ipc.open_file(path).num_record_batches


@pytest.mark.parametrize("name", PICKLED)
def test_unsigned_pickles_are_refused(signed, loose, name):
    """A pickle that was written without a signature is not loaded."""
    loose.put(name, PICKLED[name])
    with pytest.raises(UnsafePickleError, match=rf"dev/r1/{name}.*signed'.*not signed"):
        signed.get(name)


@pytest.mark.parametrize("name", PLAIN)
def test_unsigned_data_is_refused(signed, loose, name):
    """Whoever replaces a signed frame by an unsigned one is found out; 'deny' reads it."""
    signed.put(name, PLAIN[name])
    loose.put(name, PLAIN[name])
    for read in (signed.get, lambda name: signed.get(name, as_type=bytes)):
        with pytest.raises(UnsafePickleError, match=r"not signed.*pickle='deny'"):
            read(name)
    assert_same(PLAIN[name], signed.get(name, pickle="deny"))


@pytest.mark.parametrize("name", ["x.json", "x.csv", "x.npy", "x.safetensors"])
def test_files_without_room_for_a_signature_are_read(signed, loose, name):
    """What can neither be signed nor run anything is written and read under the policy."""
    values = {
        "x.json": [1],
        "x.csv": pd.DataFrame({"a": [1]}),
        "x.npy": np.arange(3),
        "x.safetensors": {"a": np.arange(3)},
    }
    for view in (signed, loose):
        view.put(name, values[name])
        assert_same(values[name], signed.get(name))


def test_another_key_is_refused(signed, monkeypatch):
    """A pickle that was signed with another key is not loaded."""
    signed.put("x", PICKLED["model"])
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", KEY[::-1])
    with pytest.raises(UnsafePickleError, match="does not fit"):
        signed.get("x")


def test_no_key_is_refused(signed, monkeypatch):
    """Without a key nothing is stored or loaded, and 'deny' reads what is no pickle."""
    signed.put("x", PICKLED["model"])
    signed.put("y", 1)
    monkeypatch.delenv("RUNSTORE_SIGNING_KEY")
    for act in (lambda: signed.get("x"), lambda: signed.get("y"), lambda: signed.put("y", 2)):
        with pytest.raises(UnsafePickleError, match="RUNSTORE_SIGNING_KEY"):
            act()
    assert 1 == signed.get("y", pickle="deny")


def test_misspelled_policies_are_refused(loose):
    """A policy that is none is no permission: neither put nor get goes on with it."""
    loose.put("x", PICKLED["model"])
    for act in (lambda: loose.get("x", pickle="denied"), lambda: loose.put("y", 1, pickle="no")):
        with pytest.raises(InvalidRequestError, match=r"pickle must be 'allow', 'warn'"):
            act()
    assert not loose.exists("y")


@pytest.mark.parametrize("name", [*PICKLED, *PLAIN])
def test_who_is_signed_is_told(signed, loose, name, monkeypatch):
    """put, stat and list say whether an object has a signature, without the key."""
    value = (PICKLED | PLAIN)[name]
    assert (True, False) == (
        signed.put(name, value).signed,
        loose.put(
            f"un{name}", value, metadata={"runstore.signature": "hmac-sha256:" + "0" * 64}
        ).signed,
    )
    monkeypatch.delenv("RUNSTORE_SIGNING_KEY")
    for view in (signed, loose):
        assert (True, False) == (view.stat(name).signed, view.stat(f"un{name}").signed)
    assert {name: True, f"un{name}": False} == {
        info.name: info.signed for info in loose.list(details=True)
    }
    assert [None, None] == [info.signed for info in loose.list()]


def test_files_without_a_header_are_not_known_to_be_signed(loose):
    """A file without our header has no signature to speak of."""
    assert loose.put("x.json", 1).signed is None
    assert loose.stat("x.json").signed is None


def test_keys_are_renewed(signed, monkeypatch):
    """With the old key among the old ones, what it signed is read; what is written has the new."""
    old, new = KEY, KEY[::-1]
    signed.put("x", PICKLED["model"])
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", new)
    monkeypatch.setenv("RUNSTORE_SIGNING_KEYS_OLD", f"{'k' * 32} {old}")
    assert_same(PICKLED["model"], signed.get("x"))
    signed.copy("x", to_name="copied")
    signed.copy("x", to_name="a/" + "long" * 40 + "/y")
    signed.put("again", signed.get("x"))
    monkeypatch.delenv("RUNSTORE_SIGNING_KEYS_OLD")
    for name in ("copied", "again", "a/" + "long" * 40 + "/y"):
        assert_same(PICKLED["model"], signed.get(name))
    with pytest.raises(UnsafePickleError, match=r"another key.*RUNSTORE_SIGNING_KEYS_OLD"):
        signed.get("x")


def test_old_keys_from_a_file(signed, monkeypatch, tmp_path):
    """Old keys and the scope may stand beside the key in runstore.toml, as a list."""
    signed.put("x", PICKLED["model"])
    monkeypatch.delenv("RUNSTORE_SIGNING_KEY")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runstore.toml").write_text(
        f'signing_key = "{KEY[::-1]}"\nsigning_keys_old = ["{KEY}"]'
    )
    assert_same(PICKLED["model"], signed.get("x"))
    assert KEY not in repr(current_settings())


def test_scopes_of_signing_are_apart(signed, monkeypatch):
    """What was signed for staging is not accepted in prod, though both have one key."""
    monkeypatch.setenv("RUNSTORE_SIGNING_SCOPE", "staging")
    signed.put("x", {"a": {1}})
    signed.put("y", PLAIN["x"])
    assert {"a": {1}} == signed.get("x")
    for scope in ("prod", ""):
        monkeypatch.setenv("RUNSTORE_SIGNING_SCOPE", scope)
        for name in ("x", "y"):
            with pytest.raises(UnsafePickleError, match="another signing scope"):
                signed.get(name)


def test_short_keys_are_refused(signed, monkeypatch):
    """A key that could be guessed is an error in the settings, and is not shown."""
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "hunter2")
    with pytest.raises(SettingsError, match="16 bytes") as caught:
        signed.put("x", 1)
    assert "hunter2" not in str(caught.value)


def test_key_from_a_file(signed, monkeypatch, tmp_path):
    """The key may stand in runstore.toml, from which no message quotes it."""
    signed.put("x", PICKLED["model"])
    monkeypatch.delenv("RUNSTORE_SIGNING_KEY")
    (tmp_path / "runstore.toml").write_text(f'signing_key = "{KEY}"')
    assert_same(PICKLED["model"], signed.get("x"))
    assert KEY not in repr(current_settings())
    (tmp_path / "runstore.toml").write_text(f'signing_key = ["{KEY}"]')
    with pytest.raises(SettingsError) as caught:
        signed.get("x")
    assert KEY not in f"{caught.value}{caught.value.__cause__}"


def test_key_is_kept_nowhere(signed):
    """Neither store, address, description nor stored object holds the key."""
    info = signed.put("x", PICKLED["model"])
    address = signed.store.address
    assert isinstance(address, StoreAddress)
    shown = [repr(signed), repr(signed.store), repr(info), address.model_dump_json()]
    assert not [text for text in shown if KEY in text]
    (path,) = _files(signed, "x.arrow")
    for data in (pickle.dumps(signed.store), pickle.dumps(info.metadata), path.read_bytes()):
        assert KEY.encode() not in data


def _files(view, pattern):
    from pathlib import Path
    from urllib.parse import urlsplit

    return sorted(Path(urlsplit(view.store.url).path).rglob(pattern))


@pytest.mark.extended
@pytest.mark.parametrize("pattern", ["model.arrow", "table.arrow"])
def test_every_byte_is_signed(signed, pattern):
    """Whoever changes any byte, and makes the digests fit again, still has no signature."""
    name = pattern.partition(".")[0]
    signed.put(name, PICKLED[name])
    (path,) = _files(signed, pattern)
    stored = path.read_bytes()
    for at in range(0, len(stored) - 10, 3):
        changed = _resealed(stored, at)
        if changed is None:
            continue
        path.write_bytes(changed)
        with pytest.raises((UnsafePickleError, CorruptObjectError)):
            signed.get(name)


def _resealed(stored, at):
    """Flip a byte and make both digests fit; None if it is one of theirs or of the length."""
    import xxhash

    start = containers.footer_start(stored[-10:], len(stored), "x")
    entries = entries_of(stored)
    changed = bytearray(stored)
    changed[at] ^= 1
    body, footer = bytes(changed[:start]), bytes(changed[start:])
    old_body = entries[b"runstore.body"]
    new_body = b"xxh3_128:" + xxhash.xxh3_128_hexdigest(body).encode()
    seal = entries[b"runstore.digest"].removeprefix(b"xxh3_128:")
    if old_body not in footer or seal not in footer:
        return None
    footer = footer.replace(old_body, new_body).replace(seal, b"0" * 32)
    where = stored[start:].index(seal)
    digest = xxhash.xxh3_128_hexdigest(footer).encode()
    return body + footer[:where] + digest + footer[where + 32 :]


def test_resealing_by_hand_is_what_it_says(signed, loose):
    """The forger of these tests makes objects that stores without the policy accept."""
    signed.put("x", {"text"})
    (path,) = _files(signed, "x.arrow")
    stored = path.read_bytes()
    path.write_bytes(_resealed(stored, stored.index(b"text")))
    assert {"uext"} == loose.get("x")
    with pytest.raises(UnsafePickleError, match="does not fit"):
        signed.get("x")


def test_signatures_do_not_move(signed):
    """A signed pickle under another object's key is found out."""
    signed.put("x", {1})
    signed.put("y", {2})
    (x,), (y,) = _files(signed, "x.arrow"), _files(signed, "y.arrow")
    y.write_bytes(x.read_bytes())
    with pytest.raises(CorruptObjectError, match="swapped"):
        signed.get("y")


def test_pkl_has_no_room_for_a_signature(signed, loose):
    """Under the policy a .pkl is neither written nor read."""
    loose.put("x.pkl", 1)
    with pytest.raises(UnsafePickleError, match="room"):
        signed.put("y.pkl", 1)
    with pytest.raises(UnsafePickleError, match="room"):
        signed.get("x.pkl")


@pytest.mark.parametrize("to", ["y", "a/" + "long" * 40 + "/y"])
@pytest.mark.parametrize("name", ["model", "table", "x"])
def test_copies_are_signed(signed, name, to):
    """A copy has a signature of its own, whether or not the footer has room for its name."""
    signed.put(name, (PICKLED | PLAIN)[name])
    signed.copy(name, to_name=to, to_scope="namespace")
    assert_same((PICKLED | PLAIN)[name], signed.get(to, scope="namespace"))
    for path in _files(signed, "*.arrow"):
        assert b"runstore.signature" in entries_of(path.read_bytes())


def test_copying_signs_nothing_of_others(signed, loose, monkeypatch):
    """What is unsigned, or signed by others, is not made a signed copy."""
    loose.put("x", PICKLED["model"])
    loose.put("y", 1)
    for name in ("x", "y"):
        with pytest.raises(UnsafePickleError, match=r"copy.*not signed"):
            signed.copy(name, to_name="z")
    signed.put("x", PICKLED["model"])
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", KEY[::-1])
    with pytest.raises(UnsafePickleError, match="does not fit"):
        signed.copy("x", to_name="new")
    monkeypatch.delenv("RUNSTORE_SIGNING_KEY")
    for view in (signed, loose):  # without the key the copy would lose its signature
        with pytest.raises(UnsafePickleError, match="RUNSTORE_SIGNING_KEY"):
            view.copy("x", to_name="new")
    assert not signed.exists("new")


def test_large_objects_are_signed_in_parts(signed):
    """What is written in several parts, digested beside, is signed as well."""
    value = {"array": np.arange(1_000_000), 1: [2]}
    signed.put("x", value)
    mine = signed.get("x")
    mine["array"] += 1
    assert_same(value, signed.get("x"))


def test_policy_of_a_call(loose):
    """A call may have a policy of its own, stricter or looser than the store's."""
    with pytest.raises(UnsafePickleError, match="deny"):
        loose.put("x", NormalDist(1), pickle="deny")
    loose.put("x", NormalDist(1))
    with pytest.raises(UnsafePickleError, match="signed"):
        loose.get("x", pickle="signed")
    with pytest.warns(PickleWarning):
        assert NormalDist(1) == loose.get("x", pickle="warn")
    loose.put("x", NormalDist(2), pickle="signed")
    assert NormalDist(2) == loose.get("x", pickle="signed")


def test_settings_know_the_policy(monkeypatch):
    """The default store's policy can be set to signed."""
    monkeypatch.setenv("RUNSTORE_PICKLE", "signed")
    assert "signed" == ObjectStore().address.pickle


def _gone(what):
    """Give a value that needs a class of a module that will be gone."""
    module = types.ModuleType("gone_models")
    module.__version__ = "4.2"
    exec("class Model:\n    pass", vars(module))
    model = module.Model()
    values = {
        "itself": model,
        "nested": {"arrays": np.arange(10_000), "models": [(model,)]},
        "frame": pd.DataFrame({"a": [1.5, 2.5], "m": [model, None]}),
        "series": pd.Series([model, 1]),
        "frame in a dict": {"frame": pd.DataFrame({"m": [model]})},
        "itself.pkl": model,
    }
    return module, values[what]


@pytest.fixture(params=["itself", "nested", "frame", "series", "frame in a dict", "itself.pkl"])
def gone(request, loose, monkeypatch):
    """Give the name of an object whose class is gone."""
    module, value = _gone(request.param)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gone_models", module)
        loose.put(request.param, value)
    return request.param


def test_missing_classes_are_named(loose, gone):
    """A class that is gone is named with its module, and the versions if the file has them."""
    wrote = r"runstore .*python .*gone_models 4\.2.*, and here are runstore .*"
    if gone.endswith(".pkl"):  # where there is no room for what wrote it
        wrote = "unknown versions, and here are .*"
    versions = rf".*It was stored with {wrote}gone_models \(not installed\).*"
    with pytest.raises(UnsupportedValueError, match=rf"dev/r1/{gone}.*'gone_models'{versions}"):
        loose.get(gone)


def test_pickles_of_missing_classes_can_be_had(loose, gone):
    """The error says how to get the pickle itself, for which no pickle has to be loaded."""
    with pytest.raises(UnsupportedValueError) as caught:
        loose.get(gone)
    call = re.search(r"get\(name, (.*)as_type=bytes\)", str(caught.value))
    how = {"columns": ["m"]} if call[1] else {}
    assert call[1] == ("columns=['m'], " if gone == "frame" else "")
    for policy in ("allow", "deny"):
        assert b"gone_models" in loose.get(gone, as_type=bytes, pickle=policy, **how)


def test_frames_without_the_column(loose, monkeypatch):
    """The other columns of a frame are there without the class of one."""
    module, frame = _gone("frame")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gone_models", module)
        loose.put("x", frame)
        loose.put("y", frame.assign(n=frame["m"]))
    assert [1.5, 2.5] == loose.get("x", columns=["a"])["a"].to_list()
    with pytest.raises(UnsupportedValueError, match=r"column 'm'.*gone_models"):
        loose.get("x")
    with pytest.raises(UnsupportedValueError, match="gone_models"):  # of two, neither is meant
        loose.get("y", as_type=bytes, columns=["m", "n"])


def test_versions_are_of_what_is_pickled(loose):
    """The packages that a pickle names are recorded, however deep they are; others are not."""
    info = loose.put("x", [{"a": NormalDist(), "b": [(np.float64(1),)]}])
    assert np.__version__ == info.versions["numpy"]
    assert {"runstore", "python", "numpy"} == set(info.versions)
    assert (
        pd.__version__
        == loose.put("y", [pd.Timestamp("2024-01-01"), NormalDist()]).versions["pandas"]
    )
