//! Schedule, queue, fan-out.
