"""Prints the id and the name of an all-purpose cluster that runs in a workspace, with a tab between them.

usage: DATABRICKS_TOKEN=... running-cluster.py URL
"""

import json
import os
import sys
import urllib.request


def main(url: str) -> int:
    request = urllib.request.Request(
        f"{url}/api/2.1/clusters/list", headers={"authorization": f"Bearer {os.environ['DATABRICKS_TOKEN']}"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        clusters = json.load(answer).get("clusters", [])
    for cluster in clusters:
        if cluster["state"] == "RUNNING" and cluster["cluster_source"] != "JOB":
            print(cluster["cluster_id"], cluster["cluster_name"], sep="\t")
            return 0
    print(f"no all-purpose cluster runs in {url}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
