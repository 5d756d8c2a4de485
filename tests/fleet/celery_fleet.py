"""A fleet of Celery's workers that collect the sign-up mail of many mailboxes.

celery -A celery_fleet worker --concurrency 4          # on each machine
python celery_fleet.py < mailboxes.txt                 # once; prints how many messages were handled
"""

from __future__ import annotations

from celery import Celery, group
from collect import REDIS_URL, run, shards

app = Celery("celery_fleet", broker=REDIS_URL, backend=REDIS_URL)
app.conf.update(
    task_acks_late=True,  # a shard is done when it is done, not when somebody takes it
    task_reject_on_worker_lost=True,  # so the shard of a worker that died goes to another one
    worker_prefetch_multiplier=1,  # nobody keeps shards that others could begin
    broker_connection_retry_on_startup=True,
)


@app.task
def collect_shard(shard: list[str]) -> int:
    """Collect the mail of one shard."""
    return run(shard)


if __name__ == "__main__":
    from celery_fleet import collect_shard as task  # by its module's name, as the workers know it

    print(sum(group(task.s(shard) for shard in shards(8)).apply_async().get(timeout=100)))
