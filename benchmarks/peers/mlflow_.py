"""MLflow's log_artifact: a file is written first, then handed over and copied."""

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

if "AWS_ENDPOINT_URL" in os.environ:
    os.environ["MLFLOW_S3_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import mlflow
from mlflow.artifacts import download_artifacts

requires = ("mlflow-skinny==3.17.2", "boto3==1.44.5", "pandas==3.1.1", "pyarrow==26.0.1")

label = "MLflow log_artifact"
guarantees = "files only (here a pickle), not atomic on disk, no digest, runs code when read"
lacks = "atomic replace, digest, loading without code execution; each value is a file first"


def open_at(root: str) -> Any:
    tracking = tempfile.mkdtemp() if root.startswith("s3://") else f"{root}/mlruns"
    client = mlflow.MlflowClient(tracking_uri=f"file://{tracking}")
    location = f"{root}/artifacts" if "://" in root else f"file://{root}/artifacts"
    experiment = client.create_experiment("benchmarks", artifact_location=location)
    run = client.create_run(experiment)
    return client, run.info.run_id, f"file://{tracking}", run.info.artifact_uri


def put(handle: Any, key: str, value: Any) -> None:
    client, run, _, _ = handle
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / key
        path.write_bytes(pickle.dumps(value, protocol=5))
        client.log_artifact(run, str(path))


def get(handle: Any, key: str) -> Any:
    _, run, tracking, _ = handle
    with tempfile.TemporaryDirectory() as folder:
        path = download_artifacts(
            run_id=run, artifact_path=key, dst_path=folder, tracking_uri=tracking
        )
        with Path(path).open("rb") as file:
            return pickle.load(file)


def delete(handle: Any, key: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(handle[3]).delete_artifacts(key)
