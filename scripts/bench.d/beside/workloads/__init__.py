"""What is measured: each module has TITLE, ABOUT and `measure`, which gives comparisons, tables or plots of what came out."""

from . import disk, enrichment, export, growth, idle, polling, sandbox, scrape, size, start, throughput

# In the order of the page; the names are those that --only takes.
WORKLOADS = {
    "scrape": scrape,
    "throughput": throughput,
    "enrichment": enrichment,
    "export": export,
    "disk": disk,
    "polling": polling,
    "start": start,
    "idle": idle,
    "size": size,
    "sandbox": sandbox,
    "growth": growth,
}
