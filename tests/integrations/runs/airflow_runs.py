"""Airflow's own command runs the DAG of airflow_dag.py, twice at once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import stages
from twice import twice

if __name__ == "__main__":
    home = Path.cwd() / "airflow"
    (home / "dags").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("airflow_dag.py"), home / "dags")
    (home / "plugins").mkdir()
    (home / "plugins" / "ours.py").write_text(
        "from runstore.integrations.airflow_plugin import RunstorePlugin\n"
    )
    variables = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",  # it imports pandas, on a busy machine
        "AIRFLOW__WORKERS__STATE_STORE_BACKEND": (
            "runstore.integrations.airflow_state.RunstoreStateStore"
        ),
        "AIRFLOW__CORE__XCOM_BACKEND": "runstore.integrations.airflow.RunstoreXCom",
    }
    airflow = str(Path(sys.executable).with_name("airflow"))
    os.environ.update(variables)
    for words in ("db migrate", "dags reserialize"):
        subprocess.run([airflow, *words.split()], check=True)
    twice([airflow, "dags", "test", "training"])
    stages.check_outside()
