//! Components: loaded, linked, limited, run.
