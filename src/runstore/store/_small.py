"""Small texts, bytes and JSON documents, which are put and read often: in few steps.

What is stored is what `Objects.put` stores, byte for byte. Whatever is special goes that way: other
types, names with an extension, signatures.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from runstore.codecs import small_kinds
from runstore.containers import Header, SmallFiles
from runstore.errors import ObjectNotFoundError
from runstore.keys import ARROW, Place, Scope, key_of
from runstore.lifetime import Bounded
from runstore.objects import ObjectInfo, describe, described_later, missing
from runstore.places import Entry
from runstore.store._encoding import versions_of
from runstore.store._objects import Objects
from runstore.store._target import RAISE, Target, run_of

__all__ = ["get_plain", "put_small"]

_Common = tuple[str, str | None, str | None, str | None, type]

_files: Bounded[_Common, SmallFiles] = Bounded(256)  # scopes and types that were met last

_EPOCH = datetime.fromtimestamp(0, UTC)


def put_small(target: Target, name: str, value: Any, scope: Scope) -> ObjectInfo | None:
    """Store a value of one of `small_kinds` as `Verbs.put` does without further arguments.

    Args:
        target: Where to.
        name, value, scope: As for `Verbs.put`.

    Returns:
        What was stored; None if nothing was done, as it has to go the usual way.
    """
    objects = target.writable()
    run = target.run if scope == "run" else None
    if "." in name or objects.policy == "signed" or (run is None and scope == "run"):
        return None  # perhaps an extension; a signature; an error
    kind = type(value)
    cell = small_kinds[kind].cell(value)
    if cell is None:
        return None
    place = Place(target.namespace, run, name)
    key = key_of(place)
    common = target.namespace, run, target.workflow, target.stage, kind
    files = _files.get(common) or _new_files(common)
    made = files.make(name, cell)
    if made is None:
        return None
    entry = objects.backend.put(key, (made.file,))
    facts = made.digest, made.created_at, len(cell)
    return described_later(partial(_described, objects, place, entry, files.header, *facts))


def get_plain(target: Target, name: str, default: Any) -> Any:
    """Return the value stored under *name* as `Verbs.get` does without further arguments.

    Args:
        target: Where it is looked for; its run is that of the object.
        name: No reference.
        default: As for `Verbs.get`.
    """
    run = target.run
    place = Place(target.namespace, run_of(run, name) if run is None else run, name)
    try:
        return target.objects.get(place)
    except ObjectNotFoundError as exc:
        if default is not RAISE:
            return default
        raise missing(target.objects, place) from exc


def _new_files(common: _Common) -> SmallFiles:
    namespace, run, workflow, stage, kind = common
    small = small_kinds[kind]
    header = Header(
        namespace=namespace,
        run=run,
        name="",
        type=small.type,
        codec=small.codec.name,
        codec_version=small.codec.version,
        created_at=_EPOCH,
        write_id="",
        spec=small.spec,
        workflow=workflow,
        stage=stage,
        versions=versions_of(small.codec.name),
    )
    files = SmallFiles(small.schema, header)
    _files.put(common, files)
    return files


def _described(
    objects: Objects,
    place: Place,
    entry: Entry,
    common: Header,
    digest: str,
    created_at: int,
    nbytes: int,
) -> ObjectInfo:
    created = _EPOCH + timedelta(microseconds=created_at // 1000)
    header = common.of_cell(place.name, created, nbytes)
    schema = partial(objects.read_schema, entry.key, place)
    return describe(place, entry, ARROW, header, digest, False, schema)
