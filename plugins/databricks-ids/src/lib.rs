//! Trace and span ids of Databricks job runs.
//!
//! The workspace and the Spark driver are read by different plugins, on different machines. Both derive ids from what
//! both know, so that a job run and the stages it came to are one trace, and what is sent again is the same span.
//! Anyone can compute them: the first 16 bytes of SHA-256 of `databricks/WORKSPACE/run/RUN_ID` are the trace's id, the
//! next 8 the root's; of `databricks/WORKSPACE/task/RUN_ID` the same 8 are the task's.

use sha2::{Digest as _, Sha256};

/// The ids of a run's trace and of its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunIds {
    /// Of the trace.
    pub trace: [u8; 16],
    /// Of the span of the run.
    pub root: [u8; 8],
}

impl RunIds {
    /// Of a run in a workspace, which is known by its id, or by its URL where the id is not known.
    #[must_use]
    pub fn of(workspace: &str, run_id: i64) -> Self {
        let (trace, root) = derive(&format!("databricks/{workspace}/run/{run_id}"));
        Self { trace, root }
    }
}

/// The id of the span of an attempt at a task.
#[must_use]
pub fn task_span_id(workspace: &str, task_run_id: i64) -> [u8; 8] {
    derive(&format!("databricks/{workspace}/task/{task_run_id}")).1
}

/// The first 16 bytes of the text's SHA-256, and the 8 after them.
#[must_use]
pub fn derive(text: &str) -> ([u8; 16], [u8; 8]) {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let (mut first, mut second) = ([0; 16], [0; 8]);
    first.iter_mut().chain(&mut second).zip(hash).for_each(|(to, from)| *to = from);
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn ids_are_what_the_documentation_says() {
        let ids = RunIds::of("281", 1);
        // printf databricks/281/run/1 | sha256sum
        assert_eq!(hex(&ids.trace), "5d5348680d1d6312c863fc8079dee7e0");
        assert_eq!(hex(&ids.root), "b16f3319ea9c73ab");
        // printf databricks/281/task/11 | sha256sum
        assert_eq!(hex(&task_span_id("281", 11)), "6ed50bba49898bf7");
    }
}
