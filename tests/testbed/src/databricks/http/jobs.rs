//! Jobs and their runs: `/api/2.2/jobs/{list, runs/list, runs/get, runs/get-output}`.
//!
//! Parameters, limits, defaults and the meaning of every field follow `databricks/sdk/service/jobs.py` of
//! databricks-sdk 0.156.0 (`JobsAPI.list`, `list_runs`, `get_run`, `BaseJob`, `BaseRun`, `Run`, `RunTask`).
//!
//! Invariant: a list never shows more than the documented limits allow, and a `limit` outside them is an
//! error rather than a shorter page.

use super::super::shared::Shared;
use super::super::world::{Job, RunView, Visible};
use super::paging::{Page, page_of};
use super::query::Query;
use super::run_body;
use super::{Answer, ApiError, Json, Written};
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::sync::Arc;

const DEFAULT_PAGE: usize = 20;
const MAX_JOBS_PAGE: usize = 100;
const MAX_RUNS_PAGE: usize = 24;
/// Tasks shown of one run, in a list and on one page of `runs/get`.
const MAX_TASKS: usize = 100;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/2.2/jobs/list", get(list))
        .route("/api/2.2/jobs/runs/list", get(list_runs))
        .route("/api/2.2/jobs/runs/get", get(get_run))
        .route("/api/2.2/jobs/runs/get-output", get(get_output))
}

async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let limit = query.number::<usize>("limit")?.unwrap_or(DEFAULT_PAGE);
    if limit == 0 || limit > MAX_JOBS_PAGE {
        return Err(ApiError::invalid(format!(
            "limit must be greater than 0 and less or equal to {MAX_JOBS_PAGE}, got {limit}"
        )));
    }
    let expand = query.flag("expand_tasks")?;
    let name = query.text("name").map(str::to_lowercase);
    shared.read(|state| {
        state.world.with_jobs(|jobs| {
            let key = |place: usize| jobs.get(place).map(|job| Reverse((job.created, job.job_id)));
            let shown = |place: usize| {
                let name_of = |job: &Job| job.name.to_lowercase();
                name.as_ref().is_none_or(|name| jobs.get(place).is_some_and(|job| name_of(job) == *name))
            };
            let page = page_of("jobs", jobs.len(), key, shown, limit, &query)?;
            Ok(envelope("jobs", page, |place| jobs.get(place).map_or(Value::Null, |job| job_body(job, expand))))
        })
    })
}

async fn list_runs(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Written, ApiError> {
    let query = Query::of(&uri);
    let limit = match query.number::<usize>("limit")?.unwrap_or(DEFAULT_PAGE) {
        0 => MAX_RUNS_PAGE,
        limit if limit <= MAX_RUNS_PAGE => limit,
        limit => {
            return Err(ApiError::invalid(format!("limit must be greater than 0 and less than 25, got {limit}")));
        }
    };
    let wanted = Wanted::read(&query)?;
    let expand = query.flag("expand_tasks")?;
    let org_id = shared.org_id();
    shared.read(|state| {
        state.world.with_runs(state.world.now(), |runs| {
            // Kept in the order of their start, listed the other way round.
            let count = runs.heads().len();
            let place_of = |position: usize| count - 1 - position;
            let key =
                |position: usize| runs.heads().get(place_of(position)).map(|head| Reverse((head.start, head.run_id)));
            let shown = |position: usize| wanted.includes(runs, place_of(position));
            let page = page_of("runs", count, key, shown, limit, &query)?;
            let write = |view: &RunView<'_>| {
                let mut body = run_body::run(view, org_id);
                if expand {
                    run_body::add_tasks(&mut body, view, 0, MAX_TASKS);
                    if view.tasks.len() > MAX_TASKS {
                        body["has_more"] = true.into();
                    }
                }
                body.to_string()
            };
            let kind = u8::from(expand);
            let items = page.items.iter().filter_map(|position| runs.memo(place_of(*position), kind, write)).collect();
            let Json(rest) = envelope(
                "runs",
                Page { items: Vec::<Value>::new(), next: page.next, previous: page.previous },
                |item| item,
            );
            Ok(Written { rest, list: "runs", items })
        })
    })
}

async fn get_run(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let run_id: i64 = query.number("run_id")?.ok_or_else(|| ApiError::invalid("run_id is required"))?;
    let first = match query.text("page_token") {
        None | Some("") => 0,
        // Tasks of a run never change their order, so here a position is as good as a key.
        Some(token) => token
            .strip_prefix("task+")
            .and_then(|position| position.parse::<usize>().ok())
            .ok_or_else(|| ApiError::invalid(format!("Invalid page_token '{token}'")))?,
    };
    let history = query.flag("include_history")?;
    shared.read(|state| {
        state.world.with_runs(state.world.now(), |runs| {
            let view = runs
                .find(run_id)
                .and_then(|run| run.at(runs.now()))
                // The real service answers 400 here, not 404; clients recognise the text.
                .ok_or_else(|| ApiError::invalid(format!("Run {run_id} does not exist.")))?;
            let mut body = run_body::run(&view, shared.org_id());
            run_body::add_tasks(&mut body, &view, first, MAX_TASKS);
            let next = first.saturating_add(MAX_TASKS);
            if next < view.tasks.len() {
                body["next_page_token"] = format!("task+{next}").into();
            }
            if history {
                run_body::add_history(&mut body, &view);
            }
            Ok(Json(body))
        })
    })
}

/// The output of a task; of a run only if it has a single task, as the documentation of `get_run_output` says.
async fn get_output(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let query = Query::of(&uri);
    let run_id: i64 = query.number("run_id")?.ok_or_else(|| ApiError::invalid("run_id is required"))?;
    shared.read(|state| {
        state.world.with_runs(state.world.now(), |runs| {
            let missing = || ApiError::invalid(format!("Run {run_id} does not exist."));
            if let Some(view) = runs.find(run_id).and_then(|run| run.at(runs.now())) {
                return match view.tasks.as_slice() {
                    [only] => Ok(Json(run_body::output(&view, 0, only, shared.org_id()))),
                    _ => Err(ApiError::invalid(
                        "Retrieving the output of runs with multiple tasks is not supported. \
                         Please retrieve the output of each individual task run instead.",
                    )),
                };
            }
            let (run, index) = runs.find_task(run_id).ok_or_else(missing)?;
            let view = run.at(runs.now()).ok_or_else(missing)?;
            let task = view.tasks.get(index).ok_or_else(missing)?;
            Ok(Json(run_body::output(&view, index, task, shared.org_id())))
        })
    })
}

/// Which runs a list shall show.
struct Wanted {
    active: Option<bool>,
    job_id: Option<i64>,
    run_type: Option<String>,
    from: Option<i64>,
    to: Option<i64>,
}

impl Wanted {
    fn read(query: &Query) -> Result<Self, ApiError> {
        let active = match (query.flag("active_only")?, query.flag("completed_only")?) {
            (true, true) => {
                return Err(ApiError::invalid("active_only and completed_only cannot both be true"));
            }
            (true, false) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        let run_type = query.text("run_type").map(str::to_owned);
        if let Some(kind) = &run_type
            && !["JOB_RUN", "WORKFLOW_RUN", "SUBMIT_RUN"].contains(&kind.as_str())
        {
            return Err(ApiError::invalid(format!("run_type '{kind}' is not a type of run")));
        }
        Ok(Self {
            active,
            job_id: query.number("job_id")?,
            run_type,
            from: query.number("start_time_from")?,
            to: query.number("start_time_to")?,
        })
    }

    fn includes(&self, runs: Visible<'_>, place: usize) -> bool {
        let Some(head) = runs.heads().get(place) else {
            return false;
        };
        let of_type = |kind: &String| runs.plans().get(place).is_some_and(|run| run.run_type == *kind);
        self.job_id.is_none_or(|job_id| head.job_id == job_id)
            && self.from.is_none_or(|from| head.start.0 >= from)
            && self.to.is_none_or(|to| head.start.0 <= to)
            && self.active.is_none_or(|wanted| runs.is_active(place) == wanted)
            && self.run_type.as_ref().is_none_or(of_type)
    }
}

/// `{"jobs": [..], "has_more": .., "next_page_token": ..}`; the list is left out when it is empty, as documented.
fn envelope<T>(list: &str, page: Page<T>, body: impl Fn(T) -> Value) -> Json {
    let mut answer = json!({ "has_more": page.next.is_some() });
    let items: Vec<Value> = page.items.into_iter().map(body).collect();
    if !items.is_empty() {
        answer[list] = items.into();
    }
    if let Some(next) = page.next {
        answer["next_page_token"] = next.into();
    }
    if let Some(previous) = page.previous {
        answer["prev_page_token"] = previous.into();
    }
    Json(answer)
}

fn job_body(job: &Job, expand: bool) -> Value {
    let mut settings = json!({
        "name": job.name,
        "max_concurrent_runs": job.max_concurrent_runs,
        "timeout_seconds": 0,
        "email_notifications": {},
        "format": "MULTI_TASK",
        "queue": { "enabled": true },
    });
    if !job.tags.is_empty() {
        settings["tags"] = json!(job.tags);
    }
    if let Some(cron) = &job.cron {
        settings["schedule"] = json!({
            "quartz_cron_expression": cron,
            "timezone_id": "UTC",
            "pause_status": if job.paused { "PAUSED" } else { "UNPAUSED" },
        });
    }
    if expand {
        settings["tasks"] = job.tasks.iter().take(MAX_TASKS).map(|key| json!({ "task_key": key })).collect();
    }
    let mut body = json!({
        "job_id": job.job_id,
        "creator_user_name": job.creator,
        "created_time": job.created,
        "settings": settings,
    });
    if expand && job.tasks.len() > MAX_TASKS {
        body["has_more"] = true.into();
    }
    body
}
