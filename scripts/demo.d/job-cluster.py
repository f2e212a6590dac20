"""Prints the id and the name of a cluster that a job runs on, with a tab between them.

usage: DATABRICKS_TOKEN=... job-cluster.py URL
"""

import json
import os
import sys
import urllib.request


# A pending cluster has its whole run before it.
LIVELIEST = {"PENDING": 0, "RUNNING": 1}


def main(url: str) -> int:
    request = urllib.request.Request(
        f"{url}/api/2.1/clusters/list", headers={"authorization": f"Bearer {os.environ['DATABRICKS_TOKEN']}"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        clusters = json.load(answer).get("clusters", [])
    of_jobs = [cluster for cluster in clusters if cluster["cluster_source"] == "JOB"]
    if not of_jobs:
        print(f"{url} has no cluster of a job", file=sys.stderr)
        return 1
    # One whose run is under way, and the longer the better, so that the other tier reports it too.
    cluster = min(of_jobs, key=lambda cluster: LIVELIEST.get(cluster["state"], len(LIVELIEST)))
    print(cluster["cluster_id"], cluster["cluster_name"], sep="\t")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
