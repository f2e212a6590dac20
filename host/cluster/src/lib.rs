//! The init script and what it installs.
