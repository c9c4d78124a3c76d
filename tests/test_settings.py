import math
import os
import re
from pathlib import Path

import pytest

from runstore import ObjectStore, run_context
from runstore.context import address_of
from runstore.errors import InvalidNameError, InvalidRequestError, SettingsError
from runstore.settings import Defaults, Settings, current_settings, origins
from runstore.store import StoreView


def test_without_any_setting_there_are_defaults(tmp_path):
    """The default store is .runstore under the working directory, the namespace default."""
    with run_context() as ctx:
        assert f"file://{tmp_path}/.runstore" == ctx.store.url
        assert "default" == ctx.namespace


def test_the_environment_wins_over_files(monkeypatch, tmp_path):
    """RUNSTORE_* variables, then runstore.toml, then pyproject.toml."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.runstore]\nurl = "memory://project"\nnamespace = "p"\n'
    )
    assert ("memory://project", "p") == (current_settings().url, current_settings().namespace)
    (tmp_path / "runstore.toml").write_text('url = "memory://file"\n')
    assert ("memory://file", "p") == (current_settings().url, current_settings().namespace)
    monkeypatch.setenv("RUNSTORE_URL", "memory://environment")
    assert ("memory://environment", "p") == (current_settings().url, current_settings().namespace)


def test_files_are_found_from_a_folder_below(monkeypatch, tmp_path):
    """A project's settings hold in its folders, too."""
    (tmp_path / "runstore.toml").write_text('namespace = "above"\n')
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert "above" == current_settings().namespace


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("runstore.toml", 'urll = "x"', r"runstore.toml: 'urll' \(did you mean 'url'\?\) is no"),
        ("runstore.toml", 'url = ""', r"url in .*runstore.toml: it is empty"),
        (
            "runstore.toml",
            'namespace = "a/b"',
            r"namespace = .* in .*toml: .*'a/b' contains '/'",
        ),
        (
            "runstore.toml",
            "timeout = -1",
            r"timeout = -1 in .*: it must be greater than 0",
        ),
        (
            "runstore.toml",
            "timeout = true",
            "timeout = true .*a number, not true or false",
        ),
        ("runstore.toml", 'url = " "', "url in .*: it is blank"),
        ("runstore.toml", "timeout = inf", "timeout = Infinity in .*: it must be"),
        ("runstore.toml", "timeout = 1e10", "timeout = 10000000000.0 in .*: it must be less than"),
        ("runstore.toml", "timeout = [1]", r"timeout = \[1\] in .*: it must be a number"),
        (
            "runstore.toml",
            'timeout = "a"',
            r'= "a" in .*runstore.toml: it must be a number',
        ),
        ("runstore.toml", "storage_options = 3", r"storage_options in .*: it must be a table"),
        (
            "runstore.toml",
            'pickle = "maybe"',
            "pickle = .*: it must be 'allow', .* or 'signed'[.]",
        ),
        (
            "runstore.toml",
            'pickle = "Deny"',
            r"pickle = .*must be .*\(did you mean 'deny'\?\)",
        ),
        ("runstore.toml", "not toml", "TOML"),
        (
            "pyproject.toml",
            "[tool.runstore]\ndurable = 'often'",
            "must be true or false",
        ),
        ("pyproject.toml", "[tool.runstore]\nnamespce = 'x'", "did you mean 'namespace'"),
        ("pyproject.toml", "tool = 3", "pyproject.toml: tool must be a table, not int"),
        ("pyproject.toml", "[tool]\nrunstore = 'x'", "tool.runstore must be a table, not str"),
    ],
)
def test_a_wrong_setting_is_told(tmp_path, name, text, said):
    """A misspelled key, a wrong value or a broken file gives SettingsError, naming it."""
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=said) as caught:
        current_settings()
    assert not re.search("Input should|Value error|String should", str(caught.value))


def test_options_in_the_environment_that_are_no_json_are_told(monkeypatch):
    """The variable is named, and not what it holds."""
    monkeypatch.setenv("RUNSTORE_STORAGE_OPTIONS", "hunter2")
    with pytest.raises(SettingsError, match=r"RUNSTORE_STORAGE_OPTIONS .* JSON") as caught:
        current_settings()
    assert "hunter2" not in str(caught.value)


def test_all_settings_are_told_beside_a_wrong_one(monkeypatch, tmp_path):
    """Each wrong value says so, has none, and hides no other; also one of options."""
    (tmp_path / "runstore.toml").write_text(
        'timeout = "a"\nnamespace = "team"\nstorage_options = 3\n'
    )
    monkeypatch.setenv("RUNSTORE_PICKLE", "hunter2")
    found = {one.name: one for one in origins()}
    assert {"timeout", "storage_options", "pickle"} == {n for n, one in found.items() if one.wrong}
    assert ("", str(tmp_path / "runstore.toml")) == found["timeout"][1:3]
    assert ("team", "") == (found["namespace"].value, found["namespace"].wrong)
    assert "hunter2" not in str(found)


def test_the_store_is_absolute_when_the_run_starts(monkeypatch, tmp_path):
    """Changing the working directory inside a run does not move its store."""
    from runstore import object_store

    (tmp_path / "elsewhere").mkdir()
    with run_context(run="r"):
        monkeypatch.chdir(tmp_path / "elsewhere")
        object_store.put("x", 1)
    assert (tmp_path / ".runstore" / "default" / "r" / "x.arrow").is_file()


def test_a_home_folder_is_understood(monkeypatch, tmp_path):
    """A path with ~ means the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert f"file://{tmp_path}/home/store" == ObjectStore("~/store").url


def test_settings_reach_the_default_store(monkeypatch):
    """RUNSTORE_PICKLE and RUNSTORE_DURABLE are the default store's; arguments win."""
    monkeypatch.setenv("RUNSTORE_PICKLE", "deny")
    monkeypatch.setenv("RUNSTORE_DURABLE", "true")
    assert ("deny", True) == (ObjectStore().address.pickle, ObjectStore().address.durable)
    assert "allow" == ObjectStore(pickle="allow").address.pickle
    assert Path.cwd().name in ObjectStore().url


def test_a_file_that_is_not_text_is_told(tmp_path):
    """Bytes that are not UTF-8 give SettingsError, naming the file."""
    (tmp_path / "runstore.toml").write_bytes(b"url = '\xff'")
    with pytest.raises(SettingsError, match=r"runstore\.toml is not valid TOML"):
        current_settings()


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("RUNSTORE_NAMESPCE", r"'RUNSTORE_NAMESPCE' \(did you mean 'RUNSTORE_NAMESPACE'\?\)"),
        ("runstore_url", r"'runstore_url' \(did you mean 'RUNSTORE_URL'\?\) is no setting"),
        ("runstore_ulr", r"'runstore_ulr' \(did you mean 'RUNSTORE_URL'\?\)"),
        (
            "RUNSTORE_STORE_PATH",
            "'RUNSTORE_STORE_PATH'.* is no setting: there are RUNSTORE_CONTEXTS",
        ),
        ("RUNSTORE_XYZ", "'RUNSTORE_XYZ' is no setting"),
    ],
)
def test_a_misspelt_variable_is_refused(monkeypatch, variable, said):
    """A RUNSTORE_ variable that is no setting is named, with the one perhaps meant."""
    monkeypatch.setenv(variable, "prod")
    for use in (current_settings, ObjectStore, lambda: run_context().__enter__()):
        with pytest.raises(SettingsError, match=said):
            use()


def test_every_setting_can_be_set_in_the_environment(monkeypatch):
    """No field of Settings is refused as a variable, and an empty one is none."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"RUNSTORE_{name}".upper(), "")
    assert Settings() == current_settings()


def test_a_wrong_variable_is_named(monkeypatch):
    """The message has the variable, and never a value: it may be a secret."""
    monkeypatch.setenv("RUNSTORE_TIMEOUT", "hunter2")
    with pytest.raises(SettingsError, match="environment variable RUNSTORE_TIMEOUT") as caught:
        current_settings()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pickle": "Deny"}, r"pickle must be .* not 'Deny'; did you mean 'deny'\?"),
        ({"timeout": -1}, "timeout must be a number of seconds above 0 up to 604,800, not -1"),
        ({"timeout": math.inf}, "not inf"),
        ({"timeout": math.nan}, "not nan"),
        ({"timeout": 1e10}, "not 10000000000.0"),
        ({"timeout": "x"}, "not 'x'"),
        ({"timeout": True}, "not True"),
        ({"durable": "x"}, "durable must be True or False, not 'x'"),
        ({"durable": 1}, "durable must be True or False, not 1"),
        ({"engine": 3}, "engine must be a str or None, not int"),
        ({"pickel": "deny"}, r"takes no storage options, but got pickel; did you mean 'pickle'\?"),
        ({"url": "s3://b/p", "pickel": "deny"}, r"pickel .* \(did you mean pickle\?\)"),
        ({"url": "s3://b/p", "profil": "x"}, r"profil .* \(did you mean profile\?\)"),
        ({"url": ""}, "the store's address is empty"),
        ({"url": 3}, "url must be a str, not int; give a path or a URL"),
        ({"url": b"x"}, "url must be a str, not bytes"),
        ({"url": "a\0b"}, "control character '.x00' at position 1"),
        ({"url": "a\ud800"}, "lone surrogate"),
        ({"url": "~nobody-at-all/x"}, "no such home directory"),
    ],
)
def test_arguments_of_a_store_are_checked(tmp_path, arguments, said):
    """A wrong type or value gives SettingsError in one sentence, and no folder."""
    with pytest.raises(SettingsError, match=said):
        ObjectStore(**({"url": tmp_path / "store"} | arguments))
    assert [] == list(tmp_path.iterdir())


def test_an_empty_address_never_means_the_default(monkeypatch, tmp_path):
    """An empty text, as a variable that is not set gives, is refused wherever a store is named."""
    for use in (ObjectStore, address_of):
        with pytest.raises(SettingsError, match="is empty"):
            use("")


def test_a_working_directory_that_is_gone_is_told(monkeypatch, tmp_path):
    """A relative store needs a working directory; an absolute one does not."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert f"file://{tmp_path}/store" == ObjectStore(tmp_path / "store").url
    with pytest.raises(SettingsError, match="working directory does not exist any more"):
        ObjectStore("store")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.at(namespace=1), "at: namespace must be a str, not int"),
        (lambda s: s.at(namespace=""), "namespace is empty"),
        (lambda s: s.at(run=["r"]), "at: run must be a str or None, not list"),
        (lambda s: s.runs(1), "runs: namespace must be a str or None, not int"),
        (lambda s: s.runs("a/b"), "'a/b' contains '/'"),
        (lambda s: s.runs_with_objects(None), "runs_with_objects: namespace must be a str"),
        (lambda s: s.read_run("", namespace="n"), "run is empty"),
        (lambda s: s.read_run("r", namespace=None), "read_run: namespace must be a str"),
        (lambda s: s.write_run({"name": "r"}), "write_run: run must be a WorkflowRun, not dict"),
        (lambda s: s.delete_run(None, namespace="n"), "delete_run: name must be a str"),
        (lambda s: s.sweep("1h"), "sweep: older_than must be a number of seconds from 0"),
        (lambda s: s.sweep(math.nan), "not nan"),
        (lambda s: ObjectStore.from_address(str(s.url)), "address must be a StoreAddress, not str"),
        (lambda s: StoreView("x", "n", "r"), "store must be an ObjectStore, not str"),
    ],
)
def test_arguments_of_a_stores_methods_are_checked(store, call, said):
    """Each method says which of its arguments is wrong, before it asks the place."""
    with pytest.raises((SettingsError, InvalidNameError, InvalidRequestError), match=said):
        call(store)


def test_where_nothing_is_set_the_defaults_are_those_of_the_model(tmp_path, monkeypatch):
    """They are known without pydantic-settings; anything that is set is read with it."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("RUNSTORE_")]:
        monkeypatch.delenv(name)
    assert Defaults() is not Settings
    assert isinstance(current_settings(), Defaults)
    assert Settings.model_fields.keys() == Defaults._field_defaults.keys()
    plain = Settings()
    for name, value in Defaults()._asdict().items():
        assert getattr(plain, name) == value
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    assert isinstance(current_settings(), Defaults)
    (tmp_path / "pyproject.toml").write_text("[tool.runstore]\nnamespace = 'x'\n")
    assert "x" == current_settings().namespace
    (tmp_path / "pyproject.toml").write_text("[tool.runstore\n")
    with pytest.raises(SettingsError, match="not valid TOML"):
        current_settings()


def test_a_relative_store_in_a_file_is_beside_that_file(monkeypatch, tmp_path):
    """From wherever below it is looked for; in the environment it is relative to where one is."""
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    for text, expected in (
        ("data/store", f"file://{tmp_path}/data/store"),
        ("./x", f"file://{tmp_path}/x"),
        ("/data/x", "file:///data/x"),
        ("memory://m", "memory://m"),
    ):
        for name, head in (("runstore.toml", ""), ("pyproject.toml", "[tool.runstore]\n")):
            (tmp_path / name).write_text(f'{head}url = "{text}"\n')
            assert expected == ObjectStore().address.url
            (tmp_path / name).unlink()
    (tmp_path / "runstore.toml").write_text('url = "s3:/bucket"\n')
    with pytest.raises(SettingsError, match="did you mean s3://bucket"):
        ObjectStore()
    monkeypatch.setenv("RUNSTORE_URL", "x")
    assert f"file://{tmp_path}/a/x" == ObjectStore().address.url


def test_run_stores_are_several(monkeypatch, tmp_path):
    """Separated by blanks, or a list in a file, from whose folder relative paths are taken."""
    monkeypatch.chdir(tmp_path)
    assert () == current_settings().run_stores
    for text, expected in (
        ('"x s3://bucket/y"', (f"{tmp_path}/x", "s3://bucket/y")),
        ('["a b", "/c"]', (f"{tmp_path}/a b", "/c")),
    ):
        (tmp_path / "runstore.toml").write_text(f"run_stores = {text}\n")
        assert expected == current_settings().run_stores
    monkeypatch.setenv("RUNSTORE_RUN_STORES", "x memory://m")
    assert ("x", "memory://m") == current_settings().run_stores
    [shown] = [one.value for one in origins() if one.name == "run_stores"]
    assert "x memory://m" == shown
    monkeypatch.delenv("RUNSTORE_RUN_STORES")
    (tmp_path / "runstore.toml").write_text('run_stores = ["x", ""]\n')
    with pytest.raises(SettingsError, match=r"run_stores in .*: .*blank"):
        current_settings()
