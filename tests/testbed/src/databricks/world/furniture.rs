//! The part of a living world that stays as it is: objects, files, people, tokens, policies, pools, endpoints.
//!
//! Invariant: it follows from the seed and the number of objects, so twins have the same furniture.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the tables are constants and every index into them is reduced to their length"
)]

use super::Scene;
use super::living::{FOUNDED, Living};
use super::people::{Group, ServicePrincipal, Token, User};
use super::policy::{InstancePool, Policy};
use super::serving::ServingEndpoint;
use super::time::UnixMillis;
use super::tree::{DbfsFile, Object};
use std::time::Duration;

const DAY: u64 = 86_400;
const USERS: u64 = 24;

impl Living {
    pub(super) fn furniture(&self, objects: u32) -> Scene {
        Scene {
            objects: self.objects(objects),
            dbfs: self.dbfs(),
            tokens: self.tokens(),
            users: (0..USERS)
                .map(|n| {
                    let name = if n == 0 { "kiln@example.com".to_owned() } else { user_name(n) };
                    let user = User::new(&user_id(n), &name);
                    if n % 8 == 7 { user.inactive() } else { user }
                })
                .collect(),
            groups: groups(),
            service_principals: ["kiln", "deploy", "dbt"]
                .iter()
                .zip(1_u32..)
                .map(|(name, n)| ServicePrincipal {
                    id: format!("73{n:011}"),
                    application_id: format!("{n:08x}-0000-4000-8000-00000000a991"),
                    name: (*name).to_owned(),
                    active: true,
                })
                .collect(),
            policies: policies(),
            instance_pools: vec![
                InstancePool::new("0105-090000-pool01", "general purpose", 3, 8),
                InstancePool::new("0105-090000-pool02", "memory optimised", 0, 2),
            ],
            serving_endpoints: vec![
                ServingEndpoint::new("churn", since_founded(20 * DAY)),
                ServingEndpoint::new("forecast", since_founded(40 * DAY)),
            ],
            ..Scene::default()
        }
    }

    /// A tree of home folders: in each a few projects, in each a few notebooks and other things.
    fn objects(&self, count: u32) -> Vec<Object> {
        let objects = (0..u64::from(count)).map(|n| {
            let mut dice = self.dice(60, n);
            let home = match dice.below(4) {
                0 => "/Shared".to_owned(),
                1 => format!("/Users/team-{:02}@example.com", dice.below(10)),
                _ => format!("/Users/{}", user_name(1 + dice.below(USERS - 1))),
            };
            // About twenty things to a folder, however many there are.
            let folders = u64::from(count) / 2_000 + 1;
            let path = format!("{home}/project-{}/step-{}", dice.below(folders), dice.below(3));
            let (kind, suffix) = match dice.below(100) {
                0..=69 => ("NOTEBOOK", ""),
                70..=89 => ("FILE", ".py"),
                90..=93 => ("DASHBOARD", ".lvdash.json"),
                94..=96 => ("LIBRARY", ".whl"),
                _ => ("REPO", ".git"),
            };
            let mut object = Object::new(&format!("{path}/thing-{n}{suffix}"), kind);
            object.modified = since_founded(dice.below(200 * DAY));
            object
        });
        objects.chain([Object::new("/Repos", "DIRECTORY")]).collect()
    }

    fn dbfs(&self) -> Vec<DbfsFile> {
        let file = |n: u64| {
            let mut dice = self.dice(61, n);
            let folder = ["/FileStore/tables", "/FileStore/jars", "/tmp", "/databricks/init", "/mnt/landing/orders"];
            let mut file =
                DbfsFile::new(&format!("{}/part-{n:05}", folder[(n % 5) as usize]), dice.below(1 << 28) as i64);
            file.modified = since_founded(dice.below(200 * DAY));
            file
        };
        (0..120).map(file).collect()
    }

    /// Made one after another since the beginning; each lives for 30 days to three years, or for ever.
    fn tokens(&self) -> Vec<Token> {
        let token = |n: u64| {
            let mut dice = self.dice(62, n);
            let created = since_founded(n * 6 * DAY);
            let expires = match dice.below(5) {
                0 => None,
                _ => Some(created.plus(Duration::from_secs((30 + dice.below(1000)) * DAY))),
            };
            let mut token = Token::new(&format!("{:064x}", 0x70_6b00 + n), created, expires);
            token.created_by =
                if n.is_multiple_of(9) { "kiln@example.com".to_owned() } else { user_name(1 + n % (USERS - 1)) };
            token
        };
        (0..40).map(token).collect()
    }
}

fn since_founded(seconds: u64) -> UnixMillis {
    FOUNDED.plus(Duration::from_secs(seconds))
}

fn user_id(n: u64) -> String {
    format!("71{n:011}")
}

fn user_name(n: u64) -> String {
    const NAMES: [&str; 8] = ["ada", "grace", "edsger", "barbara", "tony", "leslie", "frances", "donald"];
    let round = n / NAMES.len() as u64;
    let name = NAMES[n as usize % NAMES.len()];
    if round == 0 { format!("{name}@example.com") } else { format!("{name}{round}@example.com") }
}

fn groups() -> Vec<Group> {
    let group = |(index, name): (u64, &str)| {
        let mut group = Group::new(&format!("72{index:011}"), name);
        group.members = (0..USERS).filter(|n| index == 0 || n % (index + 1) == 0).map(user_id).collect();
        group
    };
    (0..).zip(["users", "admins", "analysts", "engineers", "finance"]).map(group).collect()
}

fn policies() -> Vec<Policy> {
    let policy = |(n, name): (u64, &str)| {
        let mut policy = Policy::new(&format!("E0{n:014X}"), name);
        policy.is_default = n < 3;
        policy.created = since_founded(n * DAY);
        policy
    };
    (0..)
        .zip(["Personal Compute", "Power User Compute", "Job Compute", "Kiln on every cluster", "Cheap"])
        .map(policy)
        .collect()
}
