from pathlib import Path

import pytest

from runstore import ObjectStore, run_context
from runstore.errors import SettingsError
from runstore.settings import current_settings


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
        ("runstore.toml", 'urll = "x"', "urll"),
        ("runstore.toml", 'pickle = "maybe"', "pickle"),
        ("runstore.toml", "not toml", "TOML"),
        ("pyproject.toml", "[tool.runstore]\ndurable = 'often'", "durable"),
    ],
)
def test_a_wrong_setting_is_told(tmp_path, name, text, said):
    """A misspelled key, a wrong value or a broken file gives SettingsError, naming it."""
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=said):
        current_settings()


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
