"""Going on with an earlier run: what is taken over, what runs again, and why."""

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore, get_run_context, object_store
from runstore.errors import InvalidRequestError, RunActiveError, StageError

MAPPED = {"type": "parameterized"}


def stages_of(record: Any) -> dict[str, tuple[str, int, str | None]]:
    """Return of each stage: state, calls made, and the run that it was taken over from."""
    return {one.name: (one.state, one.attempts, one.origin) for one in record.stages}


def why(record: Any) -> dict[str, str | None]:
    """Return why stages ran again."""
    return {one.name: one.why for one in record.stages if one.why is not None}


def test_finished_stages_are_taken_over(run: Any, flow: Any, store: Path, tmp_path: Path) -> None:
    """After a failure only what was not done runs; results and objects are those of before."""
    there = tmp_path / "there"

    def load() -> int:
        object_store.put("table", [1, 2, 3])
        return 7

    def use(number: int) -> list[int]:
        if not there.exists():
            raise FileNotFoundError("not yet")
        return [*object_store.get("table"), number]

    made = flow(load=load, use=(use, {"depends_on": "load"}))
    with pytest.raises(StageError):
        run(made, run="r1")
    there.touch()
    record = run(made, run="r2", resume="r1")
    assert [1, 2, 3, 7] == record.result
    assert {"load": ("finished", 0, "r1"), "use": ("finished", 1, None)} == stages_of(record)
    assert ("r1", {"use": "it had failed"}) == (record.resumed, why(record))
    kept = ObjectStore(str(store))
    assert record == kept.read_run("r2", namespace="default")
    (write,) = record.stages[0].writes
    assert ("r2", "table") == (write.run, write.name)
    kept.delete_run("r1", namespace="default")
    assert [1, 2, 3] == kept.at(namespace="default", run="r2").get("table")
    third = run(made, run="r3", resume="r2")
    assert {"load": ("finished", 0, "r1"), "use": ("finished", 0, "r2")} == stages_of(third)
    assert [1, 2, 3, 7] == third.result


def test_finished_items_are_taken_over(run: Any, flow: Any, tmp_path: Path) -> None:
    """Of a mapped stage that failed, only the items that are not done run."""
    there = tmp_path / "there"

    def item(number: int) -> str:
        if number == 2 and not there.exists():
            raise FileNotFoundError("not yet")
        object_store.put(f"item/{number}", number)
        return f"done {number}"

    def total(names: list[str]) -> int:
        return len(names) + sum(object_store.get(f"item/{number}") for number in range(3))

    made = flow(
        items=lambda: [0, 1, 2],
        item=(item, {**MAPPED, "options": {"max_at_once": 1}}),
        total=(total, {"depends_on": "item"}),
    )
    with pytest.raises(StageError):
        run(made, run="r1")
    there.touch()
    record = run(made, run="r2", resume="r1")
    assert 6 == record.result
    stage = record.stages[1]
    assert (1, 2, "r1", 3) == (stage.attempts, stage.taken_items, stage.origin, stage.items)
    assert ["done 0", "done 1", "done 2"] == stage.result


def test_what_is_damaged_runs_again(threads: Any, flow: Any, store: Path) -> None:
    """A stage whose object was damaged, replaced or deleted runs again, with all that need it."""

    def load() -> None:
        object_store.put("table", list(range(100)))

    def use(_: None) -> int:
        return sum(object_store.get("table"))

    made = flow(load=load, use=(use, {"depends_on": "load"}), other=lambda: 1)
    file = store / "default" / "r1" / "table.arrow"
    view = ObjectStore(str(store)).at(namespace="default", run="r1")
    for number, (spoil, told) in enumerate(
        (
            (lambda: view.put("table", "another"), "was replaced"),
            (lambda: view.delete("table"), "is gone"),
            (lambda: _flip(file), "is damaged"),
        )
    ):
        shutil.rmtree(store, ignore_errors=True)
        threads(made, run="r1")
        spoil()
        record = threads(made, run=f"again-{number}", resume="r1")
        assert {
            "load": f"'table', which it wrote, {told}",
            "use": "stage 'load', which it depends on, runs again",
        } == why(record)
        assert ("finished", 0, "r1") == stages_of(record)["other"]


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(bytes(data))


def test_input_and_config_that_were_read(threads: Any, flow: Any) -> None:
    """Only keys that a stage has read count, and without new values those of before are used."""

    def one() -> int:
        return int(get_run_context().config["depth"])

    def two() -> int:
        ctx = get_run_context()
        return int(ctx.config.get("width", 1)) + int(ctx.input["count"])

    def every() -> int:
        return len(dict(get_run_context().config))

    made = flow(one=one, two=two, every=every)
    given = {"input": {"count": 1, "unused": 1}, "config": {"depth": 2, "unused": 3}}
    first = threads(made, run="r1", **given)
    assert ["depth"] == list(first.stages[0].config_read)
    assert ["*"] == list(first.stages[2].config_read)
    same = threads(made, run="same", resume="r1")
    assert {} == why(same)
    assert (first.input, first.config) == (same.input, same.config)
    unused = {"input": {"count": 1, "unused": 2}, "config": {"depth": 2, "unused": 4}}
    assert {"every": "the config has changed"} == why(
        threads(made, run="unused", resume="r1", **unused)
    )
    new = {"input": {"count": 1}, "config": {"depth": 3, "unused": 3, "width": 5}}
    assert {
        "one": "config 'depth' has changed",
        "two": "config 'width' has changed",
        "every": "the config has changed",
    } == why(threads(made, run="new", resume="r1", **new))


def test_results_that_are_not_kept(threads: Any, flow: Any) -> None:
    """A stage runs again for a result that its record does not keep exactly, if it is needed."""
    broken = [True]

    def pair() -> tuple[int, int]:
        return 1, 2

    def use(value: tuple[int, int]) -> int:
        if broken:
            raise ValueError("broken")
        assert isinstance(value, tuple)
        return value[0]

    made = flow(pair=pair, use=(use, {"depends_on": "pair"}))
    with pytest.raises(StageError):
        threads(made, run="r1")
    broken.clear()
    record = threads(made, run="r2", resume="r1")
    assert 1 == record.result
    assert "does not keep exactly" in str(why(record)["pair"])


def test_reads_from_elsewhere(threads: Any, flow: Any, store: Path) -> None:
    """A stage runs again when an object that it read from the namespace or another run changes."""
    shared = ObjectStore(str(store)).at(namespace="default")
    shared.put("rates", {"x": 1}, scope="namespace")
    shared.put("other", 1, scope="namespace")

    def use() -> int:
        return int(object_store.get("rates", scope="namespace")["x"])

    made = flow(use=use)
    threads(made, run="r1")
    shared.put("other", 2, scope="namespace")
    assert {} == why(threads(made, run="r2", resume="r1"))
    shared.put("rates", {"x": 2}, scope="namespace")
    record = threads(made, run="r3", resume="r2")
    assert {"use": "'rates', which it read, was replaced"} == why(record)
    assert 2 == record.result


def put_elsewhere(store: Path, value: Any) -> None:
    """Put a shared object in a thread without a context, as another program does."""

    def put() -> None:
        ObjectStore(str(store)).at(namespace="default").put("rates", value, scope="namespace")

    thread = threading.Thread(target=put)
    thread.start()
    thread.join()


def test_what_only_a_failed_attempt_read_does_not_count(
    threads: Any, flow: Any, store: Path, tmp_path: Path
) -> None:
    """A stage that was retried is taken over if what its last attempt read is as it was."""
    put_elsewhere(store, 1)
    once = tmp_path / "once"

    def flaky() -> int:
        found = object_store.get("rates", scope="namespace")
        if not once.exists():
            once.touch()
            put_elsewhere(store, 2)
            raise OSError("busy")
        return int(found)

    made = flow(flaky=(flaky, {"retries": 1, "retry_delay": 0}))
    assert 2 == threads(made, run="r1").result
    second = threads(made, run="r2", resume="r1")
    assert ({"flaky": ("finished", 0, "r1")}, {}) == (stages_of(second), why(second))
    put_elsewhere(store, 3)
    third = threads(made, run="r3", resume="r1")
    assert 3 == third.result
    assert "'rates', which it read, " in str(why(third)["flaky"])


def test_what_cannot_be_resumed(threads: Any, flow: Any, store: Path) -> None:
    """A run of another workflow, or one that runs, is refused before anything is written."""
    made = flow(a=lambda: 1)
    threads(made, run="r1")
    other = {**made, "metadata": {"name": "other"}}
    with pytest.raises(InvalidRequestError, match="is a run of workflow 'flow'"):
        threads(other, run="r2", resume="r1")

    def inner() -> None:
        threads(flow(a=lambda: 1), resume="outer", run="r3")

    with pytest.raises(StageError) as caught:
        threads(flow(inner=inner), run="outer")
    assert isinstance(caught.value.__cause__, RunActiveError)
    assert ["outer", "r1"] == sorted(one.name for one in ObjectStore(str(store)).runs("default"))


def test_events_say_why(threads: Any, flow: Any) -> None:
    """The event of a stage says that it was taken over, or why it runs again."""
    threads(flow(a=lambda: 1, b=lambda: 2), run="r1")
    events: list[Any] = []
    threads(flow(a=lambda: 1, b=lambda: 3), run="r2", resume="r1", on_event=events.append)
    told = [(event.stage, event.text) for event in events if event.kind == "stage"]
    assert ("a", "finished: taken over from run r1") in told
    (text,) = [text for stage, text in told if stage == "b" and text.startswith("running")]
    assert text.startswith("running: ")
    assert text.endswith("has changed")


def test_values_that_cannot_be_looked_at(threads: Any, flow: Any) -> None:
    """A stage with a value that raises at every look runs, and runs again."""

    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

        def __reduce__(self) -> Any:
            raise RuntimeError("reduce")

    class Proxy(Odd):
        def __call__(self) -> None:
            """Stand for something that is not there now, as a proxy of Flask does."""

    odd = Odd()
    odd.inside = Proxy()  # type: ignore[attr-defined]

    def stage() -> str:
        return type(odd).__name__

    first = threads(flow(stage=stage), run="r1")
    assert "Odd" == first.result
    again = threads(flow(stage=stage), run="r2", resume="r1")
    assert "Odd" == again.result


def test_a_secret_input_is_asked_for_again(run: Any, flow: Any) -> None:
    """All of the input is named, as a new one replaces the old one."""

    def fails() -> None:
        raise ValueError("no")

    given = {"password": "hunter2", "n": 1}
    with pytest.raises(StageError):
        run(flow(a=fails), run="r1", input=given)
    with pytest.raises(InvalidRequestError) as caught:
        run(flow(a=fails), resume="r1")
    assert (
        "the record of run 'default/r1' does not keep the secret input 'password'. Give the input "
        "again: --input password=… --input n=… (in Python: input={…})"
    ) == str(caught.value)
    assert "finished" == run(flow(a=lambda: 1), resume="r1", input=given).state


def test_all_that_is_asked_for_again_is_in_one_message(run: Any, flow: Any) -> None:
    """Input and config, each with all of its values that are not kept."""
    given = {"input": {"password": "hunter2", "token": "hunter3"}, "config": {"api_key": "hunter4"}}
    assert "finished" == run(flow(a=lambda: 1), run="r1", **given).state
    with pytest.raises(InvalidRequestError) as caught:
        run(flow(a=lambda: 1), resume="r1")
    assert (
        "the record of run 'default/r1' does not keep the secret input 'password', the secret "
        "input 'token' and the secret config 'api_key'. Give the input again: --input password=… "
        "--input token=… (in Python: input={…}). Give the config again: --config FILE "
        "(in Python: config=…)"
    ) == str(caught.value)
    assert "finished" == run(flow(a=lambda: 1), resume="r1", **given).state


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"password": "hunter2", "n": 1}, "the secret config 'password'"),
        ({"db": {"password": "hunter2"}, "n": 1}, "the secret config 'db'"),
        ({"secrets": {"db": "hunter2"}}, "the secret config 'secrets'"),
        ({"odd": {1}}, "of its config the value 'odd'"),
    ],
)
def test_a_secret_config_is_asked_for_again(run: Any, flow: Any, config: Any, what: str) -> None:
    """As the input is, with the option of the shell that gives it."""
    assert "finished" == run(flow(a=lambda: 1), run="r1", config=config).state
    with pytest.raises(InvalidRequestError) as caught:
        run(flow(a=lambda: 1), resume="r1")
    assert (
        f"the record of run 'default/r1' does not keep {what}. Give the config again: "
        "--config FILE (in Python: config=…)"
    ) == str(caught.value)
    assert "finished" == run(flow(a=lambda: 1), resume="r1", config=config).state
