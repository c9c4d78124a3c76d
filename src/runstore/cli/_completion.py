"""Completion by Tab in bash, zsh and fish: of commands, options, namespaces, runs and names.

The shell runs `runstore` with a variable in the environment, by a protocol of typer's. So what is
offered is what is stored at that moment. A store that does not answer in time offers nothing.
"""

import os
from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from runstore.cli._options import CommonOptions, DebugOption, open_store
from runstore.cli._output import emit
from runstore.errors import RunStoreError

__all__ = ["complete_file", "complete_namespace", "complete_ref", "completion", "prepare"]

_VARIABLE = "_RUNSTORE_COMPLETE"
_PATIENCE = 3.0  # seconds
_MOST = 500  # candidates
_LOOKED_AT = 5_000  # objects

# Each hands the line up to the cursor over, and takes one candidate a line. What ends in a slash
# goes on, so no blank follows it. In bash a ":" ends a word, so what is before it is cut off.
_BASH = r"""
_runstore_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" typed word quoted
    typed="${line##*[[:space:]]}"
    COMPREPLY=()
    while IFS= read -r word; do
        word="${word%%$'\t'*}"
        [[ -n $word ]] || continue
        [[ $word == */ ]] && compopt -o nospace 2>/dev/null
        [[ $typed == *:* && $COMP_WORDBREAKS == *:* ]] && word="${word#"${typed%:*}:"}"
        printf -v quoted %q "$word"
        COMPREPLY+=("$quoted")
    done < <(env _RUNSTORE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="$line" "$1" 2>/dev/null)
}
complete -o default -F _runstore_completion runstore
"""
_ZSH = r"""
#compdef runstore
_runstore() {
    local -a found folders
    local word
    for word in "${(@f)$(env _RUNSTORE_COMPLETE=complete_fish \
        _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="${words[1,CURRENT]}" ${words[1]} 2>/dev/null)}"; do
        word="${word%%$'\t'*}"
        if [[ $word == */ ]]; then folders+=("$word")
        elif [[ -n $word ]]; then found+=("$word"); fi
    done
    (( $#folders )) && compadd -S '' -- "${folders[@]}"
    (( $#found )) && compadd -- "${found[@]}"
    (( $#folders + $#found )) || _files
}
compdef _runstore runstore
"""
_FISH = r"""
function _runstore_completion
    set -l line (commandline -cp)
    env _RUNSTORE_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="$line" (commandline -opc)[1] 2>/dev/null
end
complete --command runstore --no-files --arguments "(_runstore_completion)"
"""


class _Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[_Shell, typer.Argument(help="Which shell.")], debug: DebugOption = False
) -> None:
    """Print what makes the shell complete commands, namespaces, runs and names by Tab.

    For bash put eval "$(runstore completion bash)" into ~/.bashrc; for zsh the same with zsh into
    ~/.zshrc, behind compinit; for fish write it to ~/.config/fish/completions/runstore.fish.
    """
    emit({"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell.value].strip())


def prepare() -> None:
    """Let the program answer a shell that asks for candidates; do nothing otherwise."""
    if _VARIABLE in os.environ:
        # typer lets rich wrap a help text to the terminal, and each line would be a candidate.
        os.environ["COLUMNS"] = "10000"
        os.environ.pop("TERMINAL_WIDTH", None)
        from typer._completion_classes import completion_init

        completion_init()


def complete_ref(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the references that begin with *incomplete*, up to the next slash."""
    return _quietly(ctx, lambda store: _references(store, incomplete))


def complete_namespace(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the namespaces that begin with *incomplete*."""
    return _quietly(ctx, lambda store: _beginning(store.namespaces(), incomplete))


def complete_file(incomplete: str) -> list[str]:
    """Return the files and folders whose path begins with *incomplete*."""
    folder, slash, begun = incomplete.rpartition("/")
    there = Path(folder + slash).expanduser() if incomplete else Path()
    try:
        found = sorted(there.iterdir())[:_LOOKED_AT]
    except OSError:
        return []
    names = [f"{one.name}/" if one.is_dir() else one.name for one in found]
    hidden = begun.startswith(".")
    return [f"{folder}{slash}{n}" for n in names if n.startswith(begun) and hidden == (n[0] == ".")]


def _quietly(ctx: typer.Context, look: Any) -> list[str]:
    """Return what *look* finds in the store of the command line; nothing if that fails."""
    url = ctx.params.get("store")
    above = ctx.parent
    while url is None and above is not None:
        url, above = above.params.get("store"), above.parent
    if url is None and isinstance(ctx.obj, CommonOptions):
        url = ctx.obj.store
    try:
        with open_store(url, pickle="deny", longest=_PATIENCE) as store:
            return list(islice(look(store), _MOST))
    except RunStoreError:
        return []


def _references(store: Any, incomplete: str) -> list[str]:
    from runstore.cli._refs import LATEST, parse_ref, resolved
    from runstore.keys import SHARED

    namespace, slash, rest = incomplete.partition("/")
    if not slash:
        return [f"{name}/" for name in _beginning(store.namespaces(), incomplete)]
    run, slash, _ = rest.partition("/")
    if not slash:
        from runstore.runs import recorded_runs

        runs = {*store.runs_with_objects(namespace), *recorded_runs(store.backend, namespace)}
        special = [SHARED, LATEST] if runs else [SHARED]
        return [f"{namespace}/{one}/" for one in _beginning([*sorted(runs), *special], run)]
    at = resolved(store, parse_ref(incomplete))
    start, found = f"{namespace}/{run}/", dict[str, None]()
    names = islice(at.view(store).iter(at.name, scope=at.scope), _LOOKED_AT)
    for info in names:
        end = info.name.find("/", len(at.name))
        found[start + (info.name if end < 0 else info.name[: end + 1])] = None
    return list(found)


def _beginning(names: Iterable[str], begun: str) -> list[str]:
    return [name for name in names if name.startswith(begun)]
