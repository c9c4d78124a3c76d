"""lineage(): what made an object, of what, and what was made of it; as data and as it is drawn."""

import html
import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.context import ObjectUse, StageRecord, new_run
from runstore.errors import InvalidRequestError, ObjectNotFoundError
from runstore.store import Lineage

START = datetime(2026, 11, 1, tzinfo=UTC)


def use(store, ref, **changed):
    """Return the use of an object, as a record has it."""
    namespace, run, name = ref.split("/", 2)
    scope = {"scope": "namespace"} if run == "_shared" else {"run": run}
    view = store.at(namespace=namespace)
    info = view.stat(name, **scope)
    what = {"size": info.size, "rows": info.rows, "type": info.python_type}
    return ObjectUse(ref=view.ref(name, **scope), **what | changed)


def stage(name, reads=(), writes=(), **fields):
    """Return the record of a stage that has finished."""
    times = {"started_at": START, "finished_at": START + timedelta(minutes=1)}
    what = {"state": "finished", "target": f"m.{name}", "source": "ab" * 16}
    return StageRecord(name=name, reads=reads, writes=writes, **times | what | fields)


def record(store, name, *stages, after=(), **fields):
    """Write the record of a run; *after* has what depends on what."""
    spec = [{"name": each.name, "depends_on": dict(after).get(each.name, [])} for each in stages]
    told = {
        "state": "finished",
        "started_at": START,
        "stages": stages,
        "input": {"year": 2013},
        "config": {"rate": 0.5},
        "commit": "c0ffee" * 5,
        "definition": {"metadata": {"name": "w"}, "spec": {"stages": spec}},
        "versions": {"runstore": "0.1.0"},
    }
    run = new_run("w", namespace="dev", name=name)
    store.write_run(run.model_copy(update=told | fields))


@pytest.fixture
def filled(store):
    """Give a store with two runs: raw → table → report, and a report of the second on the first."""
    view = store.at(namespace="dev", run="one")
    view.put("raw", pa.table({"a": [1, 2, 3]}))
    view.put("table", pa.table({"a": [1, 2]}))
    view.put("report", {"sum": 3})
    store.at(namespace="dev").put("model", "m", scope="namespace")
    other = store.at(namespace="dev", run="other")
    other.put("summary", {"of": "one"})
    raw, table, report = (use(store, f"dev/one/{name}") for name in ("raw", "table", "report"))
    model = use(store, "dev/_shared/model")
    record(
        store,
        "one",
        stage("load", writes=[raw]),
        stage("list"),
        stage("clean", reads=[raw], writes=[table], items=2),
        stage("report", reads=[table, model], writes=[report]),
        after={"clean": ["load"], "report": "list"},
    )
    record(store, "train", stage("fit", writes=[model]), input=None, config=None, commit=None)
    summary = use(store, "dev/other/summary")
    record(store, "other", stage("sum", reads=[report], writes=[summary]))
    return store


def lineage(store, ref="dev/one/report", **how) -> Lineage:
    """Return the lineage of an object of the namespace dev."""
    _, run, name = ref.split("/", 2)
    return store.at(namespace="dev", run=run).lineage(name, **how)


def refs(found):
    """Return the names of the objects, without versions."""
    return {one.ref for one in found.objects.values()}


def test_the_lineage_names_every_object_and_stage(filled):
    """Back to the first stage, through what runs share, and onwards to what read it."""
    found = lineage(filled)
    names = {"dev/one/raw", "dev/one/table", "dev/one/report", "dev/_shared/model"}
    assert names | {"dev/other/summary"} == refs(found)
    stages = {"dev/one#load", "dev/one#list", "dev/one#clean", "dev/one#report", "dev/train#fit"}
    assert stages | {"dev/other#sum"} == set(found.stages)
    assert "dev/one/report" == found.objects[found.root].ref
    assert all(edge.exact for edge in found.edges)
    assert {"dev/one", "dev/train", "dev/other"} == set(found.runs)
    assert {"year": 2013} == found.runs["dev/one"].input
    assert ("m.clean", 2, "c0ffee" * 5) == (
        found.stages["dev/one#clean"].target,
        found.stages["dev/one#clean"].items,
        found.stages["dev/one#clean"].commit,
    )
    assert () == found.gaps


def test_one_direction_alone(filled):
    """Back takes no record of another run that is not on the way."""
    back = lineage(filled, direction="back")
    assert "dev/other/summary" not in refs(back)
    onwards = lineage(filled, direction="onwards")
    assert {"dev/one/report", "dev/other/summary"} == refs(onwards)
    raw = lineage(filled, "dev/one/raw", direction="onwards")
    assert {"dev/one/raw", "dev/one/table", "dev/one/report", "dev/other/summary"} == refs(raw)


def test_stages_that_only_pass_results_are_there(filled):
    """Of a stage that a stage depends on no object has to tell."""
    found = lineage(filled, direction="back")
    after = {(edge.source, edge.target) for edge in found.edges if edge.kind == "after"}
    assert {("dev/one#list", "dev/one#report"), ("dev/one#load", "dev/one#clean")} == after


def test_another_version_is_told(filled):
    """An object that was replaced outside of the run was not made by it, and that is shown."""
    filled.at(namespace="dev", run="one").put("report", {"sum": 4})
    found = lineage(filled)
    (edge,) = found.before(found.root)
    assert ("dev/one#report", False) == (edge.source, edge.exact)
    assert "dev/other/summary" not in refs(found)
    assert "version not sure" in found.tree()


def test_a_version_that_is_gone_has_a_lineage(filled):
    """A reference is enough: the records tell of it."""
    view = filled.at(namespace="dev", run="one")
    ref = view.ref("report")
    view.delete("report")
    found = view.lineage(ref)
    assert {"dev/one#load", "dev/other#sum"} <= set(found.stages)
    assert all(edge.exact for edge in found.edges)
    with pytest.raises(ObjectNotFoundError):
        view.lineage("report")


def test_gaps_are_told(filled):
    """A run without a record, objects that a record leaves out, runs that were not looked at."""
    filled.at(namespace="dev", run="bare").put("x", 1)
    found = lineage(filled, "dev/bare/x")
    assert ("run dev/bare has no record",) == found.gaps
    table = use(filled, "dev/one/table")
    record(filled, "more", stage("s", writes=[use(filled, "dev/bare/x")], reads_left_out=7))
    record(filled, "bare", stage("s", reads=[table]))
    found = lineage(filled, "dev/bare/x", runs=2)
    assert 2 == len(found.gaps)
    assert any("newest 2 runs" in gap for gap in found.gaps)
    assert any("7 more objects" in gap for gap in found.gaps) or "dev/more#s" not in found.stages


def test_a_stage_that_reads_what_it_writes(filled):
    """A circle is walked once, in data and in drawings."""
    report = use(filled, "dev/one/report")
    record(filled, "loop", stage("again", reads=[report], writes=[report]))
    found = lineage(filled)
    assert "dev/loop#again" in found.stages
    back, onwards = found.tree().split("read by\n")
    told = "stage again of dev/loop (finished, m.again, source abababab)\n"
    assert [1, 1] == [back.count(told), onwards.count(told)]
    strictly_mermaid(found)


def test_a_long_chain_of_runs():
    """Each run reads what the one before has made: longer than Python's stack, in every form."""
    store = ObjectStore(f"memory://{uuid.uuid4()}")
    count = 600
    digest, what = "0" * 32, {"size": 1}
    models = [ObjectUse(ref=f"runstore://dev/r{at}/model@{digest}", **what) for at in range(count)]
    store.at(namespace="dev", run="r0").put("model", 0)
    for at in range(count):
        reads = [models[at - 1]] if at else []
        record(store, f"r{at}", stage("fit", reads=reads, writes=[models[at]]))
    last = store.at(namespace="dev", run="r0").lineage(models[-1].ref, direction="back")
    assert count == len(last.stages)
    assert 2 * count <= len(last.tree().splitlines())
    assert count == last.mermaid().count("subgraph") == last.dot().count("subgraph")
    assert () == last.gaps


def test_parts_are_of_their_object(store):
    """Who wrote a part wrote the object, although its digest is another one."""
    view = store.at(namespace="dev", run="one")
    parts = [view.put("p", pa.table({"a": [part]}), part=part) for part in range(2)]
    view.seal("p")
    writes = [
        ObjectUse(ref="runstore://dev/one/p@" + "0" * 32, size=one.size, part=str(number), item=0)
        for number, one in enumerate(parts)
    ]
    record(store, "one", stage("many", writes=writes, items=2), stage("seal", writes=[]))
    found = lineage(store, "dev/one/p")
    assert ["dev/one#many"] == list(found.stages)
    assert ["dev/one/p"] == [one.ref for one in found.objects.values()]


def test_a_use_without_a_version_is_of_the_one_that_is_known(store):
    """A stream that was read has no digest: it is the object that its run wrote, and not sure."""
    view = store.at(namespace="dev", run="one")
    view.put_many({"log": "text", "end": 1})
    log, end = use(store, "dev/one/log"), use(store, "dev/one/end")
    streamed = ObjectUse(ref="runstore://dev/one/log", size=log.size)
    record(
        store, "one", stage("a", writes=[log]), stage("b", reads=[log, streamed], writes=[end]),
        stage("c", reads=[streamed], writes=[end]),
    )  # fmt: skip
    found = lineage(store, "dev/one/end")
    assert {"dev/one/log", "dev/one/end"} == refs(found)
    assert 2 == len(found.objects)
    sure = {edge.target: edge.exact for edge in found.edges if edge.kind == "reads"}
    assert {"dev/one#b": True, "dev/one#c": False} == sure


def test_an_object_that_no_record_knows_is_a_gap(filled):
    """Whoever put it by hand, beside the stages of a run or for all runs, is not known."""
    filled.at(namespace="dev", run="one").put("extra", 1)
    filled.at(namespace="dev").put("extra", 1, scope="namespace")
    view = filled.at(namespace="dev", run="one")
    told = "no record that was read tells who wrote dev/{}/extra"
    assert (told.format("one"),) == view.lineage("extra").gaps
    assert (told.format("_shared"),) == view.lineage("extra", scope="namespace").gaps


def test_wrong_arguments_are_refused(filled):
    """A direction that there is none of, or no runs to look through."""
    for wrong in ({"direction": "up"}, {"runs": 0}, {"runs": "all"}):
        with pytest.raises(InvalidRequestError):
            lineage(filled, **wrong)


def test_the_data_is_plain(filled):
    """It goes through JSON as it is."""
    found = lineage(filled).as_dict()
    assert found == json.loads(json.dumps(found))
    assert {"store", "root", "objects", "stages", "edges", "runs", "gaps"} == set(found)


def test_the_tree_shows_the_way_back_and_onwards(filled):
    """Each object under the stage that read it, then who read on, then the runs."""
    lines = lineage(filled).tree().splitlines()
    assert re.fullmatch(r"dev/one/report @[0-9a-f]{8} \(dict, .* KB\)", lines[0])
    assert lines[1].startswith("└── stage report (finished, m.report, source ")
    assert lines[2].startswith("    ├── dev/_shared/model @")
    assert lines[3].startswith("    │   └── stage fit of dev/train")
    at = lines.index("read by")
    assert lines[at + 1].startswith("└── stage sum of dev/other")
    assert lines[at + 2].startswith("    └── dev/other/summary @")
    assert "run dev/one: workflow w, finished, commit c0ffeec0ffee" in lines
    assert '  input {"year": 2013}' in lines


# Drawn ------------------------------------------------------------------------------------------


_LABEL = r'"((?:[^"#<>&`\\;|\[\]{}\n]|#\d+;|<br/>)+)"'
_LINES = {
    "frame": re.compile(rf"  subgraph (r\d+)\[{_LABEL}\]"),
    "end": re.compile(r"  end"),
    "stage": re.compile(rf"    (s\d+)\(\[{_LABEL}\]\)"),
    "object": re.compile(rf"  (?:  )?(o\d+)\[{_LABEL}\]"),
    "edge": re.compile(r"  ([os]\d+) (?:-->|-\.->) ([os]\d+)"),
    "style": re.compile(r"  style (o\d+) stroke-width:3px"),
}


def strictly_mermaid(found):
    """Check a drawing line by line, as strictly as a parser; return the labels."""
    head, *lines = found.mermaid().splitlines()
    assert "flowchart LR" == head
    labels, frames, edges = {}, 0, 0
    for line in lines:
        ((kind, match),) = [
            (kind, match) for kind, form in _LINES.items() if (match := form.fullmatch(line))
        ]
        frames += {"frame": 1, "end": -1}.get(kind, 0)
        assert frames == (1 if kind in ("frame", "stage") or line.startswith("    ") else 0)
        if kind in ("frame", "stage", "object"):
            assert match[1] not in labels
            labels[match[1]] = html.unescape(match[2].replace("#", "&#").replace("<br/>", "\n"))
        if kind in ("edge", "style"):
            assert {*match.groups()} <= set(labels)
            edges += kind == "edge"
    assert 0 == frames
    assert len(found.drawn()) == edges
    return labels


def test_mermaid_is_a_flowchart_of_all(filled):
    """Each object and stage is a node with its name, each edge an arrow."""
    found = lineage(filled)
    labels = strictly_mermaid(found)
    names = {label.split("\n")[0] for name, label in labels.items() if name[0] == "o"}
    assert {"raw", "table", "report", "summary", "dev/_shared/model"} == names
    stages = {label for name, label in labels.items() if name[0] == "s"}
    assert {"load", "list", "clean (2 items)", "report", "fit", "sum"} == stages


AWKWARD = 'a "b" <c> #d; [e] `f` \\ ü | end {g}'


def test_awkward_names_are_drawn_as_they_are(store):
    """Quotes, brackets and signs of the languages are text in the drawings."""
    store.at(namespace="dev", run="one").put(AWKWARD, 1)
    record(store, "one", stage('s "t" end', writes=[use(store, f"dev/one/{AWKWARD}")]))
    found = lineage(store, f"dev/one/{AWKWARD}")
    labels = strictly_mermaid(found)
    assert labels["o0"].split("\n")[0] == AWKWARD
    assert 's "t" end' == labels["s0"]
    quoted = re.findall(r'label="((?:[^"\\]|\\.)*)"', found.dot())
    plain = [label.replace('\\"', '"').replace("\\\\", "\\") for label in quoted]
    assert ["dev/one", 's "t" end'] == plain[:2]
    assert plain[2].startswith(f"{AWKWARD}\\n")


def test_dot_is_a_digraph_of_all(filled):
    """Each line is a statement of Graphviz, each edge an arrow between nodes that are there."""
    found = lineage(filled)
    text = found.dot()
    label = r'label="(?:[^"\\\n]|\\.)*"'
    form = re.compile(
        r"digraph lineage \{|  rankdir=LR;|  subgraph cluster_\d+ \{|  \}|\}"
        rf"|    {label};|    s\d+ \[shape=ellipse, {label}\];"
        rf"|  (?:  )?o\d+ \[shape=box, {label}(?:, penwidth=3)?\];"
        r"|  [os]\d+ -> [os]\d+(?: \[style=dashed\])?;"
    )
    assert [] == [line for line in text.splitlines() if not form.fullmatch(line)]
    assert text.count("{") == text.count("}")
    nodes = set(re.findall(r"^ +([os]\d+) \[", text, re.M))
    ends = re.findall(r"^  ([os]\d+) -> ([os]\d+)", text, re.M)
    assert len(found.drawn()) == len(ends)
    assert {end for edge in ends for end in edge} <= nodes


def test_a_lineage_is_a_few_requests(tmp_path, monkeypatch):
    """Back through a run's own stages reads one record, whatever other runs there are."""
    store = ObjectStore(tmp_path / "store")
    for number in range(30):
        record(store, f"r{number}", stage("s"))
    view = store.at(namespace="dev", run="r7")
    view.put("x", 1)
    record(store, "r7", stage("s", writes=[use(store, "dev/r7/x")]))
    read, keys = store.backend.get, []
    monkeypatch.setattr(store.backend, "get", lambda key, **how: keys.append(key) or read(key))
    view.lineage("x", direction="back")
    assert ["dev/_runs/r7.json"] == [key for key in keys if "_runs/" in key]
