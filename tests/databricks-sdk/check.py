"""The official Databricks client against the simulated workspace.

    python check.py http://127.0.0.1:PORT TOKEN CLIENT_ID CLIENT_SECRET

Kiln's tests trust the simulated workspace; this asks the client that Databricks itself publishes whether it
deserves that. Prints one line per promise and exits with 1 at the first that is broken.
"""

import json
import logging
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.errors import (
    InternalError,
    InvalidParameterValue,
    NotFound,
    PermissionDenied,
    ResourceDoesNotExist,
    Unauthenticated,
)
from databricks.sdk.service.compute import (
    ClusterSource,
    EventType,
    GetEventsOrder,
    ListClustersFilterBy,
    ListSortColumn,
    ListSortOrder,
    State as ClusterState,
)
from databricks.sdk.service.jobs import RunLifecycleStateV2State, RunType
from databricks.sdk.service.sql import (
    QueryFilter,
    QueryStatus,
    State as WarehouseState,
    StatementState,
    TimeRange,
)
from databricks.sdk.service.workspace import ObjectType

SHARED_CLUSTER = "0105-090000-shared01"


class Check:
    def __init__(self, host, token, client_id, client_secret):
        self.host = host
        self.client_id = client_id
        self.client_secret = client_secret
        self.client = self.client_with(token)

    def client_with(self, token):
        # Nothing from the environment or from profile files may leak into the check.
        return WorkspaceClient(config=Config(host=self.host, token=token, auth_type="pat", retry_timeout_seconds=30))

    def fault(self, **rule):
        self.control("POST", "/-/faults", rule)

    def clear_faults(self):
        self.control("DELETE", "/-/faults")

    def requests(self, path):
        return [seen for seen in self.control("GET", "/-/requests") if seen["path"] == path]

    def truth(self, since=None, until=None):
        period = {name: ms for name, ms in (("from", since), ("to", until)) if ms is not None}
        return self.control("GET", f"/-/truth?{urllib.parse.urlencode(period)}")

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.host + path, method=method, data=data)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    # ---- jobs

    def jobs_are_listed_to_the_end_whatever_the_page_size(self):
        everything = [job.job_id for job in self.client.jobs.list(limit=100)]
        assert len(everything) > 20, f"{len(everything)} jobs fit on one default page, paging is not exercised"
        unique(everything, "jobs with limit=100")
        for limit in (None, 1, 7, 20, len(everything)):
            before = len(self.requests("/api/2.2/jobs/list"))
            listed = [job.job_id for job in self.client.jobs.list(limit=limit)]
            equal(listed, everything, f"jobs with limit={limit}")
            pages = len(self.requests("/api/2.2/jobs/list")) - before
            equal(pages, -(-len(everything) // (limit or 20)), f"pages read with limit={limit}")

    def a_job_has_its_settings_and_can_be_found_by_name(self):
        job = next(iter(self.client.jobs.list(expand_tasks=True)))
        assert job.settings.name and job.creator_user_name and job.created_time, f"incomplete job: {job}"
        assert job.settings.tasks and job.settings.tasks[0].task_key, f"job without tasks: {job}"
        found = [other.job_id for other in self.client.jobs.list(name=job.settings.name.upper())]
        equal(found, [job.job_id], f"jobs named {job.settings.name.upper()!r}")

    def limits_outside_the_documented_bounds_are_refused(self):
        for limit in (0, 101, -1):
            refused(InvalidParameterValue, lambda: list(self.client.jobs.list(limit=limit)), f"jobs limit={limit}")
        for limit in (25, -1):
            call = lambda: list(self.client.jobs.list_runs(limit=limit))
            refused(InvalidParameterValue, call, f"runs limit={limit}")
        both = lambda: list(self.client.jobs.list_runs(active_only=True, completed_only=True))
        refused(InvalidParameterValue, both, "active_only and completed_only together")
        unknown = lambda: list(self.client.jobs.list_runs(page_token="nonsense"))
        refused(InvalidParameterValue, unknown, "an unknown page_token")

    # ---- runs

    def stable_runs(self, **filters):
        """Runs up to now: in a workspace that lives, later ones appear while pages are read."""
        return list(self.client.jobs.list_runs(start_time_to=self.until, **filters))

    def runs_are_listed_to_the_end_most_recent_first(self):
        self.until = int(time.time() * 1000)
        runs = self.stable_runs()
        assert len(runs) > 25, f"only {len(runs)} runs, paging is not exercised"
        unique([run.run_id for run in runs], "runs")
        starts = [run.start_time for run in runs]
        equal(starts, sorted(starts, reverse=True), "order of the runs")
        for limit in (0, 1, 24):
            # A shorter stretch for the smallest pages: one request per run.
            since = runs[30].start_time
            expected = [run.run_id for run in runs if run.start_time >= since]
            listed = [run.run_id for run in self.stable_runs(limit=limit, start_time_from=since)]
            equal(listed, expected, f"runs with limit={limit}")

    def active_and_completed_runs_are_told_apart(self):
        done = RunLifecycleStateV2State.TERMINATED
        active = self.stable_runs(active_only=True)
        completed = self.stable_runs(completed_only=True)
        assert completed, "no completed run"
        assert all(run.status.state != done for run in active), "a completed run among the active ones"
        assert all(run.end_time == 0 for run in active), "an active run with an end"
        assert all(run.status.state == done for run in completed), "an active run among the completed ones"
        assert all(run.end_time >= run.start_time for run in completed), "a run that ended before it started"
        assert all(run.status.termination_details.code for run in completed), "an end without a termination code"
        assert all(run.state.result_state for run in completed), "an end without a result"
        results = Counter(run.status.termination_details.type.value for run in completed)
        assert len(results) > 1, f"every run ended alike: {results}"

    def runs_can_be_limited_by_start_time_inclusively(self):
        runs = self.stable_runs()
        first, last = runs[20].start_time, runs[10].start_time
        listed = list(self.client.jobs.list_runs(start_time_from=first, start_time_to=last))
        expected = [run.run_id for run in runs if first <= run.start_time <= last]
        equal([run.run_id for run in listed], expected, "runs between two start times")

    def runs_can_be_limited_to_a_job_and_a_type(self):
        job_id = self.stable_runs()[0].job_id
        runs = self.stable_runs(job_id=job_id, run_type=RunType.JOB_RUN)
        assert runs and all(run.job_id == job_id for run in runs), f"runs of another job than {job_id}"
        equal(self.stable_runs(run_type=RunType.SUBMIT_RUN), [], "submitted runs")

    def phases_of_a_run_are_told_at_the_right_level(self):
        completed = self.stable_runs(completed_only=True, expand_tasks=True)
        executed = [run for run in completed if run.run_duration]
        single = [run for run in executed if len(run.tasks) == 1]
        multi = [run for run in executed if len(run.tasks) > 1]
        assert single and multi, f"{len(single)} single-task and {len(multi)} multi-task runs"
        for run in single:
            phases = (run.setup_duration, run.execution_duration, run.cleanup_duration)
            task = run.tasks[0]
            equal(phases, (task.setup_duration, task.execution_duration, task.cleanup_duration), "phases of one task")
            equal(sum(phases), run.run_duration, f"phases of run {run.run_id}")
        for run in multi:
            phases = (run.setup_duration, run.execution_duration, run.cleanup_duration)
            equal(phases, (0, 0, 0), f"phases of multi-task run {run.run_id}")
            if run.status.termination_details.code.value == "SUCCESS":
                assert all(task.execution_duration for task in run.tasks), f"a task of {run.run_id} did not execute"
        plain = self.stable_runs(completed_only=True)
        assert all(not run.tasks for run in plain), "tasks shown without expand_tasks"

    def one_run_can_be_read_with_its_tasks(self):
        listed = next(run for run in self.stable_runs(completed_only=True, expand_tasks=True) if len(run.tasks) > 1)
        run = self.client.jobs.get_run(listed.run_id, include_history=True)
        equal((run.run_id, run.job_id, run.end_time), (listed.run_id, listed.job_id, listed.end_time), "the run")
        equal([task.run_id for task in run.tasks], [task.run_id for task in listed.tasks], "its tasks")
        equal(len(run.repair_history), 1, "its history")
        refused(ResourceDoesNotExist, lambda: self.client.jobs.get_run(1), "a run that does not exist")

    def what_ended_in_a_period_is_what_truly_ended(self):
        since = self.until - 2 * 3600 * 1000
        groups = {}
        for run in self.stable_runs(completed_only=True, expand_tasks=True):
            if not since <= run.end_time <= self.until:
                continue
            phases = [run] if len(run.tasks) == 1 else run.tasks
            sums = [run.run_duration, run.queue_duration] + [
                sum(getattr(phase, f"{name}_duration") for phase in phases)
                for name in ("setup", "execution", "cleanup")
            ]
            key = (run.job_id, run.run_name, run.run_type.value, run.state.result_state.value)
            count, known = groups.get(key, (0, [0] * 5))
            groups[key] = (count + 1, [a + b for a, b in zip(known, sums)])
        names = ("run", "queue", "setup", "execution", "cleanup")
        truth = {
            tuple(group[name] for name in ("job_id", "run_name", "run_type", "result_state")): (
                group["count"],
                [group[name]["ms"] for name in names],
            )
            for group in self.truth(since, self.until)["runs"]
        }
        assert len(truth) > 5, f"only {len(truth)} groups of runs ended in two hours"
        equal(groups, truth, "what ended in two hours")

    def a_failed_task_tells_why_it_failed(self):
        runs = self.stable_runs(completed_only=True, expand_tasks=True)
        tasks = [task for run in runs for task in run.tasks if task.state.result_state.value == "FAILED"]
        assert tasks, "no task has failed"
        output = self.client.jobs.get_run_output(tasks[0].run_id)
        assert output.error and output.error in output.error_trace, f"a failure unexplained: {output}"
        equal(output.metadata.run_id, tasks[0].run_id, "the run of the output")
        several = next(run for run in runs if len(run.tasks) > 1)
        refused(InvalidParameterValue, lambda: self.client.jobs.get_run_output(several.run_id), "output of many tasks")

    # ---- compute

    def warehouses_are_listed_with_states_the_client_knows(self):
        warehouses = list(self.client.warehouses.list())
        assert warehouses, "no warehouses"
        for warehouse in warehouses:
            assert warehouse.id and warehouse.name, f"incomplete warehouse: {warehouse}"
            assert isinstance(warehouse.state, WarehouseState), f"unknown state: {warehouse}"
        paged = [warehouse.id for warehouse in self.client.warehouses.list(page_size=1)]
        equal(paged, [warehouse.id for warehouse in warehouses], "warehouses one by one")

    def clusters_are_listed_to_the_end_with_states_the_client_knows(self):
        # The list is ordered by state first: only what has ended keeps its place while pages are read.
        ended = ListClustersFilterBy(cluster_states=[ClusterState.TERMINATED])
        before = len(self.requests("/api/2.1/clusters/list"))
        clusters = list(self.client.clusters.list(filter_by=ended))
        assert len(clusters) > 20, f"only {len(clusters)} clusters, paging is not exercised"
        unique([cluster.cluster_id for cluster in clusters], "clusters")
        assert all(cluster.terminated_time and cluster.termination_reason for cluster in clusters), "an end unexplained"
        pages = len(self.requests("/api/2.1/clusters/list")) - before
        assert pages >= len(clusters) / 20, f"{len(clusters)} clusters on {pages} pages"
        clusters = list(self.client.clusters.list(page_size=100))
        for cluster in clusters:
            assert isinstance(cluster.state, ClusterState), f"unknown state: {cluster}"
        assert any(cluster.cluster_name.startswith("job-") for cluster in clusters), "no job cluster"
        filter_by = ListClustersFilterBy(cluster_states=[ClusterState.RUNNING])
        running = list(self.client.clusters.list(filter_by=filter_by))
        assert running, "no running cluster"
        assert all(cluster.state == ClusterState.RUNNING for cluster in running), "a filter that does not filter"

    def clusters_can_be_limited_to_states_and_sources(self):
        states = [ClusterState.RUNNING, ClusterState.TERMINATED]
        filter_by = ListClustersFilterBy(cluster_states=states, cluster_sources=[ClusterSource.UI])
        clusters = list(self.client.clusters.list(filter_by=filter_by, page_size=1))
        assert clusters, "no all-purpose cluster"
        assert all(cluster.cluster_source == ClusterSource.UI for cluster in clusters), "a job cluster among others"

    def events_of_a_cluster_are_read_to_the_end_whatever_the_page_size(self):
        until = int(time.time() * 1000)
        read = lambda **options: list(self.client.clusters.events(SHARED_CLUSTER, end_time=until, **options))
        events = read(page_size=500)
        assert len(events) > 20, f"only {len(events)} events"
        times = [event.timestamp for event in events]
        equal(times, sorted(times, reverse=True), "order of the events")
        assert all(event.type and event.details for event in events), "an event of a type the client does not know"
        for size in (1, 7, 0, 10_000):
            equal([event.as_dict() for event in read(page_size=size)], [event.as_dict() for event in events],
                  f"events with page_size={size}")
        equal([event.timestamp for event in read(order=GetEventsOrder.ASC, page_size=9)], times[::-1], "oldest first")
        types = {event.type for event in read(event_types=[EventType.RESIZING])}
        equal(types, {EventType.RESIZING}, "types of the events asked for")
        recent = read(start_time=until - 3600 * 1000)
        equal([event.timestamp for event in recent], [at for at in times if at >= until - 3600 * 1000], "the last hour")

    def a_job_cluster_tells_how_its_init_script_went_and_why_it_ended(self):
        ended = ListClustersFilterBy(cluster_states=[ClusterState.TERMINATED], cluster_sources=[ClusterSource.JOB])
        cluster = next(self.client.clusters.list(filter_by=ended))
        events = {event.type: event for event in self.client.clusters.events(cluster.cluster_id)}
        scripts = events[EventType.INIT_SCRIPTS_FINISHED].details.init_scripts.cluster
        assert scripts and scripts[0].status and scripts[0].execution_duration_seconds, f"no script: {scripts}"
        reason = events[EventType.TERMINATING].details.reason
        equal(reason.as_dict(), cluster.termination_reason.as_dict(), "the reason of the end")

    def policies_and_pools_are_listed(self):
        policies = list(self.client.cluster_policies.list())
        equal(len(policies), self.truth()["totals"]["policies"], "policies")
        by_name = self.client.cluster_policies.list(
            sort_column=ListSortColumn.POLICY_NAME, sort_order=ListSortOrder.ASC
        )
        names = [policy.name for policy in by_name]
        equal(names, sorted(policy.name for policy in policies), "policies by name")
        pools = list(self.client.instance_pools.list())
        assert pools and all(pool.state and pool.stats.used_count is not None for pool in pools), f"{pools}"

    # ---- SQL

    def queries(self, **options):
        pages, queries, token = 0, [], None
        while True:
            page = self.client.query_history.list(page_token=token, **options)
            pages, token = pages + 1, page.next_page_token
            queries += page.res or []
            equal(bool(page.has_next_page), bool(token), "has_next_page")
            if not page.has_next_page:
                return queries, pages

    def query_history_is_read_to_the_end_most_recent_first(self):
        until = int(time.time() * 1000)
        period = QueryFilter(query_start_time_range=TimeRange(start_time_ms=until - 3600 * 1000, end_time_ms=until))
        queries, pages = self.queries(filter_by=period, max_results=1000)
        assert len(queries) > 100, f"only {len(queries)} queries in an hour"
        equal(pages, 1, "pages of a thousand")
        starts = [query.query_start_time_ms for query in queries]
        equal(starts, sorted(starts, reverse=True), "order of the queries")
        short, pages = self.queries(filter_by=period, max_results=7)
        equal([query.query_id for query in short], [query.query_id for query in queries], "queries by seven")
        equal(pages, -(-len(queries) // 7), "pages of seven")
        refused(InvalidParameterValue, lambda: self.client.query_history.list(max_results=1001), "1001 queries at once")

    def queries_can_be_found_by_status_and_id_and_have_metrics(self):
        failed, _ = self.queries(filter_by=QueryFilter(statuses=[QueryStatus.FAILED]))
        assert failed and all(query.error_message and query.is_final for query in failed), "a failure unexplained"
        ids = [query.query_id for query in failed[:3]]
        found, _ = self.queries(filter_by=QueryFilter(statement_ids=ids), include_metrics=True)
        equal([query.query_id for query in found], ids, "queries by id")
        assert all(query.metrics.total_time_ms == query.duration for query in found), "metrics that contradict"
        elsewhere = QueryFilter(warehouse_ids=[failed[0].warehouse_id], statuses=[QueryStatus.FINISHED])
        found, _ = self.queries(filter_by=elsewhere)
        assert {query.warehouse_id for query in found} == {failed[0].warehouse_id}, "a query of another warehouse"

    def a_statement_is_polled_until_it_has_ended(self):
        warehouse = next(iter(self.client.warehouses.list())).id
        text = "SELECT usage_metadata.job_id, sum(usage_quantity) FROM system.billing.usage GROUP BY ALL"
        execute = self.client.statement_execution.execute_statement
        statement = execute(text, warehouse, wait_timeout="0s")
        deadline = time.monotonic() + 20
        while statement.status.state in (StatementState.PENDING, StatementState.RUNNING):
            assert time.monotonic() < deadline, f"still {statement.status.state}"
            statement = self.client.statement_execution.get_statement(statement.statement_id)
        equal(statement.status.state, StatementState.SUCCEEDED, "the end of the statement")
        columns = [column.name for column in statement.manifest.schema.columns]
        place = columns.index("job_id")
        rows = statement.result.data_array
        equal(len(rows), statement.manifest.total_row_count, "rows")
        jobs = {str(job.job_id) for job in self.client.jobs.list(limit=100)}
        assert rows and all(row[place] in jobs for row in rows), "costs of a job that does not exist"
        waited = execute(text, warehouse, wait_timeout="10s")
        equal(waited.status.state, StatementState.SUCCEEDED, "a statement that was waited for")
        chunk = self.client.statement_execution.get_statement_result_chunk_n(waited.statement_id, 0)
        equal(len(chunk.data_array), waited.manifest.total_row_count, "rows of the only chunk")
        failed = execute("SELECT * FROM no.such.table", warehouse, wait_timeout="10s")
        equal(failed.status.state, StatementState.FAILED, "a statement on a table that does not exist")
        assert failed.status.error.error_code and failed.status.error.message, f"unexplained: {failed.status}"
        refused(InvalidParameterValue, lambda: execute(text, warehouse, wait_timeout="3s"), "a wait of 3 s")

    # ---- what lies in the workspace

    def the_whole_tree_of_the_workspace_can_be_walked(self):
        truth = self.truth()["totals"]["objects"]
        objects = list(self.client.workspace.list("/", recursive=True))
        unique([item.path for item in objects], "objects")
        counted = Counter(item.object_type.value for item in objects)
        equal(dict(counted), {kind: count for kind, count in truth.items() if kind != "DIRECTORY"}, "objects by type")
        assert len(counted) > 4, f"only {counted}"
        top = list(self.client.workspace.list("/"))
        assert any(item.object_type == ObjectType.DIRECTORY for item in top), f"no directory in {top}"
        missing = lambda: list(self.client.workspace.list("/no/such/path"))
        refused(ResourceDoesNotExist, missing, "a path that does not exist")

    def the_files_of_dbfs_can_be_walked(self):
        truth = self.truth()["totals"]
        files = list(self.client.dbfs.list("/", recursive=True))
        unique([item.path for item in files], "files")
        equal(len(files), truth["dbfs_files"], "files")
        equal(sum(item.file_size for item in files), truth["dbfs_bytes"], "their size")
        refused(NotFound, lambda: list(self.client.dbfs.list("/no/such/path")), "a path that does not exist")

    # ---- pipelines and serving

    def pipelines_their_updates_and_their_events_are_read_to_the_end(self):
        pipelines = list(self.client.pipelines.list_pipelines())
        assert len(pipelines) > 2 and all(pipeline.state and pipeline.latest_updates for pipeline in pipelines), f"{pipelines}"
        paged = [pipeline.pipeline_id for pipeline in self.client.pipelines.list_pipelines(max_results=2)]
        equal(paged, [pipeline.pipeline_id for pipeline in pipelines], "pipelines two by two")
        refused(InvalidParameterValue, lambda: list(self.client.pipelines.list_pipelines(max_results=101)), "101 pipelines")
        errors = 0
        for pipeline in pipelines:
            updates, token = [], None
            while True:
                page = self.client.pipelines.list_updates(pipeline.pipeline_id, max_results=2, page_token=token)
                updates += page.updates or []
                token = page.next_page_token
                if not token:
                    break
            assert all(update.state and update.cause for update in updates), f"incomplete: {updates}"
            unique([update.update_id for update in updates], "updates")
            assert {update.update_id for update in pipeline.latest_updates} <= {update.update_id for update in updates}
            events = list(self.client.pipelines.list_pipeline_events(pipeline.pipeline_id, max_results=5))
            unique([event.id for event in events], "events")
            failed = self.client.pipelines.list_pipeline_events(pipeline.pipeline_id, filter="level='ERROR'")
            failures = [event for event in failed if event.error and event.error.exceptions]
            assert all(event.error.exceptions[0].message for event in failures), f"unexplained: {failures}"
            errors += len(failures)
            if any(update.state.value == "FAILED" for update in updates):
                assert failures, f"pipeline {pipeline.name} failed without an error in its log"

    def serving_endpoints_export_their_metrics(self):
        endpoints = list(self.client.serving_endpoints.list())
        assert endpoints and all(endpoint.state.ready for endpoint in endpoints), f"{endpoints}"
        for endpoint in endpoints:
            text = self.client.serving_endpoints.export_metrics(endpoint.name).contents.read().decode()
            assert f'request_count_total{{endpoint_name="{endpoint.name}"' in text, text

    # ---- identity

    def users_and_groups_are_as_many_as_there_are(self):
        truth = self.truth()["totals"]
        users = list(self.client.users.list(attributes="id,userName,active"))
        unique([user.id for user in users], "users")
        equal(sum(user.active for user in users), truth["users_active"], "active users")
        equal(len(users), truth["users_active"] + truth["users_inactive"], "users")
        equal([user.id for user in self.client.users.list(count=5)], [user.id for user in users], "users five by five")
        inactive = list(self.client.users.list(filter="active eq false"))
        equal(len(inactive), truth["users_inactive"], "users that are not active")
        groups = list(self.client.groups.list())
        equal(len(groups), truth["groups"], "groups")
        assert any(group.members for group in groups), "groups without members"
        assert not any(group.members for group in self.client.groups.list(excluded_attributes="members")), "members"
        assert list(self.client.service_principals.list()), "no service principal"

    def tokens_are_listed_and_some_never_expire(self):
        tokens = list(self.client.token_management.list())
        unique([token.token_id for token in tokens], "tokens")
        now = time.time() * 1000
        active = [token for token in tokens if token.expiry_time == -1 or token.expiry_time > now]
        equal(len(active), self.truth()["totals"]["tokens_active"], "active tokens")
        assert any(token.expiry_time == -1 for token in tokens), "every token expires"
        own = {token.token_id for token in self.client.tokens.list()}
        assert own < {token.token_id for token in tokens}, f"own tokens: {own}"

    def a_machine_logs_in_with_its_id_and_secret(self):
        log_in = lambda secret: WorkspaceClient(
            config=Config(
                host=self.host,
                client_id=self.client_id,
                client_secret=secret,
                auth_type="oauth-m2m",
                retry_timeout_seconds=30,
            )
        )
        assert log_in(self.client_secret).current_user.me().user_name, "nobody"
        refused(ValueError, lambda: log_in("wrong").current_user.me(), "a wrong secret")

    def warehouses_by_state_are_as_many_as_there_are(self):
        # The world lives: only between two equal truths is it known what was read.
        for _ in range(20):
            before = self.truth()["totals"]["warehouses"]
            counted = Counter(warehouse.state.value for warehouse in self.client.warehouses.list())
            if before == self.truth()["totals"]["warehouses"]:
                return equal(dict(counted), before, "warehouses by state")
        raise AssertionError("the warehouses never stood still")

    def the_caller_is_known(self):
        me = self.client.current_user.me()
        assert me.user_name and me.active, f"incomplete user: {me}"

    def the_workspace_id_is_in_the_header(self):
        assert self.client.get_workspace_id() > 0

    def a_wrong_token_is_refused_on_every_path_and_the_right_one_is_not(self):
        stranger = self.client_with("dapi-wrong")
        calls = {
            "jobs.list": lambda client: list(client.jobs.list()),
            "jobs.list_runs": lambda client: next(client.jobs.list_runs()),
            "jobs.get_run": lambda client: client.jobs.get_run(self.stable_runs()[0].run_id),
            "warehouses.list": lambda client: list(client.warehouses.list()),
            "clusters.list": lambda client: next(client.clusters.list()),
            "current_user.me": lambda client: client.current_user.me(),
        }
        for name, call in calls.items():
            refused((Unauthenticated, PermissionDenied), lambda: call(stranger), f"{name} with a wrong token")
            call(self.client)

    # ---- faults

    def a_rate_limit_is_waited_out_as_the_header_says(self):
        path = "/api/2.0/sql/warehouses"
        before = len(self.requests(path))
        self.fault(path=path, times=2, fault="rate_limited", retry_after=1)
        began = time.monotonic()
        assert list(self.client.warehouses.list()), "no warehouses after the rate limit"
        waited = time.monotonic() - began
        assert waited >= 2, f"the client waited {waited:.1f} s, told to wait twice 1 s"
        equal(len(self.requests(path)) - before, 3, "requests, two of them refused")

    def a_forbidden_path_leaves_the_others_alone(self):
        self.fault(path="/api/2.1/clusters", fault="forbidden")
        refused(PermissionDenied, lambda: list(self.client.clusters.list()), "clusters.list while it is forbidden")
        assert list(self.client.jobs.list()), "jobs.list while clusters.list is forbidden"

    def a_server_error_is_the_clients_own_error(self):
        self.fault(path="/api/2.2/jobs/list", times=1, fault="internal_error")
        refused(InternalError, lambda: list(self.client.jobs.list()), "jobs.list while it is broken")

    def a_connection_reset_is_retried(self):
        path = "/api/2.2/jobs/list"
        before = len(self.requests(path))
        self.fault(path=path, times=1, fault="reset")
        assert list(self.client.jobs.list(limit=100)), "no jobs after the reset"
        equal(len(self.requests(path)) - before, 2, "requests, one of them reset")

    def a_server_that_is_unavailable_is_waited_for(self):
        path = "/api/2.0/sql/warehouses"
        before = len(self.requests(path))
        self.fault(path=path, times=1, fault="unavailable", retry_after=1)
        assert list(self.client.warehouses.list()), "no warehouses after the outage"
        equal(len(self.requests(path)) - before, 2, "requests, one of them refused")

    def a_slow_answer_is_the_right_answer(self):
        self.fault(path="/api/2.0/sql/warehouses", times=1, fault="slow", ms=300)
        began = time.monotonic()
        assert list(self.client.warehouses.list()), "no warehouses"
        assert time.monotonic() - began >= 0.3, "the answer was not slow"

    def what_the_client_does_not_know_does_not_break_it(self):
        self.fault(path="/api/", fault="unfamiliar")
        assert self.stable_runs(expand_tasks=True)[0].run_id
        assert next(self.client.jobs.list()).job_id
        assert next(self.client.clusters.list()).cluster_id
        assert next(iter(self.client.warehouses.list())).id

    def an_unknown_path_is_not_found(self):
        unknown = lambda: self.client.api_client.do("GET", "/api/2.0/no-such-thing")
        refused(NotFound, unknown, "an endpoint that does not exist")


def equal(got, expected, what):
    assert got == expected, f"{what}: got {got}, expected {expected}"


def unique(ids, what):
    twice = [id for id, times in Counter(ids).items() if times > 1]
    assert not twice, f"{what}: more than once: {twice}"


def refused(errors, call, what):
    try:
        answer = call()
    except errors:
        return
    raise AssertionError(f"{what}: expected {errors}, got {answer}")


PROMISES = [
    Check.jobs_are_listed_to_the_end_whatever_the_page_size,
    Check.a_job_has_its_settings_and_can_be_found_by_name,
    Check.limits_outside_the_documented_bounds_are_refused,
    Check.runs_are_listed_to_the_end_most_recent_first,
    Check.active_and_completed_runs_are_told_apart,
    Check.runs_can_be_limited_by_start_time_inclusively,
    Check.runs_can_be_limited_to_a_job_and_a_type,
    Check.phases_of_a_run_are_told_at_the_right_level,
    Check.one_run_can_be_read_with_its_tasks,
    Check.what_ended_in_a_period_is_what_truly_ended,
    Check.a_failed_task_tells_why_it_failed,
    Check.warehouses_are_listed_with_states_the_client_knows,
    Check.clusters_are_listed_to_the_end_with_states_the_client_knows,
    Check.warehouses_by_state_are_as_many_as_there_are,
    Check.clusters_can_be_limited_to_states_and_sources,
    Check.events_of_a_cluster_are_read_to_the_end_whatever_the_page_size,
    Check.a_job_cluster_tells_how_its_init_script_went_and_why_it_ended,
    Check.policies_and_pools_are_listed,
    Check.query_history_is_read_to_the_end_most_recent_first,
    Check.queries_can_be_found_by_status_and_id_and_have_metrics,
    Check.a_statement_is_polled_until_it_has_ended,
    Check.the_whole_tree_of_the_workspace_can_be_walked,
    Check.the_files_of_dbfs_can_be_walked,
    Check.pipelines_their_updates_and_their_events_are_read_to_the_end,
    Check.serving_endpoints_export_their_metrics,
    Check.users_and_groups_are_as_many_as_there_are,
    Check.tokens_are_listed_and_some_never_expire,
    Check.a_machine_logs_in_with_its_id_and_secret,
    Check.the_caller_is_known,
    Check.the_workspace_id_is_in_the_header,
    Check.a_wrong_token_is_refused_on_every_path_and_the_right_one_is_not,
    Check.a_rate_limit_is_waited_out_as_the_header_says,
    Check.a_forbidden_path_leaves_the_others_alone,
    Check.a_server_error_is_the_clients_own_error,
    Check.a_connection_reset_is_retried,
    Check.a_server_that_is_unavailable_is_waited_for,
    Check.a_slow_answer_is_the_right_answer,
    Check.what_the_client_does_not_know_does_not_break_it,
    Check.an_unknown_path_is_not_found,
]


def main():
    if len(sys.argv) != 5:
        sys.exit("usage: python check.py http://127.0.0.1:PORT TOKEN CLIENT_ID CLIENT_SECRET")
    # The client warns of the requests that are made to fail.
    logging.disable(logging.WARNING)
    check = Check(*sys.argv[1:])
    for promise in PROMISES:
        name = promise.__name__.replace("_", " ")
        check.clear_faults()
        try:
            promise(check)
        except Exception as error:
            print(f"BROKEN {name}\n       {type(error).__name__}: {error}", flush=True)
            sys.exit(1)
        print(f"ok     {name}", flush=True)
    print(f"{len(PROMISES)} promises kept")


if __name__ == "__main__":
    main()
