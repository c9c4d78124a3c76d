"""Mermaid itself takes our flowcharts; `make test-drawings` installs it, and needs node."""

import html
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.lineage.test_lineage import AWKWARD, lineage, record, stage, use

MERMAID = Path(__file__).parents[2] / ".mermaid"

# Says what Mermaid has drawn: labels of the nodes, number of edges, titles of the frames.
PROGRAM = """
import { JSDOM } from "jsdom";
const page = new JSDOM("<body></body>", { pretendToBeVisual: true }).window;
for (const name of ["SVGElement", "Element", "HTMLElement", "DOMParser", "XMLSerializer", "Node",
                    "CSSStyleSheet", "document"]) globalThis[name] = page[name];
globalThis.window = page;
page.SVGElement.prototype.getBBox = () => ({ x: 0, y: 0, width: 100, height: 20 });
page.SVGElement.prototype.getComputedTextLength = () => 100;
page.CSSStyleSheet.prototype.replaceSync = () => {};
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ htmlLabels: false, flowchart: { htmlLabels: false } });  // no sizes are known
let text = "";
for await (const some of process.stdin) text += some;
const { svg } = await mermaid.render("drawing", text);
const drawn = new page.DOMParser().parseFromString(svg, "text/html");
const texts = (kind) => [...drawn.querySelectorAll(kind)].map((one) => one.textContent);
console.log(JSON.stringify({
  nodes: texts(".node"), frames: texts(".cluster"), edges: texts("path.flowchart-link").length,
}));
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("node") is None or not (MERMAID / "node_modules/mermaid").exists(),
        reason="Mermaid is not installed: run `make test-drawings`, which needs node",
    ),
]


def rendered(text):
    """Return what Mermaid has drawn, each text without blanks."""
    program = MERMAID / "render.mjs"
    program.write_text(PROGRAM)
    done = subprocess.run(
        ["node", str(program)], input=text, capture_output=True, text=True, timeout=300, check=False
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def test_mermaid_draws_every_object_and_stage(store):
    """Names with signs of its language are text; each edge is drawn, each run is a frame."""
    view = store.at(namespace="dev", run="one")
    for name in ("raw", AWKWARD):
        view.put(name, {"name": name})
    raw, report = use(store, "dev/one/raw"), use(store, f"dev/one/{AWKWARD}")
    record(
        store,
        "one",
        stage("load", writes=[raw]),
        stage('s "t" end', reads=[raw], writes=[report]),
        stage("list"),
        after={'s "t" end': ["load", "list"]},
    )
    found = lineage(store, f"dev/one/{AWKWARD}")
    drawn = rendered(found.mermaid())
    nodes = {"".join(html.unescape(text).split()) for text in drawn["nodes"]}
    assert {"load", "list", 's"t"end'} <= nodes
    name = "".join(AWKWARD.split())
    assert 1 == sum(text.startswith(name) for text in nodes)
    assert ["dev/one"] == [text.strip() for text in drawn["frames"]]
    assert len(found.drawn()) == drawn["edges"]
