//! One module per version of the contract, each a thin adapter onto the same store data. Decisions are made below.

pub(crate) mod v0_1;
