"""Graphs and bars."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from runstore.pages import bars_of, drawn
from runstore.queries import Graph, Node


def graph(edges, nodes=None):
    """Make a graph of text: ``a-b`` is an edge."""
    pairs = [tuple(edge.split("-")) for edge in edges.split()]
    keys = nodes or sorted({key for pair in pairs for key in pair})
    return Graph([Node(key, key) for key in keys], pairs)


def test_a_node_lies_right_of_all_that_lead_to_it():
    """Layers go from left to right, and no two boxes overlap."""
    found = drawn(graph("a-b a-c b-d c-d a-d"))
    boxes = {box.node.key: box for box in found.boxes}
    assert boxes["a"].x < boxes["b"].x == boxes["c"].x < boxes["d"].x
    assert abs(boxes["b"].y - boxes["c"].y) >= boxes["b"].height
    assert 5 == len(found.lines)
    assert all(box.x + box.width <= found.width for box in found.boxes)


def test_a_circle_is_drawn_too():
    """A record that claims a circle does not hang the page."""
    found = drawn(graph("a-b b-c c-a"))
    assert 3 == len({box.x for box in found.boxes})
    assert [False, False, True] == [line.back for line in found.lines]
    assert [True] == [line.back for line in drawn(graph("a-a")).lines]


def test_nothing_and_too_much_are_not_drawn():
    """An empty graph, and one that nobody could look at."""
    assert drawn(Graph([], [])) is None
    assert drawn(graph("", [str(i) for i in range(500)])) is None


def test_bars_share_one_time_line():
    """From the first start to the last end; what has not begun has no bar."""
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def span(start, end, state="finished"):
        times = [None if t is None else at + timedelta(seconds=t) for t in (start, end)]
        return SimpleNamespace(started_at=times[0], finished_at=times[1], state=state)

    records = [span(0, 50), span(50, 100), span(None, None, "pending"), span(25, None, "running")]
    found = bars_of(records, at + timedelta(seconds=75))
    assert [(0, 50), (50, 50), None, (25, 50)] == [bar and (bar.x, bar.width) for bar in found]
    assert [None] == bars_of([span(None, None)])
