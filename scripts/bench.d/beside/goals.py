"""What Kiln is meant to reach, where each figure is measured, and what stands between them."""

# (what, comparison, measure, how it is compared, goal, what bounds it)
RATIO, OURS = "ratio", "ours"
EXPORT = {"8 KB": "a request: HTTP and the kernel, as on the other side, and a quarter of it gzip", "256 KB": "gzip", "4 MB": "gzip"}
GOALS = [
    *(
        (f"processor time of a scraped sample, {count:,} executors, {than}", f"scrape/{count}/{line_up}", "cpu_us_per_sample", RATIO, 0.40, "about as much lifting and writing attributes in the host as reading numbers and building records in the guest")
        for count in (100, 1000)
        for line_up, than in (("queue", "queue batching"), ("batch", "batch processor"))
    ),
    *(
        (f"peak memory, 1,000 executors, {than}", f"scrape/1000/{line_up}", "peak_rss_mib", RATIO, 0.30, "the page and its batch, each held whole, beside the compiled plugins")
        for line_up, than in (("queue", "queue batching"), ("batch", "batch processor"))
    ),
    ("memory, idle", "idle", "idle_rss_mib", RATIO, 0.30, "pages of the program and of compiled plugins that are in use"),
    ("memory, idle, MiB", "idle", "idle_rss_mib", OURS, 25, "the same"),
    ("exec to the first point, from a bundle", "start/warm", "start_ms", RATIO, 0.20, "most of it is over when it runs: exec, reading and checking plugins and their code, instantiating; then the first page and its request"),
    ("processor time of enriching a batch of 100,000 points", "enrichment", "cpu_ms_per_batch", RATIO, 0.10, "a call of the plugin with a view of the resource; both sides change it in place, which is less than can be measured so"),
    *(
        (f"processor time of exporting a point with gzip, batches of {size}, {line_up}", f"export/{size}/{line_up}", "cpu_us_per_point", RATIO, 0.50, EXPORT[size])
        for size in ("8 KB", "256 KB", "4 MB")
        for line_up in ("Collector", "Collector, gzip level 1")
    ),
    ("shipped, compressed", "size", "gzip_mib", RATIO, 0.40, "the program, wasmtime and TLS most of it"),
    ("sandbox tax: the same parser inside and outside", "sandbox", "cpu_s_per_turn", RATIO, 1.5, "the checks that let a plugin be interrupted, without which it would be 1.2: see [what it costs](../security.md#what-it-costs)"),
    ("memory of a further instance, MiB", "growth/instance", "rss_mib_per_instance", OURS, 2, "the linear memory and the stack of each instance"),
]


def verdicts(comparisons):
    """For each goal what was measured, by its median, and whether that is enough; nothing where it was not measured."""
    by_key = {comparison["key"]: comparison for comparison in comparisons}
    for what, key, measure, how, goal, bound in GOALS:
        measured = by_key.get(key, {}).get("measures", {}).get(measure, {}).get(how)
        yield {"goal": what, "limit": goal, "is_ratio": how == RATIO, "measured": measured, "bound": bound, "is_met": measured and measured["median"] <= goal}
