//! How Kiln finds the UI of the Spark driver it runs beside: what `kiln-cluster` knows about it, asked by `kiln-egress`.

use std::sync::Arc;

use kiln_cluster::{SparkUi, spark_ui};
use kiln_egress::Discovery;

use crate::commands::environment;
use crate::exit::Failure;

/// Looks for nothing until a rule with `addresses: [spark_ui]` is used.
///
/// # Errors
/// The environment says something about it that cannot be.
pub(crate) fn discovery() -> Result<Arc<Discovery>, Failure> {
    let driver = SparkUi::from_environment(&environment).map_err(Failure::usage)?;
    let discovery = Discovery::new(
        "Spark UI",
        move || driver.candidates(),
        spark_ui::QUESTIONS,
        |question, answer| spark_ui::is_spark(question, answer.status, &answer.content_type, &answer.body),
    );
    Ok(Arc::new(discovery))
}
