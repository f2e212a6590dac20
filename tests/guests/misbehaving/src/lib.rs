//! A plugin that does what it should not.
