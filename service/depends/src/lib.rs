//! A dependency graph for each request.
