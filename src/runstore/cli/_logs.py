"""`logs`: what the stages of a run have logged, also while it goes on."""

import re
import time
from difflib import get_close_matches
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from runstore.arguments import in_shell
from runstore.cli._completion import complete_ref
from runstore.cli._options import DebugOption, StoreOption, open_store
from runstore.cli._output import emit, say
from runstore.cli._refs import Ref, parse_run, resolved
from runstore.cli._resume import taken_over
from runstore.errors import InvalidRequestError, ObjectNotFoundError

if TYPE_CHECKING:
    from runstore.context import StageRecord, WorkflowRun
    from runstore.store import ObjectStore

__all__ = ["logs"]

_NEAR, _FAR = 0.5, 2.0  # seconds between two looks
_KNOWN = 500  # characters by which the place is found up to which a log was shown
_LEFT_OUT = re.compile(r"^… [\d,]+ lines are left out …\n", re.MULTILINE)


def logs(
    ref: Annotated[
        str,
        typer.Argument(metavar="RUN", help="NS/RUN, or NS/_latest.", autocompletion=complete_ref),
    ],
    stage: Annotated[str | None, typer.Argument(metavar="[STAGE]", help="Only this one.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")
    ] = False,
    lines: Annotated[
        int | None,
        typer.Option("--lines", "-n", min=0, metavar="N", help="The last N lines of each stage."),
    ] = None,
    store: StoreOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what the stages of a run have logged: all of it, stage after stage.

    The lines are those of the copies that the run's record points to. Of a run that goes on there
    is what was logged up to some seconds ago.
    """
    place = open_store(store)
    at = resolved(place, parse_run(ref), complete=True)
    if at.only_run is None or at.name:
        raise InvalidRequestError(f"{ref!r} is no run: write NS/RUN, or NS/_latest", ref)
    _Logs(place, at, stage, lines).show(follow)


class _Logs:
    """Prints what is new of the logs of a run at each look.

    Args:
        store: Where its record is.
        at: The run.
        stage: Only of this one.
        lines: How many lines of each are shown when it is first seen; None for all.
    """

    def __init__(self, store: "ObjectStore", at: Ref, stage: str | None, lines: int | None) -> None:
        self._store, self._at, self._stage, self._lines = store, at, stage, lines
        self._seen: dict[str, object] = {}  # which version of each file was read
        self._shown: dict[str, _Shown] = {}
        self._wait = _NEAR if store.backend.guarantees.mapped else _FAR

    def show(self, follow: bool) -> None:
        """Print what there is, and with *follow* what comes until the run has ended."""
        assert self._at.run is not None
        while True:
            run = self._store.read_run(self._at.run, namespace=self._at.namespace)
            names = _stages(run)
            if self._stage is not None and names and self._stage not in names:
                close = get_close_matches(self._stage, names, 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ObjectNotFoundError(
                    f"run {str(self._at)!r} has no stage {self._stage!r}{hint or '.'} Its stages "
                    f"are {', '.join(map(repr, names))}",
                    str(self._at),
                )
            self._tell(names)
            if not follow or run.state not in ("running", "pending"):
                break
            time.sleep(self._wait)
        elsewhere = [self._elsewhere(one) for one in run.stages if self._stage in (None, one.name)]
        for line in filter(None, elsewhere):
            say(line)
        if not self._seen and not any(elsewhere):
            what = "" if self._stage is None else f" of stage {self._stage!r}"
            say(f"no lines of a log{what} are kept")

    def _elsewhere(self, stage: "StageRecord") -> str:
        """Return where the log is of what was taken over; empty if nothing was."""
        taken = taken_over(stage, self._at.namespace)
        if not taken:
            return ""
        ref = in_shell(f"{self._at.namespace}/{stage.origin}")
        command = f"runstore logs {ref} {in_shell(stage.name)}"
        what = "was taken over" if taken.startswith("taken over") else "was taken over in part"
        return f"stage {stage.name!r} {what} from run {stage.origin}; its log is there: {command}"

    def _tell(self, names: list[str]) -> None:
        from runstore.keys import log_key
        from runstore.runs import listed_logs

        namespace, run = self._at.namespace, str(self._at.run)
        files = listed_logs(self._store.backend, namespace, run)
        known = {log_key(namespace, run, name): name for name in names}
        order = [key for key in known if key in files]
        if self._stage is None:
            order += sorted(files.keys() - known.keys())  # of a stage that the record does not name
        elif names:
            order = [key for key in order if known[key] == self._stage]
        for key in order:
            entry = files[key]
            version = entry.version or (entry.size, entry.modified)
            if self._seen.get(key) != version:
                self._tell_of(key)
                self._seen[key] = version

    def _tell_of(self, key: str) -> None:
        from runstore.buffers import flat

        try:
            data, _ = self._store.backend.get(key)
        except ObjectNotFoundError:
            return  # removed by clean-up
        text, shown = bytes(flat(data)).decode(errors="replace"), self._shown.get(key)
        new = text[0 if shown is None else shown.up_to(text) :].splitlines()
        if shown is None and self._lines is not None:
            new = new[-self._lines :] if self._lines else []
        for line in new:
            emit(line)
        self._shown[key] = _shown_of(text)


class _Shown(NamedTuple):
    """What is known of a text that was shown.

    Attributes:
        length, digest: Of all of it.
        start, end: Some of it; the end is of what follows lines that were left out.
    """

    length: int
    digest: bytes
    start: str
    end: str

    def up_to(self, text: str) -> int:
        """Return the place in *text*, which is the newer one, up to which it was shown."""
        if len(text) >= self.length and _digest(text[: self.length]) == self.digest:
            return self.length
        left_out = _LEFT_OUT.search(text)
        if left_out is None or not text.startswith(self.start[: left_out.start()]):
            return 0  # the log of another run of this name
        # Of equal places the first: a line is rather shown twice than not at all.
        at = text.find(self.end, left_out.end())
        return left_out.start() if at < 0 else at + len(self.end)


def _shown_of(text: str) -> _Shown:
    left_out = _LEFT_OUT.search(text)
    end = max(len(text) - _KNOWN, 0 if left_out is None else left_out.end())
    start = text[: _KNOWN if left_out is None else min(_KNOWN, left_out.start())]
    return _Shown(len(text), _digest(text), start, text[end:])


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _stages(run: "WorkflowRun") -> list[str]:
    """Return the names of a run's stages, in the order of the definition."""
    found = [one.name for one in run.stages]
    spec = (run.definition or {}).get("spec")
    stages = spec.get("stages") if isinstance(spec, dict) else None
    for one in stages if isinstance(stages, list) else []:
        if isinstance(one, dict) and isinstance(one.get("name"), str) and one["name"] not in found:
            found.append(one["name"])
    return found
