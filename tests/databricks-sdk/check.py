"""The official Databricks client against the simulated workspace.

    python check.py http://127.0.0.1:PORT TOKEN

Kiln's tests trust the simulated workspace; this asks the client that Databricks itself publishes whether it
deserves that. Prints one line per promise and exits with 1 at the first that is broken.
"""

import json
import logging
import sys
import time
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
from databricks.sdk.service.compute import ListClustersFilterBy, State as ClusterState
from databricks.sdk.service.jobs import RunLifecycleStateV2State, RunType
from databricks.sdk.service.sql import State as WarehouseState


class Check:
    def __init__(self, host, token):
        self.host = host
        self.token = token
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

    # ---- identity

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
    Check.warehouses_are_listed_with_states_the_client_knows,
    Check.clusters_are_listed_to_the_end_with_states_the_client_knows,
    Check.the_caller_is_known,
    Check.the_workspace_id_is_in_the_header,
    Check.a_wrong_token_is_refused_on_every_path_and_the_right_one_is_not,
    Check.a_rate_limit_is_waited_out_as_the_header_says,
    Check.a_forbidden_path_leaves_the_others_alone,
    Check.a_server_error_is_the_clients_own_error,
    Check.a_connection_reset_is_retried,
    Check.a_slow_answer_is_the_right_answer,
    Check.what_the_client_does_not_know_does_not_break_it,
    Check.an_unknown_path_is_not_found,
]


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: python check.py http://127.0.0.1:PORT TOKEN")
    # The client warns that the workspace has no /.well-known/databricks-config, and goes on without.
    logging.disable(logging.WARNING)
    check = Check(sys.argv[1], sys.argv[2])
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
