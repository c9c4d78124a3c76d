"""Put and get values by place: codecs, the container and a backend together.

What needs no value stands in `runstore.objects`.
"""

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from runstore import codecs
from runstore.buffers import Buffer, flat
from runstore.containers import Verify
from runstore.context import PicklePolicy
from runstore.errors import (
    InvalidRequestError,
    ObjectNotFoundError,
)
from runstore.keys import (
    AnyPlace,
    PartPlace,
    Place,
    extension_at,
    key_of,
)
from runstore.objects import (
    ObjectInfo,
    PartGoneError,
    StoredObjects,
    container_of,
    describe,
    describe_file,
    each_of,
    file_of_folder,
    is_plain,
    part_place,
    parts_of,
    seal_in,
)
from runstore.places import Entry
from runstore.seals import Sealed, SealedPart
from runstore.steps import SILENT, counted, reporting
from runstore.store._columns import WholeNeeded, read_columns, reads_columns
from runstore.store._decoding import NOT_SMALL, learn_small, rebuilt, rebuilt_file, small_value
from runstore.store._encoding import container_file, pieces_of, plain_file
from runstore.store._metadata import own_metadata

if TYPE_CHECKING:
    from runstore.store._filters import Filter

__all__ = ["Objects"]

_LONG = 8 << 20  # bytes that are worth to be reported while they are written


class Objects(StoredObjects):
    """The objects of one backend, as values; see `runstore.objects.StoredObjects`."""

    def put(
        self,
        place: AnyPlace,
        value: Any,
        *,
        metadata: dict[str, Any] | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        compression: str | None = None,
        workflow: str | None = None,
        stage: str | None = None,
        pickle: PicklePolicy | None = None,
    ) -> ObjectInfo:
        """Encode and write; see `Verbs.put`."""
        key, extension = key_of(place), extension_at(place)
        if if_absent and if_match is not None:
            raise InvalidRequestError(
                f"put {place}: if_absent wants no object and if_match wants one; choose", str(place)
            )
        plain = codecs.stored_as_file(extension, value)
        metadata = own_metadata(place, metadata, plain)
        policy = self.policy_for(pickle, str(place))
        pieces = pieces_of(place, value)
        if pieces is not None:
            from runstore.store._writer import put_pieces

            return put_pieces(
                self,
                place,
                pieces,
                policy,
                if_absent=if_absent,
                if_match=if_match,
                metadata=metadata,
                compression=compression,
                workflow=workflow,
                stage=stage,
            )
        if plain:
            data = plain_file(place, value, extension, policy)
            entry = self.backend.put(key, data, if_absent=if_absent, if_match=if_match)
            return describe_file(place, entry)
        container = container_of(extension)
        file = container_file(
            place,
            value,
            container,
            policy,
            metadata=metadata,
            compression=compression,
            workflow=workflow,
            stage=stage,
        )
        size = file.header.nbytes or 0
        with reporting(f"storing {place}", size, "bytes") if size >= _LONG else SILENT as report:
            written = counted(file.written, report) if report else file.written
            entry = self.backend.put(key, written, if_absent=if_absent, if_match=if_match)
        schema = partial(self.read_schema, key, place)
        sealed = file.header, file.written.digest, file.signed
        return describe(place, entry, container, *sealed, schema)

    def get(
        self,
        place: AnyPlace,
        *,
        verify: Verify = "auto",
        columns: list[Any] | None = None,
        filters: "Filter | None" = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
        sealed: SealedPart | None = None,
    ) -> Any:
        """Read and decode; see `Verbs.get`. A part is what its seal says, where that is given."""
        read = None
        if (
            columns is None
            and filters is None
            and as_type is None
            and pickle is None
            and type(place) is Place
            and "." not in place.name
            and self.policy != "signed"
        ):
            read = self.backend.get(key_of(place))
            value = small_value(read[0], place)
            if value is not NOT_SMALL:
                return value
        return self._get(place, verify, columns, as_type, pickle, sealed, read, filters)[0]

    def get_with_info(
        self,
        place: AnyPlace,
        *,
        verify: Verify = "auto",
        columns: list[Any] | None = None,
        filters: "Filter | None" = None,
        as_type: type | None = None,
        pickle: PicklePolicy | None = None,
        sealed: SealedPart | None = None,
    ) -> tuple[Any, ObjectInfo]:
        """Read, decode and describe one version; see `Verbs.get_with_info`."""
        value, entry, read = self._get(
            place, verify, columns, as_type, pickle, sealed, filters=filters
        )
        return value, self.described_by(place, entry, read)

    def _get(
        self,
        place: AnyPlace,
        verify: Verify,
        columns: list[Any] | None,
        as_type: type | None,
        pickle: PicklePolicy | None,
        sealed: SealedPart | None = None,
        read: tuple[Buffer, Entry] | None = None,
        filters: "Filter | None" = None,
    ) -> tuple[Any, Entry, Buffer]:
        """Return the value, what the place says of it, and what was read, its footer at least.

        Args:
            place, verify, columns, as_type, pickle, sealed, filters: As for `get`.
            read: What the place gave, if it has been asked already.
        """
        ref, extension = str(place), extension_at(place)
        policy = self.policy_for(pickle, ref)
        if filters is not None:
            from runstore.store._filtered import filtered

            return filtered(self, place, policy, verify, columns, filters, as_type, sealed)
        if columns is not None and not is_plain(extension) and reads_columns(self.backend):
            with suppress(WholeNeeded):
                return read_columns(self, place, verify, columns, as_type, policy, sealed)
        opened, data, entry = self.open_whole(place, policy, verify, sealed, read)
        if opened is None:
            if as_type is bytes:
                return bytes(flat(data)), entry, data  # the file, not what is in it
            if isinstance(place, PartPlace):
                raise file_of_folder(place)
            return rebuilt_file(data, place, extension, policy, columns, as_type), entry, data
        if isinstance(place, Place) and (seal := seal_in(opened, place)) is not None:
            try:
                return self.whole_value(place, seal, verify, columns, as_type, pickle), entry, data
            except PartGoneError as exc:
                exc.check(self, place, opened.header)
                return self._get(place, verify, columns, as_type, pickle)
        value = rebuilt(opened, place, policy, policy == "signed", columns, as_type)
        if read is not None and isinstance(place, Place):
            learn_small(opened, place)
        return value, entry, data

    def whole_value(
        self,
        place: Place,
        seal: Sealed,
        verify: Verify,
        columns: list[Any] | None,
        as_type: type | None,
        pickle: PicklePolicy | None,
        filters: "Filter | None" = None,
    ) -> Any:
        """Read all parts, some at a time, and join them in the order of their keys.

        Raises:
            PartGoneError: One is not there.
            RunStoreError: What `get` raises.
        """
        parts = parts_of(place, seal)

        def read(part: SealedPart) -> Any:
            return self.get(
                part_place(place, seal, part),
                verify=verify,
                columns=columns,
                filters=filters,
                as_type=as_type,
                pickle=pickle,
                sealed=part,
            )

        try:
            return codecs.joined(each_of(self.backend, read, parts), str(place))
        except ObjectNotFoundError as exc:
            raise PartGoneError(exc) from exc
