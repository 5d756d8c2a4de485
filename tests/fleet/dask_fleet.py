"""A fleet of Dask's workers that collect the sign-up mail of many mailboxes.

    python dask_fleet.py < mailboxes.txt                   # prints how many messages were handled

For a cluster of machines, replace `LocalCluster` by its address. The workers import `collect` and `handler`.
"""

from __future__ import annotations

from collect import run, shards
from distributed import Client, LocalCluster


def main() -> None:
    """Collect all shards on four workers; Dask gives the shard of a worker that died to another one."""
    with (
        LocalCluster(n_workers=4, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as dask,
    ):
        futures = dask.map(run, shards(8), pure=False)
        print(sum(dask.gather(futures)))


if __name__ == "__main__":
    main()
