//! The part of a living world that is not jobs: clusters that grow and shrink, warehouses, queries on them.
//!
//! Invariant: as in [`super::living`], everything follows from the seed and the time; lists reach a few hours
//! back, so they do not grow.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the tables are constants, and dice fall between 0 and the bound they are given"
)]

use super::compute::{Cluster, Resize, Warehouse, Workers};
use super::events::ClusterEvent;
use super::living::{FOUNDED, Living, MINUTE, SHARED_CLUSTER};
use super::pipeline::{Pipeline, Update};
use super::queries::Query;
use super::time::UnixMillis;
use std::collections::BTreeMap;
use std::time::Duration;

/// Twenty seconds.
const QUERY_SLOT: i64 = MINUTE / 3;
const HOUR: i64 = 60 * MINUTE;
const WAREHOUSES: [&str; 4] = ["Starter Warehouse", "BI", "Finance", "Ad-hoc SQL"];
const PIPELINES: [&str; 5] = ["orders medallion", "clickstream", "inventory", "returns", "loyalty"];
const SIZES: [&str; 4] = ["Small", "Medium", "2X-Small", "Large"];

impl Living {
    /// All-purpose clusters; those of job runs follow from the runs.
    pub(crate) fn clusters(&self, now: UnixMillis) -> Vec<Cluster> {
        let mut shared = Cluster::new(SHARED_CLUSTER, "shared-analytics", "RUNNING", FOUNDED);
        shared.workers = Workers::Autoscale { min: 2, max: 8 };
        shared.photon = true;
        shared.pinned = true;
        shared.resizes = self.resizes(now);
        let (reports, answers) =
            (now.minus(Duration::from_secs(3 * 3600)), ["DRIVER_NOT_RESPONDING", "DRIVER_HEALTHY"]);
        let hours = reports.0.div_euclid(HOUR) + 1..=now.0.div_euclid(HOUR);
        shared.events = hours
            .flat_map(|hour| {
                let minute = self.dice(30, hour as u64).below(50) as i64;
                answers.iter().zip(0..).map(move |(kind, later)| {
                    ClusterEvent::new(UnixMillis(hour * HOUR + (minute + 2 * later) * MINUTE), kind)
                })
            })
            .collect();
        shared.tags = BTreeMap::from([("team".to_owned(), "analytics".to_owned())]);

        // Used in bursts: up for twenty minutes of every half hour.
        let (up, since) = self.cycle(now, 30, 20, 1);
        let state = if up { "RUNNING" } else { "TERMINATED" };
        let mut adhoc = Cluster::new("0112-101500-adhoc002", "ad-hoc exploration", state, since);
        adhoc.workers = Workers::Fixed(0);
        if !up {
            adhoc.start = UnixMillis(since.0 - 20 * MINUTE);
            adhoc.terminated = Some(since);
            adhoc.reason = Some(("INACTIVITY".to_owned(), "SUCCESS".to_owned()));
        }
        vec![shared, adhoc]
    }

    pub(crate) fn warehouses(&self, now: UnixMillis) -> Vec<Warehouse> {
        WAREHOUSES
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let salt = index as u64 + 10;
                let (up, since) = self.cycle(now, 20, 13, salt);
                let just = now.0 - since.0 < MINUTE / 2;
                let state = match (up, just) {
                    (true, true) => "STARTING",
                    (true, false) => "RUNNING",
                    (false, true) => "STOPPING",
                    (false, false) => "STOPPED",
                };
                let mut dice = self.dice(salt, now.0.div_euclid(MINUTE) as u64);
                let mut warehouse = Warehouse::new(&warehouse_id(index), name, state);
                warehouse.serverless = index == 0;
                warehouse.size = SIZES[index].to_owned();
                warehouse.max_clusters = 4;
                if state == "RUNNING" {
                    warehouse.clusters = 1 + dice.below(3) as u32;
                    warehouse.sessions = dice.below(25) as u32;
                    warehouse.health = Some("HEALTHY".to_owned());
                }
                warehouse
            })
            .collect()
    }

    /// The shared cluster follows the day's work: every ten minutes it may grow or shrink.
    fn resizes(&self, now: UnixMillis) -> Vec<Resize> {
        let step = 10 * MINUTE;
        let last = now.0.div_euclid(step);
        (last - 18..=last)
            .map(|n| Resize { at: UnixMillis(n * step), workers: 2 + self.dice(31, n as u64).below(7) as u32 })
            .collect()
    }

    /// Queries of the last three hours until a slot ends: one in each slot.
    pub(crate) fn queries(&self, slot: i64) -> Vec<Query> {
        (slot - 540..=slot).map(|n| self.query(n, n * QUERY_SLOT)).collect()
    }

    /// The slot that a time is in.
    pub(crate) fn query_slot(now: UnixMillis) -> i64 {
        now.0.div_euclid(QUERY_SLOT)
    }

    /// Five pipelines, each updated every half hour; the updates of the last three hours.
    pub(crate) fn pipelines(&self, now: UnixMillis) -> Vec<Pipeline> {
        let pipeline = |(index, name): (usize, &&str)| {
            let mut pipeline = Pipeline::new(&format!("0b5c1d2e-{index:04x}-4000-8000-00000000d17a"), name);
            let step = 30 * MINUTE;
            let offset = 5 * index as i64 * MINUTE;
            let last = (now.0 - offset).div_euclid(step);
            pipeline.updates = (last - 6..=last)
                .map(|n| {
                    let mut dice = self.dice(50 + index as u64, n as u64);
                    let id = format!("{n:08x}-{index:04x}-4000-8000-{:012x}", dice.below(1 << 40));
                    let [setup, running] = [30 + dice.below(60), 60 + dice.below(600)].map(Duration::from_secs);
                    let update = Update::new(&id, UnixMillis(n * step + offset), setup, running);
                    match dice.below(100) {
                        0..=7 => update.failing(
                            "org.apache.spark.sql.AnalysisException",
                            "[TABLE_OR_VIEW_NOT_FOUND] The table or view `main`.`raw`.`orders` cannot be found",
                        ),
                        8..=10 => Update { ends: "CANCELED".to_owned(), cause: "USER_ACTION".to_owned(), ..update },
                        _ => update,
                    }
                })
                .collect();
            pipeline
        };
        PIPELINES.iter().enumerate().map(pipeline).collect()
    }

    fn query(&self, n: i64, slot: i64) -> Query {
        const TEXTS: [(&str, &str); 4] = [
            ("SELECT", "SELECT region, sum(amount) FROM main.sales.orders GROUP BY region"),
            ("SELECT", "SELECT * FROM main.web.clickstream WHERE day = current_date()"),
            (
                "MERGE",
                "MERGE INTO main.stock.inventory USING main.stock.updates ON id = id WHEN MATCHED THEN UPDATE SET *",
            ),
            ("INSERT", "INSERT INTO main.report.daily SELECT * FROM main.report.staging"),
        ];
        let mut dice = self.dice(40, n as u64);
        let start = UnixMillis(slot + dice.below(20_000) as i64);
        let warehouse = warehouse_id(dice.below(4) as usize);
        let executing = Duration::from_millis(200 + dice.below(40) * dice.below(40) * 20);
        let id =
            format!("01f0{:04x}-{:04x}-1{:03x}-8000-{:012x}", n & 0xffff, dice.below(0xffff), dice.below(0xfff), n);
        let mut query = Query::new(&id, &warehouse, start, executing);
        let (kind, text) = TEXTS[dice.below(4) as usize];
        (query.statement_type, query.text) = (kind.to_owned(), text.to_owned());
        query.user = format!("analyst{}@example.com", 1 + dice.below(5));
        query.compiling = Duration::from_millis(50 + dice.below(400));
        query.rows = dice.below(100_000) as i64;
        query.read_bytes = (dice.below(1 << 16) << 16) as i64;
        match dice.below(100) {
            0..=4 => {
                query =
                    query.failing("[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column with name `amout` cannot be resolved")
            }
            5..=6 => query.ends = "CANCELED".to_owned(),
            7..=11 => query.queued = Duration::from_millis(500 + dice.below(5_000)),
            12..=20 => query.spilled_bytes = (dice.below(1 << 10) << 20) as i64,
            21..=40 => query.from_cache = true,
            _ => {}
        }
        query
    }
}

fn warehouse_id(index: usize) -> String {
    format!("{:016x}", 0xa11c_e000_usize + index)
}
