//! Every list beside jobs: its parameters, its limits, its pages to the end.

use super::{NOW, ask, bearer, get, read, seconds};
use kiln_testbed::databricks::Offline;
use kiln_testbed::databricks::world::{
    Cluster, ClusterEvent, DbfsFile, Group, InitScript, Object, Pipeline, Query, Resize, ServingEndpoint, SqlRule,
    Token, Update, User, Warehouse, Workers,
};
use kiln_testbed::databricks::{Client, Options, world::World};
use serde_json::{Value, json};
use std::time::Duration;

fn post(workspace: &Offline, path: &str, body: &Value) -> (u16, Value) {
    let answer = workspace.answer("POST", path, &bearer(workspace), body.to_string().as_bytes()).unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn pluck(page: &Value, list: &str, field: &str) -> Vec<Value> {
    page[list].as_array().into_iter().flatten().map(|item| item[field].clone()).collect()
}

/// Follows `next_page_token` to the end.
fn all(workspace: &Offline, path: &str, list: &str, field: &str) -> (Vec<Value>, usize) {
    let (mut values, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = read(workspace, &format!("{path}&page_token={}", token.replace('+', "%2B")));
        values.extend(pluck(&page, list, field));
        pages += 1;
        match page["next_page_token"].as_str() {
            None | Some("") => return (values, pages),
            Some(next) => next.clone_into(&mut token),
        }
    }
}

#[test]
fn a_cluster_grows_and_shrinks_and_ends_and_its_events_say_so() {
    let workspace = Offline::scripted(NOW);
    let mut cluster = Cluster::new("0101-c", "shared", "RUNNING", NOW);
    cluster.workers = Workers::Autoscale { min: 2, max: 8 };
    cluster.init_scripts = vec![InitScript::new("/Volumes/main/scripts/kiln.sh", 5)];
    cluster.resizes =
        vec![Resize { at: NOW.plus(seconds(100)), workers: 6 }, Resize { at: NOW.plus(seconds(200)), workers: 3 }];
    cluster.events = vec![ClusterEvent::new(NOW.plus(seconds(150)), "DRIVER_NOT_RESPONDING")];
    workspace.set_clusters(vec![cluster]);
    let now = || {
        let cluster = &read(&workspace, "/api/2.1/clusters/list")["clusters"][0];
        let executors = cluster["executors"].as_array().map_or(0, Vec::len);
        (cluster["state"].as_str().unwrap().to_owned(), cluster["num_workers"].clone(), executors)
    };
    for (advance, state, workers, executors) in
        [(0, "RUNNING", 2, 2), (100, "RESIZING", 6, 2), (30, "RUNNING", 6, 6), (70, "RUNNING", 3, 3)]
    {
        workspace.advance(seconds(advance));
        assert_eq!(now(), (state.to_owned(), json!(workers), executors));
    }
    workspace.change(|scene| {
        scene.clusters[0].state = "TERMINATED".to_owned();
        scene.clusters[0].terminated = Some(NOW.plus(seconds(300)));
        scene.clusters[0].reason = Some(("INACTIVITY".to_owned(), "SUCCESS".to_owned()));
    });
    workspace.advance(seconds(200));
    let kinds = |body: Value| {
        let (status, page) = post(&workspace, "/api/2.1/clusters/events", &body);
        assert_eq!(status, 200, "{page}");
        pluck(&page, "events", "type")
    };
    let expected = [
        "CREATING",
        "INIT_SCRIPTS_STARTED",
        "INIT_SCRIPTS_FINISHED",
        "RUNNING",
        "AUTOSCALING_STATS_REPORT",
        "RESIZING",
        "UPSIZE_COMPLETED",
        "DRIVER_NOT_RESPONDING",
        "AUTOSCALING_STATS_REPORT",
        "RESIZING",
        "TERMINATING",
    ];
    assert_eq!(kinds(json!({ "cluster_id": "0101-c", "order": "ASC" })), expected);
    let mut newest_first = expected;
    newest_first.reverse();
    assert_eq!(kinds(json!({ "cluster_id": "0101-c" })), newest_first);
    let since = json!({ "cluster_id": "0101-c", "start_time": NOW.plus(seconds(151)).0, "event_types": ["RESIZING"] });
    assert_eq!(kinds(since), ["RESIZING"]);
    let (_, last) = post(&workspace, "/api/2.1/clusters/events", &json!({ "cluster_id": "0101-c" }));
    assert_eq!(last["events"][0]["details"]["reason"]["code"], "INACTIVITY");
}

#[test]
fn cluster_events_come_page_by_page_whichever_way_the_next_is_asked_for() {
    let workspace = Offline::scripted(NOW);
    let mut cluster = Cluster::new("0101-c", "shared", "RUNNING", NOW.minus(seconds(5_000)));
    cluster.events = (0..1_234).map(|n| ClusterEvent::new(NOW.minus(seconds(n)), "DRIVER_HEALTHY")).collect();
    workspace.set_clusters(vec![cluster]);
    let path = "/api/2.1/clusters/events";
    let first = json!({ "cluster_id": "0101-c", "page_size": 10_000 });
    for by_token in [true, false] {
        let (mut asked, mut times) = (first.clone(), Vec::new());
        loop {
            let (_, page) = post(&workspace, path, &asked);
            times.extend(pluck(&page, "events", "timestamp"));
            assert!(page["events"].as_array().unwrap().len() <= 500);
            workspace.advance(seconds(1));
            let Some(token) = page["next_page_token"].as_str() else { break };
            asked = if by_token {
                json!({ "cluster_id": "0101-c", "page_size": 500, "page_token": token })
            } else {
                page["next_page"].clone()
            };
        }
        assert_eq!(times.len(), 1_236, "and CREATING and RUNNING");
        assert!(times.windows(2).all(|pair| pair[0].as_i64() >= pair[1].as_i64()));
    }
    for refused in [json!({}), json!({ "cluster_id": "?" }), json!({ "cluster_id": "0101-c", "order": "UP" })] {
        assert_eq!(post(&workspace, path, &refused).0, 400, "{refused}");
    }
}

#[test]
fn queries_run_for_a_while_and_are_final_once_they_have_ended() {
    let workspace = Offline::scripted(NOW);
    let mut query = Query::new("q1", "w1", NOW, seconds(10)).failing("no such column");
    query.compiling = seconds(2);
    workspace.change(|scene| scene.queries = vec![query]);
    let path = "/api/2.0/sql/history/queries?include_metrics=true";
    let told = || read(&workspace, path)["res"][0].clone();
    for (advance, status, is_final) in [(0, "COMPILING", false), (2, "RUNNING", false), (10, "FAILED", true)] {
        workspace.advance(seconds(advance));
        assert_eq!((&told()["status"], &told()["is_final"]), (&json!(status), &json!(is_final)));
        assert_eq!(told().get("query_end_time_ms").is_some(), is_final);
    }
    assert_eq!(
        (&told()["metrics"]["total_time_ms"], &told()["error_message"]),
        (&json!(12_000), &json!("no such column"))
    );
}

#[test]
fn query_history_is_filtered_and_paged_newest_first() {
    let workspace = Offline::scripted(NOW);
    let query = |n: u64| Query::new(&format!("q{n:04}"), &format!("w{}", n % 2), NOW.minus(seconds(n)), seconds(5));
    workspace.change(|scene| scene.queries = (0..2_500).map(query).collect());
    let path = "/api/2.0/sql/history/queries";
    let expected = |range: std::ops::Range<u64>| range.map(|n| json!(format!("q{n:04}"))).collect::<Vec<_>>();
    assert_eq!(all(&workspace, &format!("{path}?max_results=1000"), "res", "query_id"), (expected(0..2_500), 3));
    assert_eq!(read(&workspace, path)["res"].as_array().unwrap().len(), 100);
    let ids = |query: &str| pluck(&read(&workspace, &format!("{path}?{query}")), "res", "query_id");
    assert_eq!(ids("filter_by.statement_ids=q0007&filter_by.statement_ids=q0003"), [json!("q0003"), json!("q0007")]);
    assert_eq!(ids("filter_by.statuses=RUNNING"), expected(0..5));
    assert_eq!(ids("filter_by.warehouse_ids=w1&max_results=2"), [json!("q0001"), json!("q0003")]);
    let range = "filter_by.query_start_time_range";
    let (from, to) = (NOW.minus(seconds(20)).0, NOW.minus(seconds(18)).0);
    assert_eq!(ids(&format!("{range}.start_time_ms={from}&{range}.end_time_ms={to}")), expected(18..21));
    for refused in ["max_results=1001", "max_results=0", "page_token=x"] {
        assert_eq!(ask(&workspace, &format!("{path}?{refused}")).0, 400, "{refused}");
    }
}

#[test]
fn directories_are_listed_one_at_a_time() {
    let workspace = Offline::scripted(NOW);
    workspace.change(|scene| {
        scene.objects = vec![
            Object::new("/Users/ada/etl", "NOTEBOOK"),
            Object::new("/Users/ada/lib.whl", "LIBRARY"),
            Object::new("/Empty", "DIRECTORY"),
        ];
        scene.dbfs = vec![DbfsFile::new("/tmp/a", 10), DbfsFile::new("/tmp/b/c", 32)];
    });
    let objects =
        |path: &str| pluck(&read(&workspace, &format!("/api/2.0/workspace/list?path={path}")), "objects", "path");
    assert_eq!(objects("/"), ["/Empty", "/Users"]);
    assert_eq!(objects("/Users/ada"), ["/Users/ada/etl", "/Users/ada/lib.whl"]);
    assert_eq!(objects("/Users/ada/etl"), ["/Users/ada/etl"]);
    assert_eq!(read(&workspace, "/api/2.0/workspace/list?path=/Empty"), json!({}));
    let files = |path: &str| pluck(&read(&workspace, &format!("/api/2.0/dbfs/list?path={path}")), "files", "file_size");
    assert_eq!((files("/tmp"), files("/tmp/b")), (vec![json!(10), json!(0)], vec![json!(32)]));
    for (path, status) in [
        ("workspace/list", 400),
        ("workspace/list?path=x", 400),
        ("workspace/list?path=/x", 404),
        ("dbfs/list?path=/x", 404),
    ] {
        assert_eq!(ask(&workspace, &format!("/api/2.0/{path}")).0, status, "{path}");
    }
    let totals = workspace.truth(NOW, NOW).totals;
    let kinds: Vec<_> = totals.objects.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(kinds, [("DIRECTORY", 3), ("LIBRARY", 1), ("NOTEBOOK", 1)]);
    assert_eq!((totals.dbfs_bytes, totals.dbfs_files), (42, 2));
}

#[test]
fn users_are_counted_by_filter_unless_the_server_ignores_it() {
    let workspace = Offline::scripted(NOW);
    workspace.change(|scene| {
        scene.users = (0..25).map(|n| User::new(&n.to_string(), &format!("u{n}@example.com"))).collect();
        scene.users.iter_mut().take(4).for_each(|user| user.active = false);
        scene.groups = vec![Group { members: vec!["3".to_owned()], ..Group::new("g", "admins") }];
    });
    let path = "/api/2.0/preview/scim/v2/Users";
    let total = |query: &str| read(&workspace, &format!("{path}?{query}"))["totalResults"].clone();
    assert_eq!([total(""), total("filter=active+eq+true"), total("filter=active+eq+false&count=1")], [25, 21, 4]);
    assert_eq!(total("filter=userName+eq+%22U7@example.com%22"), 1);
    let page = read(&workspace, &format!("{path}?startIndex=24&count=10&attributes=id,active"));
    assert_eq!((&page["itemsPerPage"], &page["Resources"][0]), (&json!(2), &json!({ "id": "23", "active": true })));
    assert_eq!(read(&workspace, &format!("{path}?startIndex=26"))["Resources"], json!([]));
    assert_eq!(ask(&workspace, &format!("{path}?filter=active")).0, 400);
    let groups = "/api/2.0/preview/scim/v2/Groups";
    assert_eq!(read(&workspace, groups)["Resources"][0]["members"][0]["value"], "3");
    assert_eq!(read(&workspace, &format!("{groups}?excludedAttributes=members"))["Resources"][0].get("members"), None);
    workspace.change(|scene| scene.scim_ignores_filters = true);
    assert_eq!(total("filter=active+eq+false"), 25);
}

#[test]
fn tokens_expire_by_the_worlds_clock_and_one_that_never_does_has_minus_one() {
    let workspace = Offline::scripted(NOW);
    let mut own = Token::new("own", NOW, None);
    own.created_by = "kiln@example.com".to_owned();
    workspace.change(|scene| {
        scene.tokens = vec![
            Token::new("short", NOW, Some(NOW.plus(seconds(60)))),
            own,
            Token::new("later", NOW.plus(seconds(90)), None),
        ];
    });
    let all = || read(&workspace, "/api/2.0/token-management/tokens");
    assert_eq!(pluck(&all(), "token_infos", "expiry_time"), [json!(NOW.0 + 60_000), json!(-1)]);
    assert_eq!(pluck(&read(&workspace, "/api/2.0/token/list"), "token_infos", "token_id"), ["own"]);
    let active = || workspace.truth(NOW, workspace.now()).totals.tokens_active;
    assert_eq!(active(), 2);
    workspace.advance(seconds(60));
    assert_eq!(active(), 1);
    workspace.advance(seconds(60));
    assert_eq!((active(), pluck(&all(), "token_infos", "token_id").len()), (2, 3));
}

#[test]
fn a_pipeline_is_what_its_updates_make_of_it() {
    let workspace = Offline::scripted(NOW);
    let mut pipeline = Pipeline::new("p1", "orders");
    pipeline.updates = vec![
        Update::new("u1", NOW, seconds(10), seconds(50)),
        Update::new("u2", NOW.plus(seconds(100)), seconds(10), seconds(50)).failing("java.lang.Error", "no disk"),
    ];
    workspace.change(|scene| scene.pipelines = vec![pipeline]);
    let told = || read(&workspace, "/api/2.0/pipelines")["statuses"][0].clone();
    for (advance, state, health, latest) in [
        (0, "STARTING", json!(null), "WAITING_FOR_RESOURCES"),
        (10, "RUNNING", json!(null), "RUNNING"),
        (50, "IDLE", json!("HEALTHY"), "COMPLETED"),
        (50, "RUNNING", json!("HEALTHY"), "RUNNING"),
        (50, "FAILED", json!("UNHEALTHY"), "FAILED"),
    ] {
        workspace.advance(seconds(advance));
        let told = told();
        assert_eq!((&told["state"], &told["health"]), (&json!(state), &health));
        assert_eq!(told["latest_updates"][0]["state"], latest);
    }
    let (updates, pages) = all(&workspace, "/api/2.0/pipelines/p1/updates?max_results=1", "updates", "update_id");
    assert_eq!((updates, pages), (vec![json!("u2"), json!("u1")], 2));
    let errors = read(&workspace, "/api/2.0/pipelines/p1/events?filter=level%3D%27ERROR%27");
    assert_eq!(errors["events"].as_array().unwrap().len(), 2);
    assert_eq!(errors["events"][0]["error"]["exceptions"][0]["message"], "no disk");
    let everything = all(&workspace, "/api/2.0/pipelines/p1/events?max_results=3", "events", "id").0;
    assert_eq!(everything.len(), 11);
    let since = "filter=level+in+(%27INFO%27,+%27ERROR%27)+AND+timestamp+%3E%3D+%272026-09-21T14:15:00.000Z%27";
    assert_eq!(
        read(&workspace, &format!("/api/2.0/pipelines/p1/events?{since}"))["events"].as_array().unwrap().len(),
        4
    );
    for (path, status) in [("?max_results=101", 400), ("/p2/updates?", 404), ("/p1/events?filter=colour", 400)] {
        assert_eq!(ask(&workspace, &format!("/api/2.0/pipelines{path}")).0, status, "{path}");
    }
}

#[test]
fn the_counters_of_a_serving_endpoint_only_grow() {
    let workspace = Offline::scripted(NOW);
    workspace.change(|scene| scene.serving_endpoints = vec![ServingEndpoint::new("churn", NOW)]);
    assert_eq!(read(&workspace, "/api/2.0/serving-endpoints")["endpoints"][0]["state"]["ready"], "READY");
    let requests = || {
        let answer = get(&workspace, "/api/2.0/serving-endpoints/churn/metrics").unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        let line = text.lines().find(|line| line.starts_with("request_count_total{")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let before = requests();
    workspace.advance(seconds(60));
    assert!(requests() > before);
    assert_eq!(ask(&workspace, "/api/2.0/serving-endpoints/none/metrics").0, 404);
}

#[test]
fn a_statement_is_pending_then_running_then_gives_its_rows_in_chunks() {
    let workspace = Offline::scripted(NOW);
    let rows = (0..5).map(|n| vec![Some(n.to_string()), None]).collect();
    let rule = SqlRule::rows("billing.usage", &[("job_id", "STRING"), ("cost", "DECIMAL")], rows);
    workspace.change(|scene| {
        scene.warehouses = vec![Warehouse::new("w1", "BI", "RUNNING")];
        scene.sql = vec![
            rule.taking(seconds(1), seconds(2)).in_chunks_of(2),
            SqlRule::failing("forbidden", "UNAUTHENTICATED", "no"),
        ];
    });
    let path = "/api/2.0/sql/statements";
    let ask_for = |statement: &str, wait: &str| {
        json!({ "warehouse_id": "w1", "statement": statement, "wait_timeout": wait,
            "parameters": [{ "name": "since", "value": "2026-01-01", "type": "DATE" }] })
    };
    let (status, first) = post(&workspace, path, &ask_for("SELECT * FROM system.BILLING.usage", "0s"));
    assert_eq!((status, &first["status"]["state"], first.get("result")), (200, &json!("PENDING"), None));
    let poll = || read(&workspace, &format!("{path}/{}", first["statement_id"].as_str().unwrap()));
    workspace.advance(seconds(1));
    assert_eq!(poll()["status"]["state"], "RUNNING");
    workspace.advance(seconds(2));
    let done = poll();
    assert_eq!((&done["status"]["state"], &done["manifest"]["total_chunk_count"]), (&json!("SUCCEEDED"), &json!(3)));
    assert_eq!(done["manifest"]["schema"]["columns"][1]["name"], "cost");
    assert_eq!(done["result"]["data_array"], json!([["0", null], ["1", null]]));
    let mut link = done["result"]["next_chunk_internal_link"].as_str().map(str::to_owned);
    let mut rows = 2;
    while let Some(path) = link {
        let chunk = read(&workspace, &path);
        rows += chunk["data_array"].as_array().unwrap().len();
        link = chunk["next_chunk_internal_link"].as_str().map(str::to_owned);
    }
    assert_eq!(rows, 5);
    // Waiting costs the caller time, and nobody else.
    let (_, waited) = post(&workspace, path, &ask_for("select * from billing.usage", "5s"));
    assert_eq!(waited["status"]["state"], "SUCCEEDED");
    let (status, failed) = post(&workspace, path, &ask_for("SELECT forbidden", "0s"));
    assert_eq!(
        (status, &failed["status"]["state"], &failed["status"]["error"]["message"]),
        (200, &json!("FAILED"), &json!("no"))
    );
    assert_eq!(post(&workspace, path, &ask_for("SELECT 1", "0s")).1["status"]["state"], "FAILED");
    let seen = workspace.statements();
    assert_eq!((seen.len(), seen[0].text.as_str()), (4, "SELECT * FROM system.BILLING.usage"));
    assert_eq!(seen[0].parameters, [("since".to_owned(), Some("2026-01-01".to_owned()))]);
    let mut elsewhere = ask_for("SELECT 1", "0s");
    elsewhere["warehouse_id"] = json!("w2");
    for (body, status) in
        [(ask_for("SELECT 1", "4s"), 400), (ask_for("", "0s"), 400), (json!({}), 400), (elsewhere, 404)]
    {
        assert_eq!(post(&workspace, path, &body).0, status, "{body}");
    }
}

fn log_in(workspace: &Offline, path: &str, basic: Option<&str>, form: &str) -> (u16, Value) {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let mut headers = vec![header("content-type", "application/x-www-form-urlencoded".to_owned())];
    headers.extend(basic.map(|basic| header("authorization", format!("Basic {basic}"))));
    let answer = workspace.answer("POST", path, &headers, form.as_bytes()).unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[test]
fn an_issued_token_is_good_until_it_expires_or_is_revoked() {
    let client = Client { id: "id".to_owned(), secret: "secret".to_owned(), token_lifetime: seconds(60) };
    let world = World::scripted(NOW, Default::default());
    let workspace = Offline::with(Options { world, client, ..Options::default() });
    let status = |token: &Value| {
        let bearer = ("authorization".to_owned(), format!("Bearer {}", token.as_str().unwrap()));
        workspace.answer("GET", "/api/2.2/jobs/list", &[bearer], b"").unwrap().status
    };
    let form = "grant_type=client_credentials&scope=all-apis";
    // base64 of id:secret
    let basic = Some("aWQ6c2VjcmV0");
    let (code, first) = log_in(&workspace, "/oidc/v1/token", basic, form);
    assert_eq!((code, &first["token_type"], &first["expires_in"]), (200, &json!("Bearer"), &json!(60)));
    let entra = "grant_type=client_credentials&client_id=id&client_secret=secret&scope=2ff814a6-3304-4ab8-85cb-cd0e6f879c1d%2F.default";
    let (code, second) = log_in(&workspace, "/some-tenant/oauth2/v2.0/token", None, entra);
    assert_eq!(code, 200, "{second}");
    for token in [&first, &second] {
        assert_eq!(status(&token["access_token"]), 200);
    }
    workspace.advance(Duration::from_millis(59_999));
    assert_eq!(status(&first["access_token"]), 200);
    workspace.advance(Duration::from_millis(1));
    assert_eq!(status(&first["access_token"]), 401);
    let (_, third) = log_in(&workspace, "/oidc/v1/token", basic, form);
    assert_eq!(status(&third["access_token"]), 200);
    workspace.revoke_tokens();
    assert_eq!(status(&third["access_token"]), 401);
    assert_eq!(get(&workspace, "/api/2.2/jobs/list").unwrap().status, 200, "the workspace's own token stays");
    for (path, basic, form, error) in [
        ("/oidc/v1/token", Some("eDp5"), form, "invalid_client"),
        ("/oidc/v1/token", None, form, "invalid_client"),
        ("/oidc/v1/token", basic, "grant_type=client_credentials", "invalid_scope"),
        ("/oidc/v1/token", basic, "scope=all-apis", "unsupported_grant_type"),
        ("/t/oauth2/v2.0/token", None, &entra.replace("=secret", "=wrong"), "invalid_client"),
        ("/t/oauth2/v2.0/token", None, &entra.replace("2ff814a6", "00000000"), "invalid_scope"),
    ] {
        let (status, answer) = log_in(&workspace, path, basic, form);
        assert_eq!((status / 100, &answer["error"]), (4, &json!(error)), "{path} {form}");
    }
    let headers = [("host".to_owned(), "workspace.test".to_owned())];
    let found = workspace.answer("GET", "/oidc/.well-known/oauth-authorization-server", &headers, b"").unwrap();
    let found: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(found["token_endpoint"], "http://workspace.test/oidc/v1/token");
}
