"""Values through the plug point of one orchestrator, and out of the plug points of the others.

``passing.py write prefect FOLDER`` stores each kind of value and notes what travels;
``passing.py read kedro FOLDER`` opens all that was noted, by whomever it was written.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from kinds import KINDS, check


class Prefect:
    """Results."""

    def __init__(self):
        from runstore.integrations.prefect import RunstoreSerializer

        self.serializer = RunstoreSerializer()

    def write(self, kind, value):
        """Return the reference, and what travels."""
        blob = self.serializer.dumps(value)
        return json.loads(blob)["ref"], blob

    def read(self, noted):
        """Return the value."""
        return self.serializer.loads(json.dumps(noted).encode())


class Metaflow:
    """Artifacts."""

    def __init__(self):
        from metaflow.datastore.artifacts.serializer import SerializationMetadata

        from runstore.integrations.metaflow import _ENCODING, RunstoreSerializer

        self.serializer = RunstoreSerializer
        self.known = SerializationMetadata("", 0, _ENCODING, {})

    def write(self, kind, value):
        """Return the reference, and what travels."""
        assert self.serializer.can_serialize(value), kind
        [blob], known = self.serializer.serialize(value)
        assert self.serializer.can_deserialize(known)
        return json.loads(blob.value)["ref"], blob.value

    def read(self, noted):
        """Return the value."""
        return self.serializer.deserialize([json.dumps(noted).encode()], self.known)


class Airflow:
    """XComs."""

    def __init__(self):
        from runstore.integrations.airflow import RunstoreXCom

        self.xcom = RunstoreXCom

    def write(self, kind, value):
        """Return the reference, and what travels."""
        where = {"task_id": "made", "dag_id": "passing", "run_id": "r1", "map_index": -1}
        kept = self.xcom.serialize_value(value, key=f"{kind}.csv", **where)
        [ref] = [text for text in _texts(json.loads(json.dumps(kept))) if "runstore://" in text]
        return ref, json.dumps(kept).encode()

    def read(self, noted):
        """Return the value."""
        from airflow.sdk.bases.xcom import BaseXCom

        from runstore.integrations.airflow import _KEY

        kept = BaseXCom.serialize_value({_KEY: noted["ref"]})
        return self.xcom.deserialize_value(SimpleNamespace(value=kept))


class Kedro:
    """Datasets of the catalog."""

    def write(self, kind, value):
        """Return the reference, and what travels: nothing, the name is in the catalog."""
        from runstore import ObjectStore
        from runstore.integrations.kedro import RunstoreDataset

        dataset = RunstoreDataset(name=f"kedro/{kind}")
        dataset.save(value)
        check(kind, dataset.load())
        return ObjectStore().at().ref(f"kedro/{kind}", scope="namespace"), b""

    def read(self, noted):
        """Return the value."""
        from runstore.integrations.kedro import RunstoreDataset

        return RunstoreDataset(name=noted["ref"]).load()


class Dagster:
    """Assets; all of one kind of step in one run, as a run of Dagster takes its time."""

    def write_all(self, values):
        """Return the references, and what travels: nothing, the names are the keys of assets."""
        import dagster as dg

        from runstore import ObjectStore
        from runstore.integrations.dagster import RunstoreIOManager

        def asset(key, value):
            @dg.asset(key=["dagster", key], io_manager_key="store")
            def made():
                return value

            return made

        keys = [kind.replace(" ", "_") for kind in values]
        assets = [asset(key, value) for key, value in zip(keys, values.values(), strict=True)]
        assert dg.materialize(assets, resources={"store": RunstoreIOManager()}).success
        view = ObjectStore().at()
        return [(view.ref(f"dagster/{key}", scope="namespace"), b"") for key in keys]

    def read_all(self, noted):
        """Return the values."""
        import dagster as dg

        from runstore.integrations.dagster import REF, RunstoreIOManager

        found = {}

        def asset(number):
            @dg.asset(key=f"taken{number}", ins={"value": dg.AssetIn(key=f"value{number}")})
            def taken(value):
                found[number] = value

            return taken

        sources = [
            dg.SourceAsset(f"value{number}", metadata={REF: one["ref"]}, io_manager_key="store")
            for number, one in enumerate(noted)
        ]
        assets = [asset(number) for number in range(len(noted))]
        resources = {"store": RunstoreIOManager()}
        assert dg.materialize([*sources, *assets], resources=resources).success
        return [found[number] for number in range(len(noted))]


class Flyte:
    """Literals."""

    def __init__(self):
        from flyte.types import TypeEngine

        from runstore.integrations.flyte import _STORE, Stored

        self.engine, self.stored, self.store = TypeEngine, Stored, _STORE
        self.type = TypeEngine.to_literal_type(Stored)

    def write(self, kind, value):
        """Return the reference, and what travels."""
        made = asyncio.run(self.engine.to_literal(value, self.stored, self.type))
        self.last = made
        return made.scalar.blob.uri, made.SerializeToString()

    def read(self, noted):
        """Return the value."""
        literal = asyncio.run(self.engine.to_literal(1, self.stored, self.type))
        literal.scalar.blob.uri = noted["ref"]
        literal.metadata[self.store] = noted["store"]
        return asyncio.run(self.engine.to_python_value(literal, self.stored))


class Flytekit:
    """Literals."""

    def __init__(self):
        from flytekit import FlyteContextManager
        from flytekit.core.type_engine import TypeEngine

        from runstore.integrations.flytekit import _STORE, Stored

        self.engine, self.stored, self.store = TypeEngine, Stored, _STORE
        self.context = FlyteContextManager.current_context()
        self.type = TypeEngine.to_literal_type(Stored)

    def write(self, kind, value):
        """Return the reference, and what travels."""
        made = self.engine.to_literal(self.context, value, self.stored, self.type)
        return made.scalar.blob.uri, made.to_flyte_idl().SerializeToString()

    def read(self, noted):
        """Return the value."""
        literal = self.engine.to_literal(self.context, 1, self.stored, self.type)
        literal.scalar.blob._uri = noted["ref"]
        literal.metadata[self.store] = noted["store"]
        return self.engine.to_python_value(self.context, literal, self.stored)


class Zenml:
    """Artifacts of a materializer."""

    def write(self, kind, value):
        """Return the reference, and what travels."""
        folder = self._folder()
        self._materializer(folder).save(value)
        [file] = folder.iterdir()
        return json.loads(file.read_text())["ref"], file.read_bytes()

    def read(self, noted):
        """Return the value."""
        from runstore.integrations.zenml import _FILE

        folder = self._folder()
        (folder / _FILE).write_text(json.dumps(noted))
        return self._materializer(folder).load(object)

    def _folder(self):
        from zenml.client import Client

        return Path(tempfile.mkdtemp(dir=Client().active_stack.artifact_store.path))

    def _materializer(self, folder):
        from runstore.integrations.zenml import RunstoreMaterializer

        return RunstoreMaterializer(str(folder))


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def main(verb, name, folder):
    """Write or read all kinds."""
    from runstore import ObjectStore

    plug, noted = globals()[name.capitalize()](), Path(folder)
    if verb == "write":
        lines = []
        for kind, (ref, travels) in zip(KINDS, _written(plug), strict=True):
            assert len(travels) < 1000, (kind, len(travels))
            lines.append({"kind": kind, "ref": str(ref), "store": str(ObjectStore().url)})
        (noted / f"{name}.json").write_text(json.dumps(lines))
        print(f"wrote {len(lines)} kinds")
        return
    lines = [
        line | {"by": file.stem}
        for file in sorted(noted.glob("*.json"))
        for line in json.loads(file.read_text())
    ]
    for line, value in zip(lines, _read(plug, lines), strict=True):
        try:
            check(line["kind"], value)
        except Exception as exc:
            exc.add_note(f"{line['kind']} of {line['by']} under {name}")
            raise
    print(f"opened {len(lines)} values")


def _written(plug):
    if hasattr(plug, "write_all"):
        return plug.write_all(KINDS)
    return [plug.write(kind, value) for kind, value in KINDS.items()]


def _read(plug, lines):
    noted = [{"ref": line["ref"], "store": line["store"]} for line in lines]
    return plug.read_all(noted) if hasattr(plug, "read_all") else map(plug.read, noted)


if __name__ == "__main__":
    main(*sys.argv[1:])
