//! How the UI of a driver can misbehave.

use serde::{Deserialize, Serialize};

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// No answer for ever, as while pages attach.
    Hang,
    /// The right answer, late.
    Slow {
        /// By how many milliseconds.
        ms: u64,
    },
    /// The driver dies: the headers and half of the body, whose whole length was promised, and then the connection is
    /// cut.
    CutBody,
    /// The headers and half of the body, and then nothing for ever.
    EndlessBody,
    /// 200 with half of the right answer, which ends within a line.
    HalfPage,
    /// 200 with HTML.
    Html,
    /// 406, as the executors' page answers who wants OpenMetrics and nothing else.
    NotAcceptable,
    /// 302 to `/jobs/`, as a path that is not attached.
    RedirectToJobs,
    /// 404 with HTML, as an application that is ending.
    NotFound,
}
