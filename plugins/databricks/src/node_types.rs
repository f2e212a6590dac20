//! How many DBU an instance uses in an hour, for common node types on jobs compute without Photon.
//!
//! Databricks publishes no machine-readable list; these are the figures of its pricing calculators as of 2025, rounded.
//! Whoever needs more than an order of magnitude puts their own into `cost.dbu_per_hour`, or reads the billing tables.

/// Sorted by name.
const DBU_PER_HOUR: &[(&str, f64)] = &[
    ("Standard_D16s_v3", 3.0),
    ("Standard_D4s_v3", 0.75),
    ("Standard_D8s_v3", 1.5),
    ("Standard_DS3_v2", 0.75),
    ("Standard_DS4_v2", 1.5),
    ("Standard_DS5_v2", 3.0),
    ("Standard_E16s_v3", 4.0),
    ("Standard_E4s_v3", 1.0),
    ("Standard_E8s_v3", 2.0),
    ("Standard_F4s", 0.5),
    ("Standard_F8s", 1.0),
    ("Standard_L4s", 1.0),
    ("Standard_L8s", 2.0),
    ("c5.2xlarge", 1.21),
    ("c5.4xlarge", 2.43),
    ("c5.xlarge", 0.61),
    ("i3.2xlarge", 2.0),
    ("i3.4xlarge", 4.0),
    ("i3.8xlarge", 8.0),
    ("i3.xlarge", 1.0),
    ("m4.2xlarge", 1.5),
    ("m4.large", 0.4),
    ("m4.xlarge", 0.75),
    ("m5.2xlarge", 1.37),
    ("m5.4xlarge", 2.74),
    ("m5.large", 0.34),
    ("m5.xlarge", 0.69),
    ("m5d.2xlarge", 1.37),
    ("m5d.large", 0.34),
    ("m5d.xlarge", 0.69),
    ("r5.2xlarge", 1.8),
    ("r5.4xlarge", 3.6),
    ("r5.large", 0.45),
    ("r5.xlarge", 0.9),
];

/// The figure of a node type that is in the table.
pub(crate) fn dbu_per_hour(node_type: &str) -> Option<f64> {
    let index = DBU_PER_HOUR.binary_search_by(|(name, _)| (*name).cmp(node_type)).ok()?;
    DBU_PER_HOUR.get(index).map(|(_, dbu)| *dbu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_searchable() {
        assert!(DBU_PER_HOUR.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(dbu_per_hour("i3.xlarge"), Some(1.0));
        assert_eq!(dbu_per_hour("unheard.of"), None);
    }
}
