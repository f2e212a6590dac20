//! Manifest, requests, grants and what follows from them.
