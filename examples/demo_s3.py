"""`make demo-s3`: the flights example on a SeaweedFS that is started here and stopped again."""

import os
import subprocess
import sys

from tests.servers.seaweed import seaweed


def main() -> int:
    """Start the server, run the demo in its bucket, and say how many requests it took."""
    print("starting SeaweedFS …", file=sys.stderr)
    with seaweed() as server:
        bucket = server.new_bucket()
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL_S3": server.endpoint,
            "AWS_ACCESS_KEY_ID": server.key,
            "AWS_SECRET_ACCESS_KEY": server.secret,
            "AWS_DEFAULT_REGION": server.region,
        }
        run = "from runstore.cli import main; raise SystemExit(main())"
        command = [sys.executable, "-c", run, "demo", "--store", f"s3://{bucket}/demo"]
        before = server.requests(bucket)
        done = subprocess.run(command, env=environment, check=False)  # noqa: S603
        counted = server.requests(bucket) - before
    kinds = ", ".join(f"{n} {kind} {code}" for (kind, code), n in sorted(counted.items()))
    print(f"\n{counted.total()} requests: {kinds}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
