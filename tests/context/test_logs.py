import io
import logging

import pytest

from runstore import bind, run_context
from runstore.context import RunLogFilter, use_run_context


@pytest.fixture
def lines():
    """Give the text that a logger of its own has written, with run and stage."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RunLogFilter())
    handler.setFormatter(logging.Formatter("%(namespace)s/%(run)s %(stage)s: %(message)s"))
    logger = logging.getLogger("test_logs")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def say(text):
    logging.getLogger("test_logs").warning(text)


def test_lines_say_which_run_they_are_of(lines):
    """A line of a handler with the filter has namespace, run and stage; outside a run, dashes."""
    say("outside")
    with run_context(namespace="dev", run="r1") as ctx:
        say("in a run")
        bound = bind(say, ctx.at_stage("fit", 1, 3))
        with use_run_context(ctx.at_stage("load")):
            say("in a stage")
    bound("in an item")
    assert [
        "-/- -: outside",
        "dev/r1 -: in a run",
        "dev/r1 load: in a stage",
        "dev/r1 fit[3]: in an item",
    ] == lines.getvalue().splitlines()
