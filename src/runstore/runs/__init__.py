"""What has run: the records of runs, one small JSON document for each, and who executes them.

The functions here work on a place. `ObjectStore` offers them as its verbs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runstore.context import kept_result
    from runstore.runs._alive import (
        LOST_AFTER,
        RENEWED,
        Beat,
        Liveness,
        ask,
        await_end,
        beats,
        begin_beats,
        end_beats,
        last_beats,
        place_time,
        renewed,
    )
    from runstore.runs._journal import distrust, forget_index, note_run
    from runstore.runs._latest import (
        forget_latest,
        latest_finished,
        latest_named,
        move_latest,
        settle_latest,
    )
    from runstore.runs._look import UNREADABLE, RunLook, living
    from runstore.runs._looks import looks
    from runstore.runs._marks import (
        Marks,
        check_tag,
        delete_marks,
        marks_folder,
        marks_of,
        pinned_runs,
        read_marks,
        remove_marks,
        set_mark,
    )
    from runstore.runs._near import near_runs, near_workflows, no_namespace
    from runstore.runs._newest import newest_runs
    from runstore.runs._pages import Later, done_now, newest_first, page_of_runs
    from runstore.runs._read_then import ReadThen
    from runstore.runs._reads import delete_reads, note_reads, reading_runs, referred_runs
    from runstore.runs._record_file import REMOVED
    from runstore.runs._records import (
        ask_to_delete,
        cancel_run,
        delete_record,
        delete_unnamed,
        find_record,
        list_runs,
        read_record,
        read_run,
        recorded_runs,
        replace_record,
        runs_beginning,
        start_of,
        write_run,
    )
    from runstore.runs._removal import (
        Held,
        Removal,
        Seen,
        begin_deleting,
        begin_removal,
        is_held,
        is_of_run,
        objects_of_run,
        removal_of,
        restore,
        take_over,
    )
    from runstore.runs._runner import seen_from_here, this_process
    from runstore.runs._stage_logs import delete_logs, listed_logs, logged_runs, read_log, write_log
    from runstore.runs._tagged import tagged_runs

__all__ = [
    "LOST_AFTER",
    "REMOVED",
    "RENEWED",
    "UNREADABLE",
    "Beat",
    "Held",
    "Later",
    "Liveness",
    "Marks",
    "ReadThen",
    "Removal",
    "RunLook",
    "Seen",
    "ask",
    "ask_to_delete",
    "await_end",
    "beats",
    "begin_beats",
    "begin_deleting",
    "begin_removal",
    "cancel_run",
    "check_tag",
    "delete_logs",
    "delete_marks",
    "delete_reads",
    "delete_record",
    "delete_unnamed",
    "distrust",
    "done_now",
    "end_beats",
    "find_record",
    "forget_index",
    "forget_latest",
    "is_held",
    "is_of_run",
    "kept_result",
    "last_beats",
    "latest_finished",
    "latest_named",
    "list_runs",
    "listed_logs",
    "living",
    "logged_runs",
    "looks",
    "marks_folder",
    "marks_of",
    "move_latest",
    "near_runs",
    "near_workflows",
    "newest_first",
    "newest_runs",
    "no_namespace",
    "note_reads",
    "note_run",
    "objects_of_run",
    "page_of_runs",
    "pinned_runs",
    "place_time",
    "read_log",
    "read_marks",
    "read_record",
    "read_run",
    "reading_runs",
    "recorded_runs",
    "referred_runs",
    "removal_of",
    "remove_marks",
    "renewed",
    "replace_record",
    "restore",
    "runs_beginning",
    "seen_from_here",
    "set_mark",
    "settle_latest",
    "start_of",
    "tagged_runs",
    "take_over",
    "this_process",
    "write_log",
    "write_run",
]

# Few stages need these: they are imported with the first use.
_LATER = {
    **dict.fromkeys(
        (
            *("LOST_AFTER", "RENEWED", "Beat", "Liveness", "ask", "await_end", "begin_beats"),
            *("beats", "end_beats", "last_beats", "place_time", "renewed"),
        ),
        "_alive",
    ),
    **dict.fromkeys(("UNREADABLE", "RunLook", "living"), "_look"),
    "looks": "_looks",
    **dict.fromkeys(("delete_reads", "note_reads", "reading_runs", "referred_runs"), "_reads"),
    **dict.fromkeys(
        ("forget_latest", "latest_finished", "latest_named", "move_latest", "settle_latest"),
        "_latest",
    ),
    "near_runs": "_near",
    "near_workflows": "_near",
    "no_namespace": "_near",
    **dict.fromkeys(("Later", "done_now", "newest_first", "page_of_runs"), "_pages"),
    "ReadThen": "_read_then",
    **dict.fromkeys(
        (
            *("Marks", "check_tag", "delete_marks", "marks_folder", "marks_of", "pinned_runs"),
            *("read_marks", "remove_marks", "set_mark"),
        ),
        "_marks",
    ),
    **dict.fromkeys(
        (
            *("Held", "Removal", "Seen", "begin_deleting", "begin_removal", "is_held"),
            *("is_of_run", "objects_of_run", "removal_of", "restore", "take_over"),
        ),
        "_removal",
    ),
    **dict.fromkeys(("distrust", "forget_index", "note_run"), "_journal"),
    "newest_runs": "_newest",
    "REMOVED": "_record_file",
    **dict.fromkeys(
        (
            *("ask_to_delete", "cancel_run", "delete_record", "delete_unnamed", "find_record"),
            *("list_runs", "read_record", "read_run", "recorded_runs", "replace_record"),
            *("runs_beginning", "start_of", "write_run"),
        ),
        "_records",
    ),
    **dict.fromkeys(("seen_from_here", "this_process"), "_runner"),
    **dict.fromkeys(
        ("delete_logs", "listed_logs", "logged_runs", "read_log", "write_log"), "_stage_logs"
    ),
    "tagged_runs": "_tagged",
}


def __getattr__(name: str) -> Any:
    if name == "kept_result":
        from runstore.context import kept_result

        return kept_result
    if name not in _LATER:
        raise AttributeError(f"module 'runstore.runs' has no attribute {name!r}")
    return getattr(import_module(f"runstore.runs.{_LATER[name]}"), name)
