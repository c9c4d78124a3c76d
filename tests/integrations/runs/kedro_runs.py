"""The stages as nodes of a Kedro project, with each of its runners; Kedro finds the plug-in."""

import os
import sys
import tempfile
from pathlib import Path

import stages
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner
from twice import twice

from runstore import ObjectStore

FILES = {
    "pyproject.toml": """
[tool.kedro]
package_name = "training"
project_name = "training"
kedro_init_version = "{version}"
""",
    "conf/base/parameters.yml": "n: 1\n",
    "conf/base/catalog.yml": """
built:
  type: runstore.integrations.kedro.RunstoreDataset
  name: kedro/built
""",
    "conf/local/.keep": "",
    "src/training/__init__.py": "",
    "src/training/settings.py": "",
    "src/training/pipeline_registry.py": """
from kedro.pipeline import node, pipeline
from training.nodes import build, train


def register_pipelines():
    return {{
        "__default__": pipeline(
            [
                node(build, None, "built", name="build"),
                node(train, "built", "trained", name="train"),
            ]
        )
    }}
""",
    "src/training/nodes.py": """
import stages


def build():
    stages.build()
    return 1


def train(built):
    stages.train()
    return built
""",
}


def sessions(folder: str) -> None:
    """Run the project once with each runner; the first session meets one of another process."""
    bootstrap_project(Path(folder))
    for runner in (SequentialRunner, ThreadRunner, ParallelRunner):
        with KedroSession.create(project_path=folder) as session:
            session.run(runner=runner())
        os.environ.pop("STAGES_MEET", None)


def main() -> None:
    """Run the sessions in two processes at once."""
    import kedro

    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.format(version=kedro.__version__))
        twice([sys.executable, __file__, folder])
    assert 1 == ObjectStore().at().get("kedro/built", scope="namespace")
    stages.check_outside()


if __name__ == "__main__":
    if sys.argv[1:]:
        sessions(*sys.argv[1:])
    else:
        main()
