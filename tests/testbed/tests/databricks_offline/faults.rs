//! Misbehaviour: each fault at the layer where a client meets it, and the right facts behind it.

use super::{NOW, RUNS, ask, get, read, seconds};
use kiln_testbed::databricks::world::{Run, Task};
use kiln_testbed::databricks::{Broken, Fault, Offline, Tokens};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn with_runs(count: i64) -> Offline {
    let workspace = Offline::scripted(NOW);
    let run = |n: i64| Run::new(1, n, NOW.minus(seconds(n.unsigned_abs())), vec![Task::new("only", seconds(1))]);
    workspace.set_runs((0..count).map(run).collect());
    workspace
}

fn ids(page: &Value) -> Vec<i64> {
    page["runs"].as_array().into_iter().flatten().filter_map(|run| run["run_id"].as_i64()).collect()
}

fn next(page: &Value) -> Option<String> {
    page["next_page_token"].as_str().map(|token| format!("{RUNS}?limit=5&page_token={}", token.replace('+', "%2B")))
}

#[test]
fn answers_that_are_not_json_are_answers_with_status_200() {
    let workspace = with_runs(3);
    for fault in [Fault::TruncatedJson, Fault::InvalidJson, Fault::Html] {
        workspace.faults().next(1, fault.clone());
        let answer = get(&workspace, RUNS).unwrap();
        assert_eq!(answer.status, 200, "{fault:?}");
        assert!(serde_json::from_slice::<Value>(&answer.body).is_err(), "{fault:?}");
        assert!(!answer.body.is_empty());
    }
    assert_eq!(ids(&read(&workspace, RUNS)), [0, 1, 2]);
}

#[test]
fn servers_that_fail_say_how_long_to_wait_or_do_not() {
    let workspace = with_runs(0);
    for (fault, status, retry_after) in [
        (Fault::RateLimitedUntil { seconds: 10 }, 429, Some("Mon, 21 Sep 2026 14:13:30 GMT")),
        (Fault::RateLimited { retry_after: None }, 429, None),
        (Fault::Unavailable { retry_after: Some(3) }, 503, Some("3")),
        (Fault::BadGateway, 502, None),
    ] {
        workspace.faults().next(1, fault);
        let answer = get(&workspace, RUNS).unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (status, retry_after));
    }
}

#[test]
fn a_server_that_hangs_or_cuts_the_answer_off_gives_none() {
    let workspace = with_runs(3);
    for (fault, broken) in
        [(Fault::Hang, Broken::Hung), (Fault::EndlessBody, Broken::Hung), (Fault::CutBody, Broken::Cut)]
    {
        workspace.faults().next(1, fault);
        assert_eq!(get(&workspace, RUNS), Err(broken));
    }
    assert_eq!(workspace.requests().len(), 3);
}

#[test]
fn nulls_stand_between_items_and_for_objects_in_them() {
    let workspace = with_runs(2);
    workspace.faults().next(1, Fault::NullElements);
    let page = read(&workspace, &format!("{RUNS}?expand_tasks=true"));
    assert_eq!((&page["runs"][0], &page["runs"][1]["tasks"][0]), (&Value::Null, &Value::Null));
    assert_eq!(ids(&page), [0, 1]);
    workspace.faults().next(1, Fault::NullObjects);
    let page = read(&workspace, RUNS);
    assert_eq!((&page["runs"][0]["state"], ids(&page)), (&Value::Null, vec![0, 1]));
}

#[test]
fn oversized_pages_and_repeated_items_lose_nothing() {
    let workspace = with_runs(60);
    workspace.faults().at(RUNS, Fault::OversizedPages);
    let page = read(&workspace, &format!("{RUNS}?limit=5"));
    assert_eq!(ids(&page).len(), 50);
    assert_eq!(ids(&read(&workspace, &next(&page).unwrap())).len(), 10);
    assert_eq!(ask(&workspace, &format!("{RUNS}?limit=25")).0, 400, "what is refused stays refused");
    workspace.faults().clear();
    workspace.faults().at(RUNS, Fault::RepeatedItems);
    let (mut path, mut seen) = (Some(format!("{RUNS}?limit=5")), Vec::new());
    while let Some(asked) = path {
        let page = read(&workspace, &asked);
        seen.extend(ids(&page));
        path = next(&page);
    }
    assert_eq!(seen.len(), 60 + 11, "the last item of each page but the last, again");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 60);
}

#[test]
fn pages_without_an_end_lead_on_with_the_tokens_they_were_told() {
    let workspace = with_runs(3);
    for (tokens, distinct) in [(Tokens::Same, 1), (Tokens::Alternating, 2), (Tokens::New, 6)] {
        workspace.faults().at(RUNS, Fault::EndlessPages { tokens });
        let (mut path, mut seen) = (format!("{RUNS}?limit=5"), BTreeSet::new());
        for _ in 0..6 {
            let page = read(&workspace, &path);
            assert_eq!((ids(&page), &page["has_more"]), (vec![0, 1, 2], &json!(true)));
            path = next(&page).unwrap();
            seen.insert(path.clone());
        }
        assert_eq!(seen.len(), distinct, "{tokens:?}");
        workspace.faults().clear();
    }
}
