//! What one plugin did when it was tried, told to its author: as tables, and as JSON for whatever the author has written.
//!
//! Nothing here runs a plugin or judges a batch; that is done by what does it in operation. Here the outcome is taken apart
//! into rows. Names and values are strangers', so whatever is shown passes [`kiln_policy::Visible`], and cells are cut.

mod change;
mod declaration;
mod emission;
mod report;
mod table;
mod values;
mod verdict;

pub use change::{Changes, change};
pub use declaration::undeclared;
pub use emission::{Emission, Row};
pub use report::{Attempt, Left, Report, Subject};
pub use table::table;
pub use verdict::{Item, Outcome, Verdict};
