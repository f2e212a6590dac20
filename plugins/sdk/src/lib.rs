//! Guest SDK for Kiln plugins.
